"""Forgetting: all that is kept of an association, or its contact alone, erased wherever the auditor keeps it.

The bodies go first and the rows after them, so that one that is killed half-way can be told again and ends
what it began. What an id was is kept as a digest with a key of the data folder: enough to know it again in
a sheet that comes back, too little to read it off the database.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from auditor.app import App
from auditor.core.errors import InputError
from auditor.evaluation.run_results import refresh
from auditor.evaluation.summary import cohorts
from auditor.notifications.subscriptions import key_in
from auditor.registry.importer import Reading
from auditor.registry.issues import Problem, Trouble
from auditor.registry.uploads import Uploads
from auditor.retention.backups import bodies_in, listed
from probes.links import channel_registry
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files import body_store
from storage.models.users import ASSOCIATION, FORGET, By
from storage.retention import Kept

CONTACT = "contact"
"""What a line of the trail is about where the contact alone was erased."""
MARK = "forgotten-"
SHOWN = 16
"""Hexadecimal digits of a mark: two ids of one network never have the same."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased. `is_clean` says that the database's file holds no trace of it any more.

    `copies` are files of before, made by the auditor itself, which still hold it.
    """

    kept: Kept
    is_clean: bool
    copies: tuple[Path, ...]


def kept(app: App, association: str, *, contact: bool = False, at_a_glance: bool = False) -> Kept:
    """How much is kept of an association, or of its contact alone. Raises InputError where it is nothing."""
    found = app.store.kept_of(association, _spared(app), contact=contact, at_a_glance=at_a_glance)
    if not found:
        why = "nothing is kept of its contact" if contact else "no association has this id"
        raise InputError(association, why, "`auditor registry export -` lists them")
    return found


def forget(app: App, association: str, who: str, now: datetime, *, contact: bool = False) -> Forgotten:
    """Erase all that is kept of an association, or its contact alone.

    Raises LockedError while a night is going on, InputError where nothing is kept, StoreError.
    """
    by = By(who, FORGET)
    with app.lock():
        refresh(app.store, app.config)
        told = kept(app, association, contact=contact)
        if contact:
            line = by.change(now, association, CONTACT, None, None)
            app.store.forget_contact(association, line, _spared(app))
        else:
            gone = {*told.bodies, *_naming(app, association, told.shared)}
            for digest in gone:
                app.archive.remove(digest)
                bodies_in(app.config).remove(digest)
            body_store.clear(bodies_in(app.config), gone)  # somebody may be taking a backup
            line = by.change(now, mark_of(app.folder, association), ASSOCIATION, None, None)
            app.store.forget(association, line, _groups(app, association), _spared(app))
        Uploads(app.folder / "uploads").clear()
        body_store.clear(app.archive)
        refresh(app.store, app.config)
        return Forgotten(told, app.store.scrub(), copies(app))


def cleaned(app: App) -> Forgotten:
    """What a forgetting could not end: the uploaded sheets gone, and the file written anew once more."""
    with app.lock():
        Uploads(app.folder / "uploads").clear()
        return Forgotten(Kept({}), app.store.scrub(), copies(app))


def copies(app: App) -> tuple[Path, ...]:
    """The copies of the database that the auditor made: of before an upgrade or a restore, and backups."""
    file = app.store.file
    beside = sorted(file.parent.glob(f"{file.name}.before-*")) if file else []
    return (*beside, *(one.file for one in listed(app.config.backup.folder)))


def back(app: App, marks: Collection[str]) -> list[str]:
    """The associations of these marks that are there again, as after a restore."""
    people = app.store.associations(include_withdrawn=True) if marks else ()
    return [one.id for one in people if mark_of(app.folder, one.id) in marks]


def mark_of(folder: Path, association: str) -> str:
    """What stands for an id that was forgotten: the same each time, with this folder's key alone."""
    told = hmac.digest(key_in(folder), f"forgotten\n{association}".encode(), "sha256")
    return MARK + told.hex()[:SHOWN]


def was_forgotten(app: App, association: str, *, contact: bool = False) -> bool:
    """Whether this id, or its contact alone, was erased before and nothing is kept of it now."""
    if contact:
        before = association in app.store.forgotten(CONTACT)
    else:
        marks = app.store.forgotten()
        before = bool(marks) and mark_of(app.folder, association) in marks
    return before and not app.store.kept_of(association, _spared(app), contact=contact)


def returned(app: App, reading: Reading) -> Iterator[Problem]:
    """The associations of a sheet that were forgotten: it may be a mistake to list them again."""
    marks = app.store.forgotten()
    for one in reading.associations if marks else ():
        if mark_of(app.folder, one.id) in marks:
            yield Problem(reading.lines.get(one.id, 0), "id", one.id, Trouble.FORGOTTEN)


def _naming(app: App, association: str, shared: Iterable[str]) -> Iterator[str]:
    """The shared bodies that name one of its accounts, as an interface's answer about many of them does.

    The others' looks that rest on them keep what they found.
    """
    whole = (re.escape(name.encode()) for name in _names(app, association))
    names = [re.compile(rb"(?<![\w.-])" + name + rb"(?![\w-])") for name in whole]
    for digest in shared:
        with suppress(MissingEvidenceError, DamagedEvidenceError):
            body = app.archive.get(digest).lower()
            if any(name.search(body) for name in names):
                yield digest


def _names(app: App, association: str) -> set[str]:
    """What its accounts are called on their platforms: names, as typed, and numbers."""
    identities = [row.identity for row in app.store.accounts(association, include_withdrawn=True)]
    told = {
        one.key.partition("/")[0] for one in identities if one.key and one.channel == channel_registry.SITE
    }
    others = [one for one in identities if one.channel != channel_registry.SITE]
    told |= {re.split(r"[:/]", one.key)[-1] for one in others if one.key}
    told |= {re.split(r"[/=]", one.canonical.rstrip("/"))[-1] for one in others if one.canonical}
    told |= {one.platform_id for one in app.store.standings(association) if one.platform_id}
    return {name.lower().removeprefix("@") for name in told if name}


def _groups(app: App, association: str) -> Collection[str]:
    about = app.store.association(association)
    return cohorts(about.region, about.tags) if about else ()


def _spared(app: App) -> list[str]:
    """The addresses of the network's own people, whatever else they subscribed to."""
    return [recipient.key for recipient in app.config.notify.recipients]
