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
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import find_groups
from auditor.notifications.subscriptions import load_unsubscribe_key
from auditor.registry.importer import ImportResult
from auditor.registry.issues import Issue, SpreadsheetProblem
from auditor.registry.uploads import UploadStore
from auditor.retention.backups import list_backups, open_backup_bodies
from probes.links import channel_registry
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files import body_store
from storage.models.users import ERASE_SOURCE, WHOLE_ASSOCIATION_FIELD, ChangeOrigin
from storage.retention import ErasureSummary

CONTACT_SUBJECT = "contact"
"""What a line of the trail is about where the contact alone was erased."""
ERASURE_MARK_PREFIX = "erased-"
ERASURE_MARK_DIGITS = 16
"""Hexadecimal digits of a mark: two ids of one network never have the same."""


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased. `is_clean` says that the database's file holds no trace of it any more.

    `copies` are files of before, made by the auditor itself, which still hold it.
    """

    stored_data: ErasureSummary
    is_clean: bool
    remaining_copies: tuple[Path, ...]


def summarize_stored_data(
    app: App, association: str, *, contact_only: bool = False, quick: bool = False
) -> ErasureSummary:
    """How much is kept of an association, or of its contact alone. Raises InputError where it is nothing."""
    found = app.store.summarize_stored_data(
        association, _list_protected_addresses(app), contact_only=contact_only, indexed_only=quick
    )
    if not found:
        why = "nothing is kept of its contact" if contact_only else "no association has this id"
        raise InputError(association, why, "`auditor registry export -` lists them")
    return found


def erase_association(
    app: App, association: str, author: str, now: datetime, *, contact_only: bool = False
) -> ErasureResult:
    """Erase all that is kept of an association, or its contact alone.

    Raises LockedError while a night is going on, InputError where nothing is kept, StoreError.
    """
    by = ChangeOrigin(author, ERASE_SOURCE)
    with app.hold_run_lock():
        refresh_summaries(app.store, app.config)
        told = summarize_stored_data(app, association, contact_only=contact_only)
        if contact_only:
            line = by.build_log_entry(now, association, CONTACT_SUBJECT, None, None)
            app.store.erase_contact(association, line, _list_protected_addresses(app))
        else:
            gone = {
                *told.exclusive_bodies,
                *_find_bodies_naming_accounts(app, association, told.shared_bodies),
            }
            for digest in gone:
                app.body_store.remove(digest)
                open_backup_bodies(app.config).remove(digest)
            body_store.remove_staged_bodies(
                open_backup_bodies(app.config), gone
            )  # somebody may be taking a backup
            line = by.build_log_entry(
                now,
                compute_erasure_mark(app.data_folder, association),
                WHOLE_ASSOCIATION_FIELD,
                None,
                None,
            )
            app.store.erase_association(
                association,
                line,
                _find_association_groups(app, association),
                _list_protected_addresses(app),
            )
        UploadStore(app.data_folder / "uploads").clear()
        body_store.remove_staged_bodies(app.body_store)
        refresh_summaries(app.store, app.config)
        return ErasureResult(told, app.store.vacuum_database(), find_database_copies(app))


def finish_erasure(app: App) -> ErasureResult:
    """What a forgetting could not end: the uploaded sheets gone, and the file written anew once more."""
    with app.hold_run_lock():
        UploadStore(app.data_folder / "uploads").clear()
        return ErasureResult(
            ErasureSummary({}), app.store.vacuum_database(), find_database_copies(app)
        )


def find_database_copies(app: App) -> tuple[Path, ...]:
    """The copies of the database that the auditor made: of before an upgrade or a restore, and backups."""
    file = app.store.database_file
    beside = sorted(file.parent.glob(f"{file.name}.before-*")) if file else []
    return (*beside, *(one.file for one in list_backups(app.config.backup.folder)))


def find_restored_associations(app: App, marks: Collection[str]) -> list[str]:
    """The associations of these marks that are there again, as after a restore."""
    people = app.store.list_associations(include_withdrawn=True) if marks else ()
    return [one.id for one in people if compute_erasure_mark(app.data_folder, one.id) in marks]


def compute_erasure_mark(folder: Path, association: str) -> str:
    """What stands for an id that was forgotten: the same each time, with this folder's key alone."""
    told = hmac.digest(load_unsubscribe_key(folder), f"erased\n{association}".encode(), "sha256")
    return ERASURE_MARK_PREFIX + told.hex()[:ERASURE_MARK_DIGITS]


def was_erased(app: App, association: str, *, contact_only: bool = False) -> bool:
    """Whether this id, or its contact alone, was erased before and nothing is kept of it now."""
    if contact_only:
        before = association in app.store.list_erased_ids(CONTACT_SUBJECT)
    else:
        marks = app.store.list_erased_ids()
        before = bool(marks) and compute_erasure_mark(app.data_folder, association) in marks
    return before and not app.store.summarize_stored_data(
        association, _list_protected_addresses(app), contact_only=contact_only
    )


def find_erased_in_import(app: App, import_result: ImportResult) -> Iterator[SpreadsheetProblem]:
    """The associations of a sheet that were forgotten: it may be a mistake to list them again."""
    marks = app.store.list_erased_ids()
    for one in import_result.associations if marks else ():
        if compute_erasure_mark(app.data_folder, one.id) in marks:
            yield SpreadsheetProblem(
                import_result.line_numbers.get(one.id, 0), "id", one.id, Issue.ERASED_ASSOCIATION
            )


def _find_bodies_naming_accounts(
    app: App, association: str, shared_digests: Iterable[str]
) -> Iterator[str]:
    """The shared bodies that name one of its accounts, as an interface's answer about many of them does.

    The others' looks that rest on them keep what they found.
    """
    whole = (re.escape(name.encode()) for name in _collect_account_names(app, association))
    names = [re.compile(rb"(?<![\w.-])" + name + rb"(?![\w-])") for name in whole]
    for digest in shared_digests:
        with suppress(MissingEvidenceError, DamagedEvidenceError):
            body = app.body_store.get(digest).lower()
            if any(name.search(body) for name in names):
                yield digest


def _collect_account_names(app: App, association: str) -> set[str]:
    """What its accounts are called on their platforms: names, as typed, and numbers."""
    identities = [
        row.identity for row in app.store.list_accounts(association, include_withdrawn=True)
    ]
    told = {
        one.key.partition("/")[0]
        for one in identities
        if one.key and one.channel == channel_registry.WEBSITE_CHANNEL
    }
    others = [one for one in identities if one.channel != channel_registry.WEBSITE_CHANNEL]
    told |= {re.split(r"[:/]", one.key)[-1] for one in others if one.key}
    told |= {re.split(r"[/=]", one.canonical.rstrip("/"))[-1] for one in others if one.canonical}
    told |= {
        one.platform_id for one in app.store.list_account_statuses(association) if one.platform_id
    }
    return {name.lower().removeprefix("@") for name in told if name}


def _find_association_groups(app: App, association: str) -> Collection[str]:
    about = app.store.get_association(association)
    return find_groups(about.region, about.tags) if about else ()


def _list_protected_addresses(app: App) -> list[str]:
    """The addresses of the network's own people, whatever else they subscribed to."""
    return [recipient.key for recipient in app.config.notify.recipients]
