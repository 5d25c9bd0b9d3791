"""The night with what belongs to it: a ping before and after, the messages at its end, and the upkeep.

`run` and `serve` do it so. Neither a monitor nor a mailbox nor a backup may trouble the night: what goes
wrong with them is a line of the log.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime

from auditor import night, receipt, room, upkeep
from auditor.closing import Timer
from auditor.errors import AuditorError
from auditor.night import Progress
from auditor.notify import courier
from auditor.notify.pulse import LastLines, Pulse, listening
from auditor.tools import Tools
from probes.events import Events
from storage.errors import StoreError
from storage.model import Night, NightState

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
) -> Night:
    """Do the night of a UTC day as `auditor.night.run` does, and tell those who wait for it.

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
            await asyncio.to_thread(room.refuse_without, app.config, app.store)
            done = await night.run(app, now, day=day, progress=progress, stop=stop, timer=timer)
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
    work = asyncio.create_task(asyncio.to_thread(upkeep.after, app, done, done.finished_at or now, over))
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
        courier.after(app, ended, now, over)
    except (AuditorError, StoreError) as trouble:
        events.warning(
            "messages_failed", "the messages of the night were not all sent: {why}", why=str(trouble)
        )
    except Exception as bug:  # noqa: BLE001  # a bug in a message must not make a night that is done look failed
        events.bug(bug, "messages_crashed", "the messages of the night were not all sent")
