"""Turns the troubles of the database drivers into ours, with what to try."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError

from storage.errors import RESTORE, DamagedDatabaseError, ForeignDatabaseError, StoreError


@contextmanager
def told(file: Path | None) -> Iterator[None]:
    """Turn the drivers' troubles into ours. Broken constraints and wrong SQL are bugs and pass."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except (DatabaseError, sqlite3.Error) as problem:
        raise _trouble(file, getattr(problem, "orig", None) or problem) from problem


def _trouble(file: Path | None, cause: BaseException) -> StoreError:
    what = str(file or "the database")
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignDatabaseError(
            what, "it is not a database", f"point [storage] url elsewhere, or {RESTORE}"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedDatabaseError(what, f"it is damaged ({cause})", RESTORE)
    remedies = {
        sqlite3.SQLITE_FULL: "make room on the disk; what was committed is safe",
        sqlite3.SQLITE_BUSY: "end the other program that writes to it",
        sqlite3.SQLITE_READONLY: "give the auditor the right to write there",
        sqlite3.SQLITE_CANTOPEN: "give the auditor the right to write in that folder",
    }
    return StoreError(what, str(cause).strip(), remedies.get(code, ""))
