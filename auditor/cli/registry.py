"""`registry validate`, `import`, `export` and `history`: the spreadsheet of associations."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from auditor.cli.context import (
    can_prompt,
    examples,
    get_cli_context,
    get_current_time,
    limit_rows,
    make_group,
)
from auditor.cli.decisions import get_login_name
from auditor.cli.options import (
    OUTPUT_FORMAT_OPTION,
    AssociationOption,
    AuthorOption,
    BomOption,
    ColumnOption,
    DelimiterOption,
    DryRunOption,
    FormatOption,
    JsonOption,
    LimitOption,
    SpreadsheetArgument,
)
from auditor.cli.output import (
    TableFormat,
    choose_output_format,
    choose_table_format,
    print_bytes,
    print_json,
    print_message,
    show_progress,
    validate_delimiter,
    write_file_atomically,
)
from auditor.cli.registry_output import (
    build_change_item,
    build_import_item,
    confirm_import,
    describe_import_counts,
    print_history,
    print_import_preview,
    print_import_result,
    print_issues,
    refuse_withdrawals,
)
from auditor.core.errors import InputError

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.cli.context import CliContext
    from auditor.config.schema import Config
    from auditor.registry.changes import ImportPreview
    from auditor.registry.existing_entries import ExistingEntries
    from auditor.registry.importer import ImportResult
    from storage.models.users import ChangeOrigin
    from storage.registry.diff import ImportChanges

registry_app = make_group("Import, validate and export the registry of associations.")
PruneOption = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Remove associations and links that are not in the spreadsheet, "
        "with their whole history.",
    ),
]
AllowWithdrawalsOption = Annotated[
    bool,
    typer.Option(
        "--allow-withdrawals",
        help="Import even if more than a fifth of the associations are missing.",
    ),
]


@registry_app.command("validate")
@examples(
    "auditor registry validate registry.csv", "auditor registry validate --json registry.xlsx"
)
def validate_spreadsheet(
    context: typer.Context,
    spreadsheet: SpreadsheetArgument,
    *,
    limit: LimitOption = None,
    column: ColumnOption = [],  # noqa: B006  # typer copies it
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a spreadsheet and list its problems.

    Shows the line and column of each problem. Compares the spreadsheet with the registry, as an
    import does, but changes nothing. Exits with code 3 if there are errors.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    import_result = _parse_with_registry(spreadsheet, cli_context, column)
    problems = list(limit_rows(context, import_result.problems, limit))
    if table_format == "json":
        items = (problem.to_dict() for problem in problems)
        print_json(items, get_current_time())
    elif problems:
        print_issues(problems, cli_context.translator, table_format)
    _print_suggestions(import_result, cli_context)
    if not cli_context.quiet:
        print_message(describe_import_counts(import_result, cli_context.translator))
    _exit_if_errors(import_result)


def _exit_if_errors(import_result: ImportResult) -> None:
    """Exit with the code of an invalid input if a row of the spreadsheet has an error."""
    if any(problem.severity == "error" for problem in import_result.problems):
        raise typer.Exit(InputError.exit_code)


def _parse_with_registry(
    spreadsheet: Path, cli_context: CliContext, column_options: Sequence[str]
) -> ImportResult:
    """Return a spreadsheet with its problems, compared with the registry if there is one."""
    from auditor.app import App
    from auditor.erasure import find_erased_in_import
    from auditor.registry.changes import build_import_preview
    from auditor.registry.existing_entries import NO_EXISTING_ENTRIES
    from storage.errors import MissingDatabaseError

    config = cli_context.load_config()
    with suppress(MissingDatabaseError), App.open(config, create=False, upgrade=False) as app:
        import_result = _read_spreadsheet(
            spreadsheet, cli_context, config, column_options, _load_existing_entries(app)
        )
        import_result.problems = [
            *build_import_preview(app.store, import_result, get_current_time()).problems,
            *find_erased_in_import(app, import_result),
        ]
        return import_result
    return _read_spreadsheet(spreadsheet, cli_context, config, column_options, NO_EXISTING_ENTRIES)


def _load_existing_entries(app: App) -> ExistingEntries:
    from auditor.registry.existing_entries import ExistingEntries

    registry = app.store.registry
    return ExistingEntries.from_registry(
        registry.list_association_entries(), registry.list_accounts()
    )


def _read_spreadsheet(
    spreadsheet: Path,
    cli_context: CliContext,
    config: Config,
    column_options: Sequence[str],
    entries: ExistingEntries,
) -> ImportResult:
    """Parse a spreadsheet and show the progress.

    Raises InputError, also if the spreadsheet has no heading that is named by --column.
    """
    from auditor.registry.column_mapping import open_column_memory, parse_corrections
    from auditor.registry.importer import parse_registry_spreadsheet

    memory = open_column_memory(config.storage.folder, parse_corrections(column_options))
    title = cli_context.translator.translate("reading the spreadsheet")
    with show_progress(title, quiet=cli_context.quiet) as on_progress:
        import_result = parse_registry_spreadsheet(
            spreadsheet, config.network.language, entries, memory, on_progress=on_progress
        )
    _require_headings(spreadsheet, import_result, memory.corrections)
    return import_result


def _print_suggestions(import_result: ImportResult, cli_context: CliContext) -> None:
    """Print how to read the columns whose headings resemble known ones."""
    from auditor.registry.column_mapping import suggest_corrections

    suggestions = suggest_corrections(import_result.sheet_columns, import_result.ignored_headings)
    if suggestions:
        options = chain.from_iterable(("--column", suggestion) for suggestion in suggestions)
        cli_context.print_translated("Some headings resemble known columns. To read them, use:")
        if not cli_context.quiet:
            print_message(cli_context.build_command(*options))


@registry_app.command("import")
@examples("auditor registry import registry.csv", "auditor registry import --dry-run registry.csv")
def import_registry(
    context: typer.Context,
    spreadsheet: SpreadsheetArgument,
    *,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Import without asking.")] = False,
    allow_withdrawals: AllowWithdrawalsOption = False,
    column: ColumnOption = [],  # noqa: B006  # typer copies it
    author: AuthorOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a spreadsheet into the registry.

    Importing the same spreadsheet again changes nothing. An empty cell clears a value. A missing
    column leaves its values unchanged. A row with an error is imported as far as possible, and the
    command exits with code 3, as `validate` does.

    On a terminal, the command shows the changes and asks before it applies them. If more than a
    fifth of the associations are missing, it always asks, or refuses without a terminal.
    """
    from auditor.app import App
    from auditor.registry.changes import build_import_preview, find_shared_accounts

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    with App.open(cli_context.load_config()) as app:
        import_result = _read_import(spreadsheet, app, cli_context, column)
        _print_suggestions(import_result, cli_context)
        now = get_current_time()
        build_preview = partial(build_import_preview, app.store, import_result, now, prune=prune)
        if dry_run:
            print_import_preview(build_preview(), cli_context, table_format)
            _exit_if_errors(import_result)
            return
        confirmed_digest = _ask_for_confirmation(
            build_preview, cli_context, table_format, yes, allow_withdrawals
        )
        allow_withdrawals = allow_withdrawals or confirmed_digest is not None
        with _show_saving(cli_context):
            changes = app.store.registry.save_registry(
                import_result.associations,
                import_result.accounts,
                get_current_time(),
                origin=_build_change_author(author),
                present_columns=import_result.columns,
                prune=prune,
                expected_digest=confirmed_digest,
                allow_many_withdrawals=allow_withdrawals,
            )
    _refuse_meanwhile_changes(spreadsheet, changes, confirmed_digest)
    if changes.has_many_withdrawals and not allow_withdrawals:
        refuse_withdrawals(spreadsheet, import_result, changes, cli_context)
    import_result.problems += find_shared_accounts(import_result, changes)
    if table_format == "json":
        print_json([build_import_item(import_result, changes)], get_current_time())
    else:
        print_import_result(import_result, changes, cli_context, is_shown=bool(confirmed_digest))
    _exit_if_errors(import_result)


def _show_saving(cli_context: CliContext) -> AbstractContextManager[object]:
    title = cli_context.translator.translate("saving the registry")
    return show_progress(title, quiet=cli_context.quiet)


def _read_import(
    spreadsheet: Path, app: App, cli_context: CliContext, column_options: Sequence[str]
) -> ImportResult:
    """Return the associations of a spreadsheet. Raises InputError if there are none."""
    from auditor.erasure import find_erased_in_import

    import_result = _read_spreadsheet(
        spreadsheet, cli_context, app.config, column_options, _load_existing_entries(app)
    )
    if not import_result.associations:
        raise InputError(
            str(spreadsheet),
            "it contains no association, so nothing was imported",
            "fill in the spreadsheet first",
        )
    import_result.problems += find_erased_in_import(app, import_result)
    return import_result


def _ask_for_confirmation(
    build_preview: Callable[[], ImportPreview],
    cli_context: CliContext,
    table_format: TableFormat,
    yes: bool,
    allow_withdrawals: bool,
) -> str | None:
    """Return the digest of the changes that the user confirmed, or None if no question is needed.

    Raises Exit if the user does not confirm them.
    """
    must_ask = not (yes or cli_context.quiet)
    if not can_prompt() or table_format == "json" or (allow_withdrawals and not must_ask):
        return None
    preview = build_preview()
    has_too_many = preview.changes.has_many_withdrawals and not allow_withdrawals
    if not (must_ask or has_too_many):
        return None
    if preview.lines and not confirm_import(
        preview, cli_context, table_format, has_too_many=has_too_many
    ):
        raise typer.Exit
    return preview.digest


def _refuse_meanwhile_changes(
    spreadsheet: Path, changes: ImportChanges, confirmed_digest: str | None
) -> None:
    """Raise InputError if the changes are not those that the user confirmed."""
    if confirmed_digest not in {None, changes.digest}:
        raise InputError(
            str(spreadsheet),
            "the registry changed meanwhile, so nothing was imported",
            "the same command again",
        )


def _build_change_author(author: str | None) -> ChangeOrigin:
    from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin

    return ChangeOrigin((author or "").strip() or get_login_name(), OPERATOR_ORIGIN.source)


def _require_headings(
    spreadsheet: Path, import_result: ImportResult, corrections: Mapping[str, str]
) -> None:
    """Raise InputError if a heading of --column is not among those of the spreadsheet."""
    from auditor.registry.columns import normalize_label

    labels = set(map(normalize_label, import_result.headings))
    for heading in corrections:
        if normalize_label(heading) not in labels:
            headings = ", ".join(filter(None, import_result.headings))
            raise InputError(str(spreadsheet), f"no column is called {heading}", headings)


@registry_app.command("export")
@examples("auditor registry export registry.xlsx")
def export_registry(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", readable=False, help="A .csv or .xlsx file, or - for standard output."
        ),
    ],
    *,
    file_format: Annotated[Literal["csv", "xlsx"] | None, OUTPUT_FORMAT_OPTION] = None,
    bom: BomOption = True,
    delimiter: DelimiterOption = ",",
) -> None:
    """Export the registry as a spreadsheet.

    Importing it again changes nothing. With --lang, column headings and values are in that
    language. Without it, they are English keys and codes.
    """
    from auditor.i18n.catalogs import get_text_direction
    from auditor.registry import exporter, spreadsheet

    cli_context = get_cli_context(context)
    validate_delimiter(delimiter)
    target = None if str(file) == "-" else file
    output_format = choose_output_format(file_format, target, ("csv", "xlsx"))
    language = cli_context.requested_language
    translator = cli_context.requested_translator
    with cli_context.open_app_for_reading() as app:
        rows = exporter.iter_export_rows(app.store, translator)
        count = app.store.registry.count_registered()[0]
        cli_context.explain_empty_result(count, app.config)
        if output_format == "xlsx":
            direction = get_text_direction(language or app.config.network.language)
            is_right_to_left = direction == "rtl"
            chunks = exporter.iter_registry_workbook_chunks(
                rows, translator, right_to_left=is_right_to_left
            )
        else:
            use_bom = bom and target is not None
            chunks = spreadsheet.iter_csv_lines(rows, bom=use_bom, delimiter=delimiter)
        if target is None:
            print_bytes(chunks, is_text=output_format == "csv")
            return
        write_file_atomically(chunks, target)
    if not cli_context.quiet:
        translator = cli_context.translator
        associations = translator.translate_plural("{n} association", "{n} associations", count)
        print_message(translator.format_pair(str(file), associations))


@registry_app.command("history")
@examples("auditor registry history", "auditor registry history --association nour")
def show_registry_history(
    context: typer.Context,
    association: AssociationOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Show at most this many rows.")
    ] = 1000,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the changes of the registry, the newest first.

    Includes associations that were removed. Shows who made each change and how.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        entries = app.store.audit_log.list_audit_log(association, limit=limit + 1)
    changes = list(limit_rows(context, entries, limit))
    cli_context.explain_empty_result(len(changes), app.config)
    if table_format == "json":
        print_json(map(build_change_item, changes), get_current_time())
    else:
        zone = app.config.network.time_zone
        print_history(changes, cli_context.translator, zone, table_format)
