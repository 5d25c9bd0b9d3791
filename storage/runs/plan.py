"""The plan of a night, written and read page by page, so that memory does not grow with a register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    FromClause,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from storage.database.connection import BATCH, Database, beyond
from storage.models.audit import AccountRow, LastLook, Night, Observation, Standing
from storage.sanitize import clean
from storage.tables.core import ACCOUNT, STANDING
from storage.tables.mappers import MOMENTS, account_of, standing_of
from storage.tables.runs import CHECKED, OBSERVATION, ORDER, PLAN

LISTED = PLAN.join(ACCOUNT, ACCOUNT.c.id == PLAN.c.account_id)


class Place(NamedTuple):
    """When an account's turn comes: rounds one after the other, in a round its spots side by side.

    A spot is the number of a host or a platform; of one spot the lowest rank comes first.
    """

    round: int
    spot: int
    rank: int
    account_id: int


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a round that is worked through together: the accounts of the spots from `first` to `last`."""

    round: int
    first: int
    last: int
    size: int


@dataclass(frozen=True, slots=True)
class Planned:
    """An account that is to be looked at, with what is held of it and, if asked for, its last look."""

    account: AccountRow
    standing: Standing | None
    place: Place
    last: LastLook | None = None


def spot_of(name: str) -> int:
    """The number of a host or a platform: 63 bits, of which two are hardly ever alike."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


class Plans:
    """The queries of the plan. A part of `Store`. Of a night is read what it has not seen yet.

    `again` reads those of which a first look is held back, for the second pass; else those without one.
    """

    _database: Database

    def make_plan(self, places: Iterable[Place], whole: int) -> None:
        """Write a plan in place of what there was. A spot of more than `whole` accounts has one round."""
        with self._database.writing() as connection:
            connection.execute(delete(PLAN))
            ORDER.drop(connection, checkfirst=True)
        waiting = iter(places)
        while some := [place._asdict() for place in islice(waiting, BATCH)]:
            with self._database.writing() as connection:
                connection.execute(insert(PLAN), some)
        with self._database.writing() as connection:
            _gather(connection, whole)
            ORDER.create(connection)

    def drop_plan(self) -> None:
        """Take the plan away; a night that is over has none."""
        with self._database.writing() as connection:
            connection.execute(delete(PLAN))

    def spots(self, night: Night, *, again: bool = False) -> Iterator[tuple[int, int, int]]:
        """How many accounts wait at each spot: (round, spot, accounts), in that order."""
        key = (PLAN.c.round, PLAN.c.spot)
        waiting = _waiting(select(*key, func.count().label("accounts")), night, again=again)
        rows = self._database.rows(waiting.group_by(*key), *key)
        return ((row.round, row.spot, row.accounts) for row in rows)

    def planned(
        self,
        night: Night,
        shard: Shard,
        *,
        after: Place | None = None,
        limit: int = BATCH,
        again: bool = False,
    ) -> list[Planned]:
        """The next accounts of a shard, spot by spot: at most so many, after a place if one is given."""
        key = (PLAN.c.round, PLAN.c.spot, PLAN.c.rank, PLAN.c.account_id)
        there = and_(PLAN.c.round == shard.round, PLAN.c.spot.between(shard.first, shard.last))
        columns = select(*key, STANDING.c.standing, *MOMENTS, *ACCOUNT.c)
        held = LISTED.outerjoin(STANDING, STANDING.c.account_id == PLAN.c.account_id).outerjoin(
            CHECKED, CHECKED.c.account_id == PLAN.c.account_id
        )
        query = _waiting(columns, night, held, again=again).where(there).order_by(*key).limit(limit)
        if after is not None:
            query = query.where(beyond(key, after))
        with self._database.reading() as connection:
            return [_planned(row) for row in connection.execute(query)]

    def hold_back(self, looks: Iterable[Observation]) -> int:
        """Keep first looks until the second pass, in one transaction; a later one of an account stands."""
        rows = [{"account": look.account_id, "held": clean(look)} for look in looks]
        change = update(PLAN).where(PLAN.c.account_id == bindparam("account"))
        if rows:
            with self._database.writing() as connection:
                connection.execute(change.values(look=bindparam("held")), rows)
        return len(rows)

    def held_back(self, night: Night) -> Iterator[Observation]:
        """The first looks that are still held back, in the order of the accounts' numbers."""
        query = _waiting(select(PLAN.c.account_id, PLAN.c.look), night, again=True)
        return (row.look for row in self._database.rows(query, PLAN.c.account_id))

    def count_planned(self, night: Night, *, again: bool = False) -> int:
        """How many accounts wait."""
        with self._database.reading() as connection:
            query = _waiting(select(func.count()), night, again=again)
            return int(connection.execute(query).scalar_one())

    def unreached(self, night: Night) -> Mapping[str, int]:
        """How many accounts of the plan the night has not seen, by channel."""
        query = _unseen(select(ACCOUNT.c.channel, func.count()), night, LISTED)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(ACCOUNT.c.channel)).all()
        return {row.channel: row[1] for row in rows}


def _unseen(query: Select[Any], night: Night, of: FromClause = PLAN) -> Select[Any]:
    """The part of the plan, or of what is joined to it, that the night has not seen."""
    seen = and_(OBSERVATION.c.account_id == PLAN.c.account_id, OBSERVATION.c.night_id == night.id)
    joined = of.outerjoin(OBSERVATION, seen)
    return query.select_from(joined).where(OBSERVATION.c.night_id.is_(None))


def _waiting(query: Select[Any], night: Night, of: FromClause = PLAN, *, again: bool) -> Select[Any]:
    return _unseen(query, night, of).where(PLAN.c.look.is_not(None) if again else PLAN.c.look.is_(None))


def _gather(connection: Any, whole: int) -> None:
    """A host of many accounts is worked through once, in the round of the first of them."""
    sizes = select(PLAN.c.spot, func.min(PLAN.c.round).label("first")).group_by(PLAN.c.spot)
    large = sizes.having(func.count() > whole, func.min(PLAN.c.round) < func.max(PLAN.c.round))
    for spot, first in connection.execute(large).all():
        connection.execute(update(PLAN).where(PLAN.c.spot == spot).values(round=first))


def _planned(row: Any) -> Planned:
    place = Place(row.round, row.spot, row.rank, row.account_id)
    return Planned(account_of(row), standing_of(row) if row.standing else None, place)
