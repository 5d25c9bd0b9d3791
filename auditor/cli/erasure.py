"""`registry show-data` and `registry erase`: show or erase all stored data of an association."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import (
    CliContext,
    can_prompt,
    examples,
    get_cli_context,
    get_current_time,
    read_confirmation,
)
from auditor.cli.decisions import get_login_name
from auditor.cli.options import AuthorOption, FormatOption, JsonOption
from auditor.cli.output import (
    TableFormat,
    choose_table_format,
    print_data_parts,
    print_json,
    print_message,
    print_table,
)
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import iter_json_document

if TYPE_CHECKING:
    from auditor.erasure import ErasureResult

ErasureAssociationArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the association.")
]
STORED_DATA_COLUMNS = ("stored", "count")


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
    from auditor.erasure import summarize_stored_data

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        stored_data = summarize_stored_data(app, association)
        if table_format != "json":
            _print_stored_data(stored_data, cli_context, table_format)
            return
        recipient_keys = [recipient.key for recipient in app.config.notify.recipients]
        rows = app.store.erasure.list_stored_rows(association, recipient_keys)
        items = ({"stored": table, **row} for table, row in rows)
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
    The figures of the network and the signed run reports stay. The audit log records when and by
    whom the data was erased. Older backups still contain it: the command says what to do with them.
    """
    from auditor import erasure

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    author_name = (author or "").strip() or get_login_name()
    with cli_context.open_app() as app:
        if not dry_run and erasure.was_erased(app, association, contact_only=contact_only):
            result = erasure.finish_erasure(app)
            _print_erasure_result(result, cli_context, association, as_json=table_format == "json")
            return
        stored_data = erasure.summarize_stored_data(app, association, contact_only=contact_only)
        if dry_run:
            _print_erasure_preview(stored_data, cli_context, association, table_format)
            return
        is_confirmed = yes or _confirm_erasure(
            stored_data, cli_context, association, contact_only=contact_only
        )
        if not is_confirmed:
            cli_context.print_translated("no changes")
            return
        result = erasure.erase_association(
            app, association, author_name, get_current_time(), contact_only=contact_only
        )
        _print_erasure_result(result, cli_context, association, as_json=table_format == "json")


def _confirm_erasure(
    stored_data: Mapping[str, int], cli_context: CliContext, association: str, *, contact_only: bool
) -> bool:
    """Show what will be erased and ask for confirmation. Raises UsageError without a terminal."""
    if not can_prompt():
        raise UsageError(
            "registry erase",
            "it needs a confirmation, and there is no terminal to ask on",
            "--yes to erase without asking",
        )
    translator = cli_context.translator
    for kind, count in stored_data.items():
        print_message(
            translator.format_pair(
                translator.term("stored_data", kind), translator.format_number(count)
            )
        )
    if contact_only:
        question = translator.translate(
            "Erase the contact details of {association} for good? Type yes or no.",
            association=association,
        )
    else:
        question = translator.translate(
            "Erase all data about {association} for good? Type yes or no.", association=association
        )
    print_message(question)
    return read_confirmation()


def _print_stored_data(
    stored_data: Mapping[str, int], cli_context: CliContext, table_format: TableFormat
) -> None:
    counts, translator = stored_data.items(), cli_context.translator
    groups = {"stored": "stored_data"}
    print_table(STORED_DATA_COLUMNS, counts, translator, table_format, term_groups=groups)


def _print_erasure_preview(
    stored_data: Mapping[str, int],
    cli_context: CliContext,
    association: str,
    table_format: TableFormat,
) -> None:
    if table_format == "json":
        item = _build_erasure_item(association, stored_data.items())
        print_json([item], get_current_time())
        return
    _print_stored_data(stored_data, cli_context, table_format)
    cli_context.print_translated("preview only; nothing was written")


def _build_erasure_item(
    association: str, counts: Iterable[tuple[str, int]], **extra_fields: Any
) -> dict[str, Any]:
    return {"association": association, "stored": dict(counts), **extra_fields}


def _print_erasure_result(
    result: ErasureResult, cli_context: CliContext, association: str, *, as_json: bool
) -> None:
    """Print what was erased and which copies still contain it.

    Raises InputError if the database file still has traces of the data.
    """
    copies = list(map(str, result.remaining_copies))
    if as_json:
        item = _build_erasure_item(
            association, result.stored_data.items(), clean=result.is_clean, copies=copies
        )
        print_json([item], get_current_time())
    elif result.stored_data:
        cli_context.print_translated_count(
            "{n} row erased",
            "{n} rows erased",
            sum(result.stored_data.values()) - result.stored_data.get("body", 0),
        )
    else:
        cli_context.print_translated(
            "already erased; the file was cleaned again and pending imports were deleted"
        )
    if not result.is_clean:
        raise InputError(
            association,
            "it is erased, but the log of the database still has traces while others read it",
            "stop `auditor serve`, and run this command again",
        )
    cli_context.print_translated(
        "older backups still contain it: delete them, or run erase again after restoring one"
    )
    for copy in copies:
        cli_context.print_translated(
            "this older copy contains it too; delete it: {file}", file=copy
        )
