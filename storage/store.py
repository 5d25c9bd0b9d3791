"""The `Store`: the one entry to the database, with one method for every query.

Each method is one transaction, and methods that return iterators stream. A store may be used by
several threads, and several processes may use one database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.api_data import ApiDataQueries
from storage.communication.messages import MessageQueries
from storage.communication.replies import (
    CompletedStepQueries,
    FollowUpQueries,
    ReplyQueries,
)
from storage.communication.report_links import ReportLinkQueries
from storage.conclusions import AccountStatusQueries, AssociationDataQueries, ConclusionQueries
from storage.database.connection import Database
from storage.database.sqlite_file import MAX_OPEN_CHECK_BYTES, DatabaseContents
from storage.models.audit import Observation
from storage.observations.observations import (
    DomainCheckQueries,
    ObservationQueries,
    ObservationWriter,
)
from storage.read_model.association_search import AssociationSearchQueries
from storage.read_model.counts import DatabaseStats, FacetCounts, SmallSelectionCounts
from storage.read_model.gap_search import GapSearchQueries
from storage.read_model.summaries import SummaryQueries
from storage.read_model.word_correction import WordCorrections
from storage.registry.associations import AssociationEntryQueries, RegistryQueries
from storage.registry.audit_log import AuditLogQueries
from storage.registry.regions import RegionQueries
from storage.retention import AssociationErasure, RetentionQueries
from storage.runs.cluster import ClusterRunQueries
from storage.runs.plan import RunPlanQueries
from storage.runs.runs import AuditRunQueries, FutureRunQueries
from storage.users import SessionQueries, UserQueries
from storage.witnesses import WitnessQueries


class Store(
    RegistryQueries,
    AssociationEntryQueries,
    AuditRunQueries,
    FutureRunQueries,
    ObservationQueries,
    ApiDataQueries,
    DomainCheckQueries,
    RunPlanQueries,
    ClusterRunQueries,
    AccountStatusQueries,
    ConclusionQueries,
    WitnessQueries,
    MessageQueries,
    ReportLinkQueries,
    ReplyQueries,
    CompletedStepQueries,
    FollowUpQueries,
    AssociationDataQueries,
    SummaryQueries,
    AssociationSearchQueries,
    WordCorrections,
    SmallSelectionCounts,
    GapSearchQueries,
    FacetCounts,
    AuditLogQueries,
    UserQueries,
    SessionQueries,
    RegionQueries,
    DatabaseStats,
    AssociationErasure,
    RetentionQueries,
):
    """The registry, runs, conclusions, decisions and communication of one network."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open the database at a SQLAlchemy address and upgrade it to the newest schema.

        Raises a StoreError if there is none and `create` is False, or if the database cannot be
        used. An unusable database is never replaced by a new one.
        """
        return cls(Database.open(url, create=create))

    def open_observation_writer(
        self,
        *,
        batch_size: int = 200,
        max_wait_seconds: float = 5.0,
        on_commit: Callable[[int], None] | None = None,
        before_commit: Callable[[], object] = lambda: None,
    ) -> ObservationWriter:
        """Return a writer that commits observations in batches, to be used in an `async with`.

        `before_commit` is called before each commit, to store the evidence of the batch first.
        """

        def record(batch: Sequence[Observation]) -> int:
            before_commit()
            return self.record_observations(batch)

        return ObservationWriter(
            record, batch_size=batch_size, max_wait_seconds=max_wait_seconds, on_commit=on_commit
        )

    @property
    def database_file(self) -> Path | None:
        """The file of a SQLite database; None on PostgreSQL."""
        return self._database.file

    def check_integrity(self) -> None:
        """Check the whole SQLite database for damage. Raises DamagedDatabaseError."""
        self._database.check_integrity()

    @property
    def is_large(self) -> bool:
        """Return True if the database is too large to be checked each time it is opened."""
        return (
            self.database_file is not None
            and self.database_file.stat().st_size > MAX_OPEN_CHECK_BYTES
        )

    def create_backup(
        self, target: Path, prepare: Callable[[Path], object] | None = None
    ) -> DatabaseContents:
        """Write a snapshot of a SQLite database to a file, replacing an older copy.

        The database may be in use. `prepare` may change the copy, but not the number of its rows.
        The copy is verified before it gets its name. Raises StoreError.
        """
        return self._database.create_backup(target, prepare)

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
