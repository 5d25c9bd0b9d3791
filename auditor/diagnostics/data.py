"""What the doctor says of what is remembered: the database, whether it is whole, and the last night.

What the doctor says of many machines: the queue, its workers, and the folder that they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from auditor.cluster import INSTALL
from auditor.cluster.job_queue import figures
from auditor.cluster.worker import mark_of
from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.diagnostics.result import Examined, broken, fine, found, odd
from auditor.i18n.catalogs import phrase
from auditor.receipts.signing import KEY, Seal, fingerprint, known
from auditor.retention.backups import listed, naming_the_newest
from auditor.runs.plan import forecast
from storage.database.engine import address_of
from storage.errors import MissingDatabaseError, StoreError
from storage.models.users import Role
from storage.store import Store

STALE_HOURS = 26


def examined(read: Config, now: datetime) -> Iterator[Examined]:
    """The key of the receipts, the database and what is in it."""
    yield _key(read.storage.folder)
    about = phrase("database")
    try:
        with naming_the_newest(read), Store.open(read.storage.url, create=False) as store:
            store.check()
            yield _database(store)
            yield _last_night(store, now)
            yield from _unsent(store)
            yield _people(store)
            yield from examine_cluster(read, store)
            yield from _outlook(read, store, now)
    except MissingDatabaseError:
        none = phrase("none yet; {command} makes it")
        yield odd(about, none, command="`auditor registry import`")
    except StoreError as trouble:
        yield broken(about, phrase("{trouble}"), trouble=str(trouble))
    yield from _backups(read, now)


def _database(store: Store) -> Examined:
    associations, links = store.sizes()
    held = phrase("{associations} associations, {links} links; whole, schema {schema}")
    facts = {"associations": associations, "links": links, "schema": store.revision()}
    return fine(phrase("database"), held, **facts)


def _key(folder: Path) -> Examined:
    """The key that signs receipts, as people tell it from another."""
    about, file = phrase("key of the receipts"), folder / KEY
    try:
        if held := Seal.read(folder):
            return fine(about, phrase("fingerprint {print}"), print=fingerprint(held.public))
        before = known(folder)
    except (ConfigError, OSError) as trouble:
        return broken(about, phrase("{trouble}"), trouble=str(trouble))
    if before:
        lost = phrase("{file} is lost: the next night makes another, and its receipt tells of it")
        return odd(about, lost, file=str(file))
    return fine(about, phrase("none yet; the first night makes it"))


def _last_night(store: Store, now: datetime) -> Examined:
    about, night = phrase("last night"), store.last_night()
    if night is None:
        return odd(about, phrase("none yet; {command} makes one"), command="`auditor run`")
    hours = (now - (night.finished_at or night.started_at)).total_seconds() / 3600
    state = "ok" if hours <= STALE_HOURS and night.state == "done" else "warn"
    ago = phrase("{day} {night_state}, {hours} hours ago")
    return found(about, state, ago, day=night.day, night_state=str(night.state), hours=f"{hours:.0f}")


def _backups(read: Config, now: datetime) -> Iterator[Examined]:
    """A word only where the newest backup of a SQLite database is old, or there is none."""
    about, newest = phrase("backups"), next(iter(listed(read.backup.folder)), None)
    if address_of(read.storage.url).get_backend_name() != "sqlite":
        return
    if newest is None:
        yield odd(about, phrase("none: {command} makes one"), command="`auditor backup`")
        return
    hours = (now - newest.made_at).total_seconds() / 3600
    if hours > STALE_HOURS:
        yield odd(about, phrase("{file}, {hours} hours old"), file=newest.file.name, hours=f"{hours:.0f}")


def _outlook(read: Config, store: Store, now: datetime) -> Iterator[Examined]:
    """A word only where a night cannot reach everybody: whose turn it is is then a matter of nights."""
    for one in forecast(read, store, now):
        if one.nights > 1:
            long = phrase("one request in {seconds} s makes {hours} h of {accounts} accounts: {n} nights")
            if not one.seconds:
                long = phrase("its budget reaches {reached} of {accounts} accounts a night: {n} nights")
            facts = {"seconds": one.seconds, "hours": one.hours, "accounts": one.busiest, "n": one.nights}
            facts["reached"] = one.per_night or 0
            yield odd(phrase("nights of {channel}"), long, channel=one.channel, **facts)


def _people(store: Store) -> Examined:
    """Whether somebody can look after users; without one the pages are for nobody."""
    about, users = phrase("users"), store.users()
    admins = [one for one in users if one.role is Role.ADMIN and one.password_hash]
    if not admins:
        command = "`auditor user add NAME --role admin`"
        return odd(about, phrase("no administrator can log in; try {command}"), command=command)
    return fine(about, phrase("{n}, administrators among them: {admins}"), n=len(users), admins=len(admins))


def _unsent(store: Store) -> Iterator[Examined]:
    """A word only where a message did not go."""
    night = store.last_night()
    if night and (lost := store.unsent(night.started_at)):
        yield odd(phrase("messages"), phrase("that did not go since the last night: {n}"), n=lost)


NEEDED = ("procrastinate", "psycopg_pool")


def examine_cluster(read: Config, store: Store) -> Iterator[Examined]:
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
