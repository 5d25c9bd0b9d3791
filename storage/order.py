"""When people's changes count from: after every night that had begun, whatever the clock says.

A night is judged by what was known when it began. A clock that is set back would date a word before a night
that never heard of it, and a rebuild would then conclude otherwise than the night did.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from storage.clean import instant
from storage.tables import NIGHT

LEAST = timedelta(microseconds=1)


def after_nights(connection: Connection, now: datetime) -> datetime:
    """The moment in UTC, or the one after the newest night's beginning where that is to come."""
    began = connection.execute(select(func.max(NIGHT.c.started_at))).scalar()
    return instant(now) if began is None else max(instant(now), began + LEAST)
