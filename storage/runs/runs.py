"""The nights: when each was, where it stands, its receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, update

from storage.consistency import compute_effective_time
from storage.database.connection import Database
from storage.errors import LaterRunDoneError, RunAlreadyDoneError, StoreError
from storage.models.audit import AuditRun, AuditRunState
from storage.sanitize import sanitize, to_utc
from storage.tables.core import AUDIT_RUN
from storage.tables.mappers import to_audit_run
from storage.tables.summaries import RUN_FACET_COUNT


class AuditRunQueries:
    """The queries of nights. A part of `Store`."""

    _database: Database

    def begin_run(self, day: date, now: datetime, *, reopen_done: bool = False) -> AuditRun:
        """Begin the night of this UTC day, or go on with it where it was left; it is then running.

        Raises NightDoneError where it is done, unless `again` asks to look at the accounts registered since,
        and LaterNightError where a later day's is concluded: conclusions follow one another, and a clock that
        was set back must not draw them in another order than a rebuild would.
        """
        with self._database.begin_write() as connection:
            _reject_earlier_run(connection, day)
            fresh = _build_run_values(AuditRun(day, AuditRunState.RUNNING, to_utc(now)))
            connection.execute(
                self._database.build_insert(AUDIT_RUN).values(fresh).on_conflict_do_nothing()
            )
            night = to_audit_run(
                connection.execute(select(AUDIT_RUN).where(AUDIT_RUN.c.day == day)).one()
            )
            if night.state is AuditRunState.DONE and not reopen_done:
                raise RunAlreadyDoneError(
                    f"the night of {day}", "it is done already", "wait for tomorrow's"
                )
            running = replace(night, state=AuditRunState.RUNNING, finished_at=None)
            connection.execute(
                update(AUDIT_RUN)
                .where(AUDIT_RUN.c.id == night.id)
                .values(_build_run_values(running))
            )
        return running

    def finish_run(
        self,
        run: AuditRun,
        state: AuditRunState,
        now: datetime,
        *,
        unreliable_channels: Iterable[str] = (),
        receipt: Mapping[str, object] | None = None,
    ) -> AuditRun:
        """Close the night with its outcome, never before its beginning.

        Raises StoreError where it is not running.
        """
        ended = max(to_utc(now), run.started_at)
        done = replace(
            run,
            state=state,
            finished_at=ended,
            unreliable_channels=tuple(unreliable_channels),
            receipt=sanitize(receipt or {}),
        )
        running = and_(AUDIT_RUN.c.id == run.id, AUDIT_RUN.c.state == AuditRunState.RUNNING.value)
        with self._database.begin_write() as connection:
            moved = connection.execute(
                update(AUDIT_RUN).where(running).values(_build_run_values(done))
            ).rowcount
            if moved != 1:
                raise StoreError(f"the night of {run.day}", "it is not running, so it cannot end")
        return done

    def list_runs(self) -> Iterator[AuditRun]:
        """Every night, the oldest first."""
        return map(to_audit_run, self._database.stream_rows(select(AUDIT_RUN), AUDIT_RUN.c.day))

    def list_newest_runs(self, limit: int, *, before_day: date | None = None) -> list[AuditRun]:
        """The newest nights (before a day, if one is given), at most so many, the oldest of them first."""
        query = select(AUDIT_RUN).order_by(AUDIT_RUN.c.day.desc()).limit(limit)
        if before_day is not None:
            query = query.where(AUDIT_RUN.c.day < before_day)
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return [to_audit_run(row) for row in reversed(rows)]

    def get_run(self, day: date) -> AuditRun | None:
        """The night of this UTC day."""
        return self._fetch_run(select(AUDIT_RUN).where(AUDIT_RUN.c.day == day))

    def get_run_by_id(self, run_id: int) -> AuditRun:
        """The night of this id. Raises StoreError where there is none."""
        found = self._fetch_run(select(AUDIT_RUN).where(AUDIT_RUN.c.id == run_id))
        if found is None:
            raise StoreError(
                f"the night {run_id}", "there is none", "look at the database's address"
            )
        return found

    def get_latest_run(
        self,
        *states: AuditRunState,
        before_day: date | None = None,
        started_by: datetime | None = None,
    ) -> AuditRun | None:
        """Return the newest run, or None.

        With `states` it is the newest in one of them, with `before_day` the newest of an earlier day, with
        `started_by` the newest that had begun by then.
        """
        query = select(AUDIT_RUN).order_by(AUDIT_RUN.c.day.desc()).limit(1)
        if started_by is not None:
            query = query.where(AUDIT_RUN.c.started_at <= to_utc(started_by))
        if before_day is not None:
            query = query.where(AUDIT_RUN.c.day < before_day)
        return self._fetch_run(query.where(AUDIT_RUN.c.state.in_(states)) if states else query)

    def get_effective_time(self, now: datetime) -> datetime:
        """The moment, or the first after every night's beginning: from then on a change of now counts."""
        with self._database.begin_read() as connection:
            return compute_effective_time(connection, now)

    def _fetch_run(self, query: Select[Any]) -> AuditRun | None:
        with self._database.begin_read() as connection:
            row = connection.execute(query).first()
        return to_audit_run(row) if row else None


def _reject_earlier_run(connection: Connection, day: date) -> None:
    judged = (AUDIT_RUN.c.state == AuditRunState.DONE.value) | (
        AUDIT_RUN.c.id.in_(select(RUN_FACET_COUNT.c.run_id))
    )
    later = connection.execute(
        select(func.max(AUDIT_RUN.c.day)).where(AUDIT_RUN.c.day > day, judged)
    ).scalar()
    if later is not None:
        why = f"the run for {later} has finished"
        raise LaterRunDoneError(f"cannot begin the run for {day}", why, "check the system clock")


def _build_run_values(run: AuditRun) -> dict[str, Any]:
    return {
        "day": run.day,
        "state": run.state.value,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "unreliable_channels": list(run.unreliable_channels),
        "receipt": dict(run.receipt),
    }
