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
from storage.batching import parts
from storage.database.connection import Database
from storage.models.audit import Decision, Gap, Moments, Proposal, Standing, Withdrawal
from storage.sanitize import clean, instant
from storage.tables.core import ACCOUNT, DECISION, GAP, PROPOSAL, STANDING, WITHDRAWAL
from storage.tables.mappers import (
    DECIDED,
    GAP_COLUMNS,
    KEPT,
    STANDINGS,
    decision_of,
    gap_of,
    proposal_of,
    standing_of,
)
from storage.tables.runs import CHECKED
from storage.tables.summaries import FIGURE

Figures = Mapping[str, Mapping[str, int]]
"""How often each facet of the coverage is met, by cohort."""

FIGURE_KEY = ("night_id", "cohort", "facet")
GAP_KEY = ("association", "channel", "subject", "code", "first_seen")
PLACED = ("id", *GAP_KEY)
_kept, _placed = attrgetter(*KEPT), attrgetter(*PLACED)
PLACES = select(*(GAP.c[name] for name in PLACED), GAP.c.opened_at, GAP.c.closed_at)
"""Which row is a gap's, and when that opened and closed."""
RUNNING = ("severity", "nights", "params", "evidence")
"""What of a gap a night changes that neither opens nor closes it."""
MOVED = (*RUNNING, "opened_at", "closed_at")
"""What it changes of one that it opens or closes."""
IS_UNCLOSED = case((GAP.c.closed_at.is_(None), 1), else_=0) == 1
"""An expression, so that everybody's are not walked where associations lead: most gaps are not closed."""
PROPOSAL_KEY = ("association", "channel", "key")


class Derived:
    """The queries of conclusions and decisions. A part of `Store`."""

    _database: Database

    def gaps(
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
            query = query.where(GAP.c.closed_at.is_(None) if association is None else IS_UNCLOSED)
        if open_only:
            query = query.where(GAP.c.opened_at.is_not(None))
        return map(gap_of, self._database.rows(query, GAP.c.id))

    def moved_at(self, moment: datetime) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """How many gaps of each code opened at a moment, and how many that had been open closed."""
        told = []
        for at in (GAP.c.opened_at, GAP.c.closed_at):
            own = (at == instant(moment), GAP.c.opened_at.is_not(None))
            query = select(GAP.c.code, func.count().label("number")).where(*own).group_by(GAP.c.code)
            with self._database.reading() as connection:
                told.append({row.code: row.number for row in connection.execute(query)})
        return told[0], told[1]

    def proposals(self, association: str | None = None, *, after: int = 0) -> Iterator[Proposal]:
        """The accounts nobody registered, in the order they were first kept; those after this id."""
        query = select(PROPOSAL).where(PROPOSAL.c.id > after)
        if association is not None:
            query = query.where(PROPOSAL.c.association == association)
        return map(proposal_of, self._database.rows(query, PROPOSAL.c.id))

    def put_derived(
        self,
        standings: Iterable[Standing] = (),
        gaps: Iterable[Gap] = (),
        proposals: Iterable[Proposal] = (),
        figures: Mapping[int, Figures] | None = None,
        *,
        checked: Iterable[Moments] = (),
        steady: Iterable[Standing] = (),
        running: Iterable[Gap] = (),
        seen: Iterable[Proposal] = (),
    ) -> None:
        """Keep a night's conclusions in one transaction, all of them or none. They may come from anywhere.

        Each replaces its old one: a standing the account's; a gap the one of the same association, channel,
        subject, code and first night; a proposal the one of the same association, channel and key; the
        figures those of their night. `checked` are the moments of standings that are otherwise as they were.
        `steady` standings, `running` gaps and `seen` proposals were there before, and no summary tells
        otherwise of them: none is made anew for their sake.
        """
        with self._database.writing() as connection:
            self._put_derived(connection, standings, gaps, proposals, figures or {})
            put_moments(self._database, connection, checked)
            put_standings(self._database, connection, steady)
            for some in parts(running):
                _put_gaps(self._database, connection, some)
            for found in parts(seen):
                self._put_proposals(connection, found)

    def replace_derived(
        self,
        standings: Iterable[Standing],
        gaps: Iterable[Gap],
        proposals: Iterable[Proposal],
        figures: Mapping[int, Figures] | None = None,
    ) -> None:
        """Put these conclusions in place of every old one, in one transaction (`rejudge`).

        Figures stay of the nights of which none are given.
        """
        with self._database.writing() as connection:
            for table in (STANDING, CHECKED, GAP, PROPOSAL):
                connection.execute(delete(table))
            self._put_derived(connection, standings, gaps, proposals, figures or {})
            consistency.mark_all(self._database, connection)

    def decisions(
        self, as_of: datetime | None = None, *, association: str | None = None
    ) -> Iterator[Decision]:
        """The decisions taken until a moment, in the order they were taken down, those that ended too."""
        query = DECIDED
        if as_of is not None:
            query = query.where(DECISION.c.decided_at <= instant(as_of))
        if association is not None:
            query = query.where(DECISION.c.association == association)
        return map(decision_of, self._database.rows(query, DECISION.c.id))

    def add_decision(self, decision: Decision) -> Decision:
        """Keep a person's decision and give it back with its id."""
        fit = clean(decision)
        with self._database.writing() as connection:
            fit = replace(fit, decided_at=consistency.after_nights(connection, fit.decided_at))
            values = {name: value for name, value in asdict(fit).items() if name not in {"id", "withdrawn"}}
            key = connection.execute(insert(DECISION).values(values)).inserted_primary_key
            consistency.mark(self._database, connection, [fit.association])
        return replace(fit, id=key[0] if key else None)

    def withdraw(self, decision_ids: Iterable[int], withdrawal: Withdrawal) -> None:
        """Keep the end of these decisions before their time. Each can be withdrawn once."""
        fit = clean(withdrawal)
        with self._database.writing() as connection:
            fit = replace(fit, withdrawn_at=consistency.after_nights(connection, fit.withdrawn_at))
            rows = [{"decision_id": number, **asdict(fit)} for number in decision_ids]
            connection.execute(insert(WITHDRAWAL), rows)
            ended = select(DECISION.c.association).where(
                DECISION.c.id.in_([row["decision_id"] for row in rows])
            )
            consistency.mark(self._database, connection, connection.execute(ended).scalars())

    def _put_derived(
        self,
        connection: Connection,
        standings: Iterable[Standing],
        gaps: Iterable[Gap],
        proposals: Iterable[Proposal],
        figures: Mapping[int, Figures],
    ) -> None:
        for some in parts(standings):
            put_standings(self._database, connection, some)
            consistency.mark_owners(self._database, connection, [one.account_id for one in some])
        for holes in parts(gaps):
            _put_gaps(self._database, connection, holes)
            consistency.mark(self._database, connection, {gap.association for gap in holes})
        for found in parts(proposals):
            self._put_proposals(connection, found)
            consistency.mark(self._database, connection, {row.association for row in found})
        for night, told in figures.items():
            connection.execute(delete(FIGURE).where(FIGURE.c.night_id == night))
            self._database.upsert(connection, FIGURE, _figure_columns(night, told), FIGURE_KEY)

    def _put_proposals(self, connection: Connection, proposals: Iterable[Proposal]) -> None:
        self._database.upsert(connection, PROPOSAL, map(_proposal_columns, proposals), PROPOSAL_KEY)


def _put_gaps(database: Database, connection: Connection, gaps: Sequence[Gap]) -> None:
    """Keep each in place of what it was: by eight indexes it is found only where it is new."""
    ids = [gap.id for gap in gaps if gap.id is not None]
    rows = connection.execute(PLACES.where(GAP.c.id.in_(ids))).all() if ids else []
    there = {row[: len(PLACED)]: row[len(PLACED) :] for row in rows}
    known = [(gap, there.get(_placed(gap))) for gap in gaps]
    met = [(gap, (gap.opened_at, gap.closed_at) == moments) for gap, moments in known if moments]
    _change(connection, [gap for gap, runs_on in met if runs_on], RUNNING)
    _change(connection, [gap for gap, runs_on in met if not runs_on], MOVED)
    new = [gap for gap, moments in known if moments is None]
    database.upsert(connection, GAP, map(_gap_columns, new), GAP_KEY)


def _change(connection: Connection, gaps: Sequence[Gap], names: Sequence[str]) -> None:
    """Write these columns of gaps that are there: an index of the others is not touched."""
    if gaps:
        places, told = ("at", *(f"new_{name}" for name in names)), attrgetter("id", *names)
        rows = [dict(zip(places, clean(told(gap)), strict=True)) for gap in gaps]
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        connection.execute(update(GAP).where(GAP.c.id == bindparam("at")).values(values), rows)


def _gap_columns(gap: Gap) -> dict[str, Any]:
    return dict(zip(KEPT, _kept(clean(gap)), strict=True))


def _figure_columns(night: int, told: Figures) -> list[dict[str, Any]]:
    return [
        {"night_id": night, "cohort": cohort, "facet": facet, "count": count}
        for cohort, facets in told.items()
        for facet, count in facets.items()
    ]


def _proposal_columns(proposal: Proposal) -> dict[str, Any]:
    fit = clean(proposal)
    return {
        "association": fit.association,
        "channel": fit.link.channel,
        "key": fit.link.key,
        "link": fit.link,
        "first_seen": fit.first_seen,
        "last_seen": fit.last_seen,
        "nights": fit.nights,
    }


NO_MOMENTS: Mapping[str, Any] = dict.fromkeys(Moments._fields[1:])
"""A standing's moments, emptied: they are kept apart, for every look moves them."""


class Standings:
    """The queries of standings. A part of `Store`."""

    _database: Database

    def standings(self, association: str | None = None) -> Iterator[Standing]:
        """The standing of every account that has one, or of an association's accounts, by account id."""
        query = STANDINGS
        if association is not None:
            query = query.join(ACCOUNT, ACCOUNT.c.id == STANDING.c.account_id).where(
                ACCOUNT.c.association == association
            )
        return map(standing_of, self._database.rows(query, STANDING.c.account_id))

    def standings_of(self, account_ids: Iterable[int]) -> dict[int, Standing]:
        """The standings of these accounts, of those that have one."""
        with self._database.reading() as connection:
            return {
                row.account_id: standing_of(row)
                for some in parts(account_ids)
                for row in connection.execute(STANDINGS.where(STANDING.c.account_id.in_(some)))
            }

    def standing(self, account_id: int) -> Standing | None:
        """What is held true of this account."""
        with self._database.reading() as connection:
            row = connection.execute(STANDINGS.where(STANDING.c.account_id == account_id)).first()
        return standing_of(row) if row else None


def put_standings(database: Database, connection: Connection, standings: Iterable[Standing]) -> None:
    """Keep each in place of the account's old one."""
    for some in parts(standings):
        fit = clean(tuple(some))
        rows = [{"account_id": one.account_id, "standing": replace(one, **NO_MOMENTS)} for one in fit]
        database.upsert(connection, STANDING, rows, ("account_id",))
        put_moments(database, connection, (one.moments for one in fit))


def put_moments(database: Database, connection: Connection, moments: Iterable[Moments]) -> None:
    """Keep these moments in place of the accounts' old ones."""
    for some in parts(moments):
        database.upsert(connection, CHECKED, clean([one._asdict() for one in some]), ("account_id",))
