"""What the doctor says of many machines: the queue, its workers, and the folder that they share."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from auditor.cluster import INSTALL
from auditor.cluster.figures import figures
from auditor.cluster.folder import mark_of
from auditor.config import Config
from auditor.doctor.finding import Examined, broken, fine, odd
from auditor.messages import phrase
from storage.store import Store

NEEDED = ("procrastinate", "psycopg_pool")


def examined(read: Config, store: Store) -> Iterator[Examined]:
    """The queue and its workers; nothing on one machine."""
    if not read.cluster.enabled:
        return
    about = phrase("many machines")
    for missing in (name for name in NEEDED if find_spec(name) is None):
        told = phrase("{missing} is not installed: {command}")
        yield broken(about, told, missing=missing, command=f"`{INSTALL}`")
    yield _folder(read)
    seen = figures(store, read)
    if seen is None:
        yield odd(about, phrase("no queue yet; {command} makes it"), command="`auditor run`")
    elif not seen.alive:
        yield odd(about, phrase("no worker is alive; {command} begins one"), command="`auditor worker`")
    else:
        told = phrase(
            "workers alive: {alive}; jobs that wait: {waiting}, under way: {doing}, stalled: {stalled}"
        )
        facts = {"alive": seen.alive, "waiting": seen.waiting, "doing": seen.doing, "stalled": seen.stalled}
        yield (odd if seen.stalled or seen.failed else fine)(about, told, **facts)


def _folder(read: Config) -> Examined:
    """The mark, for people to compare: a worker compares it itself."""
    about, mark = phrase("shared data folder"), mark_of(read.storage.folder)
    if not mark:
        return odd(about, phrase("no mark yet; {command} makes it"), command="`auditor run`")
    return fine(about, phrase("its mark is {mark}; it has to be the same on each machine"), mark=mark[:8])
