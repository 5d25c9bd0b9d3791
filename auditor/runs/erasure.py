"""Erase all data of an association, or its contact alone, everywhere the auditor stores it.

Bodies are deleted before rows, so an erasure that is killed can be repeated. The id is kept as a
digest with a key of the data folder. It is enough to recognise the id in an import, and the id
cannot be read from the database.
"""

import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from auditor.app import App
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import find_groups
from auditor.core.errors import InputError
from auditor.presentation.notifications.subscriptions import (
    UNSUBSCRIBE_KEY_FILE,
    load_unsubscribe_key,
)
from auditor.registry.importer import ImportResult
from auditor.registry.issues import Issue, SpreadsheetProblem
from auditor.registry.uploads import UploadStore
from auditor.retention import open_backup_bodies
from storage.files import body_store
from storage.files.durable_files import UNFINISHED_PREFIX, delete_abandoned_files
from storage.models.users import ERASE_SOURCE, WHOLE_ASSOCIATION_FIELD, ChangeOrigin

CONTACT_SUBJECT = "contact"
"""The field of the audit log entry if only the contact was erased."""


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """The result of an erasure.

    `stored_data` is as in `summarize_stored_data`. `is_clean` is True if the database file has no
    trace of the data. `remaining_copies` are files that the auditor made earlier and that still
    contain it.
    """

    stored_data: Mapping[str, int]
    is_clean: bool
    remaining_copies: tuple[Path, ...]


def summarize_stored_data(
    app: App, association: str, *, contact_only: bool = False, quick: bool = False
) -> dict[str, int]:
    """Return the rows of each table about an association, and its bodies; or about its contact.

    With `quick` the bodies are not counted, because all evidence is read for that. Raises
    InputError if nothing is stored.
    """
    store = app.store.erasure
    counts = store.count_stored_data(
        association, _list_protected_addresses(app), contact_only=contact_only
    )
    if not counts:
        raise InputError(
            association,
            "no contact is stored" if contact_only else "no association has this id",
            "`auditor registry export -` lists them",
        )
    if contact_only or quick:
        return counts
    bodies = store.find_exclusive_bodies(association)
    return {**counts, "body": len(bodies)} if bodies else counts


def erase_association(
    app: App, association: str, author: str, now: datetime, *, contact_only: bool = False
) -> ErasureResult:
    """Erase all data of an association, or its contact alone.

    Raises RunLockedError during a run, InputError if nothing is stored, StoreError.
    """
    origin = ChangeOrigin(author, ERASE_SOURCE)
    with app.hold_run_lock():
        refresh_summaries(app.store, app.config)
        stored_data = summarize_stored_data(app, association, contact_only=contact_only)
        if contact_only:
            log_entry = origin.build_log_entry(now, association, CONTACT_SUBJECT, None, None)
            app.store.erasure.erase_contact(association, log_entry, _list_protected_addresses(app))
        else:
            _remove_bodies(app, association)
            registered = app.store.registry.get_association(association)
            log_entry = origin.build_log_entry(
                now,
                compute_erasure_mark(app.data_folder, association),
                WHOLE_ASSOCIATION_FIELD,
                None,
                None,
            )
            app.store.erasure.erase_association(
                association,
                log_entry,
                find_groups(registered.region, registered.tags) if registered else (),
                _list_protected_addresses(app),
            )
        body_store.remove_staged_bodies(app.body_store)
        refresh_summaries(app.store, app.config)
        return _delete_remains(app, stored_data)


def _remove_bodies(app: App, association: str) -> None:
    """Remove the bodies that only an association has from the evidence and its backups."""
    backup_bodies = open_backup_bodies(app.config)
    digests = app.store.erasure.find_exclusive_bodies(association)
    for digest in digests:
        app.body_store.remove(digest)
        backup_bodies.remove(digest)
    body_store.remove_staged_bodies(backup_bodies, digests)  # a backup may be in progress


def finish_erasure(app: App) -> ErasureResult:
    """Finish an interrupted erasure: delete uploads and vacuum the database again."""
    with app.hold_run_lock():
        return _delete_remains(app, {})


def _delete_remains(app: App, stored_data: Mapping[str, int]) -> ErasureResult:
    """Delete uploads and copies that killed processes left, and vacuum the database."""
    UploadStore(app.data_folder / "uploads").clear()
    for folder in _list_database_folders(app):
        delete_abandoned_files(folder)
    return ErasureResult(stored_data, app.store.vacuum_database(), find_database_copies(app))


def find_database_copies(app: App) -> tuple[Path, ...]:
    """Return the copies of the database: before upgrades and restores, backups, unfinished ones."""
    copies = sorted(app.config.backup.folder.glob("*.db"))
    for folder in _list_database_folders(app):
        for pattern in ("*.before-*", f"{UNFINISHED_PREFIX}*"):
            copies += sorted(folder.glob(pattern))
    return tuple(copies)


def _list_database_folders(app: App) -> set[Path]:
    """Return the folders that hold copies of the database."""
    file = app.store.database_file
    return {app.config.backup.folder, *([file.parent] if file else [])}


def find_restored_associations(app: App, marks: Collection[str], key_folder: Path) -> list[str]:
    """Return the associations with these marks that exist again, as after a restore.

    The marks were made with the key of this installation, or with that of another folder.
    """
    folders = [app.data_folder]
    if (key_folder / UNSUBSCRIBE_KEY_FILE).exists():
        folders.append(key_folder)
    associations = app.store.registry.list_associations(include_withdrawn=True) if marks else ()
    return [
        association.id
        for association in associations
        if any(compute_erasure_mark(folder, association.id) in marks for folder in folders)
    ]


def find_restored_contacts(app: App, associations: Iterable[str]) -> list[str]:
    """Return those of these associations whose contact is stored, as after a restore."""
    protected = _list_protected_addresses(app)
    return [
        association
        for association in sorted(associations)
        if app.store.erasure.count_stored_data(association, protected, contact_only=True)
    ]


def compute_erasure_mark(folder: Path, association: str) -> str:
    """Return the mark of an erased id: constant, and only computable with this folder's key."""
    digest = hmac.digest(load_unsubscribe_key(folder), f"erased\n{association}".encode(), "sha256")
    return f"erased-{digest.hex()[:16]}"  # enough digits for distinct marks in a network


def was_erased(app: App, association: str, *, contact_only: bool = False) -> bool:
    """Return True if this id, or its contact, was erased and nothing is stored now."""
    if contact_only:
        is_erased = association in app.store.erasure.list_erased_ids(CONTACT_SUBJECT)
    else:
        marks = app.store.erasure.list_erased_ids()
        is_erased = bool(marks) and compute_erasure_mark(app.data_folder, association) in marks
    return is_erased and not app.store.erasure.count_stored_data(
        association, _list_protected_addresses(app), contact_only=contact_only
    )


def find_erased_in_import(app: App, import_result: ImportResult) -> Iterator[SpreadsheetProblem]:
    """Yield a problem for each imported association that was erased before."""
    marks = app.store.erasure.list_erased_ids()
    for association in import_result.associations if marks else ():
        if compute_erasure_mark(app.data_folder, association.id) in marks:
            yield SpreadsheetProblem(
                import_result.line_numbers.get(association.id, 0),
                "id",
                association.id,
                Issue.ERASED_ASSOCIATION,
            )


def _list_protected_addresses(app: App) -> list[str]:
    """Return the addresses of the network's own recipients, whatever they subscribed to."""
    return [recipient.key for recipient in app.config.notify.recipients]
