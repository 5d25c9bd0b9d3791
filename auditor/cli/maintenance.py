"""`backup`, `restore`, `upgrade`, `prune`, `registry show-data` and `registry erase`."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor import retention
from auditor.app import App, lock_data_folder
from auditor.cli.context import (
    AuthorOption,
    CliContext,
    FormatOption,
    JsonOption,
    can_prompt,
    examples,
    get_cli_context,
    get_current_time,
    read_confirmation,
    show_list,
)
from auditor.cli.decisions import get_login_name
from auditor.cli.output import (
    TableFormat,
    choose_table_format,
    count_noun,
    print_data_parts,
    print_json,
    print_message,
    print_table,
    show_progress,
)
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import iter_json_document
from auditor.core.i18n.translator import Translator
from auditor.runs import erasure
from auditor.runs.pipeline import compute_retention_cutoffs
from storage.errors import OutdatedDatabaseError
from storage.retention import read_erased_ids

BACKUP_COLUMNS = ("file", "created_at", "size_bytes")
ErasureAssociationArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the association.")
]
STORED_DATA_WORDS = {"stored": partial(Translator("en").term, "stored_data")}


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
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context, now = get_cli_context(context), get_current_time()
    config = cli_context.load_config()
    retention.find_sqlite_file(config, "`pg_dump`")
    folder = target or config.backup.folder
    if listed:
        items = list(map(asdict, retention.list_backups(folder)))
        show_list(context, items, BACKUP_COLUMNS, table_format, config=config)
        return
    with App.open(config, create=False) as app:
        result = retention.create_backup(app.store, app.body_store, config, now, target)
    counts = result.contents.row_counts
    if table_format == "json":
        item = {
            **asdict(result.backup),
            "schema": result.contents.schema_revision,
            **_count_rows(counts),
            "bodies": result.copied_bodies,
            "removed": list(map(str, result.removed_backups)),
        }
        print_json([item], now)
        return
    facts = [_describe_row_counts(counts), f"{result.copied_bodies:,} new pages of evidence"]
    if result.removed_backups:
        facts.append(f"{count_noun(len(result.removed_backups), 'old backup')} removed")
    cli_context.print_note(f"backed up to {result.backup.file}: {', '.join(facts)}")


@examples("auditor restore backups/auditor-20270301T003000Z.db")
def restore(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            readable=False, help="File of the backup. `auditor backup --list` shows them."
        ),
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Restore without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace the database with a backup.

    It names the database and asks first. The current one is kept next to it under another name.
    Stop `auditor serve` first.
    All users have to log in again. Access that ended after the backup is back: users that were
    removed, report links that were revoked, and subscriptions that ended.
    """
    cli_context, now = get_cli_context(context), get_current_time()
    config = cli_context.load_config()
    database = retention.find_sqlite_file(config, "`pg_restore`")
    if not file.is_file():
        raise InputError(str(file), "there is no such file", "`auditor backup --list`")
    question = f"Replace {database} with {file}?"
    if database.exists() and not yes and not _confirm("restore", question):
        print_message("nothing was restored")
        return
    with lock_data_folder(config.storage.folder):
        files = [database, *database.parent.glob(f"{database.name}.before-*")]
        for folder in {config.backup.folder.resolve(), file.parent.resolve()}:
            files.extend(existing.file for existing in retention.list_backups(folder))
        erasure_marks = frozenset[str]().union(*map(read_erased_ids, files))
        erased_contacts = frozenset[str]().union(
            *(read_erased_ids(existing, erasure.CONTACT_SUBJECT) for existing in files)
        ) - read_erased_ids(file, erasure.CONTACT_SUBJECT)  # given again before the backup
        contents, previous, body_count = retention.restore_backup(config, file, now)
    with App.open(config, create=False) as app:
        erased_but_restored = erasure.find_restored_associations(
            app, erasure_marks, file.parent / retention.KEYS_FOLDER_NAME
        )
        restored_contacts = erasure.find_restored_contacts(app, erased_contacts)
    if as_json:
        item = {
            "file": database,
            "previous_database": previous,
            "bodies": body_count,
            **_count_rows(contents.row_counts),
            "schema": contents.schema_revision,
            "erased_but_restored": erased_but_restored,
            "contacts_erased_but_restored": restored_contacts,
        }
        print_json([item], now)
    else:
        kept = f", the previous database was kept as {previous}" if previous else ""
        counts = _describe_row_counts(contents.row_counts)
        cli_context.print_note(f"{database} was restored from {file}: {counts}{kept}")
    for association in erased_but_restored:
        cli_context.print_note(
            f"{association} was erased and is back: “auditor registry erase” erases it again"
        )
    for association in restored_contacts:
        cli_context.print_note(
            f"the contact of {association} was erased and is back: "
            f"“auditor registry erase --contacts” erases it again"
        )


@examples("auditor upgrade")
def upgrade(context: typer.Context) -> None:
    """Upgrade the database to the schema of this version.

    Makes a copy of a SQLite database next to it first. Commands that change data, `run` and `serve`
    upgrade it, too. Commands that only read refuse a database with an older schema.
    """
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    try:
        App.open(config, create=False, upgrade=False).close()
    except OutdatedDatabaseError:
        with App.open(config, create=False) as app:
            schema = app.store.get_schema_revision()
        cli_context.print_note(f"The database was upgraded to schema {schema}.")
        return
    cli_context.print_note("The database already has the schema of this version.")


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
    cli_context = get_cli_context(context)
    with (
        App.open(cli_context.load_config(), create=False) as app,
        app.hold_run_lock(),
        show_progress("looking for data to delete", quiet=cli_context.quiet) as step,
    ):
        result = retention.prune_evidence(
            app.store,
            app.body_store,
            app.config,
            get_current_time(),
            backup_bodies=retention.open_backup_bodies(app.config),
            dry_run=dry_run,
            progress=step,
        )
        expired = app.store.retention.delete_expired_data(
            compute_retention_cutoffs(app.config.retention, get_current_time()), dry_run=dry_run
        )
    if as_json:
        print_json([{**asdict(result), "expired": expired}], get_current_time())
        return
    facts = [
        count_noun(result.bodies, "page"),
        f"{result.bytes / (1 << 20):,.1f} MiB",
        f"{count_noun(sum(expired.values()), 'row')} about people",
    ]
    title = "would be removed" if dry_run else "removed"
    cli_context.print_note(f"{title}: {', '.join(facts)}")


def _count_rows(row_counts: Mapping[str, int]) -> dict[str, int]:
    return {
        f"{name}s": row_counts.get(name, 0)
        for name in ("association", "account", "audit_run", "observation")
    }


def _describe_row_counts(row_counts: Mapping[str, int]) -> str:
    nouns = {"association": "association", "audit_run": "check", "observation": "observation"}
    return ", ".join(count_noun(row_counts.get(name, 0), noun) for name, noun in nouns.items())


@examples("auditor registry show-data nour", "auditor registry show-data --json nour")
def show_stored_data(
    context: typer.Context,
    association: ErasureAssociationArgument,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all data that is stored about an association.

    Prints the number of rows of each kind. With --json, prints every row, to answer a request for
    access to personal data. Includes contacts and report links, but no secrets such as hashes of
    tokens.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    with get_cli_context(context).open_app_for_reading() as app:
        stored_data = erasure.summarize_stored_data(app, association)
        if table_format != "json":
            _print_stored_data(association, stored_data, table_format)
            return
        recipient_keys = [recipient.key for recipient in app.config.notify.recipients]
        stored_rows = app.store.erasure.list_stored_rows(association, recipient_keys)
        items = ({"stored": table, **row} for table, row in stored_rows)
        print_data_parts(iter_json_document(items, get_current_time()))


@examples("auditor registry erase --dry-run nour", "auditor registry erase nour")
def erase_association(
    context: typer.Context,
    association: ErasureAssociationArgument,
    *,
    contact_only: Annotated[
        bool, typer.Option("--contacts", help="Erase only contact details and mail subscriptions.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be erased, without erasing anything.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Erase without asking.")] = False,
    author: AuthorOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase all data of an association.

    Erases contacts, links, observations, evidence, report links and replies. This cannot be undone.
    The figures of the network and the run reports stay. The audit log records when and by
    whom the data was erased. Older backups still contain it: the command says what to do with them.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    author_name = (author or "").strip() or get_login_name()
    with cli_context.open_app() as app:
        if not dry_run and erasure.was_erased(app, association, contact_only=contact_only):
            result = erasure.finish_erasure(app)
        else:
            stored = erasure.summarize_stored_data(app, association, contact_only=contact_only)
            if dry_run:
                _print_stored_data(association, stored, table_format)
                cli_context.print_note("preview only; nothing was written")
                return
            what = "the contact details of" if contact_only else "all data about"
            for kind, count in stored.items() if can_prompt() else ():
                print_message(f"{STORED_DATA_WORDS['stored'](kind)}: {count:,}")
            question = f"Erase {what} {association} for good?"
            if not (yes or _confirm("registry erase", question)):
                cli_context.print_note("no changes")
                return
            result = erasure.erase_association(
                app, association, author_name, get_current_time(), contact_only=contact_only
            )
    row_count = sum(result.stored_data.values()) - result.stored_data.get("body", 0)
    note = f"{count_noun(row_count, 'row')} erased"
    if not result.stored_data:
        note = "already erased; the file was cleaned again and pending imports were deleted"
    if table_format == "json":
        item = {
            "association": association,
            "stored": dict(result.stored_data),
            "clean": result.is_clean,
            "copies": list(map(str, result.remaining_copies)),
        }
        print_json([item], get_current_time())
    else:
        cli_context.print_note(note)
    _warn_about_traces(result, association, cli_context)


def _warn_about_traces(
    result: erasure.ErasureResult, association: str, cli_context: CliContext
) -> None:
    """Print which copies still have the data. Raises InputError if the database itself has some."""
    if not result.is_clean:
        raise InputError(
            association,
            "it is erased, but the log of the database still has traces while others read it",
            "stop `auditor serve`, and run this command again",
        )
    cli_context.print_note(
        "older backups still contain it: delete them, or run erase again after restoring one"
    )
    cli_context.print_note("pages that `auditor publish` wrote keep it until you publish again")
    for copy in result.remaining_copies:
        cli_context.print_note(f"this older copy contains it too; delete it: {copy}")


def _confirm(command: str, question: str) -> bool:
    """Ask whether to replace or erase data. Raises UsageError without a terminal."""
    if not can_prompt():
        reason = f"there is no terminal to ask on: {question}"
        raise UsageError(command, reason, "--yes to do it without asking")
    print_message(f"{question} Type yes or no.")
    return read_confirmation()


def _print_stored_data(
    association: str, stored_data: Mapping[str, int], table_format: TableFormat
) -> None:
    if table_format == "json":
        print_json([{"association": association, "stored": dict(stored_data)}], get_current_time())
        return
    rows = [{"stored": kind, "count": count} for kind, count in stored_data.items()]
    print_table(("stored", "count"), rows, table_format, words=STORED_DATA_WORDS)
