"""Brings a database to the newest schema with Alembic, in one transaction, without an alembic.ini.

Alembic is loaded where a database is to be brought up (0.2 s of each command, seen 2026-11): which revision
it has is one row, and which there are the files tell, whose names begin with their revisions.

`python -m storage.database.migrate "Add a column"` writes a new revision from the difference between the
tables and the revisions so far.
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, inspect

from storage.errors import (
    RESTORE_REMEDY,
    DamagedDatabaseError,
    NewerDatabaseError,
    PrereleaseDatabaseError,
)

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS_FOLDER = Path(__file__).parents[1] / "migrations"
PRERELEASE_TABLE = "night"
"""A table that every pre-release schema has and no released one. Revision numbers began again at the release."""
PRERELEASE_REMEDY = "move it away and import your spreadsheet again with `auditor registry import`"
ALEMBIC_LOCK = Lock()  # Alembic keeps what it is doing in a global


def get_head_revision() -> str:
    """The newest revision this auditor knows."""
    return list_known_revisions()[-1]


@cache
def list_known_revisions() -> tuple[str, ...]:
    """The revisions this auditor knows, the oldest first."""
    return tuple(
        sorted(
            file.stem.partition("_")[0]
            for file in (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")
        )
    )


def get_current_revision(connection: Connection, database_name: str = "") -> str | None:
    """Return the revision of the database, or None if it has none.

    `database_name` names the database in error messages. Raises PrereleaseDatabaseError if a pre-release
    version created it, and NewerDatabaseError if its revision is unknown.
    """
    inspector = inspect(connection)
    if not inspector.has_table("alembic_version"):
        return None
    if inspector.has_table(PRERELEASE_TABLE):
        raise PrereleaseDatabaseError(
            f"cannot open the database {database_name}".rstrip(),
            "it was created by a pre-release version",
            PRERELEASE_REMEDY,
        )
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision is not None and revision not in list_known_revisions():
        raise NewerDatabaseError(
            f"cannot open the database {database_name}".rstrip(),
            f"a newer version wrote it (schema {revision}, this version knows up to"
            f" {get_head_revision()})",
            f"install the newer version, or {RESTORE_REMEDY}",
        )
    return revision


def upgrade_schema(connection: Connection) -> None:
    """Run the missing revisions in one transaction: all of them, or none.

    Foreign keys are off meanwhile: rebuilding a table with them on deletes every child row (tried on
    SQLite 3.46, 2026-11). They are checked before the commit.
    """
    from alembic import command  # noqa: PLC0415

    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        _set_foreign_keys(connection, "OFF")
    try:
        with ALEMBIC_LOCK, connection.begin():
            command.upgrade(build_alembic_config(connection), "head")
            if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise DamagedDatabaseError(
                    "the database", f"{len(broken)} rows point nowhere", RESTORE_REMEDY
                )
    finally:
        if sqlite:
            _set_foreign_keys(connection, "ON")


def build_alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection."""
    from alembic.config import Config  # noqa: PLC0415

    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def _set_foreign_keys(connection: Connection, value: str) -> None:
    # The pragma is ignored inside a transaction, so it goes to the driver, which is in none here.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys={value}")


def _next_revision_id() -> str:
    return f"{int(get_head_revision()) + 1:04}"


def main(message: str) -> None:
    """Write a revision from what tables.py has and the revisions lack."""
    from alembic import command  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/scratch.db")
        with engine.connect() as connection:
            command.upgrade(build_alembic_config(connection), "head")
            command.revision(
                build_alembic_config(connection),
                message,
                autogenerate=True,
                rev_id=_next_revision_id(),
            )
        engine.dispose()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
