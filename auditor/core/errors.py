"""What the auditor says when it cannot do what was asked: one line of what, why and what to try.

The web's misbehaviour is never one of these: it is a finding. These are the operator's troubles.
"""

from __future__ import annotations

from typing import Any

from storage.errors import OneLineError


class AuditorError(OneLineError):
    """An ending that a person can mend. `code` is the exit code (DESIGN §6)."""

    exit_code = 1


class UsageError(AuditorError):
    """The command was typed in a way that means nothing."""

    exit_code = 2


class ConfigError(AuditorError):
    """The configuration cannot be used."""

    exit_code = 3


class InputError(AuditorError):
    """A file that was handed in cannot be used; nothing was changed."""

    exit_code = 3


class TranslatableError(InputError):
    """The same where it may come from a page: `said` is the message for that, with its facts.

    A page has fields in place of a command's options, and translates the message.
    """

    def __init__(
        self, what: str, why: str, remedy: str = "", *, message: str, **facts: Any
    ) -> None:
        super().__init__(what, why, remedy)
        self.message = message
        self.facts = facts


class DiskSpaceError(AuditorError):
    """There is too little room to begin; nothing was begun."""

    exit_code = 3


class IncompleteRunError(AuditorError):
    """The night did not end, or is too old."""

    exit_code = 4


class ClockError(AuditorError):
    """The clock is wrong, or could not be checked. No run was begun."""

    exit_code = 4


class RunLockedError(AuditorError):
    """Another run holds the lock."""

    exit_code = 5
