"""Brings a database to the newest schema with Alembic, in one transaction, without an alembic.ini.

`python -m storage.migrate "Add a column"` writes a new revision from the difference between tables.py and
the revisions so far.
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from storage.errors import RESTORE, DamagedDatabaseError, NewerDatabaseError

FOLDER = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = Lock()  # Alembic keeps what it is doing in a global


def head() -> str:
    """The newest revision this auditor knows."""
    return _script().get_current_head() or ""


def current(connection: Connection) -> str | None:
    """The revision of the database, None where it has none. Raises NewerDatabaseError for an unknown one."""
    found = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in _script().walk_revisions()}
    if found is not None and found not in known:
        why = f"a newer auditor wrote it (schema {found}, this one knows {head()})"
        raise NewerDatabaseError("the database", why, f"install the newer auditor, or {RESTORE}")
    return found


def upgrade(connection: Connection) -> None:
    """Run the missing revisions in one transaction: all of them, or none.

    Foreign keys are off meanwhile: rebuilding a table with them on deletes every child row (tried on
    SQLite 3.46, 2026-11). They are checked before the commit.
    """
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        _foreign_keys(connection, "OFF")
    try:
        with ONE_AT_A_TIME, connection.begin():
            command.upgrade(config(connection), "head")
            if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise DamagedDatabaseError("the database", f"{len(broken)} rows point nowhere", RESTORE)
    finally:
        if sqlite:
            _foreign_keys(connection, "ON")


def config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory(str(FOLDER))


def _foreign_keys(connection: Connection, value: str) -> None:
    # The pragma is ignored inside a transaction, so it goes to the driver, which is in none here.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys={value}")


def _next() -> str:
    return f"{int(head() or 0) + 1:04}"


def main(message: str) -> None:
    """Write a revision from what tables.py has and the revisions lack."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/scratch.db")
        with engine.connect() as connection:
            command.upgrade(config(connection), "head")
            command.revision(config(connection), message, autogenerate=True, rev_id=_next())
        engine.dispose()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
