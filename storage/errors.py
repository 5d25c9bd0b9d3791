"""What storage says when it cannot keep or find what was asked: what, why and what to try, in one line."""

from __future__ import annotations

RESTORE_REMEDY = "restore a backup"
"""The remedy for a database that cannot be used; whoever knows the backups names the newest in its place."""


class OneLineError(Exception):
    """A trouble that a person can mend, told in one line: what, why and what to try."""

    def __init__(self, subject: str, reason: str = "", remedy: str = "") -> None:
        super().__init__(subject)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        said = f"{self.subject}: {self.reason}" if self.reason else self.subject
        said = f"{said}; try: {self.remedy}" if self.remedy else said
        return " ".join(said.split())


class StoreError(OneLineError):
    """A trouble of the database or the archive that an operator can mend. The run that meets it stops."""


class MissingDatabaseError(StoreError):
    """There is no database where one was expected."""


class ForeignDatabaseError(StoreError):
    """The file is no database of ours: empty, not SQLite, or another program's. It is left untouched."""


class DamagedDatabaseError(StoreError):
    """The database is ours and damaged. It is left untouched, never made anew."""


class NewerDatabaseError(StoreError):
    """A newer auditor wrote the database; this one would misread it."""


class PrereleaseDatabaseError(StoreError):
    """A pre-release version created the database. Its schema has no upgrade path."""


class RunAlreadyDoneError(StoreError):
    """The day's night is done already."""


class LaterRunDoneError(StoreError):
    """A later day's night is concluded already, so this one can no longer be."""


class MissingEvidenceError(StoreError):
    """The archive does not hold this digest (thinned away, or never kept)."""


class DamagedEvidenceError(StoreError):
    """A body in the archive no longer has its digest."""
