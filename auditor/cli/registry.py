"""`registry validate`, `import`, `export` and `history`: the spreadsheet of associations."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from auditor.app import App
from auditor.cli import registry_entries
from auditor.cli.context import (
    OUTPUT_FORMAT_OPTION,
    AssociationOption,
    AuthorOption,
    BomOption,
    CliContext,
    ColumnOption,
    DelimiterOption,
    DryRunOption,
    FormatOption,
    JsonOption,
    LimitOption,
    SpreadsheetArgument,
    can_prompt,
    examples,
    get_cli_context,
    get_current_time,
    limit_rows,
    make_group,
    read_confirmation,
    show_list,
)
from auditor.cli.decisions import get_login_name
from auditor.cli.maintenance import erase_association, show_stored_data
from auditor.cli.output import (
    TableFormat,
    choose_output_format,
    choose_table_format,
    count_noun,
    print_bytes,
    print_json,
    print_message,
    print_table,
    show_progress,
    validate_delimiter,
    write_file_atomically,
)
from auditor.config.schema import Config
from auditor.core.errors import InputError
from auditor.core.i18n.catalogs import get_text_direction
from auditor.core.i18n.translator import Translator
from auditor.registry import exporter
from auditor.registry import spreadsheet as spreadsheets
from auditor.registry.changes import (
    ImportPreview,
    build_import_preview,
    count_changed_associations,
    describe_change_counts,
    describe_missing_columns,
)
from auditor.registry.column_mapping import open_column_memory, parse_corrections
from auditor.registry.columns import normalize_label
from auditor.registry.existing_entries import NO_EXISTING_ENTRIES, ExistingEntries
from auditor.registry.importer import ImportResult, parse_registry_spreadsheet
from auditor.registry.issues import SpreadsheetProblem, describe_dropped_lines, list_dropped_lines
from auditor.runs.erasure import find_erased_in_import
from storage.errors import MissingDatabaseError
from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin
from storage.registry.registry_import import ImportChanges

ENGLISH = Translator("en")
ISSUE_COLUMNS = ("line", "column", "problem", "severity", "value")
CHANGE_COLUMNS = ("association", "field", "change", "before", "after", "name")
HISTORY_COLUMNS = ("at", "author", "source", "association", "field", "change", "before", "after")
FIELDS = {"at": "changed_at", "change": "kind"}
"""The fields of a log entry whose columns have another name."""
CHANGE_KINDS = ("added", "changed", "withdrawn", "pruned")
MAX_SHOWN_CHANGES = 200
"""Changes that are listed before the command asks for confirmation."""

registry_app = make_group("Import, validate and export the registry of associations.")
registry_app.command("add")(registry_entries.add_association)
registry_app.command("set")(registry_entries.change_association)
registry_app.command("stop")(registry_entries.stop_following)
registry_app.command("follow")(registry_entries.follow_again)
registry_app.command("show-data")(show_stored_data)
registry_app.command("erase")(erase_association)
CompleteOption = Annotated[
    bool,
    typer.Option("--complete", help="Stop following associations that are not in the spreadsheet."),
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
    config = cli_context.load_config()
    try:
        with App.open(config, create=False, upgrade=False) as app:
            import_result = _read_spreadsheet(
                spreadsheet, cli_context, config, column, _load_existing_entries(app)
            )
            import_result.problems = [
                *build_import_preview(app.store, import_result, get_current_time()).problems,
                *find_erased_in_import(app, import_result),
            ]
    except MissingDatabaseError:
        import_result = _read_spreadsheet(
            spreadsheet, cli_context, config, column, NO_EXISTING_ENTRIES
        )
    problems = list(limit_rows(context, import_result.problems, limit))
    if table_format == "json":
        items = (problem.to_dict() for problem in problems)
        print_json(items, get_current_time())
    elif problems:
        words = {"problem": partial(ENGLISH.term, "problem")}
        items = (problem.to_dict() for problem in problems)
        print_table(ISSUE_COLUMNS, items, table_format, words=words)
    cli_context.print_note(_describe_import_counts(import_result))
    _exit_if_errors(import_result)


def _exit_if_errors(import_result: ImportResult) -> None:
    """Exit with the code of an invalid input if a row of the spreadsheet has an error."""
    if any(problem.severity == "error" for problem in import_result.problems):
        raise typer.Exit(InputError.exit_code)


def _load_existing_entries(app: App) -> ExistingEntries:
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
    corrections = parse_corrections(column_options)
    memory = open_column_memory(config.storage.folder, corrections)
    with show_progress("reading the spreadsheet", quiet=cli_context.quiet):
        import_result = parse_registry_spreadsheet(
            spreadsheet, config.network.language, entries, memory
        )
    labels = set(map(normalize_label, import_result.headings))
    for heading in corrections:
        if normalize_label(heading) not in labels:
            raise InputError(
                str(spreadsheet),
                f"no column is called {heading}",
                ", ".join(filter(None, import_result.headings)),
            )
    return import_result


PruneOption = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Remove associations and links that are not in the spreadsheet, "
        "with their whole history.",
    ),
]


@registry_app.command("import")
@examples("auditor registry import registry.csv", "auditor registry import --dry-run registry.csv")
def import_registry(
    context: typer.Context,
    spreadsheet: SpreadsheetArgument,
    *,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Import without asking.")] = False,
    complete: CompleteOption = False,
    column: ColumnOption = [],  # noqa: B006  # typer copies it
    author: AuthorOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a spreadsheet into the registry.

    Importing the same spreadsheet again changes nothing. An empty cell clears a value. A missing
    column leaves its values unchanged, and a missing association stays. A row with an error is
    imported as far as possible, and the command exits with code 3, as `validate` does. On a
    terminal, it shows the changes and asks first. Elsewhere, --prune needs --yes.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context, author_name = get_cli_context(context), (author or "").strip() or get_login_name()
    with App.open(cli_context.load_config()) as app:
        entries = _load_existing_entries(app)
        import_result = _read_spreadsheet(spreadsheet, cli_context, app.config, column, entries)
        if not import_result.associations:
            raise InputError(str(spreadsheet), "it contains no association", "fill it in first")
        import_result.problems += find_erased_in_import(app, import_result)
        compare = partial(
            build_import_preview,
            app.store,
            import_result,
            get_current_time(),
            is_complete=complete or prune,
            prune=prune,
        )
        is_asked = can_prompt() and table_format != "json" and not (yes or cli_context.quiet)
        expected_digest = None
        if dry_run or is_asked or (prune and not yes):
            preview = compare()
            expected_digest = preview.changes.digest
        if dry_run:
            _print_dry_run(preview, cli_context, table_format)
            _exit_if_errors(import_result)
            return
        if is_confirmed := bool(is_asked and preview.lines):
            _ask_for_confirmation(preview, table_format)
        elif prune and not yes and preview.changes.associations_pruned:
            reason = f"{preview.describe_unlisted_associations(ENGLISH)[:-1]}; nothing was imported"
            raise InputError(str(spreadsheet), reason, "--yes, or a file with all associations")
        with show_progress("saving the registry", quiet=cli_context.quiet):
            preview = compare(
                dry_run=False,
                origin=ChangeOrigin(author_name, OPERATOR_ORIGIN.source),
                expected_digest=expected_digest,
            )
    if expected_digest not in (None, preview.changes.digest):
        reason = "the registry changed meanwhile, so nothing was imported"
        raise InputError(str(spreadsheet), reason, "the same command again")
    _print_import(preview, cli_context, table_format, is_confirmed=is_confirmed)
    _exit_if_errors(import_result)


def _print_import(
    preview: ImportPreview,
    cli_context: CliContext,
    table_format: TableFormat,
    *,
    is_confirmed: bool,
) -> None:
    if table_format == "json":
        print_json([_build_import_item(preview)], get_current_time())
        return
    if is_confirmed:  # problems and changes were shown before
        _print_notes(cli_context, _describe_result(preview.changes))
        return
    _print_problems(preview.problems)
    _print_notes(cli_context, _describe_import(preview.import_result, preview.changes))


def _print_dry_run(
    preview: ImportPreview, cli_context: CliContext, table_format: TableFormat
) -> None:
    if table_format == "json":
        print_json((line.to_dict() for line in preview.lines), get_current_time())
        return
    _print_problems(preview.problems)
    _print_changes(preview, table_format)
    _print_notes(cli_context, _describe_import(preview.import_result, preview.changes))
    cli_context.print_note("preview only; nothing was written")


def _ask_for_confirmation(preview: ImportPreview, table_format: TableFormat) -> None:
    """Show the changes on a terminal and ask whether to apply them. Raises Exit if not."""
    _print_problems(preview.problems)
    if message := describe_missing_columns(preview.changes, ENGLISH):
        print_message(message)
    _print_changes(preview, table_format, MAX_SHOWN_CHANGES)
    if len(preview.lines) > MAX_SHOWN_CHANGES:
        print_message(count_noun(len(preview.lines) - MAX_SHOWN_CHANGES, "more change"))
    if message := preview.describe_unlisted_associations(ENGLISH):
        print_message(message)
    print_message("Apply these changes? Type yes or no.")
    if not read_confirmation():
        print_message("no changes")
        raise typer.Exit


def _print_problems(problems: Iterable[SpreadsheetProblem]) -> None:
    for problem in problems:
        print_message(problem.describe(ENGLISH))


def _print_notes(cli_context: CliContext, lines: Iterable[str]) -> None:
    for line in lines:
        cli_context.print_note(line)


def _print_changes(
    preview: ImportPreview, table_format: TableFormat, limit: int | None = None
) -> None:
    rows = [{**line.to_dict(), "change": line.entry.kind} for line in preview.lines[:limit]]
    print_table(CHANGE_COLUMNS, rows, table_format)


def _describe_import_counts(import_result: ImportResult) -> str:
    """Return how many associations, links, errors and warnings a spreadsheet has."""
    errors = sum(problem.severity == "error" for problem in import_result.problems)
    counts = {
        "association": len(import_result.associations),
        "link": len(import_result.accounts),
        "error": errors,
        "warning": len(import_result.problems) - errors,
    }
    return ", ".join(count_noun(count, noun) for noun, count in counts.items())


def _build_import_item(preview: ImportPreview) -> dict[str, Any]:
    """Return the item of `registry import --json`."""
    import_result, changes = preview.import_result, preview.changes
    item: dict[str, Any] = {
        "associations": len(import_result.associations),
        "accounts": len(import_result.accounts),
        "dry_run": False,
    }
    for kind in CHANGE_KINDS:
        item[kind] = [
            {"association": row.association, "column": row.column, "typed": row.typed_text}
            for row in getattr(changes, f"accounts_{kind}")
        ]
        item[f"associations_{kind}"] = list(getattr(changes, f"associations_{kind}"))
    item["not_specified"] = list(changes.missing_columns)
    item["problems"] = [problem.to_dict() for problem in preview.problems]
    return item


def _describe_import(import_result: ImportResult, changes: ImportChanges) -> Iterator[str]:
    yield _describe_import_counts(import_result)
    if message := describe_dropped_lines(list_dropped_lines(import_result.problems), ENGLISH):
        yield message
    if message := describe_missing_columns(changes, ENGLISH):
        yield message
    for row in changes.accounts_withdrawn:
        heading = exporter.format_column_heading(row.column, ENGLISH)
        yield f"No longer in the file, kept: {row.association}, {heading}, {row.typed_text}"
    yield from _describe_result(changes)


def _describe_result(changes: ImportChanges) -> Iterator[str]:
    """Yield the numbers of changes, or that there are none. Problems were printed before."""
    if not changes:
        yield "no changes"
    else:
        yield ", ".join(describe_change_counts(count_changed_associations(changes), ENGLISH))
    for kind in CHANGE_KINDS if changes else ():
        if rows := getattr(changes, f"accounts_{kind}"):
            yield f"{ENGLISH.term('outcome', kind)}: {count_noun(len(rows), 'link')}"
    if changes.accounts_withdrawn:
        yield (
            "associations missing from the file are kept but not checked; "
            "--prune removes them and their results"
        )


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
            chunks = exporter.iter_registry_workbook_chunks(
                rows, translator, right_to_left=direction == "rtl"
            )
        else:
            chunks = spreadsheets.iter_csv_lines(
                rows, bom=bom and target is not None, delimiter=delimiter
            )
        if target is None:
            print_bytes(chunks, is_readable=output_format == "csv")
            return
        write_file_atomically(chunks, target)
    cli_context.print_note(f"{file}: {count_noun(count, 'association')}")


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
    with get_cli_context(context).open_app_for_reading() as app:
        entries = app.store.audit_log.list_audit_log(association, limit=limit + 1)
    show_list(
        context,
        [
            {name: getattr(entry, FIELDS.get(name, name)) for name in HISTORY_COLUMNS}
            for entry in entries
        ],
        HISTORY_COLUMNS,
        table_format,
        config=app.config,
        limit=limit,
        optional_column="source",
    )
