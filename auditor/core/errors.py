"""Errors of the operator: one line that says what failed, why, and what to try.

Failures of websites and platforms are not errors but findings.
"""

from typing import Any

from storage.errors import OneLineError


class AuditorError(OneLineError):
    """An error that the operator can fix; `exit_code` is the exit code of the command."""

    exit_code = 1


class UsageError(AuditorError):
    """The command line is invalid."""

    exit_code = 2


class ConfigError(AuditorError):
    """The configuration is invalid."""

    exit_code = 3


class InputError(AuditorError):
    """An input is invalid; nothing was changed."""

    exit_code = 3


class TranslatableError(InputError):
    """An input error that a page shows, too: `message` is its translatable text with `facts`."""

    def __init__(
        self, what: str, why: str, remedy: str = "", *, message: str, **facts: Any
    ) -> None:
        super().__init__(what, why, remedy)
        self.message = message
        self.facts = facts


class DiskSpaceError(AuditorError):
    """There is too little disk space; nothing was started."""

    exit_code = 3


class IncompleteRunError(AuditorError):
    """The last run is incomplete or too old."""

    exit_code = 4


class ClockError(AuditorError):
    """The clock is wrong, or could not be checked. No run was started."""

    exit_code = 4


class RunLockedError(AuditorError):
    """Another run holds the lock."""

    exit_code = 5
