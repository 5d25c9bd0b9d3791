"""What a night ends with, so that nobody has to think of it: what is over goes, a backup, thinning.

None may trouble the night, which is done by then: what goes wrong is a line of the log.

From which moment on what people left behind is kept, as the configuration has it. Pure.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from auditor.config.retention import Keep
from auditor.core.errors import AuditorError
from auditor.protocols import Memory
from auditor.retention.backups import bodies_in, listed, take
from auditor.retention.evidence_pruning import is_due, thin
from probes.log import Events
from storage.errors import StoreError
from storage.files.body_store import Archive
from storage.models.audit import Night, NightState
from storage.retention.expiry import Ages

events = Events(__name__)


def after(app: Memory, done: Night, now: datetime, stopped: Callable[[], bool]) -> None:
    """Let go what is over, back up, on Sundays thin. Whoever calls it holds the night's lock."""
    if done.state is not NightState.DONE or not isinstance(app.archive, Archive):
        return
    for work in (_expire, _back_up, _thin):
        try:
            if not stopped():
                work(app, app.archive, done, now, stopped)
        except (AuditorError, StoreError, OSError, sqlite3.Error) as trouble:
            events.warning("upkeep_failed", "after the night: {trouble}", trouble=trouble)


def _expire(
    app: Memory, _archive: Archive, _done: Night, now: datetime, _stopped: Callable[[], bool]
) -> None:
    """Before the backup, which is not to hold it for longer."""
    told = app.store.expire(ages(app.config.keep, now))
    if told:
        events.info("expired", "{rows} rows about people were over", rows=sum(told.values()))


def _back_up(app: Memory, archive: Archive, done: Night, now: datetime, _stopped: Callable[[], bool]) -> None:
    """Back up, unless that is done since the night's end. PostgreSQL's own tools do it there."""
    config = app.config
    ended = done.finished_at and done.finished_at.replace(microsecond=0)
    if ended and any(ended <= one.made_at <= now for one in listed(config.backup.folder)):
        return
    if config.backup.nightly and app.store.file:
        taken = take(app.store, archive, config, now)
        events.info("backed_up", "backed up to {file}", file=taken.backup.file)


def _thin(app: Memory, archive: Archive, done: Night, now: datetime, stopped: Callable[[], bool]) -> None:
    if is_due(app.store, app.config, done):
        told = thin(app.store, archive, app.config, now, copies=bodies_in(app.config), stopped=stopped)
        events.info(
            "thinned", "thinned: {bodies} bodies, {bytes} bytes", bodies=told.bodies, bytes=told.bytes
        )


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
