"""What can be wrong in a registry sheet: a closed set, each with its line and column."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.i18n.wording import Wording


class Trouble(StrEnum):
    """What can be wrong in a sheet. A closed set."""

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
    OTHER_CHANNEL = "other_channel"
    REPEATED_ACCOUNT = "repeated_account"
    SHARED_ACCOUNT = "shared_account"
    CHOSEN_AND_LISTED = "chosen_and_listed"
    GUESSED_ENCODING = "guessed_encoding"
    OTHER_SHEET = "other_sheet"
    LOST_LETTERS = "lost_letters"
    SHORTENED_NUMBER = "shortened_number"
    OTHER_ID = "other_id"
    FORGOTTEN = "forgotten"


ERRORS = frozenset({Trouble.NO_NAME, Trouble.DUPLICATE_ID, Trouble.LOST_LETTERS, Trouble.SHORTENED_NUMBER})
"""The troubles that need a person before the sheet says what it means. The others are warnings."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a sheet: where, and what stood there."""

    line: int
    column: str
    value: str
    trouble: Trouble

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return "error" if self.trouble in ERRORS else "warning"

    def said(self, words: Wording) -> str:
        """The problem as a sentence; of the whole file where it is in no column."""
        facts = {
            "severity": words.term("trouble", self.severity),
            "problem": words.term("problem", self.trouble),
            "value": self.value,
        }
        if not self.column:
            return words.say("{severity}: {problem}: {value}", **facts)
        return words.say(
            "{severity}: line {line}, {column}: {problem}: {value}",
            line=self.line,
            column=self.column,
            **facts,
        )

    def item(self) -> dict[str, object]:
        """The item of `registry validate` (DESIGN §6)."""
        return {
            "line": self.line,
            "column": self.column,
            "value": self.value,
            "problem": str(self.trouble),
            "severity": self.severity,
        }
