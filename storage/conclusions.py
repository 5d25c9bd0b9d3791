"""Stores and reads conclusions (account statuses, gaps, proposals), and decisions of people.

Conclusions are derived. An account status is one row, and its check times are a narrow row of their
own, because they change in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, case, delete, func, select

from storage.database.connection import Database, Repository, split_into_batches
from storage.models.audit import (
    AccountStatus,
    CheckTimes,
    Decision,
    DecisionWithdrawal,
    Gap,
    Proposal,
    SurveyAnswer,
)
from storage.observations.observations import select_newest_domain_checks
from storage.read_model import consistency
from storage.read_model.consistency import FacetCountsByGroup
from storage.sanitize import sanitize, to_utc
from storage.tables.core import (
    ACCOUNT,
    ACCOUNT_STATUS,
    ASSOCIATION,
    CONTACT,
    DECISION,
    DECISION_WITHDRAWAL,
    GAP,
    PROPOSAL,
    SURVEY_ANSWER,
)
from storage.tables.mappers import (
    GAP_COLUMNS,
    SELECT_ACCOUNT_STATUSES,
    SELECT_ASSOCIATIONS,
    SELECT_DECISIONS,
    get_field_values,
    to_account_row,
    to_account_status,
    to_association,
    to_decision,
    to_domain_check,
    to_gap,
    to_proposal,
)
from storage.tables.runs import CHECK_TIMES

T = TypeVar("T")
GAP_KEY = ("association", "channel", "subject", "code", "first_seen")
PROPOSAL_KEY = ("association", "channel", "key")
IS_NOT_CLOSED = case((GAP.c.closed_at.is_(None), 1), else_=0) == 1
"""An expression, so that a query by association does not use the index of all unclosed gaps."""
AssociationData = Mapping[str, list[Any]]
"""The rows of several associations, by kind (see `load_association_data`)."""


@dataclass(slots=True)
class Conclusions:
    """Conclusions to store. They are derived from stored rows, so their text is clean already.

    Each replaces the stored one: a status by account; a gap by association, channel, subject, code
    and `first_seen`; a proposal by association, channel and key; facet counts by run. `check_times`
    are those of statuses that did not change otherwise. `stale_associations` are those whose
    summaries show a change, None if all may.
    """

    statuses: list[AccountStatus] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    facet_counts: Mapping[int, FacetCountsByGroup] = field(default_factory=dict)
    check_times: list[CheckTimes] = field(default_factory=list)
    stale_associations: set[str] | None = None


class ConclusionRepository(Repository):
    """Stores conclusions and reads gaps and proposals."""

    def list_gaps(self, association: str | None = None) -> Iterator[Gap]:
        """Return all gaps, or those of an association, in the order of their ids."""
        query = select(*GAP_COLUMNS)
        if association is not None:
            query = query.where(GAP.c.association == association)
        return map(to_gap, self._database.stream_rows(query, GAP.c.id))

    def count_gap_changes_at(
        self, changed_at: datetime
    ) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the number of gaps by code that opened, and that closed, at this time."""
        query = select(GAP.c.code, func.count()).where(GAP.c.opened_at.is_not(None))
        query = query.group_by(GAP.c.code)
        with self._database.begin_read() as connection:
            opened = connection.execute(query.where(GAP.c.opened_at == to_utc(changed_at)))
            closed = connection.execute(query.where(GAP.c.closed_at == to_utc(changed_at)))
            return dict(opened.all()), dict(closed.all())

    def list_proposals(
        self, association: str | None = None, *, after_id: int = 0
    ) -> Iterator[Proposal]:
        """Return the proposals after this id, in the order of their ids."""
        query = select(PROPOSAL).where(PROPOSAL.c.id > after_id)
        if association is not None:
            query = query.where(PROPOSAL.c.association == association)
        return map(to_proposal, self._database.stream_rows(query, PROPOSAL.c.id))

    def save(self, conclusions: Conclusions) -> None:
        """Store the conclusions of a run in one transaction."""
        stale = conclusions.stale_associations
        with self._database.begin_write() as connection:
            self._save_conclusions(connection, conclusions)
            if stale is None:
                stale = {gap.association for gap in conclusions.gaps}
                stale.update(map(attrgetter("association"), conclusions.proposals))
                consistency.mark_stale_by_account(
                    self._database, connection, map(attrgetter("account_id"), conclusions.statuses)
                )
            consistency.mark_stale(self._database, connection, stale)

    def replace(self, conclusions: Conclusions) -> None:
        """Replace all conclusions by these, in one transaction, after a re-evaluation.

        Facet counts of runs that are not given stay.
        """
        with self._database.begin_write() as connection:
            for table in (ACCOUNT_STATUS, CHECK_TIMES, GAP, PROPOSAL):
                connection.execute(delete(table))
            self._save_conclusions(connection, conclusions)
            consistency.mark_all_stale(self._database, connection)

    def _save_conclusions(self, connection: Connection, conclusions: Conclusions) -> None:
        database = self._database
        for status_batch in split_into_batches(conclusions.statuses):
            rows = []
            for status in status_batch:
                bare_status = replace(status, checked_at=None, decided_at=None)
                rows.append({"account_id": status.account_id, "status": bare_status})
            database.upsert(connection, ACCOUNT_STATUS, rows, ("account_id",))
            _save_check_times(database, connection, map(attrgetter("check_times"), status_batch))
        for times_batch in split_into_batches(conclusions.check_times):
            _save_check_times(database, connection, times_batch)
        for gap_batch in split_into_batches(conclusions.gaps):
            rows = [get_field_values(gap, without={"id"}) for gap in gap_batch]
            database.upsert(connection, GAP, rows, GAP_KEY)
        for proposal_batch in split_into_batches(conclusions.proposals):
            rows = []
            for proposal in proposal_batch:
                link_key = {"channel": proposal.link.channel, "key": proposal.link.key}
                rows.append({**get_field_values(proposal, without={"id"}), **link_key})
            database.upsert(connection, PROPOSAL, rows, PROPOSAL_KEY)
        for run_id, counts in conclusions.facet_counts.items():
            consistency.save_run_facet_counts(database, connection, run_id, counts)

    def load_association_data(
        self, association_ids: Collection[str], *, include_closed_gaps: bool = True
    ) -> AssociationData:
        """Return all data of these associations as of one time, sorted by id.

        Withdrawn associations are left out. `domain_checks` has the newest one of each account, and
        `media_officers` the contacts that say who runs the channels.
        """
        ids = list(association_ids)
        is_own_account = ACCOUNT.c.association.in_(ids)
        associations = SELECT_ASSOCIATIONS.where(
            ASSOCIATION.c.id.in_(ids), ASSOCIATION.c.withdrawn_at.is_(None)
        )
        accounts = select(ACCOUNT).where(is_own_account)
        statuses = SELECT_ACCOUNT_STATUSES.join(
            ACCOUNT, ACCOUNT.c.id == ACCOUNT_STATUS.c.account_id
        ).where(is_own_account)
        proposals = select(PROPOSAL).where(PROPOSAL.c.association.in_(ids))
        gaps = select(*GAP_COLUMNS).where(GAP.c.association.in_(ids))
        if not include_closed_gaps:
            gaps = gaps.where(IS_NOT_CLOSED)
        decisions = SELECT_DECISIONS.where(DECISION.c.association.in_(ids))
        answers = select(SURVEY_ANSWER).where(SURVEY_ANSWER.c.association.in_(ids))
        officers = select(CONTACT.c.association, CONTACT.c.media_officer).where(
            CONTACT.c.association.in_(ids), CONTACT.c.media_officer.is_not(None)
        )
        domain_checks = select_newest_domain_checks(select(ACCOUNT.c.id).where(is_own_account))
        with self._database.begin_read() as connection:

            def load(query: Select[Any], to_model: Callable[[Any], T], *order: str) -> list[T]:
                return sorted(map(to_model, connection.execute(query)), key=attrgetter(*order))

            return {
                "associations": load(associations, to_association, "id"),
                "accounts": load(accounts, to_account_row, "id"),
                "statuses": load(statuses, to_account_status, "account_id"),
                "proposals": load(proposals, to_proposal, "id"),
                "gaps": load(gaps, to_gap, "id"),
                "decisions": load(decisions, to_decision, "id"),
                "answers": load(answers, lambda row: SurveyAnswer(**row._asdict()), "id"),
                "media_officers": list(connection.execute(officers)),
                "domain_checks": load(domain_checks, to_domain_check, "account_id"),
            }


class AccountStatusRepository(Repository):
    """Reads account statuses."""

    def list_account_statuses(self, association: str | None = None) -> Iterator[AccountStatus]:
        """Return the statuses of all accounts, or of an association's, by account id."""
        query = SELECT_ACCOUNT_STATUSES
        if association is not None:
            query = query.join(ACCOUNT, ACCOUNT.c.id == ACCOUNT_STATUS.c.account_id).where(
                ACCOUNT.c.association == association
            )
        return map(
            to_account_status, self._database.stream_rows(query, ACCOUNT_STATUS.c.account_id)
        )

    def get_account_statuses(self, account_ids: Iterable[int]) -> dict[int, AccountStatus]:
        """Return the statuses of those of these accounts that have one, by account id."""
        statuses: dict[int, AccountStatus] = {}
        for batch in split_into_batches(account_ids):
            found = self._load_all(
                SELECT_ACCOUNT_STATUSES.where(ACCOUNT_STATUS.c.account_id.in_(batch)),
                to_account_status,
            )
            statuses.update((status.account_id, status) for status in found)
        return statuses

    def get(self, account_id: int) -> AccountStatus | None:
        """Return the status of this account, or None."""
        return self._load_first(
            SELECT_ACCOUNT_STATUSES.where(ACCOUNT_STATUS.c.account_id == account_id),
            to_account_status,
        )


def _save_check_times(
    database: Database, connection: Connection, check_times: Iterable[CheckTimes]
) -> None:
    """Store check times, replacing those of the accounts."""
    rows = [times._asdict() for times in check_times]
    database.upsert(connection, CHECK_TIMES, rows, ("account_id",))


class DecisionRepository(Repository):
    """Stores and reads decisions about accounts, proposals and gaps."""

    def list_decisions(
        self, as_of: datetime | None = None, *, association: str | None = None
    ) -> Iterator[Decision]:
        """Return the decisions made until `as_of`, also ended ones, in the order of their ids."""
        query = SELECT_DECISIONS
        if as_of is not None:
            query = query.where(DECISION.c.decided_at <= to_utc(as_of))
        if association is not None:
            query = query.where(DECISION.c.association == association)
        return map(to_decision, self._database.stream_rows(query, DECISION.c.id))

    def get_decisions_of(self, association_ids: Collection[str]) -> list[Decision]:
        """Return the decisions of these associations in the order of their ids."""
        query = SELECT_DECISIONS.where(DECISION.c.association.in_(association_ids))
        return self._load_all(query.order_by(DECISION.c.id), to_decision)

    def add(self, decision: Decision) -> Decision:
        """Store a decision and return it with its id and the time from which it counts."""
        with self._database.begin_write() as connection:
            decided_at = consistency.compute_effective_time(connection, decision.decided_at)
            decision = sanitize(replace(decision, decided_at=decided_at))
            values = get_field_values(decision, without={"id", "withdrawal"})
            insert = DECISION.insert().values(values).returning(DECISION.c.id)
            decision_id = connection.execute(insert).scalar_one()
            consistency.mark_stale(self._database, connection, [decision.association])
        return replace(decision, id=decision_id)

    def withdraw(self, decision_ids: Iterable[int], withdrawal: DecisionWithdrawal) -> None:
        """Store the withdrawal of these decisions. Each can be withdrawn once."""
        ids = list(decision_ids)
        if not ids:
            return
        with self._database.begin_write() as connection:
            withdrawn_at = consistency.compute_effective_time(connection, withdrawal.withdrawn_at)
            values = get_field_values(sanitize(replace(withdrawal, withdrawn_at=withdrawn_at)))
            rows = [{"decision_id": decision_id, **values} for decision_id in ids]
            connection.execute(DECISION_WITHDRAWAL.insert(), rows)
            query = select(DECISION.c.association).where(DECISION.c.id.in_(ids))
            consistency.mark_stale(self._database, connection, connection.scalars(query))
