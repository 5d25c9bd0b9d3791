"""What the doctor says of what is remembered: the database, whether it is whole, and the last night."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from auditor.backups import listed, naming_the_newest
from auditor.config import Config
from auditor.doctor import shared
from auditor.doctor.finding import Examined, broken, fine, found, odd
from auditor.errors import ConfigError
from auditor.forecast import forecast
from auditor.messages import phrase
from auditor.seal import KEY, Seal, fingerprint, known
from storage.engine import address_of
from storage.errors import MissingDatabaseError, StoreError
from storage.people import Role
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
            yield from shared.examined(read, store)
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
