"""When nights are: which one may be begun now, which one is kept waiting. Pure.

All of it is told in UTC, where each day has one of every hour.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from auditor.config.schema import Schedule
from storage.models.audit import Night, NightState


def due(schedule: Schedule, now: datetime) -> date | None:
    """The UTC day whose night may be begun now: its hour has come, its grace is not over."""
    begins = _hour(schedule, now)
    return begins.date() if now - begins < timedelta(hours=schedule.grace_hours) else None


def broken_off(night: Night | None, schedule: Schedule, now: datetime) -> date | None:
    """The UTC day whose own night was begun and not ended: it is gone on with, whatever its grace."""
    is_open = night is not None and night.state in {NightState.RUNNING, NightState.INCOMPLETE}
    return night.day if night and is_open and night.day == _hour(schedule, now).date() else None


def waiting(night: Night | None, schedule: Schedule, now: datetime) -> date | None:
    """The UTC day whose hour has come while an earlier night has not ended: it is not begun beside it."""
    if night is None or night.state is not NightState.RUNNING:
        return None
    day = _hour(schedule, now).date()
    return day if day > night.day else None


def _hour(schedule: Schedule, now: datetime) -> datetime:
    """The newest moment at which a night was to begin."""
    begins = datetime.combine(now.date(), schedule.at, UTC)
    return begins if begins <= now else begins - timedelta(days=1)
