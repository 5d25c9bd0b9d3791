"""`gaps`, `report`, `publish` and `demo`: what was concluded, told in every way.

`export`: what is known of the network as a sheet or as JSON, for a person or for a script.
"""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import CliContext, JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples
from auditor.cli.output import (
    OutputFormat,
    choose_output_format,
    is_stdout_terminal,
    print_bytes,
    print_data,
    print_table,
    print_text,
    show_progress,
    validate_delimiter,
    write_file_atomically,
)
from auditor.core import runtime
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import build_json_document
from storage.errors import build_file_error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from auditor.app import App
    from auditor.evaluation.association_view import AssociationView
    from auditor.i18n.translator import Translator

GAP_COLUMNS = ("severity", "code", "channel", "opened_at", "association", "name")
TERMINAL_GAP_COLUMNS = ("severity", "code", "opened_at", "association", "name", "key")


@examples("auditor gaps", "auditor gaps --channel facebook --json")
def gaps(
    context: typer.Context,
    association: Annotated[
        str | None, typer.Option(help="Show only this association, by its id.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Show only this channel.")] = None,
    code: Annotated[str | None, typer.Option(help="Show only gaps with this code.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the open gaps, the most severe first."""
    wanted = {"association": association, "channel": channel, "code": code}
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        found = [
            item for item in _load_gap_items(app, association) if _matches_filters(item, wanted)
        ]
    if as_json:
        print_data(build_json_document(found, get_current_time()))
    else:
        _print_gaps(found, cli_context.translator)


@examples("auditor report", "auditor report nour --pdf nour.pdf")
def report(
    context: typer.Context,
    association: Annotated[
        str | None,
        typer.Argument(help="Id of an association; without it, the report of the network."),
    ] = None,
    *,
    pdf: Annotated[
        Path | None,
        typer.Option(readable=False, help="Write the association's report to this PDF file."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="Print this address on the PDF, as a code to scan.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the report of an association or the network.

    An association's report is in its own language, unless --lang selects another one.
    """
    from auditor.evaluation.network_view import build_network_overview
    from auditor.reports import text
    from auditor.views.json_items import build_report_item, build_report_items

    now, cli_context = get_current_time(), get_cli_context(context)
    if pdf and not association:
        raise UsageError(
            "--pdf", "is of one association's report", "`auditor report ID --pdf FILE`"
        )
    with cli_context.open_app() as app:
        if association is None:
            seen = build_network_overview(app.store, app.config, now)
            items, told = (
                build_report_items(seen),
                text.format_terminal_report(seen, app.config, None, cli_context.language),
            )
        else:
            view = _load_listed_association(app, association)
            items, told = (
                [build_report_item(view)],
                text.format_association_report(view, now, cli_context.requested_language),
            )
            if pdf and not as_json:
                _write_pdf(
                    pdf, _render_pdf_report(view, app, cli_context.requested_language, address)
                )
                return
    print_data(build_json_document(items, now)) if as_json else print_text(told)


@examples("auditor publish pages")
def publish(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            readable=False, help="Folder to write to. The default is the setting report.folder."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(readable=False, help="Write to this folder; the same as the argument."),
    ] = None,
) -> None:
    """Write the pages of the network as a static site."""
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        target = folder or out or app.config.report.folder
        written = _publish_site(app, target, cli_context)
    cli_context.print_translated_count(
        "{file}: {n} page", "{file}: {n} pages", written, file=str(target)
    )


@examples("auditor demo")
def demo(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(readable=False, help="Folder to create the demo in.")
    ] = Path("demo"),
) -> None:
    """Demonstrate the auditor with a fictional network.

    Imports 100 associations, runs 14 audits of a simulated web on this machine and writes pages to
    open. Needs no network.
    """
    from auditor.app import App
    from auditor.demo import play
    from auditor.evaluation.network_view import build_network_overview
    from auditor.reports import text

    cli_context = get_cli_context(context)
    with show_progress(
        cli_context.translator.translate("14 checks"), quiet=cli_context.quiet
    ) as step:
        played = runtime.run_async(play.run_demo(folder, on_progress=step, now=get_current_time()))
    with App.open(played.config) as app:
        written = _publish_site(app, played.config.report.folder, cli_context)
        seen = build_network_overview(
            app.store, app.config, get_current_time(), since=played.runs[0].started_at
        )
        print_text(text.format_terminal_report(seen, app.config, None, cli_context.language))
    first = str(played.config.report.folder / "index.html")
    cli_context.print_translated_count(
        "{n} page to open: {file}", "{n} pages to open: {file}", written, file=first
    )
    cli_context.print_translated(
        "database: {file}; continue with: {command}",
        file=played.config.storage.url,
        command=f"auditor --config {folder}/config.toml gaps",
    )


def _publish_site(app: App, target: Path, cli_context: CliContext) -> int:
    from auditor.reports import publish_site as write_pages

    try:
        with show_progress(
            cli_context.translator.translate("web pages"), quiet=cli_context.quiet
        ) as step:
            return write_pages(app, target, get_current_time(), on_progress=step)
    except OSError as trouble:
        raise build_file_error(trouble, f"cannot write to {target}") from None


def _render_pdf_report(
    view: AssociationView, app: App, language: str | None, report_url: str
) -> bytes:
    """An association's report as a PDF, in the language asked for or its own."""
    from auditor.rendering.templates import StaticSiteLinks
    from auditor.reports import html, pdf

    told = language or view.association.language
    link = StaticSiteLinks("report.html", (told,), has_network_pages=False)
    return pdf.render_pdf(
        html.render_report(view, app.config, get_current_time(), link, told, report_url=report_url)
    )


def _write_pdf(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as trouble:
        raise build_file_error(trouble, f"cannot write {file}") from None


def _load_gap_items(app: App, association: str | None = None) -> list[dict[str, Any]]:
    from auditor.evaluation.network_view import iter_association_views, load_association_view
    from auditor.reference.gap_catalogue import SEVERITIES
    from auditor.views.json_items import build_gap_items

    _validate_association(app, association)
    if association is None:
        found = build_gap_items(iter_association_views(app.store, app.config, get_current_time()))
    else:
        view = load_association_view(app.store, app.config, association)
        found = build_gap_items([view] if view else ())
    return sorted(found, key=lambda item: SEVERITIES.index(item["severity"]))


def _print_gaps(gap_items: Iterable[dict[str, Any]], translator: Translator) -> None:
    """On a terminal what a gap is about, with its channel, and its code last: that is what one types."""
    say_as = {"severity": lambda code: translator.label("severity", code)}
    items = map(_shorten_dates, gap_items)
    if is_stdout_terminal():
        said = (
            {
                **item,
                "key": item["code"],
                "code": translator.gap_title(item["code"], item["channel"]),
            }
            for item in items
        )
        print_table(
            TERMINAL_GAP_COLUMNS,
            ([item[column] for column in TERMINAL_GAP_COLUMNS] for item in said),
            translator,
            say_as,
        )
    else:
        print_table(
            GAP_COLUMNS, ([item[column] for column in GAP_COLUMNS] for item in items), translator
        )


def _shorten_dates(item: dict[str, Any]) -> dict[str, Any]:
    """The same item with a day for a moment: a person's list needs no seconds."""
    return {**item, "opened_at": (item["opened_at"] or "")[:10]}


def _matches_filters(item: dict[str, Any], filters: dict[str, str | None]) -> bool:
    return all(value is None or item[name] == value for name, value in filters.items())


def _load_listed_association(app: App, association: str) -> AssociationView:
    from auditor.evaluation.network_view import load_association_view

    _validate_association(app, association)
    view = load_association_view(app.store, app.config, association)
    if view is None:
        raise InputError(
            association, "the registry does not list it any more", "`auditor registry import`"
        )
    return view


def _validate_association(app: App, association: str | None) -> None:
    if association is not None and app.store.get_association(association) is None:
        raise InputError(
            association, "no association has this id", "`auditor registry export -` lists them"
        )


EXPORT_KIND_NAMES = ("associations", "gaps", "accounts", "coverage", "changes", "meeting")


@examples("auditor export gaps.csv", "auditor export associations associations.xlsx")
def export(
    context: typer.Context,
    kind_or_file: Annotated[
        str,
        typer.Argument(
            metavar="KIND|FILE",
            help="What to export: associations, gaps, accounts, coverage, changes or meeting. "
            "If it is left out, the file comes first and gaps are exported.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            readable=False,
            help="A .csv, .xlsx or .json file, or - for standard output.",
        ),
    ] = None,
    *,
    file_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format", help="Write this format. The default is that of the file name, or CSV."
        ),
    ] = None,
    bom: Annotated[
        bool, typer.Option(help="Begin CSV with the mark by which Excel detects UTF-8.")
    ] = True,
    delimiter: Annotated[
        str,
        typer.Option(
            help="Separate CSV cells with this character; French Excel expects a semicolon."
        ),
    ] = ",",
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Export changes since this day. The default is the last run."
        ),
    ] = None,
    region: Annotated[str, typer.Option(help="Include only associations of this region.")] = "",
    tag: Annotated[str, typer.Option(help="Include only associations with this tag.")] = "",
) -> None:
    """Export gaps, associations or figures to a file.

    With --lang, headings and words are in that language beside the codes; otherwise keys are
    English.
    """
    from auditor.evaluation.summary import AssociationFilter
    from auditor.i18n.catalogs import get_text_direction
    from auditor.i18n.translator import Translator
    from auditor.views.export import ExportRequest, stream_export

    kind, target = _parse_export_arguments(kind_or_file, file)
    validate_delimiter(delimiter)
    lang = get_cli_context(context).requested_language
    with get_cli_context(context).open_app() as app:
        cli_context = ExportRequest(
            kind=kind,
            format=choose_output_format(file_format, target),
            association_filter=AssociationFilter(region=region, tag=tag),
            translator=Translator(lang) if lang else None,
            since=since.replace(tzinfo=UTC) if since else None,
            bom=bom and target is not None,
            delimiter=delimiter,
            right_to_left=get_text_direction(lang or app.config.network.language) == "rtl",
        )
        pieces = stream_export(cli_context, app, get_current_time())
        if target is None:
            print_bytes(pieces, is_text=cli_context.format != "xlsx")
            return
        write_file_atomically(pieces, target)
    get_cli_context(context).print_translated("{file}: written", file=str(target))


def _parse_export_arguments(kind_or_file: str, file: Path | None) -> tuple[str, Path | None]:
    """The kind that is asked for, and the file, None for standard output."""
    if kind_or_file in EXPORT_KIND_NAMES:
        return kind_or_file, None if file is None or str(file) == "-" else file
    if file is not None:
        raise UsageError(
            kind_or_file, "this is no kind of export", f"one of {', '.join(EXPORT_KIND_NAMES)}"
        )
    return "gaps", None if kind_or_file == "-" else Path(kind_or_file)
