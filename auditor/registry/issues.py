"""Problems of a registry spreadsheet, each with its line and column."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.i18n.translator import Translator


class Issue(StrEnum):
    """The kinds of problems in a spreadsheet. The set is closed."""

    NO_NAME = "no_name"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_NAME = "duplicate_name"
    DUPLICATE_COLUMN = "duplicate_column"
    UNKNOWN_COLUMN = "unknown_column"
    UNKNOWN_LANGUAGE = "unknown_language"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_OFFICER = "unknown_officer"
    BAD_EMAIL = "bad_email"
    UNREADABLE_LINK = "unreadable_link"
    NOT_AN_ACCOUNT = "not_an_account"
    PERSON_OR_GROUP = "person_or_group"
    WRONG_COLUMN = "wrong_column"
    REPEATED_ACCOUNT = "repeated_account"
    SHARED_ACCOUNT = "shared_account"
    NONE_BY_CHOICE_BUT_LISTED = "none_by_choice_but_listed"
    GUESSED_ENCODING = "guessed_encoding"
    IGNORED_SHEET = "ignored_sheet"
    MOJIBAKE = "mojibake"
    ROUNDED_NUMBER = "rounded_number"
    CONFLICTING_ID = "conflicting_id"
    ERASED_ASSOCIATION = "erased_association"
    EXTRA_CELLS = "extra_cells"
    MISSING_CELLS = "missing_cells"
    SWALLOWED_LINES = "swallowed_lines"
    STRAY_LINE_BREAK = "stray_line_break"


ERROR_ISSUES = frozenset(
    {
        Issue.NO_NAME,
        Issue.DUPLICATE_ID,
        Issue.MOJIBAKE,
        Issue.ROUNDED_NUMBER,
        Issue.EXTRA_CELLS,
        Issue.SWALLOWED_LINES,
        Issue.STRAY_LINE_BREAK,
    }
)
"""Issues that a person has to correct before the import. All others are warnings."""


@dataclass(frozen=True, slots=True)
class SpreadsheetProblem:
    """A problem in a spreadsheet: its line, column, the text found there and the kind of issue."""

    line: int
    column: str
    value: str
    issue: Issue

    @property
    def severity(self) -> str:
        """Return `error` or `warning`."""
        return "error" if self.issue in ERROR_ISSUES else "warning"

    def describe(self, translator: Translator) -> str:
        """Return the problem as a sentence.

        Without a column it is about the line, or in line 1 about the file.
        """
        facts = {
            "severity": translator.term("issue_severity", self.severity),
            "problem": translator.term("problem", self.issue),
            "value": self.value,
        }
        if not self.column and self.line > 1:
            return translator.translate(
                "{severity}, line {line}: {problem}: {value}", line=self.line, **facts
            )
        if not self.column:
            return translator.translate("{severity}: {problem}: {value}", **facts)
        return translator.translate(
            "{severity}, line {line}, {column}: {problem}: {value}",
            line=self.line,
            column=self.column,
            **facts,
        )

    def to_dict(self) -> dict[str, object]:
        """Return the problem as an item of `auditor registry validate --json`."""
        return {
            "line": self.line,
            "column": self.column,
            "value": self.value,
            "problem": str(self.issue),
            "severity": self.severity,
        }
