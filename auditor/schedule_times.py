"""When nights are: which one may be begun now, which one is kept waiting. Pure.

All of it is told in UTC, where each day has one of every hour.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from auditor.config.schema import ScheduleSettings
from storage.models.audit import AuditRun, AuditRunState


def find_due_day(schedule: ScheduleSettings, now: datetime) -> date | None:
    """The UTC day whose night may be begun now: its hour has come, its grace is not over."""
    begins = _get_last_start_time(schedule, now)
    return begins.date() if now - begins < timedelta(hours=schedule.catch_up_hours) else None


def find_interrupted_day(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> date | None:
    """The UTC day whose own night was begun and not ended: it is gone on with, whatever its grace."""
    is_open = run is not None and run.state in {AuditRunState.RUNNING, AuditRunState.INCOMPLETE}
    return (
        run.day
        if run and is_open and run.day == _get_last_start_time(schedule, now).date()
        else None
    )


def find_delayed_day(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> date | None:
    """The UTC day whose hour has come while an earlier night has not ended: it is not begun beside it."""
    if run is None or run.state is not AuditRunState.RUNNING:
        return None
    day = _get_last_start_time(schedule, now).date()
    return day if day > run.day else None


def _get_last_start_time(schedule: ScheduleSettings, now: datetime) -> datetime:
    """The newest moment at which a night was to begin."""
    begins = datetime.combine(now.date(), schedule.start_time, UTC)
    return begins if begins <= now else begins - timedelta(days=1)
