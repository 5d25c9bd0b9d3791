"""What the doctor says of the configuration: what is set, and what is set and does nothing.

What the doctor says of this machine: its disks, what it lets a process do, the languages.
"""

from __future__ import annotations

import locale
import os
import resource
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from auditor.checking.checker import purses
from auditor.config import schema
from auditor.config.schema import Config, Storage
from auditor.diagnostics.result import Examined, broken, fine, found, odd
from auditor.i18n.catalogs import LOCALES, catalogue, languages, phrase
from storage.database.engine import address_of

OTHERS = 0o007
"""What a file lets every user of the machine do."""


def examine_settings(path: Path | None, read: Config) -> Iterator[Examined]:
    """The file, the environment, the secrets, and who is told."""
    yield _file(schema.find(path, os.environ), len(read.rules))
    for name in schema.unused(os.environ):
        nothing = phrase("{name} sets nothing; a setting is {form}")
        yield odd(phrase("environment"), nothing, name=name, form="AUDITOR_TABLE__NAME")
    if read.fetch.ca_file:
        yield from _authority(Path(read.fetch.ca_file))
    yield from _keys(read)
    yield _secrets(read)
    yield from _told(read)


def _file(file: Path | None, rules: int) -> Examined:
    about, state = phrase("configuration"), "ok" if rules else "warn"
    if file:
        return found(about, state, phrase("{file}, {n} rules"), file=str(file), n=rules)
    packaged = phrase("the packaged example; {command} writes your own")
    return found(about, state, packaged, command="`auditor init`")


def _authority(file: Path) -> Iterator[Examined]:
    """A word only where it cannot be used: then no page at all can be asked for."""
    if not file.is_file():
        yield broken(phrase("authority"), phrase("there is no file {file}"), file=str(file))
        return
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError:
        yield broken(phrase("authority"), phrase("there is no certificate in {file}"), file=str(file))


def _keys(read: Config) -> Iterator[Examined]:
    for name, purse in purses(read).items():
        alone = phrase("its interface alone is asked, for at most {most} {unit} a night")
        most, unit = f"{purse.budget:g}", purse.interface.unit
        yield fine(phrase("key of {channel}"), alone, channel=name, most=most, unit=unit)


def _secrets(read: Config) -> Examined:
    """Whether what nobody should read can be read by everybody. Nothing of it is shown."""
    held = [file for file in (*secret_files(read), *_kept(read)) if file.is_file()]
    bare = [file for file in held if file.stat().st_mode & OTHERS]
    if bare:
        command = f"`chmod o= {bare[0]}`"
        open_ = phrase("every user may read {file}; try {command}")
        return odd(phrase("secrets"), open_, file=str(bare[0]), command=command)
    return fine(phrase("secrets"), phrase("files that no other user may read: {n}"), n=len(held))


def secret_files(table: BaseModel) -> Iterator[Path]:
    """The files that settings name to hold a secret, at any depth."""
    for name, value in table:
        if name.endswith("_file") and name != "ca_file" and value:
            yield Path(value)
        for inner in (
            value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        ):
            if isinstance(inner, BaseModel):
                yield from secret_files(inner)


def _kept(read: Config) -> Iterator[Path]:
    """The keys that the auditor made itself, and the database, which has people's addresses."""
    yield from sorted(read.storage.folder.glob("*.key"))
    address = address_of(read.storage.url)
    if address.get_backend_name() == "sqlite" and address.database:
        yield Path(address.database)


def _told(read: Config) -> Iterator[Examined]:
    """Whether somebody is told, and can end it; whether somebody rings when no night ends."""
    recipients, monitor = read.notify.recipients, read.monitor
    if any(one.address for one in recipients) and not read.web.public_url:
        unending = phrase("mails carry no link that ends them without {setting}")
        yield odd(phrase("messages"), unending, setting="[web] public_url")
    elif recipients:
        yield fine(phrase("messages"), phrase("recipients of the digest: {n}"), n=len(recipients))
    if monitor.ping_url is None:
        nobody = phrase("none: nobody rings when no night ends; see {setting}")
        yield fine(phrase("monitor"), nobody, setting="[monitor]")
    else:
        yield fine(phrase("monitor"), phrase("pinged as {kind}"), kind=monitor.kind)


ROOM = 1 << 30
"""Free bytes under which the doctor warns: a night of a large register keeps some hundred megabytes."""
TEMPORARY = 100 << 20
"""Free bytes for temporary files under which it warns: uploads and sheets on their way."""
INODES = 0.05
"""The free share of the inodes under which it warns: the archive has a file for each page that is kept."""
SPARE = 200
"""Files that are open beside the connections: the database, readers, what Python keeps."""


def examined(read: Config) -> Iterator[Examined]:
    """The disks, the limits, the languages."""
    yield _folder(read.storage)
    yield from _temporary()
    yield from _files(read.fetch.concurrency)
    yield _languages()


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on the disk of a folder; `inodes` is a share, None where the disk counts none."""

    free: int
    inodes: float | None


def room(folder: Path) -> Room:
    """What a process of this user may still take there. Raises OSError."""
    there = os.statvfs(folder)
    share = there.f_favail / there.f_files if there.f_files else None
    return Room(there.f_bavail * there.f_frsize, share)


def _folder(storage: Storage) -> Examined:
    about, folder = phrase("data folder"), storage.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            left = room(folder)
    except OSError as trouble:
        return broken(about, phrase("{folder}: {trouble}"), folder=str(folder), trouble=trouble.strerror)
    facts = {"folder": str(folder), "free": f"{left.free / ROOM:.1f}"}
    if left.free < storage.min_free:
        return broken(about, phrase("{folder}, {free} GiB free: too little to begin a night"), **facts)
    if left.inodes is not None and left.inodes < INODES:
        few = phrase("{folder}, {free} GiB free, but only {share} of its inodes")
        return odd(about, few, **facts, share=f"{left.inodes:.0%}")
    told = odd if left.free <= ROOM else fine
    return told(about, phrase("{folder}, {free} GiB free"), **facts)


def _temporary() -> Iterator[Examined]:
    """A word only where something is wrong: nothing of ours stays there."""
    about = phrase("temporary files")
    try:
        with tempfile.NamedTemporaryFile() as file:
            left = room(Path(file.name).parent)
    except OSError as trouble:
        yield broken(about, phrase("{trouble}"), trouble=str(trouble))
        return
    if left.free < TEMPORARY:
        little = phrase("{folder}, {free} MiB free")
        yield odd(about, little, folder=tempfile.gettempdir(), free=str(left.free >> 20))


def _files(concurrency: int) -> Iterator[Examined]:
    """A word only where too few may be open at once."""
    most, needed = resource.getrlimit(resource.RLIMIT_NOFILE)[0], concurrency + SPARE
    if most != resource.RLIM_INFINITY and most < needed:
        said = phrase("{most} at once; {needed} may be needed")
        yield odd(phrase("open files"), said, most=str(most), needed=str(needed))


def _languages() -> Examined:
    """Whether each language can be spoken, and the terminal says that it can show it."""
    about, empty = phrase("languages"), [one for one in languages() if not len(catalogue(one))]
    if empty:
        return broken(about, phrase("no messages in {languages}"), languages=", ".join(empty))
    spoken = ", ".join(LOCALES)
    if sys.stdout.isatty() and locale.getencoding().lower().replace("-", "") != "utf8":
        blind = phrase("{languages}; the terminal does not say UTF-8: try {command}")
        return odd(about, blind, languages=spoken, command="`LANG=C.UTF-8`")
    return fine(about, phrase("{languages}, in UTF-8"), languages=spoken)
