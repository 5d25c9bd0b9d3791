"""`backup`, `restore`, `upgrade` and `prune`: keep data safe."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import examples, get_cli_context, get_current_time
from auditor.cli.options import FormatOption, JsonOption
from auditor.cli.output import (
    TableFormat,
    choose_table_format,
    print_json,
    print_message,
    print_table,
    show_progress,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditor.cli.context import CliContext
    from auditor.i18n.translator import Translator
    from auditor.retention.backups import BackupResult, RestoreResult
    from auditor.retention.evidence_pruning import PruningResult
    from storage.users import RestoredAccess

BACKUP_COLUMNS = ("file", "created_at", "size_bytes")


@examples("auditor backup", "auditor backup --list")
def backup(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(
            readable=False,
            help="Folder for the backup, or a file name that ends in .db. The default is "
            "the setting backup.folder.",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the existing backups instead of making one.")
    ] = False,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up the database and its evidence.

    Can be used during a run. Verifies the new backup, then removes the oldest ones as the
    configuration says. Supports SQLite only.
    """
    from auditor.app import App
    from auditor.retention import backups

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context, now = get_cli_context(context), get_current_time()
    config = cli_context.load_config()
    backups.find_sqlite_file(config, "`pg_dump`")
    if listed:
        existing = backups.list_backups(target or config.backup.folder)
        items = [existing_backup.to_dict() for existing_backup in existing]
        cli_context.explain_empty_result(len(items), config)
        _print_backups(items, cli_context.translator, config.network.time_zone, table_format)
        return
    with App.open(config, create=False) as app:
        result = backups.create_backup(app.store, app.body_store, config, now, target)
    if table_format == "json":
        print_json([_build_backup_item(result)], now)
    elif not cli_context.quiet:
        print_message(_describe_backup(result, cli_context.translator))


@examples("auditor restore backups/auditor-20270301T003000Z.db")
def restore(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            readable=False, help="File of the backup. `auditor backup --list` shows them."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Replace the database with a backup.

    The current database is kept next to it under another name. Stop `auditor serve` first.
    All users have to log in again. Access that ended after the backup is back and is listed:
    removed users, revoked report links and ended subscriptions.
    """
    from auditor import erasure
    from auditor.app import App, lock_data_folder
    from auditor.core.errors import InputError
    from auditor.retention import backups
    from storage.retention import read_erased_ids
    from storage.users import RestoredAccess, find_restored_access

    cli_context, now = get_cli_context(context), get_current_time()
    config = cli_context.load_config()
    backups.find_sqlite_file(config, "`pg_restore`")
    if not file.is_file():
        raise InputError(str(file), "there is no such file", "`auditor backup --list`")
    with lock_data_folder(config.storage.folder):
        database = backups.find_sqlite_file(config, "`pg_restore`")
        folders = {config.backup.folder.resolve(), file.parent.resolve()}
        files = [database]
        for folder in folders:
            files.extend(existing.file for existing in backups.list_backups(folder))
        erasure_marks = frozenset[str]().union(*map(read_erased_ids, files))
        result = backups.restore_backup(config, file, now)
    with App.open(config, create=False) as app:
        erased_but_restored = erasure.find_restored_associations(app, erasure_marks)
    other_files = _list_other_databases(result, file, files)
    access = find_restored_access(result.file, other_files) or RestoredAccess()
    if as_json:
        item = _build_restore_item(result)
        item["removed_but_restored"] = list(access.removed_users)
        item["revoked_links_restored"] = access.revoked_links
        item["ended_subscriptions_restored"] = access.ended_subscriptions
        item["erased_but_restored"] = erased_but_restored
        print_json([item], now)
    elif not cli_context.quiet:
        print_message(_describe_restore(result, file, cli_context.translator))
    for association in erased_but_restored:
        cli_context.print_translated(
            "{association} was erased and is back: “auditor registry erase” erases it again",
            association=association,
        )
    _print_restored_access(access, cli_context)


@examples("auditor upgrade")
def upgrade(context: typer.Context) -> None:
    """Upgrade the database to the schema of this version.

    Makes a copy of a SQLite database next to it first. Commands that change data, `run` and `serve`
    upgrade it, too. Commands that only read refuse a database with an older schema.
    """
    from auditor.app import App
    from storage.errors import OutdatedDatabaseError

    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    try:
        App.open(config, create=False, upgrade=False).close()
    except OutdatedDatabaseError:
        with App.open(config, create=False) as app:
            schema = app.store.get_schema_revision()
        cli_context.print_translated("The database was upgraded to schema {schema}.", schema=schema)
        return
    cli_context.print_translated("The database already has the schema of this version.")


def _list_other_databases(
    result: RestoreResult, backup_file: Path, files: Iterable[Path]
) -> list[Path]:
    """Return what may know which access has ended since: the replaced database, then backups."""
    backups = [file for file in files if file not in (result.file, backup_file)]
    backups.sort(key=attrgetter("name"), reverse=True)  # the name contains the time
    return [result.replaced_database, *backups] if result.replaced_database else backups


def _print_restored_access(access: RestoredAccess, cli_context: CliContext) -> None:
    """Print what had ended before the restore and is back."""
    for name in access.removed_users:
        cli_context.print_translated(
            "The user {name} was removed and is back: {command} removes the user again",
            name=name,
            command="`auditor user remove`",
        )
    if access.revoked_links:
        cli_context.print_translated_count(
            "{n} report link was revoked and works again: {command} revokes it again",
            "{n} report links were revoked and work again: {command} revokes them again",
            access.revoked_links,
            command="`auditor report-links revoke`",
        )
    if access.ended_subscriptions:
        cli_context.print_translated_count(
            "{n} ended subscription to emails is back: {command} ends it again",
            "{n} ended subscriptions to emails are back: {command} ends them again",
            access.ended_subscriptions,
            command="`auditor digest unsubscribe`",
        )


def _build_restore_item(result: RestoreResult) -> dict[str, Any]:
    """Return the item of `restore --json`."""
    previous = result.replaced_database
    return {
        "file": str(result.file),
        "previous_database": str(previous) if previous else None,
        "bodies": result.copied_bodies,
        **_count_rows(result.contents.row_counts),
        "schema": result.contents.schema_revision,
    }


def _describe_restore(result: RestoreResult, backup_file: Path, translator: Translator) -> str:
    message = translator.translate(
        "{file} was restored from {backup}", file=str(result.file), backup=str(backup_file)
    )
    facts = [_describe_row_counts(result.contents.row_counts, translator)]
    if result.replaced_database:
        facts.append(
            translator.translate(
                "the previous database was kept as {kept}", kept=str(result.replaced_database)
            )
        )
    return translator.format_pair(message, translator.join_list(facts))


@examples("auditor prune --dry-run", "auditor prune")
def prune(
    context: typer.Context,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be deleted, without deleting anything."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old evidence and expired data.

    Does not change verdicts. Runs do the same: they delete personal data every day, and old
    evidence on Sundays. The retention settings set the age limits.
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
        result = evidence_pruning.prune_evidence(
            app.store,
            app.body_store,
            app.config,
            get_current_time(),
            backup_bodies=backups.open_backup_bodies(app.config),
            dry_run=dry_run,
            progress=step,
        )
        expired = app.store.retention.delete_expired_data(
            compute_retention_cutoffs(app.config.retention, get_current_time()), dry_run=dry_run
        )
    if as_json:
        item = {**asdict(result), "expired": expired}
        print_json([item], get_current_time())
    elif not cli_context.quiet:
        expired_count = sum(expired.values())
        print_message(
            _describe_pruning(result, expired_count, cli_context.translator, dry_run=dry_run)
        )


def _print_backups(
    items: list[dict[str, Any]], translator: Translator, zone: str, table_format: TableFormat
) -> None:
    if table_format == "json":
        print_json(items, get_current_time())
        return
    formatters = {
        "created_at": lambda cell: translator.format_datetime(datetime.fromisoformat(cell), zone),
        "size_bytes": lambda cell: translator.format_number(int(cell)),
    }
    print_table(BACKUP_COLUMNS, items, translator, table_format, formatters)


def _build_backup_item(result: BackupResult) -> dict[str, Any]:
    """Return the item of `backup --json`."""
    return {
        **result.backup.to_dict(),
        "schema": result.contents.schema_revision,
        **_count_rows(result.contents.row_counts),
        "bodies": result.copied_bodies,
        "removed": list(map(str, result.removed_backups)),
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
    title = translator.translate("would be removed") if dry_run else translator.translate("removed")
    return translator.format_pair(title, translator.join_list(facts))
