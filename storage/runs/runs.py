"""The nights: when each was, where it stands, its receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, update

from storage.consistency import after_nights
from storage.database.connection import Database
from storage.errors import LaterNightError, NightDoneError, StoreError
from storage.models.audit import Night, NightState
from storage.sanitize import clean, instant
from storage.tables.core import NIGHT
from storage.tables.mappers import night_of
from storage.tables.summaries import FIGURE


class Nights:
    """The queries of nights. A part of `Store`."""

    _database: Database

    def begin_night(self, day: date, now: datetime, *, again: bool = False) -> Night:
        """Begin the night of this UTC day, or go on with it where it was left; it is then running.

        Raises NightDoneError where it is done, unless `again` asks to look at the accounts registered since,
        and LaterNightError where a later day's is concluded: conclusions follow one another, and a clock that
        was set back must not draw them in another order than a rebuild would.
        """
        with self._database.writing() as connection:
            _refuse_earlier(connection, day)
            fresh = _night_columns(Night(day, NightState.RUNNING, instant(now)))
            connection.execute(self._database.insert(NIGHT).values(fresh).on_conflict_do_nothing())
            night = night_of(connection.execute(select(NIGHT).where(NIGHT.c.day == day)).one())
            if night.state is NightState.DONE and not again:
                raise NightDoneError(f"the night of {day}", "it is done already", "wait for tomorrow's")
            running = replace(night, state=NightState.RUNNING, finished_at=None)
            connection.execute(update(NIGHT).where(NIGHT.c.id == night.id).values(_night_columns(running)))
        return running

    def finish_night(
        self,
        night: Night,
        state: NightState,
        now: datetime,
        *,
        blind: Iterable[str] = (),
        receipt: Mapping[str, object] | None = None,
    ) -> Night:
        """Close the night with its outcome, never before its beginning.

        Raises StoreError where it is not running.
        """
        ended = max(instant(now), night.started_at)
        done = replace(
            night, state=state, finished_at=ended, blind=tuple(blind), receipt=clean(receipt or {})
        )
        running = and_(NIGHT.c.id == night.id, NIGHT.c.state == NightState.RUNNING.value)
        with self._database.writing() as connection:
            moved = connection.execute(update(NIGHT).where(running).values(_night_columns(done))).rowcount
            if moved != 1:
                raise StoreError(f"the night of {night.day}", "it is not running, so it cannot end")
        return done

    def nights(self) -> Iterator[Night]:
        """Every night, the oldest first."""
        return map(night_of, self._database.rows(select(NIGHT), NIGHT.c.day))

    def newest_nights(self, count: int, *, before: date | None = None) -> list[Night]:
        """The newest nights (before a day, if one is given), at most so many, the oldest of them first."""
        query = select(NIGHT).order_by(NIGHT.c.day.desc()).limit(count)
        if before is not None:
            query = query.where(NIGHT.c.day < before)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [night_of(row) for row in reversed(rows)]

    def night(self, day: date) -> Night | None:
        """The night of this UTC day."""
        return self._one_night(select(NIGHT).where(NIGHT.c.day == day))

    def night_of_id(self, night_id: int) -> Night:
        """The night of this id. Raises StoreError where there is none."""
        found = self._one_night(select(NIGHT).where(NIGHT.c.id == night_id))
        if found is None:
            raise StoreError(f"the night {night_id}", "there is none", "look at the database's address")
        return found

    def last_night(self, *states: NightState, before: date | None = None) -> Night | None:
        """The newest night, or the newest in one of these states; of those before a day, if one is given."""
        query = select(NIGHT).order_by(NIGHT.c.day.desc()).limit(1)
        if before is not None:
            query = query.where(NIGHT.c.day < before)
        return self._one_night(query.where(NIGHT.c.state.in_(states)) if states else query)

    def after_nights(self, now: datetime) -> datetime:
        """The moment, or the first after every night's beginning: from then on a change of now counts."""
        with self._database.reading() as connection:
            return after_nights(connection, now)

    def _one_night(self, query: Select[Any]) -> Night | None:
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return night_of(row) if row else None


def _refuse_earlier(connection: Connection, day: date) -> None:
    judged = (NIGHT.c.state == NightState.DONE.value) | (NIGHT.c.id.in_(select(FIGURE.c.night_id)))
    later = connection.execute(select(func.max(NIGHT.c.day)).where(NIGHT.c.day > day, judged)).scalar()
    if later is not None:
        why = f"the night of {later} is concluded already"
        raise LaterNightError(f"the night of {day}", why, f"`auditor run` from {later} on, or mend the clock")


def _night_columns(night: Night) -> dict[str, Any]:
    return {
        "day": night.day,
        "state": night.state.value,
        "started_at": night.started_at,
        "finished_at": night.finished_at,
        "blind": list(night.blind),
        "receipt": dict(night.receipt),
    }
