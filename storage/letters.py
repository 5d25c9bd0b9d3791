"""The associations' links to their reports: made, opened, revoked. Only a token's hash is ever here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from storage.clean import clean, instant
from storage.database import Database
from storage.talk import Letter
from storage.talk_tables import LETTER


class Letters:
    """The queries of letters. A part of `Store`."""

    _database: Database

    def add_letter(self, letter: Letter, *, keep: bool = False) -> Letter:
        """Keep a letter and give it back with its id; the association's older ones end, unless kept."""
        fit = clean(letter)
        values = {name: value for name, value in asdict(fit).items() if name != "id"}
        older = update(LETTER).where(LETTER.c.association == fit.association, LETTER.c.revoked_at.is_(None))
        with self._database.writing() as connection:
            if not keep:
                connection.execute(older.values(revoked_at=fit.made_at, revoked_by=fit.made_by))
            key = connection.execute(insert(LETTER).values(values)).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def letter(self, token_hash: str) -> Letter | None:
        """The letter of this token, also one that no longer holds."""
        with self._database.reading() as connection:
            row = connection.execute(select(LETTER).where(LETTER.c.token_hash == token_hash)).first()
        return _letter(row) if row else None

    def letters(self, association: str | None = None, *, after: int = 0) -> Iterator[Letter]:
        """The letters, in the order they were made: all, or an association's; those after this id."""
        query = select(LETTER).where(LETTER.c.id > after)
        if association is not None:
            query = query.where(LETTER.c.association == association)
        return map(_letter, self._database.rows(query, LETTER.c.id))

    def recent_letters(self, *, before: int | None = None, limit: int = 50) -> list[Letter]:
        """The newest letters first, a page of them: those before this id."""
        query = select(LETTER).order_by(LETTER.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(LETTER.c.id < before)
        with self._database.reading() as connection:
            return [_letter(row) for row in connection.execute(query)]

    def revoke_letters(self, association: str | None, who: str, now: datetime) -> int:
        """End an association's letters, or everybody's; how many held until then."""
        ended = update(LETTER).where(LETTER.c.revoked_at.is_(None), LETTER.c.expires_at > instant(now))
        if association is not None:
            ended = ended.where(LETTER.c.association == association)
        with self._database.writing() as connection:
            return connection.execute(ended.values(revoked_at=instant(now), revoked_by=clean(who))).rowcount

    def letter_opened(self, letter_id: int, now: datetime) -> None:
        """Keep that a report was read through this letter."""
        with self._database.writing() as connection:
            connection.execute(update(LETTER).where(LETTER.c.id == letter_id).values(opened_at=instant(now)))


def _letter(row: Any) -> Letter:
    return Letter(**row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
