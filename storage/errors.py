"""Errors of the storage, each one line: what failed, why, and what to try."""

from __future__ import annotations

RESTORE_REMEDY = "restore a backup"
"""The remedy for an unusable database. A caller that knows the backups replaces it by a command."""


class OneLineError(Exception):
    """An error that an operator can fix. Its text is one line: `subject: reason; try: remedy`."""

    def __init__(self, subject: str, reason: str = "", remedy: str = "") -> None:
        super().__init__(subject)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.subject}: {self.reason}" if self.reason else self.subject
        if self.remedy:
            text += f"; try: {self.remedy}"
        return " ".join(text.split())


class StoreError(OneLineError):
    """An error of the database or the body store that an operator can fix. It stops a run."""


class MissingDatabaseError(StoreError):
    """There is no database, or it is empty."""


class ForeignDatabaseError(StoreError):
    """The file is not a database of the auditor. It is left unchanged."""


class DamagedDatabaseError(StoreError):
    """The database is damaged. It is left unchanged and never created again."""


class NewerDatabaseError(StoreError):
    """A newer version wrote the database; this version would misread it."""


class PrereleaseDatabaseError(StoreError):
    """A pre-release version created the database. Its schema has no upgrade path."""


class RunAlreadyDoneError(StoreError):
    """The run of the day is done."""


class LaterRunDoneError(StoreError):
    """The run of a later day is evaluated, so an earlier one cannot be."""


class MissingEvidenceError(StoreError):
    """The body store has no body of this digest: it was pruned, or never stored."""


class DamagedEvidenceError(StoreError):
    """A stored body does not match its digest."""
