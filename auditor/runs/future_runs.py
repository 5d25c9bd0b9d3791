"""Discard runs that are dated in the future, because no other run can follow them until that date.

Such a run took its date from a clock that was ahead. Its results cannot be dated, so they are
removed together with the conclusions from them, after a backup. Changes that users made in the
meantime are kept and get the current date.
"""

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
    """The days of the removed runs, the number of re-dated changes, and the backup file."""

    days: tuple[date, ...] = ()
    change_count: int = 0
    backup: Path | None = None


def find_future_runs(store: Store, now: datetime) -> list[AuditRun]:
    """Return the runs that are dated in the future, oldest first."""
    return [run for run in store.runs.list_all() if is_dated_in_future(run, now)]


def discard_future_runs(
    context: EvaluationContext, now: datetime, *, skip_backup: bool = False
) -> DiscardResult:
    """Create a backup, re-evaluate without the runs dated in the future, and remove these runs.

    The caller holds the run lock and has checked the clock. If this function is interrupted, the
    runs still exist and it can be called again. With `skip_backup` no backup is created. Raises
    StoreError if the backup fails.
    """
    store, limit = context.store, now + CLOCK_TOLERANCE
    runs = find_future_runs(store, now)
    if not runs and not store.future_changes.count(limit):
        return DiscardResult()
    backup_file = None if skip_backup else _back_up(context, now)
    if runs:
        reevaluate(context, before=runs[0].started_at)
    change_count = store.future_changes.discard_runs(runs, limit, now)
    refresh_summaries(store, context.config)
    days = tuple(run.day for run in runs)
    logger.warning(
        "future_runs_discarded",
        "discarded the runs dated in the future: {days}",
        days=", ".join(map(str, days)) or "none",
        changes=change_count,
        backup=str(backup_file),
    )
    return DiscardResult(days, change_count, backup_file)


def _back_up(context: EvaluationContext, now: datetime) -> Path:
    result = create_backup(context.store, context.body_store, context.config, now)
    return result.backup.file
