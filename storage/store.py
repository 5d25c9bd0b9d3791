"""The `Store`: the one entry to the database, with a repository for each kind of data.

`store.runs.get_latest()` reads the newest run, `store.users.add(user)` stores a user. Each method
of a repository is one transaction, and methods that return iterators stream. A store may be used
by several threads, and several processes may use one database.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from storage.database.connection import Database
from storage.database.sqlite_file import MAX_OPEN_CHECK_BYTES, DatabaseContents

if TYPE_CHECKING:
    from storage.communication.messages import (
        MessageRepository,
        SubscriptionRepository,
        SubscriptionRequestRepository,
    )
    from storage.communication.replies import (
        CompletedStepRepository,
        FollowUpRepository,
        ReplyRepository,
    )
    from storage.communication.report_links import ReportLinkRepository
    from storage.conclusions import AccountStatusRepository, ConclusionRepository
    from storage.decisions import DecisionRepository
    from storage.observations.observations import DomainCheckRepository, ObservationRepository
    from storage.read_model.association_search import AssociationSearchRepository
    from storage.read_model.counts import FacetCountRepository
    from storage.read_model.gap_search import GapSearchRepository
    from storage.read_model.summaries import SummaryRepository
    from storage.registry.associations import RegistryRepository
    from storage.registry.audit_log import AuditLogRepository
    from storage.retention import ErasureRepository, RetentionRepository
    from storage.runs.cluster import ClusterRunRepository
    from storage.runs.plan import RunPlanRepository
    from storage.runs.runs import AuditRunRepository
    from storage.users import SessionRepository, UserRepository

REPOSITORIES = {
    "registry": ("storage.registry.associations", "RegistryRepository"),
    "audit_log": ("storage.registry.audit_log", "AuditLogRepository"),
    "runs": ("storage.runs.runs", "AuditRunRepository"),
    "run_plan": ("storage.runs.plan", "RunPlanRepository"),
    "cluster_runs": ("storage.runs.cluster", "ClusterRunRepository"),
    "observations": ("storage.observations.observations", "ObservationRepository"),
    "domain_checks": ("storage.observations.observations", "DomainCheckRepository"),
    "statuses": ("storage.conclusions", "AccountStatusRepository"),
    "conclusions": ("storage.conclusions", "ConclusionRepository"),
    "decisions": ("storage.decisions", "DecisionRepository"),
    "messages": ("storage.communication.messages", "MessageRepository"),
    "subscriptions": ("storage.communication.messages", "SubscriptionRepository"),
    "subscription_requests": ("storage.communication.messages", "SubscriptionRequestRepository"),
    "report_links": ("storage.communication.report_links", "ReportLinkRepository"),
    "replies": ("storage.communication.replies", "ReplyRepository"),
    "completed_steps": ("storage.communication.replies", "CompletedStepRepository"),
    "follow_ups": ("storage.communication.replies", "FollowUpRepository"),
    "users": ("storage.users", "UserRepository"),
    "sessions": ("storage.users", "SessionRepository"),
    "summaries": ("storage.read_model.summaries", "SummaryRepository"),
    "counts": ("storage.read_model.counts", "FacetCountRepository"),
    "search": ("storage.read_model.association_search", "AssociationSearchRepository"),
    "gap_search": ("storage.read_model.gap_search", "GapSearchRepository"),
    "retention": ("storage.retention", "RetentionRepository"),
    "erasure": ("storage.retention", "ErasureRepository"),
}
"""The module and the class of each repository of the store."""


class Store:
    """The registry, runs, conclusions, decisions and communication of one network.

    A repository is imported and created when it is first used, because most commands need few.
    """

    registry: RegistryRepository
    audit_log: AuditLogRepository
    runs: AuditRunRepository
    run_plan: RunPlanRepository
    cluster_runs: ClusterRunRepository
    observations: ObservationRepository
    domain_checks: DomainCheckRepository
    statuses: AccountStatusRepository
    conclusions: ConclusionRepository
    decisions: DecisionRepository
    messages: MessageRepository
    subscriptions: SubscriptionRepository
    subscription_requests: SubscriptionRequestRepository
    report_links: ReportLinkRepository
    replies: ReplyRepository
    completed_steps: CompletedStepRepository
    follow_ups: FollowUpRepository
    users: UserRepository
    sessions: SessionRepository
    summaries: SummaryRepository
    counts: FacetCountRepository
    search: AssociationSearchRepository
    gap_search: GapSearchRepository
    retention: RetentionRepository
    erasure: ErasureRepository

    def __init__(self, database: Database) -> None:
        self._database = database

    if not TYPE_CHECKING:  # else mypy would accept any name

        def __getattr__(self, name: str) -> Any:
            if name not in REPOSITORIES:
                raise AttributeError(f"the store has no repository {name}")
            module, class_name = REPOSITORIES[name]
            repository = getattr(importlib.import_module(module), class_name)(self._database)
            setattr(self, name, repository)
            return repository

    @classmethod
    def open(cls, url: str, *, create: bool = True, upgrade: bool = True) -> Store:
        """Open the database at a SQLAlchemy address and upgrade it to the newest schema.

        Raises a StoreError if there is none and `create` is False, if its schema is old and
        `upgrade` is False, or if the database cannot be used. An unusable database is never
        replaced by a new one.
        """
        return cls(Database.open(url, create=create, upgrade=upgrade))

    @property
    def database_file(self) -> Path | None:
        """The file of a SQLite database; None on PostgreSQL."""
        return self._database.file

    @property
    def is_large(self) -> bool:
        """Return True if the database is too large to be checked each time it is opened."""
        return (
            self.database_file is not None
            and self.database_file.stat().st_size > MAX_OPEN_CHECK_BYTES
        )

    def require_same_file(self) -> None:
        """Raise StoreError if the SQLite file was moved, deleted or replaced while open."""
        self._database.require_same_file()

    def check_integrity(self) -> None:
        """Check the whole SQLite database for damage. Raises DamagedDatabaseError."""
        self._database.check_integrity()

    def update_statistics(self) -> None:
        """Update the statistics by which the database plans its queries."""
        self._database.update_statistics()

    def get_database_size(self) -> int:
        """Return the size of the database in bytes, including the log."""
        return self._database.get_size()

    def get_schema_revision(self) -> str | None:
        """Return the revision of the schema."""
        return self._database.get_schema_revision()

    def vacuum_database(self, *, log_only: bool = False) -> bool:
        """Rewrite a SQLite file without deleted rows. Return False if a reader uses an older state.

        With `log_only` only its log is emptied. PostgreSQL does so by itself. Raises StoreError,
        for example if there is no room for a second copy.
        """
        return self._database.vacuum(log_only=log_only)

    def create_backup(self, target: Path) -> DatabaseContents:
        """Write a snapshot of a SQLite database to a file, replacing an older copy.

        The database may be in use. The copy is verified before it gets its name. Raises StoreError.
        """
        return self._database.create_backup(target)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
