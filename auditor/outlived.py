"""From which moment on what people left behind is kept, as the configuration has it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from auditor.keeping import Keep
from storage.expiry import Ages


def ages(keep: Keep, now: datetime) -> Ages:
    """The moments before which each kind goes; of a kind that is kept for ever there is none."""

    def before(days: int) -> datetime | None:
        return now - timedelta(days=days) if days else None

    return Ages(
        contacts=before(keep.contacts),
        letters=before(keep.letters),
        replies=before(keep.replies),
        follow_ups=before(keep.follow_ups),
        subscriptions=before(keep.subscriptions),
        sent=before(keep.sent),
        trail=before(keep.trail),
    )
