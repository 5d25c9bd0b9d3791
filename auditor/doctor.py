"""Whether everything is in order: the installation, the configuration, the data. It asks nobody."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from auditor import __version__, config
from auditor.config import Config
from auditor.errors import ConfigError
from auditor.eyes import purses
from auditor.messages import phrase
from auditor.wording import Fact
from storage.errors import MissingDatabaseError, StoreError
from storage.store import Store

STALE_HOURS = 26
ROOM = 1 << 30
"""Free bytes under which the doctor warns: a night of a large register keeps some hundred megabytes."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at: `ok`, `warn` (works, but look at it) or `fail`.

    What it is about and what was found are messages with their facts.
    """

    about: str
    state: str
    message: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def check(self) -> str:
        """What was looked at, in English."""
        return self.about.format(**self.facts)

    @property
    def detail(self) -> str:
        """What was found, in English."""
        return self.message.format(**self.facts)

    def item(self) -> dict[str, str]:
        """The item of `doctor --json`."""
        return {"check": self.check, "state": self.state, "detail": self.detail}


def _found(about: str, state: str, message: str, **facts: Fact) -> Examined:
    return Examined(about, state, message, facts)


def examine(path: Path | None, now: datetime) -> Iterator[Examined]:
    """Look at everything, in the order in which one thing needs another."""
    python = sys.version.split()[0]
    yield _found(
        phrase("auditor"), "ok", phrase("{version} on Python {python}"), version=__version__, python=python
    )
    try:
        settings = config.load(path)
    except ConfigError as trouble:
        yield _found(phrase("configuration"), "fail", phrase("{trouble}"), trouble=str(trouble))
        return
    yield _configuration(config.find(path, os.environ))
    yield from _environment()
    yield from _egress(settings)
    yield from _channels(settings)
    yield from _rules(settings)
    yield from _messages(settings)
    yield _folder(settings.storage.folder)
    yield from _store(settings.storage.url, now)


def _configuration(found: Path | None) -> Examined:
    if found:
        return _found(phrase("configuration"), "ok", phrase("{file}"), file=str(found))
    packaged = phrase("the packaged example; {command} writes your own")
    return _found(phrase("configuration"), "ok", packaged, command="`auditor init`")


def _environment() -> Iterator[Examined]:
    for name in config.unused(os.environ):
        nothing = phrase("{name} sets nothing; a setting is {form}")
        yield _found(phrase("environment"), "warn", nothing, name=name, form="AUDITOR_TABLE__NAME")


def _egress(settings: Config) -> Iterator[Examined]:
    fetch, guard = settings.fetch, phrase("address guard")
    if fetch.allow_networks:
        exempt = phrase("these networks are exempt: {networks}")
        yield _found(guard, "warn", exempt, networks=", ".join(map(str, fetch.allow_networks)))
    else:
        yield _found(guard, "ok", phrase("no private address may be contacted"))
    if fetch.proxy:
        names = phrase("set: behind it the address guard can only judge names")
        yield _found(phrase("proxy"), "warn", names)
    if fetch.ca_file and not Path(fetch.ca_file).is_file():
        missing = phrase("there is no file {file}")
        yield _found(phrase("authority"), "fail", missing, file=str(fetch.ca_file))


def _channels(settings: Config) -> Iterator[Examined]:
    for name, channel in settings.channels.items():
        about = phrase("channel {channel}")
        if not channel.canaries:
            blind = phrase("no canaries: a change of its pages would go unnoticed")
            yield _found(about, "warn", blind, channel=name)
        else:
            yield _found(about, "ok", phrase("{n} canaries"), channel=name, n=len(channel.canaries))
    for name, purse in purses(settings).items():
        alone = phrase("its interface alone is asked, for at most {most} {unit} a night")
        most, unit = f"{purse.budget:g}", purse.interface.unit
        yield _found(phrase("key of {channel}"), "ok", alone, channel=name, most=most, unit=unit)


def _messages(settings: Config) -> Iterator[Examined]:
    """Whether somebody is told, and can end it; whether somebody rings when no night ends."""
    recipients, monitor = settings.notify.recipients, settings.monitor
    if any(one.address for one in recipients) and not settings.web.public_url:
        unending = phrase("mails carry no link that ends them without {setting}")
        yield _found(phrase("messages"), "warn", unending, setting="[web] public_url")
    elif recipients:
        yield _found(phrase("messages"), "ok", phrase("recipients of the digest: {n}"), n=len(recipients))
    if monitor.ping_url is None:
        nobody = phrase("none: nobody rings when no night ends; see {setting}")
        yield _found(phrase("monitor"), "ok", nobody, setting="[monitor]")
    else:
        yield _found(phrase("monitor"), "ok", phrase("pinged as {kind}"), kind=monitor.kind)


def _rules(settings: Config) -> Iterator[Examined]:
    state = "ok" if settings.rules else "warn"
    yield _found(phrase("rules"), state, phrase("{n} rules"), n=len(settings.rules))


def _folder(folder: Path) -> Examined:
    about = phrase("data folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as trouble:
        return _found(
            about, "fail", phrase("{folder}: {trouble}"), folder=str(folder), trouble=trouble.strerror
        )
    state, room = "ok" if free > ROOM else "warn", phrase("{folder}, {free} GiB free")
    return _found(about, state, room, folder=str(folder), free=f"{free / ROOM:.1f}")


def _store(url: str, now: datetime) -> Iterator[Examined]:
    about = phrase("database")
    try:
        with Store.open(url, create=False) as store:
            store.check()
            associations, links = sum(1 for _ in store.associations()), sum(1 for _ in store.accounts())
            held = phrase("{associations} associations, {links} links")
            yield _found(about, "ok", held, associations=associations, links=links)
            yield _last_night(store, now)
    except MissingDatabaseError:
        none = phrase("none yet; {command} makes it")
        yield _found(about, "warn", none, command="`auditor registry import`")
    except StoreError as trouble:
        yield _found(about, "fail", phrase("{trouble}"), trouble=str(trouble))


def _last_night(store: Store, now: datetime) -> Examined:
    about, night = phrase("last night"), store.last_night()
    if night is None:
        return _found(about, "warn", phrase("none yet; {command} makes one"), command="`auditor run`")
    hours = (now - (night.finished_at or night.started_at)).total_seconds() / 3600
    state = "ok" if hours <= STALE_HOURS and night.state == "done" else "warn"
    ago = phrase("{day} {night_state}, {hours} hours ago")
    return _found(about, state, ago, day=night.day, night_state=str(night.state), hours=f"{hours:.0f}")
