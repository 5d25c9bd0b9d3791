"""The final report of a project, as a page and as a PDF."""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Response
from fastapi.responses import HTMLResponse

from auditor.core.errors import InputError
from auditor.presentation.reports import final_report, pdf
from auditor.presentation.views.final_report import build_final_report, find_period
from auditor.web import access, list_filters
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    build_download_headers,
    build_url,
    parse_day,
)
from auditor.web.routes.runs import RESULTS_REQUIRED
from probes.text.charset import clean_text

router = APIRouter(route_class=access.AccessRoute)


def parse_period(
    context: PageContext,
    first_day: Annotated[str, Query(alias="from")] = "",
    last_day: Annotated[str, Query(alias="to")] = "",
) -> tuple[date, date]:
    """Return the first and the last day of a report, by default the last year."""
    last = parse_day(last_day) or context.now.date()
    return parse_day(first_day) or last - timedelta(days=365), last


PeriodParams = Annotated[tuple[date, date], Depends(parse_period)]


@router.get("/{language}/final-report", dependencies=[access.COORDINATOR_ACCESS, RESULTS_REQUIRED])
def show_final_report(
    context: PageContext, period: PeriodParams, tag: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """Show the final report of a period, by default of the last year."""
    report = _build_final_report(context, period, tag)
    pdf_url = build_url(
        context.links.page_url("final-report.pdf"),
        {"from": str(period[0]), "to": str(period[1]), "tag": tag},
    )
    return context.render_page(
        "final_report.html",
        first_day=period[0],
        last_day=period[1],
        tag=tag,
        tag_choices=list_filters.list_group_choices(context, "tag"),
        latest_run=context.app.store.runs.get_latest_evaluated(),
        pdf_url=pdf_url if pdf.is_typst_installed() else "",
        **final_report.build_template_values(report, context.language),
    )


@router.get(
    "/{language}/final-report.pdf", dependencies=[access.COORDINATOR_ACCESS, RESULTS_REQUIRED]
)
def download_final_report(
    context: PageContext, period: PeriodParams, tag: Annotated[str, Query()] = ""
) -> Response:
    """Send the final report as a PDF."""
    report = _build_final_report(context, period, tag)
    if report is None or not pdf.is_typst_installed():
        raise HTTPException(404)
    document = final_report.render_final_report(report, context.app.config, context.language)
    title = context.translator.translate("Final report")
    headers = build_download_headers(f"report-{period[1]}", f"{title}-{period[1]}", "pdf")
    return Response(pdf.render_pdf(document), media_type="application/pdf", headers=headers)


def _build_final_report(
    context: RequestContext, period: tuple[date, date], tag: str
) -> dict[str, Any] | None:
    """Return the report, its contacts and workshops of the user's regions, or None if empty."""
    store, config, today = context.app.store, context.app.config, context.now.date()
    try:
        found = find_period(store, *period, today)
    except InputError:
        return None
    return build_final_report(store, config, found, clean_text(tag), regions=context.regions)
