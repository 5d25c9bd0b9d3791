"""The night with what belongs to it: a ping before and after, the messages at its end, and the upkeep.

`run` and `serve` do it so. Neither a monitor nor a mailbox nor a backup may trouble the night: what goes
wrong with them is a line of the log.

Whether a night may begin: the database is whole, and there is room for what it will keep.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

from auditor.config.schema import Config
from auditor.core.errors import AuditorError, RoomError
from auditor.notifications import delivery
from auditor.notifications.healthcheck_ping import LastLines, Pulse, listening
from auditor.protocols import Tools
from auditor.receipts import receipt
from auditor.retention.backups import naming_the_newest
from auditor.runs import maintenance
from auditor.runs import run as runs_run
from auditor.runs.run import Machines, Progress
from auditor.runs.shutdown import Timer
from probes.log import Events
from storage.errors import StoreError
from storage.models.audit import Night, NightState
from storage.store import Store

events = Events(__name__)

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
    work = asyncio.create_task(asyncio.to_thread(maintenance.after, app, done, done.finished_at or now, over))
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
        events.warning(
            "messages_failed", "the messages of the night were not all sent: {why}", why=str(trouble)
        )
    except Exception as bug:  # noqa: BLE001  # a bug in a message must not make a night that is done look failed
        events.bug(bug, "messages_crashed", "the messages of the night were not all sent")


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
