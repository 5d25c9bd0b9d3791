"""The store: everything that is remembered, behind the nouns. SQL never leaves this package.

Any SQLite or PostgreSQL address; each method is one transaction, and every reader streams. A store may be
used from several threads and, with other processes, on the same database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.communication.messages import Messages
from storage.communication.replies import FollowUps, Replies
from storage.communication.report_links import Letters
from storage.conclusions import Derived, Standings
from storage.database.connection import Database
from storage.database.sqlite_file import CHECKED_AT_OPENING, Contents
from storage.models.audit import Observation
from storage.observations.observations import Looks, Writer
from storage.read_model.association_data import Held
from storage.read_model.association_search import Lists
from storage.read_model.counts import Few, Tallies, Vitals
from storage.read_model.gap_search import GapLists
from storage.read_model.summaries import Summaries
from storage.registry.associations import Contacts, Registry
from storage.registry.audit_log import Trail
from storage.registry.regions import Reach
from storage.retention import Erasure, Expiry
from storage.runs.cluster import Sweeps
from storage.runs.plan import Plans
from storage.runs.runs import Nights
from storage.users import Sessions, Users


class Store(
    Registry,
    Contacts,
    Nights,
    Looks,
    Plans,
    Sweeps,
    Standings,
    Derived,
    Messages,
    Letters,
    Replies,
    FollowUps,
    Held,
    Summaries,
    Lists,
    Few,
    GapLists,
    Tallies,
    Trail,
    Users,
    Sessions,
    Reach,
    Vitals,
    Erasure,
    Expiry,
):
    """The registry, the nights, the conclusions and the decisions of one network."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open the database at a SQLAlchemy address and bring it to the newest schema.

        Raises a StoreError: there is none and `create` is False, the file is empty, another program's,
        damaged or a newer auditor's. Nothing is ever made anew in its place.
        """
        return cls(Database.open(url, create=create))

    def writer(
        self,
        *,
        size: int = 200,
        seconds: float = 5.0,
        committed: Callable[[int], None] | None = None,
        before: Callable[[], object] = lambda: None,
    ) -> Writer:
        """A writer that commits observations in batches: `async with store.writer() as writer`.

        `before` is called before each commit: what its observations rest on has to be safe by then.
        """

        def record(batch: Sequence[Observation]) -> int:
            before()
            return self.record(batch)

        return Writer(record, size=size, seconds=seconds, committed=committed)

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        return self._database.file

    def check(self) -> None:
        """Read the whole database for damage (SQLite). Raises DamagedDatabaseError."""
        self._database.check()

    @property
    def is_large(self) -> bool:
        """Whether the database is too large to be read whole whenever it is opened."""
        return self.file is not None and self.file.stat().st_size > CHECKED_AT_OPENING

    def copy(self, target: Path) -> Contents:
        """Write one moment of a SQLite database to a file while it is in use, in place of an older copy.

        It is read again before it is named. Raises StoreError.
        """
        return self._database.copy(target)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
