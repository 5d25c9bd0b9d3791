"""Problems of a registry spreadsheet, each with its line and column."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor.core.i18n.translator import Translator


class Issue(StrEnum):
    """The kinds of problems in a spreadsheet. The set is closed."""

    NO_NAME = "no_name"
    DUPLICATE_ID = "duplicate_id"
    UNUSABLE_ID = "unusable_id"
    DUPLICATE_NAME = "duplicate_name"
    DUPLICATE_COLUMN = "duplicate_column"
    UNKNOWN_COLUMN = "unknown_column"
    NO_LINK_COLUMN = "no_link_column"
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
    SWALLOWED_LINES = "swallowed_lines"
    EXAMPLE_ROW = "example_row"
    TOTAL_ROW = "total_row"
    TOO_MANY_CHARACTERS = "too_many_characters"
    LONG_TEXT = "long_text"


ERROR_ISSUES = frozenset(
    {
        Issue.NO_NAME,
        Issue.DUPLICATE_ID,
        Issue.NO_LINK_COLUMN,
        Issue.UNUSABLE_ID,
        Issue.MOJIBAKE,
        Issue.ROUNDED_NUMBER,
        Issue.EXTRA_CELLS,
        Issue.SWALLOWED_LINES,
        Issue.TOO_MANY_CHARACTERS,
    }
)
"""Issues that a person has to correct before the import. All others are warnings."""


MAX_LISTED_LINES = 20
"""How many dropped lines are named."""
MAX_SHOWN_VALUE_CHARS = 200
"""Characters of a value that a problem shows."""


COLUMN_ISSUES = frozenset({Issue.UNKNOWN_COLUMN, Issue.DUPLICATE_COLUMN})
"""Issues of columns that are not read. The page of an import shows all columns instead."""


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

    @property
    def is_dropped(self) -> bool:
        """Return True if the line is not imported and a person should know."""
        return self.issue is Issue.NO_NAME

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


def group_problems(problems: Iterable[SpreadsheetProblem]) -> list[list[SpreadsheetProblem]]:
    """Return the problems by kind, in the order of their lines.

    Dropped lines are first, then errors, then warnings, those with most lines first.
    """
    problems_by_issue: dict[Issue, list[SpreadsheetProblem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.line):
        problems_by_issue.setdefault(problem.issue, []).append(problem)
    return sorted(
        problems_by_issue.values(),
        key=lambda group: (not group[0].is_dropped, group[0].severity, -len(group)),
    )


def shorten_value(value: str) -> str:
    """Return the beginning of a long value."""
    return f"{value[:MAX_SHOWN_VALUE_CHARS]}…" if len(value) > MAX_SHOWN_VALUE_CHARS else value


def list_dropped_lines(problems: Iterable[SpreadsheetProblem]) -> list[int]:
    """Return the lines of a spreadsheet that are not imported because they have no name."""
    return [problem.line for problem in problems if problem.is_dropped]


def describe_dropped_lines(lines: Sequence[int], translator: Translator) -> str:
    """Return a sentence with the number of dropped lines, why, and the first of them, or ""."""
    count = len(lines)
    if not count:
        return ""
    reason = translator.translate_plural(
        "{n} row was not imported: {why}",
        "{n} rows were not imported: {why}",
        count,
        why=translator.term("problem", Issue.NO_NAME),
    )
    shown = translator.join_list(map(translator.format_number, lines[:MAX_LISTED_LINES]))
    if count > MAX_LISTED_LINES:
        shown += "…"
    return translator.translate("{reason} (lines: {lines}).", reason=reason, lines=shown)
