"""Print what the commands of `registry` find and change."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from auditor.cli.context import get_current_time, read_confirmation
from auditor.cli.output import TableFormat, print_json, print_message, print_table
from auditor.core.errors import InputError
from auditor.core.formatting import format_timestamp

if TYPE_CHECKING:
    from auditor.cli.context import CliContext
    from auditor.i18n.translator import Translator
    from auditor.registry.changes import ImportPreview, RegistryChangeLine
    from auditor.registry.importer import ImportResult
    from auditor.registry.issues import SpreadsheetProblem
    from storage.models.users import AuditLogEntry
    from storage.registry.diff import ImportChanges

ISSUE_COLUMNS = ("line", "column", "problem", "severity", "value")
CHANGE_COLUMNS = ("association", "field", "change", "before", "after", "name")
HISTORY_COLUMNS = ("at", "author", "source", "association", "field", "change", "before", "after")
CHANGE_KINDS = ("added", "changed", "withdrawn", "pruned")
MAX_SHOWN_CHANGES = 200
"""Changes that are listed before the command asks for confirmation."""


def refuse_withdrawals(
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


def print_import_result(
    import_result: ImportResult, changes: ImportChanges, cli_context: CliContext, *, is_shown: bool
) -> None:
    """Print what an import changed. If it `is_shown`, problems and lines were printed before."""
    translator = cli_context.translator
    was_previewed = is_shown and bool(changes)
    if not was_previewed:
        for problem in import_result.problems:
            print_message(problem.describe(translator))
    if cli_context.quiet:
        return
    if was_previewed:
        lines = _describe_result(changes, translator)
    else:
        lines = _describe_import(import_result, changes, translator)
    for line in lines:
        print_message(line)


def print_import_preview(
    preview: ImportPreview, cli_context: CliContext, table_format: TableFormat
) -> None:
    """Print what an import would change."""
    if table_format == "json":
        print_json((line.to_dict() for line in preview.lines), get_current_time())
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


def confirm_import(
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
    print_table(CHANGE_COLUMNS, rows, translator, table_format, term_groups={"change": "outcome"})


def build_change_item(change: AuditLogEntry) -> dict[str, Any]:
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


def print_history(
    changes: list[AuditLogEntry], translator: Translator, zone: str, table_format: TableFormat
) -> None:
    """Print changes of the registry as a table."""
    rows = []
    for change in changes:
        cells = {**build_change_item(change), "at": format_timestamp(change.changed_at)}
        if table_format == "table":
            cells |= _translate_change(change, translator, zone)
        rows.append(cells)
    print_table(
        HISTORY_COLUMNS,
        rows,
        translator,
        table_format,
        term_groups={"change": "outcome", "source": "changed_by"},
        optional_column="source",
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


def print_issues(
    issues: list[SpreadsheetProblem], translator: Translator, table_format: TableFormat
) -> None:
    """Print the problems of a spreadsheet as a table."""
    items = [problem.to_dict() for problem in issues]
    groups = {"problem": "problem", "severity": "issue_severity"}
    print_table(ISSUE_COLUMNS, items, translator, table_format, term_groups=groups)


def describe_import_counts(import_result: ImportResult, translator: Translator) -> str:
    """Return how many associations, links, errors and warnings a spreadsheet has."""
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


def build_import_item(import_result: ImportResult, changes: ImportChanges) -> dict[str, Any]:
    """Return the item of `registry import --json`."""
    item: dict[str, Any] = {
        "associations": len(import_result.associations),
        "accounts": len(import_result.accounts),
        "dry_run": False,
    }
    for kind, rows in _group_accounts_by_kind(changes).items():
        item[kind] = list(map(_build_account_item, rows))
    for kind in CHANGE_KINDS:
        item[f"associations_{kind}"] = list(_list_association_ids(changes, kind))
    item["not_specified"] = list(changes.missing_columns)
    item["problems"] = [problem.to_dict() for problem in import_result.problems]
    return item


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

    yield describe_import_counts(import_result, translator)
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
