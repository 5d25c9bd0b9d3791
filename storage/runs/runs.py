"""Audit runs: day, state, report, and what the workers of a run share on PostgreSQL.

Times that workers share are those of the database's clock, the only one that all of them have.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, delete, func, literal, select, update

from storage.database.connection import Repository
from storage.errors import LaterRunDoneError, RunAlreadyDoneError, StoreError
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import RunReport
from storage.read_model import consistency
from storage.sanitize import sanitize, to_utc
from storage.tables.core import AUDIT_RUN
from storage.tables.mappers import to_audit_run
from storage.tables.runs import CLUSTER_RUN, HOST_LOCK

LEADER_LOCK_KEY = 0x617564_69746F72
"""The key of the advisory lock of the process that executes a run."""

NEWEST_FIRST = AUDIT_RUN.c.day.desc()

IS_EVALUATED = (AUDIT_RUN.c.state == AuditRunState.DONE) | (
    consistency.has_run_facet_counts(AUDIT_RUN.c.id)
)


class AuditRunRepository(Repository):
    """Stores and reads audit runs."""

    def begin_or_resume(self, day: date, now: datetime) -> AuditRun:
        """Start the run of this UTC day, or resume it. Its state is then `running`.

        Unless it is evaluated, a resumed run is planned again, so it is as of `now`.

        Raises RunAlreadyDoneError if it is done. Raises LaterRunDoneError if the run of a later day
        is evaluated: runs must be evaluated in the order of their days, as a re-evaluation does,
        even if the clock was set back.
        """
        query = select(AUDIT_RUN).where(AUDIT_RUN.c.day == day)
        with self._database.begin_write() as connection:
            is_later = select(func.max(AUDIT_RUN.c.day)).where(AUDIT_RUN.c.day > day, IS_EVALUATED)
            if later_day := connection.scalar(is_later):
                raise LaterRunDoneError(
                    f"cannot run the audit for {day}",
                    f"the run for {later_day} has finished",
                    "check the system clock",
                )
            run = connection.execute(query.with_for_update()).first()
            if run is not None and run.state is AuditRunState.DONE:
                raise RunAlreadyDoneError(
                    f"cannot run the audit for {day}",
                    "the run of that day has finished",
                    "again tomorrow",
                )
            if run is not None:
                resumed_at = case((IS_EVALUATED, AUDIT_RUN.c.resumed_at), else_=to_utc(now))
                return _update_run(
                    connection,
                    run.id,
                    state=AuditRunState.RUNNING,
                    resumed_at=resumed_at,
                    finished_at=None,
                )
            values = {"day": day, "state": AuditRunState.RUNNING, "started_at": to_utc(now)}
            insert = AUDIT_RUN.insert().values(**values, unreliable_channels=(), report={})
            return to_audit_run(connection.execute(insert.returning(AUDIT_RUN)).one())

    def finish(
        self,
        run: AuditRun,
        state: AuditRunState,
        now: datetime,
        *,
        unreliable_channels: Iterable[str] = (),
        report: RunReport | None = None,
    ) -> AuditRun:
        """Finish the run with its final state and report. Raises StoreError if it is not running.

        Its end is never before its start, even if the clock was set back.
        """
        query = select(AUDIT_RUN.c.state).where(AUDIT_RUN.c.id == run.id).with_for_update()
        with self._database.begin_write() as connection:
            if connection.scalar(query) is not AuditRunState.RUNNING:
                raise StoreError(f"cannot finish the run of {run.day}", "it is not running")
            return _update_run(
                connection,
                run.id,
                state=state,
                finished_at=max(to_utc(now), run.started_at),
                unreliable_channels=tuple(unreliable_channels),
                report=(report or RunReport()).to_json(),
            )

    def remove_unchecked(self, run: AuditRun) -> None:
        """Remove the newest run, which checked no account, so that its day can have another."""
        with self._database.begin_write() as connection:
            connection.execute(delete(AUDIT_RUN).where(AUDIT_RUN.c.id == run.id))
            consistency.reset_summaries(self._database, connection)

    def save_open_report(
        self, run: AuditRun, report: RunReport, unreliable_channels: Iterable[str] = ()
    ) -> AuditRun:
        """Store the report of a run that continues. Unreliable channels are added to it."""
        channels = tuple(sorted({*run.unreliable_channels, *unreliable_channels}))
        with self._database.begin_write() as connection:
            return _update_run(
                connection, run.id, unreliable_channels=channels, report=report.to_json()
            )

    def list_all(self) -> Iterator[AuditRun]:
        """Return all runs, the oldest first."""
        return map(to_audit_run, self._database.stream_rows(select(AUDIT_RUN), AUDIT_RUN.c.day))

    def list_newest(self, limit: int, *, before_day: date | None = None) -> list[AuditRun]:
        """Return the newest runs, before a day if one is given. The oldest of them is first."""
        query = select(AUDIT_RUN).order_by(NEWEST_FIRST).limit(limit)
        if before_day is not None:
            query = query.where(AUDIT_RUN.c.day < before_day)
        return self._fetch_oldest_first(query)

    def get(self, day: date) -> AuditRun | None:
        """Return the run of this UTC day, or None."""
        return self._fetch_run(select(AUDIT_RUN).where(AUDIT_RUN.c.day == day))

    def get_by_id(self, run_id: int) -> AuditRun:
        """Return the run of this id. Raises StoreError if there is none."""
        run = self._fetch_run(select(AUDIT_RUN).where(AUDIT_RUN.c.id == run_id))
        if run is None:
            raise StoreError(
                f"cannot read the run {run_id}", "it does not exist", "check [storage] url"
            )
        return run

    def get_latest(
        self,
        *states: AuditRunState,
        before_day: date | None = None,
        started_by: datetime | None = None,
    ) -> AuditRun | None:
        """Return the newest run, or None.

        With `states` it is the newest in one of them, with `before_day` the newest of an earlier
        day, with `started_by` the newest that had started by then.
        """
        query = select(AUDIT_RUN).order_by(NEWEST_FIRST).limit(1)
        if started_by is not None:
            query = query.where(AUDIT_RUN.c.started_at <= to_utc(started_by))
        if before_day is not None:
            query = query.where(AUDIT_RUN.c.day < before_day)
        if states:
            query = query.where(AUDIT_RUN.c.state.in_(states))
        return self._fetch_run(query)

    def _fetch_run(self, query: Select[Any]) -> AuditRun | None:
        with self._database.begin_read() as connection:
            run = connection.execute(query).first()
        return to_audit_run(run) if run else None

    def _fetch_oldest_first(self, newest_first: Select[Any]) -> list[AuditRun]:
        with self._database.begin_read() as connection:
            runs = connection.execute(newest_first).all()
        return list(map(to_audit_run, reversed(runs)))

    def list_evaluated(self, limit: int | None = None) -> list[AuditRun]:
        """Return the newest runs with conclusions, or all without a limit. The oldest is first.

        Such a run is done or about to be: its conclusions are stored before its state.
        """
        return self._fetch_oldest_first(
            _select_evaluated_runs().order_by(NEWEST_FIRST).limit(limit)
        )

    def is_evaluated(self, run_id: int) -> bool:
        """Return whether the conclusions of a run are stored, as its facet counts then are."""
        query = select(consistency.has_run_facet_counts(literal(run_id)))
        with self._database.begin_read() as connection:
            return bool(connection.scalar(query))

    def get_first_evaluated(self) -> AuditRun | None:
        """Return the oldest run with conclusions, or None."""
        return self._fetch_run(_select_evaluated_runs().order_by(AUDIT_RUN.c.day).limit(1))

    def get_latest_evaluated(self) -> AuditRun | None:
        """Return the newest run with conclusions, or None. Reports are as of its start."""
        return next(iter(self.list_evaluated(1)), None)

    @contextmanager
    def try_leader_lock(self) -> Iterator[bool]:
        """Yield whether this process may execute runs on the database, and hold the lock.

        Only PostgreSQL has the lock, because several machines can use it.
        """
        if self._database.database_file is not None:
            yield True
            return
        with self._database.begin_read() as connection:
            is_leader = bool(
                connection.scalar(select(func.pg_try_advisory_lock(literal(LEADER_LOCK_KEY))))
            )
            connection.commit()
            try:
                yield is_leader
            finally:
                connection.invalidate()  # the lock ends with the connection


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """A run that workers share. `seconds_left` is the time until its limit, None without one."""

    run_id: int
    seconds_left: float | None
    is_closed: bool
    folder_token: str
    worker_results: Mapping[str, Any]


class ClusterRunRepository(Repository):
    """Stores and reads the state that the workers of a run share."""

    def open(self, run_id: int, folder_token: str, time_limit_seconds: float | None) -> None:
        """Open a run to workers, with or without a time limit. Existing results are kept."""
        seconds = time_limit_seconds
        ends_at = None if seconds is None else func.now() + timedelta(seconds=seconds)
        values = {"ends_at": ends_at, "is_closed": False, "folder_token": folder_token}
        fresh = self._database.build_insert(CLUSTER_RUN).values(
            run_id=run_id, worker_results={}, **values
        )
        self._execute(fresh.on_conflict_do_update(index_elements=["run_id"], set_=values))

    def get(self, run_id: int) -> ClusterRun | None:
        """Return the shared run, or None."""
        time_left = func.extract("epoch", CLUSTER_RUN.c.ends_at - func.clock_timestamp())
        query = select(CLUSTER_RUN, time_left.label("seconds_left"))
        with self._database.begin_read() as connection:
            row = connection.execute(query.where(CLUSTER_RUN.c.run_id == run_id)).first()
        if row is None:
            return None
        return ClusterRun(
            run_id,
            None if row.ends_at is None else float(row.seconds_left),
            row.is_closed,
            row.folder_token,
            row.worker_results,
        )

    def close(self, run_id: int) -> None:
        """Close the run, so that the workers start no other account."""
        change = update(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id)
        self._execute(change.values(is_closed=True))

    def merge_worker_results(
        self, run_id: int, merge: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        """Replace the results by `merge(results)`, under a lock of the row."""
        is_shared_run = CLUSTER_RUN.c.run_id == run_id
        query = select(CLUSTER_RUN.c.worker_results).where(is_shared_run).with_for_update()
        with self._database.begin_write() as connection:
            results = connection.scalar(query)
            if results is not None:
                change = update(CLUSTER_RUN).where(is_shared_run)
                connection.execute(change.values(worker_results=merge(results)))

    def delete(self, run_id: int) -> None:
        """Delete the shared state of a run and all host locks."""
        with self._database.begin_write() as connection:
            connection.execute(delete(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id))
            connection.execute(delete(HOST_LOCK))


def _select_evaluated_runs() -> Select[Any]:
    return select(AUDIT_RUN).where(IS_EVALUATED)


def _update_run(connection: Connection, run_id: int, **values: Any) -> AuditRun:
    change = update(AUDIT_RUN).where(AUDIT_RUN.c.id == run_id).values(**sanitize(values))
    return to_audit_run(connection.execute(change.returning(AUDIT_RUN)).one())
