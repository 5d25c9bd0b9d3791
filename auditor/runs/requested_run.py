"""A run that a coordinator starts now, and how far it is.

The run belongs to the current UTC day and is like a nightly one. A day has one run. One that
checked nothing, because no association was registered yet, is replaced.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from auditor.app import App
from auditor.core.errors import RunLockedError
from storage.models.audit import AuditRunState
from storage.store import Store


class RunRefusal(StrEnum):
    """The reasons for which no run can start now."""

    RUNNING = "running"
    FINISHED = "finished"


class RunStarter(Protocol):
    """Starts runs in the background, one at a time.

    `is_running` is true from the request until the end, `has_failed` if the last run raised an
    error.
    """

    @property
    def is_running(self) -> bool:
        """Return True while a run of this process is prepared or executed."""
        ...

    @property
    def has_failed(self) -> bool:
        """Return True if the last run of this process ended with an error."""
        ...

    def start_run(self) -> RunRefusal | None:
        """Start the run of the current day in the running event loop, or return why not."""
        ...


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Numbers of accounts that a run has checked and has to check, 0 until that is known."""

    checked_count: int
    total_count: int


def prepare_requested_run(app: App, now: datetime) -> RunRefusal | None:
    """Return why no run of the current day can start, or None.

    Removes a finished run of the day that checked no account.
    """
    try:
        with app.hold_run_lock():
            if is_day_finished(app.store, now):
                return RunRefusal.FINISHED
            run = app.store.runs.get_latest()
            if run is not None and (run.day, run.state) == (now.date(), AuditRunState.DONE):
                app.store.runs.remove_unchecked(run)
            return None
    except RunLockedError:
        return RunRefusal.RUNNING


def is_day_finished(store: Store, now: datetime) -> bool:
    """Return True if the run of the day, or a later one, is done, unless it checked no account."""
    run = store.runs.get_latest()
    if run is None or run.id is None or run.day < now.date():
        return False
    if run.state is not AuditRunState.DONE:
        return False
    return run.day > now.date() or store.observations.has_observations(run.id, run.id)


def load_run_progress(store: Store) -> RunProgress | None:
    """Return the progress of the newest run if it is running (or was killed), otherwise None."""
    run = store.runs.get_latest()
    if run is None or run.state is not AuditRunState.RUNNING:
        return None
    checked_count = 0
    if run.id is not None:
        checked_count = sum(store.observations.count_by_presence(run.id).values())
    return RunProgress(checked_count, run.report.accounts_due or 0)


def has_results(store: Store) -> bool:
    """Return True if an evaluated run has checked anything.

    Runs before the first import have neither checks nor problems. A run over associations without
    accounts has problems.
    """
    run = store.runs.get_latest_evaluated()
    if run is None or run.id is None:
        return False
    has_gaps = store.counts.get_facet_counts().get("has_gaps", 0) > 0
    return has_gaps or store.observations.has_observations(0, run.id)
