"""`registry validate`, `import`, `export` and `history`: the spreadsheet of associations."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from auditor.cli.context import (
    FormatOption,
    JsonOption,
    LimitOption,
    can_prompt,
    examples,
    get_cli_context,
    get_current_time,
    limit_rows,
    make_group,
    read_confirmation,
)
from auditor.cli.decisions import AuthorOption, get_login_name
from auditor.cli.output import (
    TableFormat,
    choose_output_format,
    choose_table_format,
    print_bytes,
    print_data,
    print_message,
    print_table,
    validate_delimiter,
    write_file_atomically,
)
from auditor.core.errors import InputError
from auditor.core.formatting import build_json_document, format_timestamp

if TYPE_CHECKING:
    from auditor.cli.context import CliContext
    from auditor.config.schema import Config
    from auditor.i18n.translator import Translator
    from auditor.registry.changes import ImportPreview, RegistryChangeLine
    from auditor.registry.column_mapping import ColumnMemory
    from auditor.registry.existing_entries import ExistingEntries
    from auditor.registry.importer import ImportResult
    from auditor.registry.issues import SpreadsheetProblem
    from storage.models.users import AuditLogEntry, ChangeOrigin
    from storage.registry.diff import ImportChanges

registry_app = make_group("Import, validate and export the registry of associations.")
SpreadsheetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SPREADSHEET", readable=False, help="CSV, XLSX, ODS or XLS file to read."
    ),
]
ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="HEADING=FIELD",
        help="Read the column with this heading as this field, such as Nombre=name, or as ignore.",
    ),
]
ISSUE_COLUMNS = ("line", "column", "problem", "severity", "value")
CHANGE_COLUMNS = ("association", "field", "change", "before", "after", "name")
HISTORY_COLUMNS = ("at", "author", "source", "association", "field", "change", "before", "after")
CHANGE_KINDS = ("added", "changed", "withdrawn", "pruned")
MAX_SHOWN_CHANGES = 200
"""Changes that are listed before the command asks for confirmation."""


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
    import_result = _parse_with_registry(spreadsheet, cli_context.load_config(), column)
    problems = list(limit_rows(context, import_result.problems, limit))
    if table_format == "json":
        items = (problem.to_dict() for problem in problems)
        print_data(build_json_document(items, get_current_time()))
    elif problems:
        _print_issues(problems, cli_context.translator, table_format)
    if not cli_context.quiet:
        print_message(_describe_import_counts(import_result, cli_context.translator))
    if any(problem.severity == "error" for problem in import_result.problems):
        raise typer.Exit(InputError.exit_code)


def _parse_with_registry(
    spreadsheet: Path, config: Config, column_options: Sequence[str]
) -> ImportResult:
    """Return a spreadsheet with its problems, compared with the registry if there is one."""
    from auditor.app import App
    from auditor.erasure import find_erased_in_import
    from auditor.registry.changes import build_import_preview
    from auditor.registry.column_mapping import open_column_memory, parse_corrections
    from auditor.registry.existing_entries import ExistingEntries
    from auditor.registry.importer import parse_registry_spreadsheet
    from storage.errors import MissingDatabaseError

    memory = open_column_memory(config.storage.folder, parse_corrections(column_options))
    with suppress(MissingDatabaseError), App.open(config, create=False) as app:
        existing_entries = ExistingEntries.from_registry(
            app.store.registry.list_association_entries(), app.store.registry.list_accounts()
        )
        import_result = parse_registry_spreadsheet(
            spreadsheet, config.network.language, existing_entries, memory
        )
        _require_headings(spreadsheet, import_result, memory.corrections)
        import_result.problems = [
            *build_import_preview(app.store, import_result, get_current_time()).problems,
            *find_erased_in_import(app, import_result),
        ]
        return import_result
    import_result = parse_registry_spreadsheet(spreadsheet, config.network.language, memory=memory)
    _require_headings(spreadsheet, import_result, memory.corrections)
    return import_result


@registry_app.command("import")
@examples("auditor registry import registry.csv", "auditor registry import --dry-run registry.csv")
def import_registry(
    context: typer.Context,
    spreadsheet: SpreadsheetArgument,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, without changing anything.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove associations and links that are not in the spreadsheet, "
            "with their whole history.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Import without asking.")] = False,
    allow_withdrawals: Annotated[
        bool,
        typer.Option(
            "--allow-withdrawals",
            help="Import even if more than a fifth of the associations are missing.",
        ),
    ] = False,
    column: ColumnOption = [],  # noqa: B006  # typer copies it
    author: AuthorOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a spreadsheet into the registry.

    Importing the same spreadsheet again changes nothing. An empty cell clears a value. A missing
    column leaves its values unchanged.

    On a terminal, the command shows the changes and asks before it applies them. If more than a
    fifth of the associations are missing, it always asks. Without a terminal, it refuses such a
    spreadsheet.
    """
    from auditor.app import App
    from auditor.erasure import find_erased_in_import
    from auditor.registry.changes import build_import_preview, find_shared_accounts
    from auditor.registry.column_mapping import open_column_memory, parse_corrections
    from auditor.registry.existing_entries import ExistingEntries

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    with App.open(config) as app:
        existing_entries = ExistingEntries.from_registry(
            app.store.registry.list_association_entries(), app.store.registry.list_accounts()
        )
        memory = open_column_memory(config.storage.folder, parse_corrections(column))
        import_result = _read_nonempty_spreadsheet(
            spreadsheet, config.network.language, existing_entries, memory
        )
        import_result.problems += find_erased_in_import(app, import_result)
        if dry_run:
            _print_import_preview(
                build_import_preview(app.store, import_result, get_current_time(), prune=prune),
                cli_context,
                table_format,
            )
            return
        confirmed_digest: str | None = None
        must_ask = not (yes or cli_context.quiet)
        if can_prompt() and table_format != "json" and (must_ask or not allow_withdrawals):
            preview = build_import_preview(
                app.store, import_result, get_current_time(), prune=prune
            )
            has_too_many = preview.changes.has_many_withdrawals and not allow_withdrawals
            if must_ask or has_too_many:
                if preview.lines and not _confirm_import(
                    preview, cli_context, table_format, has_too_many=has_too_many
                ):
                    return
                confirmed_digest = preview.digest
        changes = app.store.registry.save_registry(
            import_result.associations,
            import_result.accounts,
            get_current_time(),
            origin=_build_change_author(author),
            present_columns=import_result.columns,
            prune=prune,
            expected_digest=confirmed_digest,
            allow_many_withdrawals=allow_withdrawals or confirmed_digest is not None,
        )
    if confirmed_digest not in {None, changes.digest}:
        raise InputError(
            str(spreadsheet),
            "the registry changed meanwhile, so nothing was imported",
            "the same command again",
        )
    if changes.has_many_withdrawals and not allow_withdrawals and confirmed_digest is None:
        _refuse_withdrawals(spreadsheet, import_result, changes, cli_context)
    import_result.problems += find_shared_accounts(import_result, changes)
    if table_format == "json":
        print_data(
            build_json_document([_build_import_item(import_result, changes)], get_current_time())
        )
    else:
        _print_import_result(
            import_result, changes, cli_context, is_shown=confirmed_digest is not None
        )


def _refuse_withdrawals(
    spreadsheet: Path, import_result: ImportResult, changes: ImportChanges, cli_context: CliContext
) -> NoReturn:
    """Print the problems of a spreadsheet, which may explain missing lines. Raises InputError."""
    for problem in import_result.problems:
        print_message(problem.describe(cli_context.translator))
    count = f"{changes.withdrawal_count} of {changes.listed_count} associations"
    raise InputError(
        str(spreadsheet),
        f"{count} are not in it, so nothing was imported",
        "a file with all associations, or --allow-withdrawals",
    )


def _print_import_result(
    import_result: ImportResult, changes: ImportChanges, cli_context: CliContext, *, is_shown: bool
) -> None:
    """Print what an import changed. If it `is_shown`, problems and lines were printed before."""
    translator = cli_context.translator
    if not is_shown or not changes:
        for problem in import_result.problems:
            print_message(problem.describe(translator))
    if cli_context.quiet:
        return
    if is_shown and changes:
        lines = _describe_result(changes, translator)
    else:
        lines = _describe_import(import_result, changes, translator)
    for line in lines:
        print_message(line)


def _build_change_author(author: str | None) -> ChangeOrigin:
    from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin

    return ChangeOrigin((author or "").strip() or get_login_name(), OPERATOR_ORIGIN.source)


def _print_import_preview(
    preview: ImportPreview, cli_context: CliContext, table_format: TableFormat
) -> None:
    """Print what an import would change."""
    if table_format == "json":
        print_data(
            build_json_document((line.to_dict() for line in preview.lines), get_current_time())
        )
        return
    for problem in preview.problems:
        print_message(problem.describe(cli_context.translator))
    _print_changes(preview.lines, preview.changes, cli_context.translator, table_format)
    if not cli_context.quiet:
        for line in _describe_import(
            preview.import_result, preview.changes, cli_context.translator
        ):
            print_message(line)
        print_message(cli_context.translator.translate("preview only; nothing was written"))


def _confirm_import(
    preview: ImportPreview,
    cli_context: CliContext,
    table_format: TableFormat,
    *,
    has_too_many: bool,
) -> bool:
    """Show what an import would change and return whether the user confirms it."""
    translator = cli_context.translator
    for problem in preview.problems:
        print_message(problem.describe(translator))
    if message := preview.describe_missing_columns(translator):
        print_message(message)
    _print_changes(preview.lines[:MAX_SHOWN_CHANGES], preview.changes, translator, table_format)
    hidden_count = len(preview.lines) - MAX_SHOWN_CHANGES
    if hidden_count > 0:
        print_message(
            translator.translate_plural("{n} more change", "{n} more changes", hidden_count)
        )
    if message := preview.describe_unlisted_associations(translator):
        print_message(message)
    if has_too_many:
        print_message(
            translator.translate_plural(
                "{n} of {total} associations would leave the registry. "
                "Import this file? Type yes or no.",
                "{n} of {total} associations would leave the registry. "
                "Import this file? Type yes or no.",
                preview.changes.withdrawal_count,
                total=translator.format_number(preview.changes.listed_count),
            )
        )
    else:
        print_message(translator.translate("Apply these changes? Type yes or no."))
    if read_confirmation():
        return True
    print_message(translator.translate("no changes"))
    return False


def _print_changes(
    lines: list[RegistryChangeLine],
    changes: ImportChanges,
    translator: Translator,
    table_format: TableFormat,
) -> None:
    rows = []
    for line in lines:
        field, before, after, name = line.field, line.before, line.after, line.name
        if table_format == "table":
            field = line.describe_field(translator)
            before, after = line.describe_values(translator)
            name = changes.associations[line.association].display_name(translator.language)
        rows.append((line.association, field, line.kind, before, after, name))
    formatters = {"change": partial(translator.term, "outcome")}
    print_table(CHANGE_COLUMNS, rows, translator, table_format, formatters)


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


def _read_nonempty_spreadsheet(
    spreadsheet: Path, language: str, existing_entries: ExistingEntries, memory: ColumnMemory
) -> ImportResult:
    from auditor.registry.importer import parse_registry_spreadsheet

    import_result = parse_registry_spreadsheet(spreadsheet, language, existing_entries, memory)
    _require_headings(spreadsheet, import_result, memory.corrections)
    if not import_result.associations:
        raise InputError(
            str(spreadsheet),
            "it contains no association, so nothing was imported",
            "fill in the spreadsheet first",
        )
    return import_result


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
    file_format: Annotated[
        Literal["csv", "xlsx"] | None,
        typer.Option(
            "--format", help="Write this format. The default is the extension of the file, or CSV."
        ),
    ] = None,
    bom: Annotated[
        bool, typer.Option(help="Begin CSV with a byte order mark, so Excel detects UTF-8.")
    ] = True,
    delimiter: Annotated[
        str,
        typer.Option(
            help="Separate CSV cells with this character. French Excel expects a semicolon."
        ),
    ] = ",",
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
    translator = cli_context.translator if language else None
    with cli_context.open_app() as app:
        rows = exporter.iter_export_rows(app.store, translator)
        count = app.store.registry.count_registered()[0]
        if output_format == "xlsx":
            direction = get_text_direction(language or app.config.network.language)
            chunks = exporter.iter_registry_workbook_chunks(
                rows, translator, right_to_left=direction == "rtl"
            )
        else:
            chunks = spreadsheet.iter_csv_lines(
                rows, bom=bom and target is not None, delimiter=delimiter
            )
        if target is None:
            print_bytes(chunks, is_text=output_format == "csv")
            return
        write_file_atomically(chunks, target)
    if not cli_context.quiet:
        print_message(
            cli_context.translator.format_pair(
                str(file),
                cli_context.translator.translate_plural(
                    "{n} association", "{n} associations", count
                ),
            )
        )


@registry_app.command("history")
@examples("auditor registry history", "auditor registry history --association nour")
def show_registry_history(
    context: typer.Context,
    association: Annotated[
        str | None, typer.Option(help="Show only this association, by its id.")
    ] = None,
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
    with cli_context.open_app() as app:
        entries = app.store.audit_log.list_audit_log(association, limit=limit + 1)
    changes = list(limit_rows(context, entries, limit))
    if table_format == "json":
        print_data(build_json_document(map(_build_change_item, changes), get_current_time()))
    else:
        zone = app.config.network.time_zone
        _print_history(changes, cli_context.translator, zone, table_format)


def _build_change_item(change: AuditLogEntry) -> dict[str, Any]:
    """Return an item of `registry history --json`."""
    return {
        "at": change.changed_at,
        "author": change.author,
        "source": change.source,
        "association": change.association,
        "field": change.field,
        "change": change.kind,
        "before": change.before,
        "after": change.after,
    }


def _print_history(
    changes: list[AuditLogEntry], translator: Translator, zone: str, table_format: TableFormat
) -> None:
    rows = []
    for change in changes:
        cells = {**_build_change_item(change), "at": format_timestamp(change.changed_at)}
        if table_format == "table":
            cells |= _translate_change(change, translator, zone)
        rows.append([cells[column] for column in HISTORY_COLUMNS])
    formatters = {
        "change": partial(translator.term, "outcome"),
        "source": partial(translator.term, "changed_by"),
    }
    print_table(
        HISTORY_COLUMNS, rows, translator, table_format, formatters, optional_column="source"
    )


def _translate_change(change: AuditLogEntry, translator: Translator, zone: str) -> dict[str, str]:
    """Return the cells of a change that a terminal shows as text."""
    from auditor.registry.changes import RegistryChangeLine

    line = RegistryChangeLine.from_change(change, "")
    before, after = line.describe_values(translator)
    author = change.author
    if author == "operator":
        author = translator.label("actor", author)
    return {
        "at": translator.format_datetime(change.changed_at, zone),
        "author": author,
        "field": line.describe_field(translator),
        "before": before,
        "after": after,
    }


def _print_issues(
    issues: list[SpreadsheetProblem], translator: Translator, table_format: TableFormat
) -> None:
    lines = ([problem.to_dict()[name] for name in ISSUE_COLUMNS] for problem in issues)
    formatters = {
        "problem": partial(translator.term, "problem"),
        "severity": partial(translator.term, "issue_severity"),
    }
    print_table(ISSUE_COLUMNS, lines, translator, table_format, formatters)


def _describe_import_counts(import_result: ImportResult, translator: Translator) -> str:
    errors = sum(problem.severity == "error" for problem in import_result.problems)
    return translator.join_list(
        [
            translator.translate_plural(
                "{n} association", "{n} associations", len(import_result.associations)
            ),
            translator.translate_plural("{n} link", "{n} links", len(import_result.accounts)),
            translator.translate_plural("{n} error", "{n} errors", errors),
            translator.translate_plural(
                "{n} warning", "{n} warnings", len(import_result.problems) - errors
            ),
        ]
    )


def _build_import_item(import_result: ImportResult, changes: ImportChanges) -> dict[str, Any]:
    """Return the item of `registry import --json`."""
    accounts_by_kind = {
        kind: [_build_account_item(row) for row in rows]
        for kind, rows in _group_accounts_by_kind(changes).items()
    }
    associations_by_kind = {
        f"associations_{kind}": list(_list_association_ids(changes, kind)) for kind in CHANGE_KINDS
    }
    return {
        "associations": len(import_result.associations),
        "accounts": len(import_result.accounts),
        "dry_run": False,
        **accounts_by_kind,
        **associations_by_kind,
        "not_specified": list(changes.missing_columns),
        "problems": [problem.to_dict() for problem in import_result.problems],
    }


def _group_accounts_by_kind(changes: ImportChanges) -> dict[str, tuple[Any, ...]]:
    return {kind: getattr(changes, f"accounts_{kind}") for kind in CHANGE_KINDS}


def _list_association_ids(changes: ImportChanges, kind: str) -> tuple[str, ...]:
    ids: tuple[str, ...] = getattr(changes, f"associations_{kind}")
    return ids


def _build_account_item(row: Any) -> dict[str, Any]:
    return {"association": row.association, "column": row.column, "typed": row.typed_text}


def _describe_import(
    import_result: ImportResult, changes: ImportChanges, translator: Translator
) -> Iterator[str]:
    from auditor.registry import exporter
    from auditor.registry.changes import describe_missing_columns
    from auditor.registry.columns import LINKS_COLUMN
    from auditor.registry.issues import describe_dropped_lines, list_dropped_lines

    yield _describe_import_counts(import_result, translator)
    dropped_lines = list_dropped_lines(import_result.problems)
    if message := describe_dropped_lines(dropped_lines, translator):
        yield message
    if message := describe_missing_columns(changes, translator):
        yield message
    for row in changes.accounts_withdrawn:
        account = translator.join_list(
            [
                row.association,
                exporter.format_column_heading(row.column or LINKS_COLUMN, translator),
                row.typed_text,
            ]
        )
        yield translator.format_pair(translator.translate("No longer in the file, kept"), account)
    yield from _describe_result(changes, translator)


def _describe_result(changes: ImportChanges, translator: Translator) -> Iterator[str]:
    """Yield the numbers of changes, or that there are none. Problems were printed before."""
    from auditor.registry.changes import count_changed_associations

    if changes:
        yield translator.join_list(count_changed_associations(changes).describe(translator))
        yield from _describe_link_counts(changes, translator)
    else:
        yield translator.translate("no changes")
    if changes.accounts_withdrawn:
        yield translator.translate(
            "associations missing from the file are kept but not "
            "checked; {option} removes them and their results",
            option="--prune",
        )


def _describe_link_counts(changes: ImportChanges, translator: Translator) -> Iterator[str]:
    """Yield how many links were added, changed, withdrawn and removed."""
    for kind, rows in _group_accounts_by_kind(changes).items():
        if rows:
            links = translator.translate_plural("{n} link", "{n} links", len(rows))
            yield translator.format_pair(translator.term("outcome", kind), links)
