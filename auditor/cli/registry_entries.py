"""`registry add`, `set`, `stop` and `follow`: single entries of the registry, by hand."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated

import typer

from auditor.app import App
from auditor.cli.context import AuthorOption, examples, get_cli_context, get_current_time
from auditor.cli.decisions import get_login_name
from auditor.cli.output import print_message
from auditor.core.errors import InputError
from auditor.core.i18n.translator import Translator
from auditor.registry.columns import NAME_COLUMNS
from auditor.registry.entries import (
    BLOCKING_ISSUES,
    ENTRY_COLUMNS,
    find_namesakes,
    find_shared_accounts,
    make_unused_id,
)
from auditor.registry.importer import parse_registry_entry
from auditor.registry.issues import Issue
from auditor.runs.erasure import find_erased_in_import
from storage.models.audit import AssociationEntry
from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin

AssociationArgument = Annotated[str, typer.Argument(metavar="ASSOCIATION", help="Its id.")]
CellsArgument = Annotated[
    list[str],
    typer.Argument(metavar="COLUMN=VALUE...", help="Columns of the spreadsheet, such as city."),
]


@examples("auditor registry add name='Club Tifawt' facebook=https://fb.com/tifawt")
def add_association(
    context: typer.Context,
    cells: CellsArgument,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also one of a used name, or an erased one.")
    ] = False,
    author: AuthorOption = None,
) -> None:
    """Add an association to the registry.

    Prints its id. The next run checks it.
    """
    values = _parse_cells(cells)
    with App.open(get_cli_context(context).load_config()) as app:
        names = [values.get(column, "") for column in NAME_COLUMNS]
        namesakes = find_namesakes(app.store.registry, names)
        if namesakes and not yes:
            reason = f"{namesakes[0].id} has the same name"
            raise InputError(" ".join(cells), reason, f"registry set {namesakes[0].id}, or --yes")
        association = make_unused_id(app.store.registry, values.get("name", ""))
        refused = BLOCKING_ISSUES if yes else BLOCKING_ISSUES | {Issue.ERASED_ASSOCIATION}
        _save_cells(app, association, values, author, refused, is_new=True)
    typer.echo(association)


@examples("auditor registry set nour phone='06 12 34 56 78' city=Agadir")
def change_association(
    context: typer.Context,
    association: AssociationArgument,
    cells: CellsArgument,
    *,
    author: AuthorOption = None,
) -> None:
    """Change values of an association.

    An empty value clears a column. Other columns stay as they are.
    """
    values = _parse_cells(cells)
    with App.open(get_cli_context(context).load_config()) as app:
        entry = _get_entry(app, association)
        if entry.withdrawn_at:
            raise InputError(association, "it is no longer followed", "registry follow first")
        named_values = {"name": entry.association.name, **values}
        _save_cells(app, association, named_values, author, is_new=False)


@examples("auditor registry stop nour")
def stop_following(
    context: typer.Context, association: AssociationArgument, *, author: AuthorOption = None
) -> None:
    """Stop following an association.

    It is kept with its results and no longer checked. `auditor registry follow` takes it back.
    """
    with App.open(get_cli_context(context).load_config()) as app:
        _get_entry(app, association)
        app.store.registry.withdraw_association(
            association, get_current_time(), origin=_get_origin(author)
        )


@examples("auditor registry follow nour")
def follow_again(
    context: typer.Context, association: AssociationArgument, *, author: AuthorOption = None
) -> None:
    """Follow an association again that was no longer followed."""
    with App.open(get_cli_context(context).load_config()) as app:
        entry = _get_entry(app, association)
        if entry.withdrawn_at:
            app.store.registry.restore_association(
                association, get_current_time(), origin=_get_origin(author)
            )


def _parse_cells(assignments: list[str]) -> dict[str, str]:
    values = {}
    for assignment in assignments:
        column, sign, value = assignment.partition("=")
        if not sign or column not in ENTRY_COLUMNS:
            raise InputError(assignment, "it is not COLUMN=VALUE", ", ".join(ENTRY_COLUMNS))
        values[column] = value
    return values


def _get_entry(app: App, association: str) -> AssociationEntry:
    entry = app.store.registry.get_association_entry(association)
    if entry is None:
        remedy = "`auditor registry export -` lists them"
        raise InputError(association, "no association has this id", remedy)
    return entry


def _get_origin(author: str | None) -> ChangeOrigin:
    return ChangeOrigin((author or "").strip() or get_login_name(), OPERATOR_ORIGIN.source)


def _save_cells(
    app: App,
    association: str,
    cells: Mapping[str, str],
    author: str | None,
    refused: Collection[Issue] = BLOCKING_ISSUES,
    *,
    is_new: bool,
) -> None:
    """Save values of an association and print their problems.

    Raises InputError for a wrong value, or if another command adds or erases it at the same time.
    """
    result = parse_registry_entry({"id": association, **cells}, app.config.network.language)
    shared = find_shared_accounts(app.store.registry, result)
    for problem in (*result.problems, *shared, *find_erased_in_import(app, result)):
        if problem.issue in refused:
            reason = Translator("en").term("problem", problem.issue)
            raise InputError(f"{problem.column}={problem.value}", reason, "another value")
        print_message(problem.describe(Translator("en")))
    save = partial(
        app.store.registry.save_registry,
        result.associations,
        result.accounts,
        get_current_time(),
        origin=_get_origin(author),
        is_complete=False,
        present_columns=result.columns,
    )
    expected = save(dry_run=True)
    is_expected = is_new == bool(expected.associations_added)
    if not is_expected or save(expected_digest=expected.digest).digest != expected.digest:
        raise InputError(association, "it was changed meanwhile", "the command again")
