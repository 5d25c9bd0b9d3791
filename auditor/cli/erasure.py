"""`registry show-data` and `registry erase`: all that is kept of an association, told and erased."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import (
    CliContext,
    JsonOption,
    can_prompt,
    get_cli_context,
    get_current_time,
    read_confirmation,
)
from auditor.cli.decisions import AuthorOption, get_login_name
from auditor.cli.output import print_data, print_data_parts, print_message, print_table
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import build_json_document, iter_json_document

if TYPE_CHECKING:
    from auditor.erasure import ErasureResult
    from storage.retention import ErasureSummary

ErasureAssociationArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the association.")
]
STORED_DATA_COLUMNS = ("stored", "count")


def show_stored_data(
    context: typer.Context, association: ErasureAssociationArgument, as_json: JsonOption = False
) -> None:
    """Show all data that is stored about an association.

    Answers a request for access: contact and report links are included, hashes of tokens are not.
    Shows how many rows there are of each kind; with --json, every row.
    """
    from auditor.erasure import summarize_stored_data

    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        found = summarize_stored_data(app, association)
        if as_json:
            rows = app.store.list_stored_rows(
                association, [one.key for one in app.config.notify.recipients]
            )
            print_data_parts(
                iter_json_document(
                    ({"stored": table, **row} for table, row in rows), get_current_time()
                )
            )
        else:
            _print_stored_data(found, cli_context)


def erase_association(
    context: typer.Context,
    association: ErasureAssociationArgument,
    *,
    contact_only: Annotated[
        bool, typer.Option("--contacts", help="Erase only the contact and the mail subscriptions.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be erased, without erasing anything.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Import without asking.")] = False,
    author: AuthorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase all data of an association.

    Erases contact, links, observations, evidence, report links and replies. This cannot be undone.
    Keeps the figures of the network, the signed run reports, and in the audit log when and by whom
    it was erased. Older backups still contain the data: the command says what to do about them.
    """
    from auditor.erasure import erase_association as erase
    from auditor.erasure import finish_erasure, summarize_stored_data, was_erased

    cli_context, by = get_cli_context(context), (author or "").strip() or get_login_name()
    with cli_context.open_app() as app:
        if not dry_run and was_erased(app, association, contact_only=contact_only):
            _print_erasure_result(finish_erasure(app), cli_context, association, as_json=as_json)
            return
        found = summarize_stored_data(app, association, contact_only=contact_only)
        if dry_run:
            _print_erasure_preview(found, cli_context, association, as_json=as_json)
            return
        if not yes and not _confirm_erasure(
            found, cli_context, association, contact_only=contact_only
        ):
            cli_context.print_translated("no changes")
            return
        _print_erasure_result(
            erase(app, association, by, get_current_time(), contact_only=contact_only),
            cli_context,
            association,
            as_json=as_json,
        )


def _confirm_erasure(
    stored_data: ErasureSummary, cli_context: CliContext, association: str, *, contact_only: bool
) -> bool:
    """Show what would go and ask whether it shall. Raises UsageError where nobody can be asked."""
    if not can_prompt():
        raise UsageError(
            "registry erase", "it cannot be undone, and nobody is there to ask", "--yes"
        )
    translator = cli_context.translator
    for kind, count in stored_data.list_counts():
        print_message(
            translator.format_pair(
                translator.term("stored_data", kind), translator.format_number(count)
            )
        )
    print_message(
        translator.translate(
            "Erase the contact details of {association} for good? Type yes or no.",
            association=association,
        )
        if contact_only
        else translator.translate(
            "Erase all data about {association} for good? Type yes or no.", association=association
        )
    )
    return read_confirmation()


def _print_stored_data(stored_data: ErasureSummary, cli_context: CliContext) -> None:
    print_table(
        STORED_DATA_COLUMNS,
        stored_data.list_counts(),
        cli_context.translator,
        {"stored": partial(cli_context.translator.term, "stored_data")},
    )


def _print_erasure_preview(
    stored_data: ErasureSummary, cli_context: CliContext, association: str, *, as_json: bool
) -> None:
    if as_json:
        print_data(
            build_json_document(
                [_build_erasure_item(association, stored_data.list_counts())], get_current_time()
            )
        )
        return
    _print_stored_data(stored_data, cli_context)
    cli_context.print_translated("preview only; nothing was written")


def _build_erasure_item(
    association: str, counts: Iterable[tuple[str, int]], **extra_fields: Any
) -> dict[str, Any]:
    return {"association": association, "stored": dict(counts), **extra_fields}


def _print_erasure_result(
    result: ErasureResult, cli_context: CliContext, association: str, *, as_json: bool
) -> None:
    """Tell what was erased, and which copies still hold it."""
    copies = list(map(str, result.remaining_copies))
    if as_json:
        print_data(
            build_json_document(
                [
                    _build_erasure_item(
                        association,
                        result.stored_data.list_counts(),
                        clean=result.is_clean,
                        copies=copies,
                    )
                ],
                get_current_time(),
            )
        )
    elif result.stored_data:
        cli_context.print_translated_count(
            "{n} row erased", "{n} rows erased", sum(result.stored_data.row_counts.values())
        )
    else:
        cli_context.print_translated(
            "already erased; the file was cleaned again and pending imports were deleted"
        )
    if not result.is_clean:
        raise InputError(
            association,
            "it is erased, but the database's log still holds traces while it is read",
            "the same command again when `auditor serve` is stopped",
        )
    cli_context.print_translated(
        "older backups still contain it: delete them, or run erase again after restoring one"
    )
    for copy in copies:
        cli_context.print_translated(
            "this older copy contains it too; delete it: {file}", file=copy
        )
