"""What the doctor says of this machine: its disks, what it lets a process do, the languages."""

from __future__ import annotations

import locale
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.config.schema import Config, Storage
from auditor.diagnostics.result import Examined, broken, fine, odd
from auditor.i18n.catalogs import catalogue, languages, phrase
from auditor.i18n.languages import LOCALES

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
