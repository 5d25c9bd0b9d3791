"""`gaps`, `report`, `export` and `publish`: show, export and publish the results."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import (
    OUTPUT_FORMAT_OPTION,
    AssociationOption,
    BomOption,
    CliContext,
    DelimiterOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
    get_cli_context,
    get_current_time,
    show_list,
)
from auditor.cli.output import (
    OutputFormat,
    choose_output_format,
    choose_table_format,
    count_noun,
    print_bytes,
    print_json,
    print_text,
    show_progress,
    validate_delimiter,
    write_file_atomically,
)
from auditor.conclusions.network_view import (
    build_network_overview,
    list_open_gaps,
    load_association_view,
)
from auditor.conclusions.summary import AssociationFilter
from auditor.core.errors import InputError, UsageError
from auditor.core.i18n.translator import Translator
from auditor.presentation.views.json_items import build_gap_item, build_gap_items, build_report_item
from storage.errors import build_file_error
from storage.models.audit import GapKind, compute_gap_rank

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.conclusions.association_view import AssociationView

GAP_COLUMNS = ("kind", "severity", "code", "channel", "opened_at", "association", "name")
TERMINAL_GAP_COLUMNS = ("kind", "code", "opened_at", "association", "name", "gap_code")


@examples("auditor gaps --limit 20", "auditor gaps --channel facebook | less")
def gaps(
    context: typer.Context,
    *,
    association: AssociationOption = None,
    channel: Annotated[str | None, typer.Option(help="Show only this channel.")] = None,
    code: Annotated[str | None, typer.Option(help="Show only gaps with this code.")] = None,
    limit: LimitOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the open gaps, broken ones first.

    A gap is something that an association should fix.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    filters = {"association": association, "channel": channel, "code": code}
    cli_context = get_cli_context(context)
    is_table, translator = table_format == "table", Translator(cli_context.language)
    with cli_context.open_app_for_reading() as app:
        items = _load_gap_items(app, association, translator.language if is_table else "")
    show_list(
        context,
        (
            item
            for item in items
            if all(value is None or item[name] == value for name, value in filters.items())
        ),
        TERMINAL_GAP_COLUMNS if is_table else GAP_COLUMNS,
        table_format,
        config=app.config,
        limit=limit,
        build_row=lambda item: {
            **item,
            "opened_at": (item["opened_at"] or "")[:10],
            **(
                {
                    "gap_code": item["code"],
                    "code": translator.gap_title(
                        item["code"], item["channel"], "label", item["params"]
                    ),
                }
                if is_table
                else {}
            ),
        },
        words={"kind": partial(translator.label, "gap_kind")},
        headings=partial(translator.term, "heading"),
        optional_column="gap_code",
        empty_text=translator.translate("Nothing to list."),
    )


@examples(
    "auditor report",
    "auditor report nour --pdf nour.pdf",
    "auditor report --from 2026-01-01 --to 2026-12-31",
)
def report(
    context: typer.Context,
    association: Annotated[
        str | None,
        typer.Argument(help="Id of an association. Without it, the report covers the network."),
    ] = None,
    *,
    pdf: Annotated[
        Path | None,
        typer.Option(readable=False, help="Write the association's report to this PDF file."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="Print this web address on the PDF, as a QR code.")
    ] = "",
    first_day: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="Report on a project from this day (UTC) on."
        ),
    ] = None,
    last_day: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last day of the project (UTC)."),
    ] = None,
    tag: Annotated[
        str, typer.Option(help="Limit the report on a project to associations with this tag.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the report of an association or the network, or the final report of a project.

    An association's report is in its own language, unless --lang selects another one. With --from
    and --to, the report compares the network on these two days, and says what was done between.
    """
    # `gaps` does not need it
    from auditor.presentation.reports import text  # noqa: PLC0415

    now, cli_context = get_current_time(), get_cli_context(context)
    if bool(first_day) != bool(last_day) or (first_day and association) or (tag and not first_day):
        raise UsageError("--from", "a project has two days", "`auditor report --from DAY --to DAY`")
    if pdf and not association and not first_day:
        raise UsageError(
            "--pdf", "the report of the network cannot be a PDF", "`auditor report ID --pdf FILE`"
        )
    with cli_context.open_app_for_reading() as app:
        if first_day and last_day:
            period = (first_day.date(), last_day.date())
            _show_final_report(app, period, tag, pdf, cli_context, as_json=as_json)
            return
        if association is None:
            overview = build_network_overview(app.store, app.config, now)
            items = list(map(build_report_item, overview.associations))
            report_text = text.format_network_summary(overview, app.config, cli_context.language)
        else:
            _validate_association(app, association)
            view = load_association_view(app.store, app.config, association)
            if view is None:
                raise InputError(
                    association,
                    "it is no longer in the spreadsheet",
                    "`auditor registry import` with a spreadsheet that has it",
                )
            language = cli_context.requested_language
            if pdf and not as_json:
                write_file_atomically([_render_pdf_report(view, app, language, address)], pdf)
                return
            items = [build_report_item(view)]
            report_text = text.format_association_report(view, now, language)
    cli_context.explain_empty_result(len(items), app.config)
    if as_json:
        print_json(items, now)
    else:
        print_text(report_text)


def _show_final_report(
    app: App,
    period: tuple[date, date],
    tag: str,
    pdf_file: Path | None,
    cli_context: CliContext,
    *,
    as_json: bool,
) -> None:
    # most commands need no templates
    from auditor.presentation.reports import final_report, pdf  # noqa: PLC0415
    from auditor.presentation.views.export import build_coverage_item  # noqa: PLC0415
    from auditor.presentation.views.final_report import (  # noqa: PLC0415
        CHANGE_KINDS,
        build_final_report,
        find_period,
    )

    now = get_current_time()
    found = find_period(app.store, *period, now.date())
    report = build_final_report(app.store, app.config, found, tag)
    document = final_report.render_final_report(report, app.config, cli_context.language)
    if as_json:
        items = [
            {
                **{end: build_coverage_item(channel[end]) for end in ("before", "after")},
                **{key: channel[key] for key in ("cohort_before", "cohort_after", *CHANGE_KINDS)},
            }
            for channel in report["channels"]
        ]
        print_json(items, now)
    elif pdf_file:
        write_file_atomically([pdf.render_pdf(document)], pdf_file)
    else:
        print_text(final_report.format_final_report(document))


@examples("auditor publish pages")
def publish(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            readable=False, help="Folder to write to. The default is the setting report.folder."
        ),
    ] = None,
) -> None:
    """Write the pages of the network as a static website.

    A web server can serve the folder, or a browser can open its index.html.
    """
    cli_context = get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        cli_context.explain_empty_result(app.store.registry.count_registered()[0], app.config)
        target = folder or app.config.report.folder
        page_count = publish_pages(app, target, cli_context)
    cli_context.print_note(f"{target}: {count_noun(page_count, 'page')}")


def publish_pages(app: App, target: Path, cli_context: CliContext) -> int:
    """Write the pages of the network to a folder with progress, and return how many."""
    # most commands need no templates
    from auditor.presentation.reports.html import publish_site  # noqa: PLC0415

    quiet = cli_context.quiet
    try:
        with show_progress("web pages", quiet=quiet) as on_progress:
            return publish_site(app, target, get_current_time(), on_progress=on_progress)
    except OSError as error:
        raise build_file_error(error, f"cannot write to {target}") from None


def _render_pdf_report(
    view: AssociationView, app: App, language: str | None, report_url: str
) -> bytes:
    """Return the report of an association as a PDF, in `language` or its own language."""
    # most commands need no templates
    from auditor.conclusions.examples import ExampleFinder  # noqa: PLC0415
    from auditor.core.rendering.templates import StaticSiteLinks  # noqa: PLC0415
    from auditor.presentation.reports import html, pdf  # noqa: PLC0415

    report_language = language or view.association.language
    report_html = html.render_report(
        view,
        app.config,
        get_current_time(),
        StaticSiteLinks("report.html", (report_language,), has_network_pages=False),
        report_language,
        examples=ExampleFinder(app.store, app.config),
        report_url=report_url,
        is_folded=False,
    )
    return pdf.render_pdf(report_html)


def _load_gap_items(app: App, association: str | None, name_language: str) -> list[dict[str, Any]]:
    _validate_association(app, association)
    if association is None:
        rows = list_open_gaps(app.store, app.config)
        return [
            build_gap_item(row.gap, row.association.display_name(name_language)) for row in rows
        ]
    view = load_association_view(app.store, app.config, association)
    items = build_gap_items([view] if view else [], name_language)
    return sorted(items, key=lambda item: compute_gap_rank(GapKind(item["kind"]), item["severity"]))


def _validate_association(app: App, association: str | None) -> None:
    if association is not None and app.store.registry.get_association(association) is None:
        raise InputError(
            association, "no association has this id", "`auditor registry export -` lists them"
        )


EXPORT_KIND_NAMES = ("associations", "gaps", "accounts", "coverage", "changes", "meeting")

ExportArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND|FILE",
        help="What to export: associations, gaps, accounts, coverage, changes or meeting. "
        "If the first argument is a file, gaps are exported.",
    ),
]
ExportFileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        readable=False,
        help="A .csv, .xlsx or .json file, or - for standard output.",
    ),
]


@examples("auditor export gaps.csv", "auditor export associations associations.xlsx")
def export(
    context: typer.Context,
    kind_or_file: ExportArgument,
    file: ExportFileArgument = None,
    *,
    file_format: Annotated[OutputFormat | None, OUTPUT_FORMAT_OPTION] = None,
    bom: BomOption = True,
    delimiter: DelimiterOption = ",",
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Export changes since this day (UTC). The default is the last run.",
        ),
    ] = None,
    region: Annotated[str, typer.Option(help="Include only associations of this region.")] = "",
    tag: Annotated[str, typer.Option(help="Include only associations with this tag.")] = "",
) -> None:
    """Export gaps, associations or figures to a file.

    With --lang, column headings and values are in that language, and the codes are added. Without
    it, they are English keys and codes.
    """
    # only exports need workbooks
    from auditor.presentation.views.export import ExportRequest, stream_export  # noqa: PLC0415

    kind, target = _parse_export_arguments(kind_or_file, file)
    validate_delimiter(delimiter)
    cli_context = get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        cli_context.explain_empty_result(app.store.registry.count_registered()[0], app.config)
        request = ExportRequest(
            kind=kind,
            format=choose_output_format(file_format, target),
            association_filter=AssociationFilter(region=region, tag=tag),
            translator=cli_context.requested_translator,
            since=since.replace(tzinfo=UTC) if since else None,
            bom=bom and target is not None,
            delimiter=delimiter,
        )
        chunks = stream_export(request, app, get_current_time())
        if target is None:
            print_bytes(chunks, is_readable=request.format != "xlsx")
            return
        write_file_atomically(chunks, target)
    cli_context.print_note(f"{target}: written")


def _parse_export_arguments(kind_or_file: str, file: Path | None) -> tuple[str, Path | None]:
    """Return the kind of export and its file, which is None for standard output."""
    if kind_or_file in EXPORT_KIND_NAMES:
        return kind_or_file, None if file is None or str(file) == "-" else file
    if file is not None:
        raise UsageError(
            kind_or_file,
            "there is no such kind of export",
            f"one of {', '.join(EXPORT_KIND_NAMES)}",
        )
    return "gaps", None if kind_or_file == "-" else Path(kind_or_file)
