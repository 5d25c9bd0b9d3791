"""`registry show-data` and `registry erase`: show or erase all stored data of an association."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import typer

from auditor import erasure
from auditor.cli.context import (
    AuthorOption,
    FormatOption,
    JsonOption,
    can_prompt,
    examples,
    get_cli_context,
    get_current_time,
    read_confirmation,
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
)
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import iter_json_document
from auditor.i18n.translator import Translator

ErasureAssociationArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the association.")
]
STORED_DATA_COLUMNS = ("stored", "count")
describe_stored = partial(Translator("en").term, "stored_data")
"""Returns the words for a kind of stored data."""


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
    cli_context = get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        stored_data = erasure.summarize_stored_data(app, association)
        if table_format != "json":
            _print_stored_data(stored_data, table_format)
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
            if dry_run and table_format == "json":
                item = {"association": association, "stored": dict(stored)}
                print_json([item], get_current_time())
                return
            if dry_run:
                _print_stored_data(stored, table_format)
                cli_context.print_note("preview only; nothing was written")
                return
            what = "the contact details of" if contact_only else "all data about"
            if not (yes or _confirm_erasure(stored, f"{what} {association}")):
                cli_context.print_note("no changes")
                return
            result = erasure.erase_association(
                app, association, author_name, get_current_time(), contact_only=contact_only
            )
    copies = list(map(str, result.remaining_copies))
    if table_format == "json":
        result_item: dict[str, object] = {
            "association": association,
            "stored": dict(result.stored_data),
            "clean": result.is_clean,
            "copies": copies,
        }
        print_json([result_item], get_current_time())
    elif result.stored_data:
        row_count = sum(result.stored_data.values()) - result.stored_data.get("body", 0)
        cli_context.print_note(f"{count_noun(row_count, 'row')} erased")
    else:
        cli_context.print_note(
            "already erased; the file was cleaned again and pending imports were deleted"
        )
    if not result.is_clean:
        raise InputError(
            association,
            "it is erased, but the log of the database still has traces while others read it",
            "stop `auditor serve`, and run this command again",
        )
    cli_context.print_note(
        "older backups still contain it: delete them, or run erase again after restoring one"
    )
    for copy in copies:
        cli_context.print_note(f"this older copy contains it too; delete it: {copy}")


def _confirm_erasure(stored_data: Mapping[str, int], what: str) -> bool:
    """Show what will be erased and ask for confirmation. Raises UsageError without a terminal."""
    if not can_prompt():
        raise UsageError(
            "registry erase",
            "it needs a confirmation, and there is no terminal to ask on",
            "--yes to erase without asking",
        )
    for kind, count in stored_data.items():
        print_message(f"{describe_stored(kind)}: {count:,}")
    print_message(f"Erase {what} for good? Type yes or no.")
    return read_confirmation()


def _print_stored_data(stored_data: Mapping[str, int], table_format: TableFormat) -> None:
    rows = [{"stored": kind, "count": count} for kind, count in stored_data.items()]
    print_table(STORED_DATA_COLUMNS, rows, table_format, words={"stored": describe_stored})
