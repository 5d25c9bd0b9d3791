"""Queries of audit runs: their day, state and signed report."""

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
    """The part of `Store` for audit runs."""

    _database: Database

    def begin_run(self, day: date, now: datetime, *, reopen_done: bool = False) -> AuditRun:
        """Start the run of this UTC day, or resume it. Its state is then `running`.

        Raises RunAlreadyDoneError if it is done, unless `reopen_done` is set to check accounts that
        were registered since. Raises LaterRunDoneError if the run of a later day is evaluated: runs
        must be evaluated in the order of their days, as a re-evaluation does, even if the clock was
        set back.
        """
        with self._database.begin_write() as connection:
            _reject_earlier_run(connection, day)
            new_values = _build_run_values(AuditRun(day, AuditRunState.RUNNING, to_utc(now)))
            statement = self._database.build_insert(AUDIT_RUN).values(new_values)
            connection.execute(statement.on_conflict_do_nothing())
            row = connection.execute(select(AUDIT_RUN).where(AUDIT_RUN.c.day == day)).one()
            run = to_audit_run(row)
            if run.state is AuditRunState.DONE and not reopen_done:
                raise RunAlreadyDoneError(
                    f"cannot run the audit for {day}",
                    "the run of that day has finished",
                    "again tomorrow",
                )
            running = replace(run, state=AuditRunState.RUNNING, finished_at=None)
            change = update(AUDIT_RUN).where(AUDIT_RUN.c.id == run.id)
            connection.execute(change.values(_build_run_values(running)))
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
        """Finish the run with its final state. Raises StoreError if it is not running.

        Its end is never before its start, even if the clock was set back.
        """
        finished = replace(
            run,
            state=state,
            finished_at=max(to_utc(now), run.started_at),
            unreliable_channels=tuple(unreliable_channels),
            receipt=sanitize(receipt or {}),
        )
        is_running = and_(
            AUDIT_RUN.c.id == run.id, AUDIT_RUN.c.state == AuditRunState.RUNNING.value
        )
        change = update(AUDIT_RUN).where(is_running).values(_build_run_values(finished))
        with self._database.begin_write() as connection:
            if connection.execute(change).rowcount != 1:
                raise StoreError(f"cannot finish the run of {run.day}", "it is not running")
        return finished

    def list_runs(self) -> Iterator[AuditRun]:
        """Return all runs, the oldest first."""
        return map(to_audit_run, self._database.stream_rows(select(AUDIT_RUN), AUDIT_RUN.c.day))

    def list_newest_runs(self, limit: int, *, before_day: date | None = None) -> list[AuditRun]:
        """Return the newest runs, before a day if one is given. The oldest of them is first."""
        query = select(AUDIT_RUN).order_by(AUDIT_RUN.c.day.desc()).limit(limit)
        if before_day is not None:
            query = query.where(AUDIT_RUN.c.day < before_day)
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return [to_audit_run(row) for row in reversed(rows)]

    def get_run(self, day: date) -> AuditRun | None:
        """Return the run of this UTC day, or None."""
        return self._fetch_run(select(AUDIT_RUN).where(AUDIT_RUN.c.day == day))

    def get_run_by_id(self, run_id: int) -> AuditRun:
        """Return the run of this id. Raises StoreError if there is none."""
        run = self._fetch_run(select(AUDIT_RUN).where(AUDIT_RUN.c.id == run_id))
        if run is None:
            raise StoreError(
                f"cannot read the run {run_id}", "it does not exist", "check [storage] url"
            )
        return run

    def get_latest_run(
        self,
        *states: AuditRunState,
        before_day: date | None = None,
        started_by: datetime | None = None,
    ) -> AuditRun | None:
        """Return the newest run, or None.

        With `states` it is the newest in one of them, with `before_day` the newest of an earlier
        day, with `started_by` the newest that had started by then.
        """
        query = select(AUDIT_RUN).order_by(AUDIT_RUN.c.day.desc()).limit(1)
        if started_by is not None:
            query = query.where(AUDIT_RUN.c.started_at <= to_utc(started_by))
        if before_day is not None:
            query = query.where(AUDIT_RUN.c.day < before_day)
        return self._fetch_run(query.where(AUDIT_RUN.c.state.in_(states)) if states else query)

    def get_effective_time(self, now: datetime) -> datetime:
        """Return the time from which a change that is made now counts (see `consistency`)."""
        with self._database.begin_read() as connection:
            return compute_effective_time(connection, now)

    def _fetch_run(self, query: Select[Any]) -> AuditRun | None:
        with self._database.begin_read() as connection:
            row = connection.execute(query).first()
        return to_audit_run(row) if row else None


def _reject_earlier_run(connection: Connection, day: date) -> None:
    is_evaluated = (AUDIT_RUN.c.state == AuditRunState.DONE.value) | (
        AUDIT_RUN.c.id.in_(select(RUN_FACET_COUNT.c.run_id))
    )
    query = select(func.max(AUDIT_RUN.c.day)).where(AUDIT_RUN.c.day > day, is_evaluated)
    later_day = connection.execute(query).scalar()
    if later_day is not None:
        raise LaterRunDoneError(
            f"cannot run the audit for {day}",
            f"the run for {later_day} has finished",
            "check the system clock",
        )


def _build_run_values(run: AuditRun) -> dict[str, Any]:
    return {
        "day": run.day,
        "state": run.state.value,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "unreliable_channels": list(run.unreliable_channels),
        "receipt": dict(run.receipt),
    }
