"""Repositories whose rows are models, read and written as SQLModel's documentation shows.

They are apart from the other repositories, because most commands then load no SQLModel. Bulk
statements use connections, see `docs/decisions/0005-storage.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Table, event
from sqlmodel import Session, SQLModel
from sqlmodel.sql.expression import SelectOfScalar

from storage.database.connection import Repository
from storage.sanitize import sanitize

T = TypeVar("T")


class StoreSession(Session):
    """A session that cleans its objects before it stores them. They can be read after the end."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(
            connection, expire_on_commit=False, execution_options={"synchronize_session": False}
        )


@event.listens_for(StoreSession, "before_flush")
def _sanitize_objects(session: StoreSession, *_: object) -> None:
    for stored in (*session.new, *session.dirty):
        for name, value in tuple(vars(stored).items()):
            cleaned = sanitize(value)
            if cleaned is not value:
                setattr(stored, name, cleaned)


class ModelRepository(Repository):
    """The base of the repositories of models."""

    @contextmanager
    def begin_read_session(self) -> Iterator[Session]:
        """Yield a session for reading. On SQLite its queries see one state of the database."""
        with self._database.begin_read() as connection, StoreSession(connection) as session:
            yield session

    @contextmanager
    def begin_write_session(self, wait_ms: int | None = None) -> Iterator[Session]:
        """Yield a session in a transaction, which is committed unless an error is raised.

        On SQLite it waits at most `wait_ms` for other writers.
        """
        with (
            self._database.begin_write(wait_ms) as connection,
            StoreSession(connection) as session,
            session.begin(),
        ):
            yield session

    def _replace_model(self, session: Session, model: SQLModel) -> None:
        """Store a model instead of the one with its primary key.

        Unlike `Session.merge`, this works if another transaction stores the same key now.
        """
        table = cast("Table", cast("Any", model).__table__)
        row = sanitize(model.model_dump())
        self._database.upsert(session.connection(), table, [row], table.primary_key.columns.keys())

    def _fetch_all(self, query: SelectOfScalar[T]) -> list[T]:
        """Return the results of a query."""
        with self.begin_read_session() as session:
            return list(session.exec(query))

    def _fetch_first(self, query: SelectOfScalar[T]) -> T | None:
        """Return the first result of a query, or None."""
        with self.begin_read_session() as session:
            return session.exec(query).first()
