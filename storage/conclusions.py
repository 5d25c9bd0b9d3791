"""What was concluded (standings, gaps, proposals: it can be rebuilt) and what people decided (it cannot).

What is held true of each account: one row for it, and a narrow one for when it was last looked at.

Whatever asks how an account stands now reads these, never what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update

from storage import consistency
from storage.batching import split_into_batches
from storage.database.connection import Database
from storage.models.audit import (
    AccountStatus,
    CheckTimes,
    Decision,
    DecisionWithdrawal,
    Gap,
    Proposal,
)
from storage.sanitize import sanitize, to_utc
from storage.tables.core import (
    ACCOUNT,
    ACCOUNT_STATUS,
    DECISION,
    DECISION_WITHDRAWAL,
    GAP,
    PROPOSAL,
)
from storage.tables.mappers import (
    GAP_COLUMNS,
    GAP_VALUE_FIELDS,
    SELECT_ACCOUNT_STATUSES,
    SELECT_DECISIONS,
    to_account_status,
    to_decision,
    to_gap,
    to_proposal,
)
from storage.tables.runs import CHECK_TIMES
from storage.tables.summaries import RUN_FACET_COUNT

FacetCountsByGroup = Mapping[str, Mapping[str, int]]
"""How often each facet of the coverage is met, by cohort."""

RUN_FACET_COUNT_KEY = ("run_id", "group_name", "facet")
GAP_KEY = ("association", "channel", "subject", "code", "first_seen")
GAP_IDENTITY_FIELDS = ("id", *GAP_KEY)
_get_gap_values, _get_gap_identity = attrgetter(*GAP_VALUE_FIELDS), attrgetter(*GAP_IDENTITY_FIELDS)
SELECT_GAP_IDENTITIES = select(
    *(GAP.c[name] for name in GAP_IDENTITY_FIELDS), GAP.c.opened_at, GAP.c.closed_at
)
"""Which row is a gap's, and when that opened and closed."""
CONTINUED_GAP_FIELDS = ("severity", "run_count", "params", "evidence")
"""What of a gap a night changes that neither opens nor closes it."""
CHANGED_GAP_FIELDS = (*CONTINUED_GAP_FIELDS, "opened_at", "closed_at")
"""What it changes of one that it opens or closes."""
IS_NOT_CLOSED = case((GAP.c.closed_at.is_(None), 1), else_=0) == 1
"""An expression, so that everybody's are not walked where associations lead: most gaps are not closed."""
PROPOSAL_KEY = ("association", "channel", "key")


class ConclusionQueries:
    """The queries of conclusions and decisions. A part of `Store`."""

    _database: Database

    def list_gaps(
        self,
        association: str | None = None,
        *,
        channel: str | None = None,
        code: str | None = None,
        open_only: bool = False,
        unclosed_only: bool = False,
    ) -> Iterator[Gap]:
        """The gaps, in the order they were first kept.

        `open_only` leaves out candidates and closed ones, `unclosed_only` only the closed.
        """
        wanted = {"association": association, "channel": channel, "code": code}
        query = select(*GAP_COLUMNS)
        for name, value in wanted.items():
            query = query if value is None else query.where(GAP.c[name] == value)
        if open_only or unclosed_only:
            query = query.where(GAP.c.closed_at.is_(None) if association is None else IS_NOT_CLOSED)
        if open_only:
            query = query.where(GAP.c.opened_at.is_not(None))
        return map(to_gap, self._database.stream_rows(query, GAP.c.id))

    def count_gap_changes_at(
        self, changed_at: datetime
    ) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """How many gaps of each code opened at a moment, and how many that had been open closed."""
        told = []
        for at in (GAP.c.opened_at, GAP.c.closed_at):
            own = (at == to_utc(changed_at), GAP.c.opened_at.is_not(None))
            query = (
                select(GAP.c.code, func.count().label("number")).where(*own).group_by(GAP.c.code)
            )
            with self._database.begin_read() as connection:
                told.append({row.code: row.number for row in connection.execute(query)})
        return told[0], told[1]

    def list_proposals(
        self, association: str | None = None, *, after_id: int = 0
    ) -> Iterator[Proposal]:
        """The accounts nobody registered, in the order they were first kept; those after this id."""
        query = select(PROPOSAL).where(PROPOSAL.c.id > after_id)
        if association is not None:
            query = query.where(PROPOSAL.c.association == association)
        return map(to_proposal, self._database.stream_rows(query, PROPOSAL.c.id))

    def save_conclusions(
        self,
        statuses: Iterable[AccountStatus] = (),
        gaps: Iterable[Gap] = (),
        proposals: Iterable[Proposal] = (),
        facet_counts: Mapping[int, FacetCountsByGroup] | None = None,
        *,
        check_times: Iterable[CheckTimes] = (),
        unchanged_statuses: Iterable[AccountStatus] = (),
        continued_gaps: Iterable[Gap] = (),
        known_proposals: Iterable[Proposal] = (),
    ) -> None:
        """Keep a night's conclusions in one transaction, all of them or none. They may come from anywhere.

        Each replaces its old one: a standing the account's; a gap the one of the same association, channel,
        subject, code and first night; a proposal the one of the same association, channel and key; the
        figures those of their night. `checked` are the moments of standings that are otherwise as they were.
        `steady` standings, `running` gaps and `seen` proposals were there before, and no summary tells
        otherwise of them: none is made anew for their sake.
        """
        with self._database.begin_write() as connection:
            self._save_conclusions(connection, statuses, gaps, proposals, facet_counts or {})
            save_check_times(self._database, connection, check_times)
            save_account_statuses(self._database, connection, unchanged_statuses)
            for some in split_into_batches(continued_gaps):
                _save_gaps(self._database, connection, some)
            for found in split_into_batches(known_proposals):
                self._save_proposals(connection, found)

    def replace_conclusions(
        self,
        statuses: Iterable[AccountStatus],
        gaps: Iterable[Gap],
        proposals: Iterable[Proposal],
        facet_counts: Mapping[int, FacetCountsByGroup] | None = None,
    ) -> None:
        """Put these conclusions in place of every old one, in one transaction (`rejudge`).

        Figures stay of the nights of which none are given.
        """
        with self._database.begin_write() as connection:
            for table in (ACCOUNT_STATUS, CHECK_TIMES, GAP, PROPOSAL):
                connection.execute(delete(table))
            self._save_conclusions(connection, statuses, gaps, proposals, facet_counts or {})
            consistency.mark_all_stale(self._database, connection)

    def list_decisions(
        self, as_of: datetime | None = None, *, association: str | None = None
    ) -> Iterator[Decision]:
        """The decisions taken until a moment, in the order they were taken down, those that ended too."""
        query = SELECT_DECISIONS
        if as_of is not None:
            query = query.where(DECISION.c.decided_at <= to_utc(as_of))
        if association is not None:
            query = query.where(DECISION.c.association == association)
        return map(to_decision, self._database.stream_rows(query, DECISION.c.id))

    def add_decision(self, decision: Decision) -> Decision:
        """Keep a person's decision and give it back with its id."""
        fit = sanitize(decision)
        with self._database.begin_write() as connection:
            fit = replace(
                fit, decided_at=consistency.compute_effective_time(connection, fit.decided_at)
            )
            values = {
                name: value
                for name, value in asdict(fit).items()
                if name not in {"id", "withdrawal"}
            }
            key = connection.execute(insert(DECISION).values(values)).inserted_primary_key
            consistency.mark_stale(self._database, connection, [fit.association])
        return replace(fit, id=key[0] if key else None)

    def withdraw_decisions(
        self, decision_ids: Iterable[int], withdrawal: DecisionWithdrawal
    ) -> None:
        """Keep the end of these decisions before their time. Each can be withdrawn once."""
        fit = sanitize(withdrawal)
        with self._database.begin_write() as connection:
            fit = replace(
                fit, withdrawn_at=consistency.compute_effective_time(connection, fit.withdrawn_at)
            )
            rows = [{"decision_id": number, **asdict(fit)} for number in decision_ids]
            connection.execute(insert(DECISION_WITHDRAWAL), rows)
            ended = select(DECISION.c.association).where(
                DECISION.c.id.in_([row["decision_id"] for row in rows])
            )
            consistency.mark_stale(self._database, connection, connection.execute(ended).scalars())

    def _save_conclusions(
        self,
        connection: Connection,
        statuses: Iterable[AccountStatus],
        gaps: Iterable[Gap],
        proposals: Iterable[Proposal],
        facet_counts: Mapping[int, FacetCountsByGroup],
    ) -> None:
        for some in split_into_batches(statuses):
            save_account_statuses(self._database, connection, some)
            consistency.mark_stale_by_account(
                self._database, connection, [one.account_id for one in some]
            )
        for holes in split_into_batches(gaps):
            _save_gaps(self._database, connection, holes)
            consistency.mark_stale(self._database, connection, {gap.association for gap in holes})
        for found in split_into_batches(proposals):
            self._save_proposals(connection, found)
            consistency.mark_stale(self._database, connection, {row.association for row in found})
        for night, told in facet_counts.items():
            connection.execute(delete(RUN_FACET_COUNT).where(RUN_FACET_COUNT.c.run_id == night))
            self._database.upsert(
                connection,
                RUN_FACET_COUNT,
                _build_facet_count_values(night, told),
                RUN_FACET_COUNT_KEY,
            )

    def _save_proposals(self, connection: Connection, proposals: Iterable[Proposal]) -> None:
        self._database.upsert(
            connection, PROPOSAL, map(_build_proposal_values, proposals), PROPOSAL_KEY
        )


def _save_gaps(database: Database, connection: Connection, gaps: Sequence[Gap]) -> None:
    """Keep each in place of what it was: by eight indexes it is found only where it is new."""
    ids = [gap.id for gap in gaps if gap.id is not None]
    rows = connection.execute(SELECT_GAP_IDENTITIES.where(GAP.c.id.in_(ids))).all() if ids else []
    there = {row[: len(GAP_IDENTITY_FIELDS)]: row[len(GAP_IDENTITY_FIELDS) :] for row in rows}
    known = [(gap, there.get(_get_gap_identity(gap))) for gap in gaps]
    met = [(gap, (gap.opened_at, gap.closed_at) == moments) for gap, moments in known if moments]
    _update_gaps(connection, [gap for gap, runs_on in met if runs_on], CONTINUED_GAP_FIELDS)
    _update_gaps(connection, [gap for gap, runs_on in met if not runs_on], CHANGED_GAP_FIELDS)
    new = [gap for gap, moments in known if moments is None]
    database.upsert(connection, GAP, map(_build_gap_values, new), GAP_KEY)


def _update_gaps(connection: Connection, gaps: Sequence[Gap], column_names: Sequence[str]) -> None:
    """Write these columns of gaps that are there: an index of the others is not touched."""
    if gaps:
        places, told = (
            ("at", *(f"new_{name}" for name in column_names)),
            attrgetter("id", *column_names),
        )
        rows = [dict(zip(places, sanitize(told(gap)), strict=True)) for gap in gaps]
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in column_names}
        connection.execute(update(GAP).where(GAP.c.id == bindparam("at")).values(values), rows)


def _build_gap_values(gap: Gap) -> dict[str, Any]:
    return dict(zip(GAP_VALUE_FIELDS, _get_gap_values(sanitize(gap)), strict=True))


def _build_facet_count_values(
    run_id: int, facet_counts: FacetCountsByGroup
) -> list[dict[str, Any]]:
    return [
        {"run_id": run_id, "group_name": cohort, "facet": facet, "count": count}
        for cohort, facets in facet_counts.items()
        for facet, count in facets.items()
    ]


def _build_proposal_values(proposal: Proposal) -> dict[str, Any]:
    fit = sanitize(proposal)
    return {
        "association": fit.association,
        "channel": fit.link.channel,
        "key": fit.link.key,
        "link": fit.link,
        "first_seen": fit.first_seen,
        "last_seen": fit.last_seen,
        "run_count": fit.run_count,
    }


EMPTY_CHECK_TIMES: Mapping[str, Any] = dict.fromkeys(CheckTimes._fields[1:])
"""A standing's moments, emptied: they are kept apart, for every look moves them."""


class AccountStatusQueries:
    """The queries of standings. A part of `Store`."""

    _database: Database

    def list_account_statuses(self, association: str | None = None) -> Iterator[AccountStatus]:
        """The standing of every account that has one, or of an association's accounts, by account id."""
        query = SELECT_ACCOUNT_STATUSES
        if association is not None:
            query = query.join(ACCOUNT, ACCOUNT.c.id == ACCOUNT_STATUS.c.account_id).where(
                ACCOUNT.c.association == association
            )
        return map(
            to_account_status, self._database.stream_rows(query, ACCOUNT_STATUS.c.account_id)
        )

    def get_account_statuses(self, account_ids: Iterable[int]) -> dict[int, AccountStatus]:
        """The standings of these accounts, of those that have one."""
        with self._database.begin_read() as connection:
            return {
                row.account_id: to_account_status(row)
                for some in split_into_batches(account_ids)
                for row in connection.execute(
                    SELECT_ACCOUNT_STATUSES.where(ACCOUNT_STATUS.c.account_id.in_(some))
                )
            }

    def get_account_status(self, account_id: int) -> AccountStatus | None:
        """What is held true of this account."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                SELECT_ACCOUNT_STATUSES.where(ACCOUNT_STATUS.c.account_id == account_id)
            ).first()
        return to_account_status(row) if row else None


def save_account_statuses(
    database: Database, connection: Connection, statuses: Iterable[AccountStatus]
) -> None:
    """Keep each in place of the account's old one."""
    for some in split_into_batches(statuses):
        fit = sanitize(tuple(some))
        rows = [
            {"account_id": one.account_id, "status": replace(one, **EMPTY_CHECK_TIMES)}
            for one in fit
        ]
        database.upsert(connection, ACCOUNT_STATUS, rows, ("account_id",))
        save_check_times(database, connection, (one.check_times for one in fit))


def save_check_times(
    database: Database, connection: Connection, check_times: Iterable[CheckTimes]
) -> None:
    """Keep these moments in place of the accounts' old ones."""
    for some in split_into_batches(check_times):
        database.upsert(
            connection, CHECK_TIMES, sanitize([one._asdict() for one in some]), ("account_id",)
        )
