"""Compute which run is due, interrupted or delayed. Pure.

All times are in UTC, where each day has every hour once.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from auditor.config.schema import ScheduleSettings
from storage.models.audit import AuditRun, AuditRunState


def find_due_day(schedule: ScheduleSettings, now: datetime) -> date | None:
    """Return the UTC day whose run may start now: after its time, within the catch-up period."""
    begins = _get_last_start_time(schedule, now)
    return begins.date() if now - begins < timedelta(hours=schedule.catch_up_hours) else None


def find_interrupted_day(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> date | None:
    """Return the current UTC day if its run was begun and not finished; it is always resumed."""
    is_open = run is not None and run.state in {AuditRunState.RUNNING, AuditRunState.INCOMPLETE}
    return (
        run.day
        if run and is_open and run.day == _get_last_start_time(schedule, now).date()
        else None
    )


def find_delayed_day(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> date | None:
    """Return the UTC day whose run waits because an earlier run has not finished, or None."""
    if run is None or run.state is not AuditRunState.RUNNING:
        return None
    day = _get_last_start_time(schedule, now).date()
    return day if day > run.day else None


def _get_last_start_time(schedule: ScheduleSettings, now: datetime) -> datetime:
    """Return the latest time at which a run was to start."""
    begins = datetime.combine(now.date(), schedule.start_time, UTC)
    return begins if begins <= now else begins - timedelta(days=1)
