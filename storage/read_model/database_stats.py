"""How the database itself is: what a monitor asks every few seconds, so that each is a small query."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from storage.database import migrate
from storage.database.connection import Database
from storage.tables.core import ACCOUNT, ASSOCIATION


class Vitals:
    """The queries of a monitor. A part of `Store`."""

    _database: Database

    def size(self) -> int:
        """How many bytes the database takes, what is not yet merged into it counted too."""
        file = self._database.file
        if file is None:
            with self._database.reading() as connection:
                size = select(func.pg_database_size(func.current_database()))
                return int(connection.execute(size).scalar_one())
        parts = (file, Path(f"{file}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def sizes(self) -> tuple[int, int]:
        """How many associations there are, and how many links of theirs; both are counted one by one."""
        tables = (ASSOCIATION, ACCOUNT)
        with self._database.reading() as connection:
            counts = [
                connection.execute(select(func.count()).where(one.c.withdrawn_at.is_(None))).scalar_one()
                for one in tables
            ]
        return counts[0], counts[1]

    def revision(self) -> str | None:
        """The revision of its schema."""
        with self._database.reading() as connection:
            return migrate.current(connection)
