"""The `Store`: the one entry to the database, with a repository for each kind of data.

`store.runs.get_latest()` reads the newest run, `store.users.add(user)` stores a user. Each method
of a repository is one transaction, and methods that return iterators stream. A store may be used
by several threads, and several processes may use one database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from storage.database.connection import Database

if TYPE_CHECKING:
    from storage.communication.messages import (
        MessageRepository,
        SubscriptionRepository,
        SubscriptionRequestRepository,
    )
    from storage.communication.report_links import (
        CompletedStepRepository,
        FollowUpRepository,
        ReplyRepository,
        ReportLinkRepository,
        SurveyAnswerRepository,
    )
    from storage.communication.workshops import WorkshopRepository
    from storage.conclusions import (
        AccountStatusRepository,
        ConclusionRepository,
        DecisionRepository,
    )
    from storage.observations.observations import DomainCheckRepository, ObservationRepository
    from storage.read_model.association_search import (
        AssociationSearchRepository,
        FacetCountRepository,
    )
    from storage.read_model.gap_search import GapSearchRepository
    from storage.read_model.summaries import SummaryRepository
    from storage.registry.associations import RegistryRepository
    from storage.registry.audit_log import AuditLogRepository
    from storage.retention import ErasureRepository, RetentionRepository
    from storage.runs.plan import RunPlanRepository
    from storage.runs.runs import AuditRunRepository, ClusterRunRepository
    from storage.users import FeedLinkRepository, SessionRepository, UserRepository

REPOSITORIES = {
    "registry": ("storage.registry.associations", "RegistryRepository"),
    "audit_log": ("storage.registry.audit_log", "AuditLogRepository"),
    "runs": ("storage.runs.runs", "AuditRunRepository"),
    "run_plan": ("storage.runs.plan", "RunPlanRepository"),
    "cluster_runs": ("storage.runs.runs", "ClusterRunRepository"),
    "observations": ("storage.observations.observations", "ObservationRepository"),
    "domain_checks": ("storage.observations.observations", "DomainCheckRepository"),
    "statuses": ("storage.conclusions", "AccountStatusRepository"),
    "conclusions": ("storage.conclusions", "ConclusionRepository"),
    "decisions": ("storage.conclusions", "DecisionRepository"),
    "messages": ("storage.communication.messages", "MessageRepository"),
    "subscriptions": ("storage.communication.messages", "SubscriptionRepository"),
    "subscription_requests": ("storage.communication.messages", "SubscriptionRequestRepository"),
    "report_links": ("storage.communication.report_links", "ReportLinkRepository"),
    "replies": ("storage.communication.report_links", "ReplyRepository"),
    "completed_steps": ("storage.communication.report_links", "CompletedStepRepository"),
    "survey_answers": ("storage.communication.report_links", "SurveyAnswerRepository"),
    "follow_ups": ("storage.communication.report_links", "FollowUpRepository"),
    "workshops": ("storage.communication.workshops", "WorkshopRepository"),
    "users": ("storage.users", "UserRepository"),
    "sessions": ("storage.users", "SessionRepository"),
    "feed_links": ("storage.users", "FeedLinkRepository"),
    "summaries": ("storage.read_model.summaries", "SummaryRepository"),
    "counts": ("storage.read_model.association_search", "FacetCountRepository"),
    "search": ("storage.read_model.association_search", "AssociationSearchRepository"),
    "gap_search": ("storage.read_model.gap_search", "GapSearchRepository"),
    "retention": ("storage.retention", "RetentionRepository"),
    "erasure": ("storage.retention", "ErasureRepository"),
}
"""The module and the class of each repository of the store."""


class Store(Database):
    """The database of one network: its registry, runs, conclusions, decisions and communication.

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
    survey_answers: SurveyAnswerRepository
    follow_ups: FollowUpRepository
    workshops: WorkshopRepository
    users: UserRepository
    sessions: SessionRepository
    feed_links: FeedLinkRepository
    summaries: SummaryRepository
    counts: FacetCountRepository
    search: AssociationSearchRepository
    gap_search: GapSearchRepository
    retention: RetentionRepository
    erasure: ErasureRepository

    if not TYPE_CHECKING:  # else mypy would accept any name

        def __getattr__(self, name: str) -> Any:
            if name not in REPOSITORIES:
                raise AttributeError(f"the store has no repository {name}")
            module, class_name = REPOSITORIES[name]
            repository = getattr(importlib.import_module(module), class_name)(self)
            setattr(self, name, repository)
            return repository
