"""`backup`, `restore` and `thin`: that nothing is lost, and that nothing is kept for ever.

`receipts`: what each night left, whether it is what was signed, and whether it follows the one before.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples
from auditor.cli.output import print_data, print_message, print_table, show_progress
from auditor.core.errors import IncompleteRunError
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from auditor.cli.context import CliContext
    from auditor.i18n.translator import Translator
    from auditor.receipts.receipt import ReceiptVerification
    from auditor.retention.backups import BackupResult
    from auditor.retention.evidence_pruning import PruningResult
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick


BACKUP_COLUMNS = ("file", "created_at", "size_bytes")


@examples("auditor backup", "auditor backup --list")
def backup(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(
            readable=False,
            help="Folder, or a file that ends in .db. The default is the setting backup.folder.",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the existing backups, without making one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Back up the database and its evidence.

    Works while a run is in progress. The copy is verified before it counts.
    """
    from auditor.app import App
    from auditor.retention import backups

    cli_context, now = get_cli_context(context), get_current_time()
    config = cli_context.load_config()
    backups.find_sqlite_file(config, "`pg_dump`")
    if listed:
        items = [one.to_dict() for one in backups.list_backups(target or config.backup.folder)]
        _print_backups(items, cli_context.translator, config.network.time_zone, as_json=as_json)
        return
    with App.open(config, create=False) as app:
        taken = backups.create_backup(app.store, app.body_store, config, now, target)
    if as_json:
        print_data(build_json_document([_build_backup_item(taken)], now))
    elif not cli_context.quiet:
        print_message(_describe_backup(taken, cli_context.translator))


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(readable=False, help="Backup to restore.")],
    as_json: JsonOption = False,
) -> None:
    """Replace the database with a backup.

    Keeps the current database next to it under another name.
    """
    from auditor import erasure
    from auditor.app import App, lock_data_folder
    from auditor.core.errors import InputError
    from auditor.retention import backups
    from storage.retention import read_erased_ids

    cli_context, now = get_cli_context(context), get_current_time()
    config = cli_context.load_config()
    backups.find_sqlite_file(config, "`pg_restore`")
    if not file.is_file():
        raise InputError(str(file), "there is no such file", "`auditor backup --list`")
    with lock_data_folder(config.storage.folder):
        folders = {config.backup.folder.resolve(), file.parent.resolve()}
        files = [one.file for folder in folders for one in backups.list_backups(folder)]
        here = backups.find_sqlite_file(config, "`pg_restore`")
        marks = frozenset[str]().union(*map(read_erased_ids, (here, *files)))
        done = backups.restore_backup(config, file, now)
    with App.open(config, create=False) as app:
        there = erasure.find_restored_associations(app, marks)
    if as_json:
        item = {
            "file": str(done.file),
            "previous_database": str(done.replaced_database) if done.replaced_database else None,
            "bodies": done.copied_bodies,
        }
        print_data(
            build_json_document(
                [
                    {
                        **item,
                        "erased_but_restored": there,
                        **_count_rows(done.contents.row_counts),
                        "schema": done.contents.schema_revision,
                    }
                ],
                now,
            )
        )
    elif not cli_context.quiet:
        told = cli_context.translator.translate(
            "{file} was restored from {backup}", file=str(done.file), backup=str(file)
        )
        facts = [_describe_row_counts(done.contents.row_counts, cli_context.translator)]
        if done.replaced_database:
            facts.append(
                cli_context.translator.translate(
                    "the previous database was kept as {kept}", kept=str(done.replaced_database)
                )
            )
        print_message(
            cli_context.translator.format_pair(told, cli_context.translator.join_list(facts))
        )
    for one in there:
        cli_context.print_translated(
            "{association} was erased and is back: “auditor registry erase” erases it again",
            association=one,
        )


def prune(
    context: typer.Context,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be deleted, without deleting anything."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old evidence and expired personal data.

    Does not change any finding or conclusion. Runs delete expired personal data every day, and old
    evidence on Sundays.
    """
    from auditor.app import App
    from auditor.retention import backups, evidence_pruning
    from auditor.runs.pipeline import compute_retention_cutoffs

    cli_context = get_cli_context(context)
    with (
        App.open(cli_context.load_config(), create=False) as app,
        app.hold_run_lock(),
        show_progress(
            cli_context.translator.translate("looking for data to delete"), quiet=cli_context.quiet
        ) as step,
    ):
        told = evidence_pruning.prune_evidence(
            app.store,
            app.body_store,
            app.config,
            get_current_time(),
            backup_bodies=backups.open_backup_bodies(app.config),
            dry_run=dry_run,
            progress=step,
        )
        over = app.store.delete_expired_data(
            compute_retention_cutoffs(app.config.retention, get_current_time()), dry_run=dry_run
        )
    if as_json:
        print_data(build_json_document([{**told.to_dict(), "expired": over}], get_current_time()))
    elif not cli_context.quiet:
        print_message(
            _describe_pruning(told, sum(over.values()), cli_context.translator, dry_run=dry_run)
        )


def _print_backups(
    items: list[dict[str, Any]], translator: Translator, zone: str, *, as_json: bool
) -> None:
    if as_json:
        print_data(build_json_document(items, get_current_time()))
        return
    sayings = {
        "created_at": lambda cell: translator.format_datetime(datetime.fromisoformat(cell), zone),
        "size_bytes": lambda cell: translator.format_number(int(cell)),
    }
    print_table(
        BACKUP_COLUMNS,
        ([one[name] for name in BACKUP_COLUMNS] for one in items),
        translator,
        sayings,
    )


def _build_backup_item(result: BackupResult) -> dict[str, Any]:
    held = {
        "schema": result.contents.schema_revision,
        **_count_rows(result.contents.row_counts),
        "bodies": result.copied_bodies,
    }
    return {
        **result.backup.to_dict(),
        **held,
        "removed": [str(file) for file in result.removed_backups],
    }


def _count_rows(row_counts: Any) -> dict[str, int]:
    return {
        f"{name}s": row_counts.get(name, 0)
        for name in ("association", "account", "audit_run", "observation")
    }


def _describe_row_counts(row_counts: Any, translator: Translator) -> str:
    return translator.join_list(
        [
            translator.translate_plural(
                "{n} association", "{n} associations", row_counts.get("association", 0)
            ),
            translator.translate_plural("{n} check", "{n} checks", row_counts.get("audit_run", 0)),
            translator.translate_plural(
                "{n} observation", "{n} observations", row_counts.get("observation", 0)
            ),
        ]
    )


def _describe_backup(result: BackupResult, translator: Translator) -> str:
    facts = [
        _describe_row_counts(result.contents.row_counts, translator),
        translator.translate_plural(
            "{n} new page of evidence", "{n} new pages of evidence", result.copied_bodies
        ),
    ]
    if result.removed_backups:
        facts.append(
            translator.translate_plural(
                "{n} old backup removed", "{n} old backups removed", len(result.removed_backups)
            )
        )
    return translator.format_pair(
        translator.translate("backed up to {file}", file=str(result.backup.file)),
        translator.join_list(facts),
    )


def _describe_pruning(
    result: PruningResult, expired_count: int, translator: Translator, *, dry_run: bool
) -> str:
    facts = [
        translator.translate_plural("{n} page", "{n} pages", result.bodies),
        translator.translate(
            "{size} MiB", size=translator.format_number(round(result.bytes / (1 << 20), 1))
        ),
        translator.translate_plural(
            "the headers of {n} check", "the headers of {n} checks", result.stripped_observations
        ),
        translator.translate_plural("{n} row about people", "{n} rows about people", expired_count),
    ]
    went = translator.translate("would be removed") if dry_run else translator.translate("removed")
    return translator.format_pair(went, translator.join_list(facts))


RECEIPT_COLUMNS = ("run", "state", "accounts", "not_reached", "signature", "chain", "key", "digest")
RECEIPT_TERM_GROUPS = {"state": "run", "signature": "signature", "chain": "chain"}
"""In which group of words the codes of a column are."""


def receipts(
    context: typer.Context,
    digest: Annotated[
        str | None,
        typer.Option(
            help="Exit with code 4 if no run report has this digest, which was noted before."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the signed reports of all runs.

    Each run report is signed and contains the digest of the one before. Exits with code 4 if one
    was changed, removed or moved.
    """
    from auditor.receipts.receipt import verify_receipt_chain
    from auditor.receipts.signing import read_known_public_keys

    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        links = list(
            verify_receipt_chain(app.store.list_runs(), read_known_public_keys(app.data_folder))
        )
    items = [_build_receipt_item(link) for link in links]
    if as_json:
        print_data(build_json_document(items, get_current_time()))
    elif items:
        translator = cli_context.translator
        sayings = {
            name: partial(translator.term, group) for name, group in RECEIPT_TERM_GROUPS.items()
        }
        print_table(
            RECEIPT_COLUMNS,
            ([item[name] for name in RECEIPT_COLUMNS] for item in items),
            translator,
            sayings,
        )
    _raise_if_invalid(links, digest, cli_context)


def _build_receipt_item(verification: ReceiptVerification) -> dict[str, Any]:
    from auditor.receipts.receipt import count_not_reached
    from auditor.receipts.signing import compute_key_fingerprint

    night = verification.run
    return {
        "run": night.day.isoformat(),
        "state": night.state.value,
        "accounts": night.receipt.get("accounts"),
        "not_reached": count_not_reached(night),
        "signature": verification.signature_status.value,
        "chain": verification.position.value,
        "key": compute_key_fingerprint(verification.public_key)
        if verification.public_key
        else None,
        "digest": verification.digest,
        "previous": night.receipt.get("previous_digest"),
        "fault": verification.fault.value if verification.fault else None,
        "receipt": dict(night.receipt),
    }


def _raise_if_invalid(
    verifications: list[ReceiptVerification], digest: str | None, cli_context: CliContext
) -> None:
    """Tell each fault in a line of its own, and end with 4 where there is one."""
    for link in verifications:
        if link.fault:
            print_message(describe_receipt_fault(link))
        elif link.is_new_key:
            cli_context.print_translated(
                "Run reports from {day} on are signed with a different key.", day=link.run.day
            )
    if digest is not None and digest not in {link.digest for link in verifications}:
        remedy = "look for a copy of that night, in a backup or a mail"
        raise IncompleteRunError(f"the digest {digest}", "no receipt has it", remedy)
    if any(link.fault for link in verifications):
        raise typer.Exit(IncompleteRunError.exit_code)


def describe_receipt_fault(verification: ReceiptVerification) -> str:
    """Return the error for a faulty receipt."""
    reasons = {
        "tampered": "its receipt was changed after it was signed",
        "unknown_key": "its receipt is signed with a key that is not in receipts.pub",
        "unsigned": "its receipt is not signed, but the previous one is",
        "wrong_run": "its receipt belongs to another run, or to another ending of this run",
        "broken_chain": "its receipt does not follow another one: earlier runs were removed",
    }
    if verification.previous_day:
        reasons["broken_chain"] = (
            f"its receipt does not follow that of {verification.previous_day}: "
            "a run between them was removed or changed"
        )
    reason = reasons[verification.fault or "broken_chain"]
    return f"error: the run for {verification.run.day}: {reason}"
