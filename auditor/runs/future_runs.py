"""Discards runs that are dated in the future: no run can follow them until that date.

Such a run took its date from a clock that was ahead. What it saw cannot be dated, so it is removed
with what was concluded from it, after a backup. What people changed meanwhile is kept and gets a
true date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.evaluation.reevaluate import reevaluate
from auditor.evaluation.run_results import refresh_summaries
from auditor.protocols import EvaluationContext
from auditor.retention.backups import create_backup
from probes.log import EventLogger
from storage.models.audit import AuditRun
from storage.store import Store

logger = EventLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """The days of the runs removed, how many changes got another date, and the backup."""

    days: tuple[date, ...] = ()
    change_count: int = 0
    backup: Path | None = None


def find_future_runs(store: Store, now: datetime) -> list[AuditRun]:
    """Return the runs that are dated in the future, the oldest first."""
    return [run for run in store.list_runs() if is_dated_in_future(run, now)]


def discard_future_runs(
    context: EvaluationContext, now: datetime, *, skip_backup: bool = False
) -> DiscardResult:
    """Back up, derive every conclusion without the runs dated in the future, and remove these runs.

    The caller holds the run lock and has checked the clock. If this is interrupted, the runs are
    still there and it can be repeated. With `skip_backup` no backup is made. Raises StoreError if
    none can be made.
    """
    store, limit = context.store, now + CLOCK_TOLERANCE
    runs = find_future_runs(store, now)
    if not runs and not store.count_future_changes(limit):
        return DiscardResult()
    copy = None if skip_backup else _back_up(context, now)
    if runs:
        reevaluate(context, before=runs[0].started_at)
    changes = store.discard_runs(runs, limit, now)
    refresh_summaries(store, context.config)
    days = tuple(run.day for run in runs)
    logger.warning(
        "future_runs_discarded",
        "discarded the runs dated in the future: {days}",
        days=", ".join(map(str, days)) or "none",
        changes=changes,
        backup=str(copy),
    )
    return DiscardResult(days, changes, copy)


def _back_up(context: EvaluationContext, now: datetime) -> Path:
    result = create_backup(context.store, context.body_store, context.config, now)
    return result.backup.file
