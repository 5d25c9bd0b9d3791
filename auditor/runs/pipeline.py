"""The night with what belongs to it: a ping before and after, the messages at its end, and the upkeep.

`run` and `serve` do it so. Neither a monitor nor a mailbox nor a backup may trouble the night: what goes
wrong with them is a line of the log.

Whether a night may begin: the database is whole, and there is room for what it will keep.

What a night ends with, so that nobody has to think of it: what is over goes, a backup, thinning.

None may trouble the night, which is done by then: what goes wrong is a line of the log.

From which moment on what people left behind is kept, as the configuration has it. Pure.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from auditor.config.schema import Config, Keep
from auditor.core.errors import AuditorError, RoomError
from auditor.notifications import delivery
from auditor.notifications.healthcheck_ping import LastLines, Pulse, listening
from auditor.protocols import Memory, Tools
from auditor.receipts import receipt
from auditor.retention.backups import bodies_in, listed, naming_the_newest, take
from auditor.retention.evidence_pruning import is_due, thin
from auditor.runs import run as runs_run
from auditor.runs.process import Timer
from auditor.runs.run import Machines, Progress
from probes.log import Events
from storage.errors import StoreError
from storage.files.body_store import Archive
from storage.models.audit import Night, NightState
from storage.retention import Ages
from storage.store import Store

pipeline_events = Events(__name__)

Over = Callable[[], bool]
"""Whether nothing more is to be begun."""


async def run(
    app: Tools,
    now: datetime,
    *,
    day: date | None = None,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
    machines: Machines | None = None,
) -> Night:
    """Do the night of a UTC day as `auditor.runs.run.run` does, and tell those who wait for it.

    Raises RoomError where there is too little room to begin. An interruption ends the messages after the one
    that is on its way; the rest goes with the next night. Of a night that was told to stop the monitor alone
    hears: it is gone on with.
    """
    pulse, quiet = Pulse(app.config.monitor, str(uuid.uuid4())), threading.Event()

    def over() -> bool:
        return quiet.is_set() or (stop is not None and stop.is_set())

    with listening() as last:
        await asyncio.to_thread(pulse.begin)
        try:
            await asyncio.to_thread(refuse_without, app.config, app.store)
            done = await runs_run.run(
                app, now, day=day, progress=progress, stop=stop, timer=timer, machines=machines
            )
        except BaseException as trouble:
            await asyncio.to_thread(pulse.fail, [*last.lines(), _said(trouble)])
            if isinstance(trouble, Exception):
                with suppress(StoreError):  # what went wrong is told, not that it went wrong again
                    ended = await asyncio.to_thread(app.store.night, day or now.date())
                    await asyncio.to_thread(_tell, app, ended, now, over)
            raise
        try:
            await asyncio.to_thread(_ended, pulse, done, last)
            if done.state is NightState.INCOMPLETE:
                return done
            await asyncio.to_thread(_tell, app, done, done.finished_at or now, over)
        except asyncio.CancelledError:  # the night itself is done, and that is what is said of it
            quiet.set()
        await _whole(quiet, over, app, done, now)
    return done


async def _whole(stop: threading.Event, over: Over, app: Tools, done: Night, now: datetime) -> None:
    """Do the upkeep beside the loop. An interruption is told to it and waits: it works under the lock."""
    work = asyncio.create_task(asyncio.to_thread(after, app, done, done.finished_at or now, over))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()


def _ended(pulse: Pulse, done: Night, last: LastLines) -> None:
    if done.state is NightState.DONE:
        left = receipt.left_out(done)
        rest = f"; its window left {left} accounts out" if left else ""
        pulse.succeed(f"the night of {done.day} is done{rest}")
    else:
        pulse.fail([*last.lines(), f"the night of {done.day} is {done.state}"])


def _said(trouble: BaseException) -> str:
    if isinstance(trouble, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted; it is gone on with at the next run"
    return f"{type(trouble).__name__}: {trouble}"


def _tell(app: Tools, ended: Night | None, now: datetime, over: Over) -> None:
    if ended is None or ended.state is NightState.SKIPPED:
        return
    try:
        delivery.after(app, ended, now, over)
    except (AuditorError, StoreError) as trouble:
        pipeline_events.warning(
            "messages_failed", "the messages of the night were not all sent: {why}", why=str(trouble)
        )
    except Exception as bug:  # noqa: BLE001  # a bug in a message must not make a night that is done look failed
        pipeline_events.bug(bug, "messages_crashed", "the messages of the night were not all sent")


MIB = 1 << 20


def refuse_without(config: Config, store: Store) -> None:
    """Raise RoomError where the disk is too full to begin, a StoreError where the database is damaged.

    The opening reads a small database whole; a large one is read here.
    """
    folders = {config.storage.folder, *([store.file.parent] if store.file else [])}
    for folder in filter(Path.exists, folders):
        refuse_little(folder, config.storage.min_free)
    if store.is_large:
        with naming_the_newest(config):
            store.check()


def refuse_little(folder: Path, least: int) -> None:
    """Raise RoomError where fewer bytes are free on the disk that a folder lies on."""
    free = shutil.disk_usage(folder).free
    if free < least:
        why = f"{free // MIB} MiB are free, fewer than [storage] min_free ({least // MIB} MiB)"
        raise RoomError(str(folder), f"{why}; the night is not begun", "make room, or `auditor thin`")


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
