"""Upgrades a database to the newest schema with Alembic, in one transaction.

Alembic is imported only for an upgrade, because the import takes 0.2 s (measured 2026-11). The
revision of a database is one row, and the known revisions are the first parts of the file names.

`python -m storage.database.migrate "Add a column"` writes a new revision from the difference
between the tables and the existing revisions: the whole schema if there are none. There is no
downgrade: a copy of the database is made before each upgrade.
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, inspect

from storage.errors import RESTORE_REMEDY, DamagedDatabaseError, NewerDatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS_FOLDER = Path(__file__).parents[1] / "migrations"
FOREIGN_KEY_CHECK = "PRAGMA foreign_key_check"
ALEMBIC_LOCK = Lock()  # Alembic keeps its state in a global variable


def get_head_revision() -> str:
    """Return the newest revision that this version knows."""
    return list_known_revisions()[-1]


@cache
def list_known_revisions() -> tuple[str, ...]:
    """Return the revisions that this version knows, the oldest first."""
    files = (MIGRATIONS_FOLDER / "versions").glob("[0-9]*.py")
    return tuple(sorted(file.stem.partition("_")[0] for file in files))


def get_current_revision(connection: Connection, database_name: str = "") -> str | None:
    """Return the revision of the database, or None if it has none.

    `database_name` names the database in error messages. Raises NewerDatabaseError if its revision
    is unknown.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
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
    """Run the missing revisions in one transaction.

    On SQLite foreign keys are off during the upgrade, because rebuilding a table would delete the
    rows that refer to it (tried on 3.46, 2026-11). They are checked before the commit.
    """
    from alembic import command  # noqa: PLC0415

    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        _set_foreign_keys(connection, "OFF")
    try:
        with ALEMBIC_LOCK, connection.begin():
            command.upgrade(build_alembic_config(connection), "head")
            if is_sqlite and (broken := connection.exec_driver_sql(FOREIGN_KEY_CHECK).all()):
                raise DamagedDatabaseError(
                    "cannot upgrade the database",
                    f"{len(broken)} rows refer to missing rows",
                    RESTORE_REMEDY,
                )
    finally:
        if is_sqlite:
            _set_foreign_keys(connection, "ON")


def build_alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for an open connection."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _set_foreign_keys(connection: Connection, value: str) -> None:
    # The pragma is ignored in a transaction, so the driver executes it outside of one.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys={value}")


def main(message: str) -> None:
    """Write a revision from the difference between the tables and the existing revisions."""
    from alembic import command  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/scratch.db")
        with engine.connect() as connection:
            command.upgrade(build_alembic_config(connection), "head")
            command.revision(
                build_alembic_config(connection),
                message,
                autogenerate=True,
                rev_id=f"{len(list_known_revisions()) + 1:04}",
            )
        engine.dispose()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
