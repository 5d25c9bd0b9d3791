"""Whether everything is in order: the installation, the configuration, the data. It asks nobody."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from auditor import __version__, config
from auditor.config import Config
from auditor.errors import ConfigError
from auditor.eyes import purses
from storage.errors import MissingDatabaseError, StoreError
from storage.store import Store

STALE_HOURS = 26
ROOM = 1 << 30
"""Free bytes under which the doctor warns: a night of a large register keeps some hundred megabytes."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at: `ok`, `warn` (works, but look at it) or `fail`."""

    check: str
    state: str
    detail: str

    def item(self) -> dict[str, str]:
        """The item of `doctor --json`."""
        return asdict(self)


def examine(path: Path | None, now: datetime) -> Iterator[Examined]:
    """Look at everything, in the order in which one thing needs another."""
    yield Examined("auditor", "ok", f"{__version__} on Python {sys.version.split()[0]}")
    try:
        settings = config.load(path)
    except ConfigError as trouble:
        yield Examined("configuration", "fail", str(trouble))
        return
    found = config.find(path, os.environ)
    yield Examined(
        "configuration", "ok", str(found or "the packaged example; `auditor init` writes your own")
    )
    yield from _environment()
    yield from _egress(settings)
    yield from _channels(settings)
    yield from _rules(settings)
    yield _folder(settings.storage.folder)
    yield from _store(settings.storage.url, now)


def _environment() -> Iterator[Examined]:
    for name in config.unused(os.environ):
        yield Examined("environment", "warn", f"{name} sets nothing; a setting is AUDITOR_TABLE__NAME")


def _egress(settings: Config) -> Iterator[Examined]:
    fetch = settings.fetch
    if fetch.allow_networks:
        allowed = ", ".join(map(str, fetch.allow_networks))
        yield Examined("address guard", "warn", f"these networks are exempt: {allowed}")
    else:
        yield Examined("address guard", "ok", "no private address may be contacted")
    if fetch.proxy:
        yield Examined("proxy", "warn", "set: behind it the address guard can only judge names")
    if fetch.ca_file and not Path(fetch.ca_file).is_file():
        yield Examined("authority", "fail", f"there is no file {fetch.ca_file}")


def _channels(settings: Config) -> Iterator[Examined]:
    for name, channel in settings.channels.items():
        if not channel.canaries:
            yield Examined(f"channel {name}", "warn", "no canaries: a change of its pages would go unnoticed")
        else:
            yield Examined(f"channel {name}", "ok", f"{len(channel.canaries)} canaries")
    for name, purse in purses(settings).items():
        most = f"{purse.budget:g} {purse.interface.unit}"
        yield Examined(f"key of {name}", "ok", f"its interface alone is asked, for at most {most} a night")


def _rules(settings: Config) -> Iterator[Examined]:
    yield Examined("rules", "ok" if settings.rules else "warn", f"{len(settings.rules)} rules")


def _folder(folder: Path) -> Examined:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as trouble:
        return Examined("data folder", "fail", f"{folder}: {trouble.strerror}")
    return Examined("data folder", "ok" if free > ROOM else "warn", f"{folder}, {free / ROOM:.1f} GiB free")


def _store(url: str, now: datetime) -> Iterator[Examined]:
    try:
        with Store.open(url, create=False) as store:
            store.check()
            associations, accounts = sum(1 for _ in store.associations()), sum(1 for _ in store.accounts())
            yield Examined("database", "ok", f"{associations} associations, {accounts} links")
            yield _last_night(store, now)
    except MissingDatabaseError:
        yield Examined("database", "warn", "none yet; `auditor registry import` makes it")
    except StoreError as trouble:
        yield Examined("database", "fail", str(trouble))


def _last_night(store: Store, now: datetime) -> Examined:
    night = store.last_night()
    if night is None:
        return Examined("last night", "warn", "none yet; `auditor run` makes one")
    hours = (now - (night.finished_at or night.started_at)).total_seconds() / 3600
    state = "ok" if hours <= STALE_HOURS and night.state == "done" else "warn"
    return Examined("last night", state, f"{night.day} {night.state}, {hours:.0f} hours ago")
