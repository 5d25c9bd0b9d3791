"""The associations' links to their reports: made, opened, renewed, revoked. Only a token's hash is here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, insert, select, tuple_, update

from storage.database.connection import BATCH, Database
from storage.models.users import Letter, LetterState
from storage.registry.regions import Regions, within
from storage.sanitize import clean, instant
from storage.tables.communication import LETTER

_BY_END = (LETTER.c.expires_at, LETTER.c.id)
_ORDERS = {
    LetterState.HOLDS: _BY_END,
    LetterState.EXPIRED: _BY_END,
    LetterState.REVOKED: (LETTER.c.revoked_at, *_BY_END),
}


class Letters:
    """The queries of letters. A part of `Store`."""

    _database: Database

    def add_letter(self, letter: Letter, *, keep: bool = False) -> Letter:
        """Keep a letter and give it back with its id; the association's older ones end, unless kept."""
        fit = clean(letter)
        with self._database.writing() as connection:
            if not keep:
                _end(connection, [fit])
            key = connection.execute(insert(LETTER).values(_columns(fit))).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def add_letters(self, letters: Iterable[Letter], *, keep: bool = False) -> int:
        """Keep many letters, one an association, in one transaction; older ones end, unless kept: so many."""
        waiting, ended = map(clean, letters), 0
        with self._database.writing() as connection:
            while batch := list(islice(waiting, BATCH)):
                if not keep:
                    ended += _end(connection, batch)
                connection.execute(insert(LETTER), [_columns(letter) for letter in batch])
        return ended

    def letter(self, token_hash: str) -> Letter | None:
        """The letter of this token, also one that no longer holds."""
        with self._database.reading() as connection:
            row = connection.execute(select(LETTER).where(LETTER.c.token_hash == token_hash)).first()
        return _letter(row) if row else None

    def letters(self, association: str | None = None) -> Iterator[Letter]:
        """The letters, in the order they were made: all, or an association's."""
        query = select(LETTER)
        if association is not None:
            query = query.where(LETTER.c.association == association)
        return map(_letter, self._database.rows(query, LETTER.c.id))

    def recent_letters(
        self,
        now: datetime,
        *,
        state: LetterState | None = None,
        association: str | None = None,
        regions: Regions = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Letter]:
        """The newest letters first, a page: those of a state, of an association, of regions, before this id.

        The newest of everybody's letters of a state are those that end, or were ended, last.
        """
        order = _ORDERS[state] if state and association is None else (LETTER.c.id,)
        query = select(LETTER).where(*_of(association, state, now), *within(LETTER.c.association, regions))
        with self._database.reading() as connection:
            behind = query.where(*_behind(connection, order, before))
            newest = behind.order_by(*(column.desc() for column in order)).limit(limit)
            return [_letter(row) for row in connection.execute(newest)]

    def revoke_letters(self, association: str | None, who: str, now: datetime) -> int:
        """End an association's letters, or everybody's; how many held until then."""
        ended = update(LETTER).where(*_of(association, LetterState.HOLDS, now))
        with self._database.writing() as connection:
            return connection.execute(ended.values(revoked_at=instant(now), revoked_by=clean(who))).rowcount

    def renew_letters(
        self, association: str | None, until: datetime, now: datetime, *, ending: datetime | None = None
    ) -> int:
        """Let letters that hold do so until a later moment; how many do.

        Those of an association, or everybody's; with `ending` only those that would end by then.
        """
        renewed = update(LETTER).where(*_of(association, LetterState.HOLDS, now))
        renewed = renewed.where(LETTER.c.expires_at < instant(until))
        if ending is not None:
            renewed = renewed.where(LETTER.c.expires_at <= instant(ending))
        with self._database.writing() as connection:
            return connection.execute(renewed.values(expires_at=instant(until))).rowcount

    def letter_opened(self, letter_id: int, now: datetime) -> None:
        """Keep that a report was read through this letter."""
        with self._database.writing() as connection:
            connection.execute(update(LETTER).where(LETTER.c.id == letter_id).values(opened_at=instant(now)))


def _is(state: LetterState, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What makes a letter one of a state."""
    if state is LetterState.REVOKED:
        return (LETTER.c.revoked_at.is_not(None),)
    holds = LETTER.c.expires_at > instant(now)
    return (LETTER.c.revoked_at.is_(None), holds if state is LetterState.HOLDS else ~holds)


def _behind(
    connection: Connection, order: tuple[Any, ...], before: int | None
) -> Iterator[ColumnElement[bool]]:
    """What makes a letter come after one in an order; nothing where there is no such letter."""
    if before is not None:
        last = connection.execute(select(*order).where(LETTER.c.id == before)).first()
        if last is not None:
            yield tuple_(*order) < tuple(last)


def _of(association: str | None, state: LetterState | None, now: datetime) -> list[ColumnElement[bool]]:
    """What makes a letter an association's, or anybody's, and one of a state."""
    told = [] if state is None else [*_is(state, now)]
    if association is None:
        return told
    return [LETTER.c.association == association, *map(_unindexed, told)]


def _unindexed(told: ColumnElement[bool]) -> ColumnElement[bool]:
    """An expression, so that the index of everybody's states is not walked where associations lead."""
    return case((told, 1), else_=0) == 1


def _end(connection: Connection, newer: Sequence[Letter]) -> int:
    """End what holds of the associations that get newer letters of one moment and maker: so many."""
    older = LETTER.c.association.in_([letter.association for letter in newer])
    ended = update(LETTER).where(older, *map(_unindexed, _is(LetterState.HOLDS, newer[0].made_at)))
    return connection.execute(ended.values(revoked_at=newer[0].made_at, revoked_by=newer[0].made_by)).rowcount


def _columns(letter: Letter) -> dict[str, Any]:
    return {name: value for name, value in asdict(letter).items() if name != "id"}


def _letter(row: Any) -> Letter:
    return Letter(**row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
