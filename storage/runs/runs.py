"""Audit runs: day, state and report."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from sqlalchemy import delete, literal
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from storage import consistency
from storage.consistency import compute_effective_time
from storage.database.connection import Repository
from storage.errors import LaterRunDoneError, RunAlreadyDoneError, StoreError
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import RunReport
from storage.sanitize import to_utc
from storage.tables.core import AUDIT_RUN, AuditRunTable
from storage.tables.mappers import to_audit_run

NEWEST_FIRST = col(AuditRunTable.day).desc()

IS_EVALUATED = (col(AuditRunTable.state) == AuditRunState.DONE) | (
    consistency.has_run_facet_counts(col(AuditRunTable.id))
)


class AuditRunRepository(Repository):
    """Stores and reads audit runs."""

    def begin_or_resume(self, day: date, now: datetime) -> AuditRun:
        """Start the run of this UTC day, or resume it. Its state is then `running`.

        Raises RunAlreadyDoneError if it is done. Raises LaterRunDoneError if the run of a later day
        is evaluated: runs must be evaluated in the order of their days, as a re-evaluation does,
        even if the clock was set back.
        """
        query = select(AuditRunTable).where(AuditRunTable.day == day)
        with self._database.begin_write_session() as session:
            _reject_earlier_run(session, day)
            run = session.exec(query.with_for_update()).first()
            if run is None:
                run = AuditRunTable(day=day, started_at=now, unreliable_channels=[], report={})
                session.add(run)
            elif run.state is AuditRunState.DONE:
                raise RunAlreadyDoneError(
                    f"cannot run the audit for {day}",
                    "the run of that day has finished",
                    "again tomorrow",
                )
            run.state = AuditRunState.RUNNING
            run.finished_at = None
            session.flush()
            return to_audit_run(run)

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
        with self._database.begin_write_session() as session:
            stored = session.get(AuditRunTable, run.id, with_for_update=True)
            if stored is None or stored.state is not AuditRunState.RUNNING:
                raise StoreError(f"cannot finish the run of {run.day}", "it is not running")
            stored.state = state
            stored.finished_at = max(to_utc(now), run.started_at)
            stored.unreliable_channels = list(unreliable_channels)
            stored.report = (report or RunReport()).to_json()
            session.flush()
            return to_audit_run(stored)

    def remove_unchecked(self, run: AuditRun) -> None:
        """Remove the newest run, which checked no account, so that its day can have another."""
        with self._database.begin_write() as connection:
            connection.execute(delete(AUDIT_RUN).where(AUDIT_RUN.c.id == run.id))
            consistency.reset_summaries(self._database, connection)

    def save_open_report(
        self, run: AuditRun, report: RunReport, unreliable_channels: Iterable[str] = ()
    ) -> AuditRun:
        """Store the report of a run that continues. Unreliable channels are added to it."""
        with self._database.begin_write_session() as session:
            stored = session.get_one(AuditRunTable, run.id)
            stored.unreliable_channels = sorted({*run.unreliable_channels, *unreliable_channels})
            stored.report = report.to_json()
            session.flush()
            return to_audit_run(stored)

    def list_all(self) -> Iterator[AuditRun]:
        """Return all runs, the oldest first."""
        runs = self._database.stream_models(select(AuditRunTable), AuditRunTable.day)
        return map(to_audit_run, runs)

    def list_newest(self, limit: int, *, before_day: date | None = None) -> list[AuditRun]:
        """Return the newest runs, before a day if one is given. The oldest of them is first."""
        query = select(AuditRunTable).order_by(NEWEST_FIRST).limit(limit)
        if before_day is not None:
            query = query.where(AuditRunTable.day < before_day)
        return self._fetch_oldest_first(query)

    def get(self, day: date) -> AuditRun | None:
        """Return the run of this UTC day, or None."""
        return self._fetch_run(select(AuditRunTable).where(AuditRunTable.day == day))

    def get_by_id(self, run_id: int) -> AuditRun:
        """Return the run of this id. Raises StoreError if there is none."""
        run = self._fetch_run(select(AuditRunTable).where(AuditRunTable.id == run_id))
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
        query = select(AuditRunTable).order_by(NEWEST_FIRST).limit(1)
        if started_by is not None:
            query = query.where(AuditRunTable.started_at <= to_utc(started_by))
        if before_day is not None:
            query = query.where(AuditRunTable.day < before_day)
        if states:
            query = query.where(col(AuditRunTable.state).in_(states))
        return self._fetch_run(query)

    def get_effective_time(self, now: datetime) -> datetime:
        """Return the time from which a change that is made now counts (see `consistency`)."""
        with self._database.begin_read() as connection:
            return compute_effective_time(connection, now)

    def _fetch_run(self, query: SelectOfScalar[AuditRunTable]) -> AuditRun | None:
        with self._database.begin_read_session() as session:
            run = session.exec(query).first()
        return to_audit_run(run) if run else None

    def _fetch_oldest_first(self, newest_first: SelectOfScalar[AuditRunTable]) -> list[AuditRun]:
        with self._database.begin_read_session() as session:
            runs = session.exec(newest_first).all()
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
        with self._database.begin_read_session() as session:
            return session.exec(query).one()

    def get_first_evaluated(self) -> AuditRun | None:
        """Return the oldest run with conclusions, or None."""
        return self._fetch_run(_select_evaluated_runs().order_by(col(AuditRunTable.day)).limit(1))

    def get_latest_evaluated(self) -> AuditRun | None:
        """Return the newest run with conclusions, or None. Reports are as of its start."""
        return next(iter(self.list_evaluated(1)), None)


def _select_evaluated_runs() -> SelectOfScalar[AuditRunTable]:
    return select(AuditRunTable).where(IS_EVALUATED)


def _reject_earlier_run(session: Session, day: date) -> None:
    query = select(func.max(AuditRunTable.day)).where(AuditRunTable.day > day, IS_EVALUATED)
    later_day = session.exec(query).one()
    if later_day is not None:
        raise LaterRunDoneError(
            f"cannot run the audit for {day}",
            f"the run for {later_day} has finished",
            "check the system clock",
        )
