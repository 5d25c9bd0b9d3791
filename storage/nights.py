"""What was seen: nights and their observations, append-only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, select, update

from probes.model import Presence
from storage.clean import clean, instant
from storage.database import Database
from storage.errors import LaterNightError, NightDoneError, StoreError
from storage.model import AccountRow, Night, NightState, Observation
from storage.order import after_nights
from storage.read_tables import FIGURE
from storage.registry import account_of
from storage.tables import ACCOUNT, NIGHT, OBSERVATION


class Nights:
    """The queries of nights and observations. A part of `Store`."""

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

    def pending(self, night: Night) -> Iterator[AccountRow]:
        """The listed links that this night has not seen yet."""
        seen = and_(OBSERVATION.c.account_id == ACCOUNT.c.id, OBSERVATION.c.night_id == night.id)
        query = (
            select(ACCOUNT)
            .outerjoin(OBSERVATION, seen)
            .where(OBSERVATION.c.id.is_(None), ACCOUNT.c.withdrawn_at.is_(None))
        )
        return map(account_of, self._database.rows(query, ACCOUNT.c.id))

    def record(self, observations: Iterable[Observation]) -> int:
        """Keep the observations in one transaction and tell how many were new.

        One that the night already has of the account stands; the later one is dropped.
        """
        rows = [_observation_columns(observation) for observation in observations]
        if not rows:
            return 0
        once = self._database.insert(OBSERVATION).on_conflict_do_nothing(
            index_elements=["account_id", "night_id"]
        )
        with self._database.writing() as connection:
            return len(connection.execute(once.returning(OBSERVATION.c.id), rows).all())

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

    def put_evidence(self, looks: Iterable[Observation]) -> None:
        """Keep these looks' evidence in place of what was kept, in one transaction. No finding changes."""
        rows = [{"look": look.id, "left": clean(look.evidence)} for look in looks]
        change = update(OBSERVATION).where(OBSERVATION.c.id == bindparam("look"))
        if rows:
            with self._database.writing() as connection:
                connection.execute(change.values(evidence=bindparam("left")), rows)

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

    def last_night(self, *states: NightState, before: date | None = None) -> Night | None:
        """The newest night, or the newest in one of these states; of those before a day, if one is given."""
        query = select(NIGHT).order_by(NIGHT.c.day.desc()).limit(1)
        if before is not None:
            query = query.where(NIGHT.c.day < before)
        return self._one_night(query.where(NIGHT.c.state.in_(states)) if states else query)

    def observations(
        self, *, night_id: int | None = None, account_id: int | None = None, association: str | None = None
    ) -> Iterator[Observation]:
        """The observations of a night, an account or an association; all of them without any.

        They come in the order of recording, those of an association account by account. They are streamed;
        the store may be written to meanwhile.
        """
        query = select(OBSERVATION)
        if night_id is not None:
            query = query.where(OBSERVATION.c.night_id == night_id)
        if account_id is not None:
            query = query.where(OBSERVATION.c.account_id == account_id)
        if association is not None:
            own = select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
            query = query.where(OBSERVATION.c.account_id.in_(own))
            # By the unique key: in the order of ids SQLite would walk the whole night for each association.
            by_account = self._database.rows(query, OBSERVATION.c.account_id, OBSERVATION.c.night_id)
            return map(_observation, by_account)
        return map(_observation, self._database.rows(query, OBSERVATION.c.id))

    def glances(self, association: str, night_ids: Collection[int]) -> Iterator[Observation]:
        """What these nights saw of an association's accounts, without the evidence, account by account."""
        own = select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
        columns = [column for column in OBSERVATION.c if column.key != "evidence"]
        query = select(*columns).where(
            OBSERVATION.c.account_id.in_(own), OBSERVATION.c.night_id.in_(list(night_ids))
        )
        return map(_glance, self._database.rows(query, OBSERVATION.c.account_id, OBSERVATION.c.night_id))

    def observation(self, night_id: int, account_id: int) -> Observation | None:
        """What this night saw of this account."""
        return next(self.observations(night_id=night_id, account_id=account_id), None)

    def after_nights(self, now: datetime) -> datetime:
        """The moment, or the first after every night's beginning: from then on a change of now counts."""
        with self._database.reading() as connection:
            return after_nights(connection, now)

    def counts(self, night_id: int) -> Mapping[tuple[str, Presence], int]:
        """How many accounts a night found in each presence, by channel."""
        query = (
            select(ACCOUNT.c.channel, OBSERVATION.c.presence, func.count())
            .join(ACCOUNT, ACCOUNT.c.id == OBSERVATION.c.account_id)
            .where(OBSERVATION.c.night_id == night_id)
            .group_by(ACCOUNT.c.channel, OBSERVATION.c.presence)
            .order_by(ACCOUNT.c.channel, OBSERVATION.c.presence)
        )
        with self._database.reading() as connection:
            return {(channel, Presence(p)): count for channel, p, count in connection.execute(query)}

    def last_look(self, night_id: int) -> datetime | None:
        """When a night looked at its last account, as far as that was recorded."""
        query = select(OBSERVATION.c.observed_at).where(OBSERVATION.c.night_id == night_id)
        with self._database.reading() as connection:
            return connection.execute(query.order_by(OBSERVATION.c.id.desc()).limit(1)).scalar()

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


def night_of(row: Any) -> Night:
    """The night that a row holds."""
    return Night(
        day=row.day,
        state=NightState(row.state),
        started_at=row.started_at,
        finished_at=row.finished_at,
        blind=tuple(row.blind),
        receipt=row.receipt,
        id=row.id,
    )


def _observation_columns(observation: Observation) -> dict[str, Any]:
    fit = clean(observation)
    return {
        "account_id": fit.account_id,
        "night_id": fit.night_id,
        "observed_at": fit.observed_at,
        "presence": fit.finding.presence.value,
        "finding": fit.finding,
        "evidence": fit.evidence,
        "probe_version": fit.probe_version,
    }


def _observation(row: Any) -> Observation:
    return replace(_glance(row), evidence=row.evidence)


def _glance(row: Any) -> Observation:
    return Observation(
        account_id=row.account_id,
        night_id=row.night_id,
        observed_at=row.observed_at,
        finding=row.finding,
        probe_version=row.probe_version,
        id=row.id,
    )
