"""Downloads of lists as spreadsheets or JSON, and the pack to print for a meeting."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Depends, HTTPException, Query
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from markupsafe import Markup
from pydantic import BeforeValidator, Field

from auditor import report_links
from auditor.core.form_limits import MAX_SEARCH_CHARS
from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.rendering import svg
from auditor.views import export
from auditor.views.calls import MAX_CALLS, build_meeting_pack, count_gap_titles
from auditor.views.domain_calendar import DOMAIN_GAP, build_domain_calendar
from auditor.views.export import EXPORT_KINDS, MEDIA_TYPES, ExportFormat, ExportRequest
from auditor.views.groups import find_change_period
from auditor.web import access, list_filters
from auditor.web.request_context import PageContext, RequestContext, build_url, parse_day
from auditor.web.routes.gaps import LAST_MEETING_COOKIE
from auditor.web.routes.runs import RESULTS_REQUIRED
from storage.models.audit import GAP_KINDS, Gap

router = APIRouter(route_class=access.AccessRoute)


def parse_filter(association_filter: Annotated[AssociationFilter, Depends()]) -> AssociationFilter:
    """Return the filter of a query. Raises HTTPException (422) if too much is searched for."""
    if len(association_filter.q) > MAX_SEARCH_CHARS:
        raise HTTPException(422)
    return association_filter


FilterParams = Annotated[AssociationFilter, Depends(parse_filter)]
"""The query parameters of a list: the fields of the filter."""
OptionalDate = Annotated[date | None, BeforeValidator(lambda day: day or None)]
"""A date; an empty field is None."""
SinceParam = Annotated[OptionalDate, Query()]


@router.get("/{language}/exports/{kind}.{file_format}", dependencies=[access.LOGGED_IN_ACCESS])
def download_export(
    context: PageContext,
    kind: str,
    file_format: ExportFormat,
    association_filter: FilterParams,
    *,
    since: SinceParam = None,
    delimiter: Annotated[Literal[",", ";"], Query()] = ",",
) -> StreamingResponse:
    """Stream the rows of one kind."""
    if kind not in EXPORT_KINDS:
        raise HTTPException(404)
    export_request = ExportRequest(
        kind=kind,
        format=file_format,
        association_filter=association_filter,
        translator=context.translator,
        since=datetime.combine(since, time(), UTC) if since else None,  # as days of runs
        delimiter=delimiter,
        right_to_left=context.translator.direction == "rtl",
        can_see_contact=context.can_manage_association,
    )
    return stream_download(export_request, context)


def stream_download(export_request: ExportRequest, context: RequestContext) -> StreamingResponse:
    """Return the response that builds an export while it is sent.

    The file has a dated name, in ASCII and in the page's language.
    """
    ascii_name = export_request.get_file_name(context.now)
    translated_name = quote(export_request.get_translated_file_name(context.now))
    disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{translated_name}"
    return StreamingResponse(
        export.stream_export(export_request, context.app, context.now),
        media_type=MEDIA_TYPES[export_request.format],
        headers={"content-disposition": disposition, "cache-control": "no-store"},
    )


@router.get("/{language}/domains.ics", dependencies=[access.COORDINATOR_ACCESS])
def download_domain_calendar(context: PageContext) -> Response:
    """Return a calendar of the domains to renew, of the associations that the user manages."""
    calendar = build_domain_calendar(_iter_domain_gaps(context), context.translator, context.now)
    headers = {
        "content-disposition": 'attachment; filename="domains.ics"',
        "cache-control": "no-store",
    }
    return Response(calendar, media_type="text/calendar; charset=utf-8", headers=headers)


def _iter_domain_gaps(context: RequestContext) -> Iterator[tuple[str, Gap]]:
    """Yield each visible gap of a domain with the name of its association."""
    store, cursor = context.load_fresh_store(), None
    while True:
        page = store.gap_search.list_visible_gaps(
            code=DOMAIN_GAP, cursor=cursor, limit=GAPS_PER_QUERY
        )
        for row in page.rows:
            if context.can_manage_association(row.association):
                yield row.association.display_name(context.language), row.gap
        cursor = page.next_cursor
        if not cursor:
            return


GAPS_PER_QUERY = 500
SHOWN_GAP_KINDS = 4
"""The pack shows the most frequent kinds of opened and of closed gaps; a printed page has no more
room."""
DEFAULT_CHANGE_PERIOD = timedelta(days=30)
"""The period of a pack if no meeting day is given or saved. Meetings are usually monthly."""
CALL_LIMIT_CHOICES = (10, 25, MAX_CALLS)
"""How many calls a pack lists; ten fit on one sheet of paper."""
CallLimit = Annotated[int, Field(ge=1, le=MAX_CALLS)]


@router.get("/{language}/meeting", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def show_meeting_pack(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    call_limit: Annotated[CallLimit, Query()] = CALL_LIMIT_CHOICES[0],
    last_meeting_day: Annotated[str, Cookie(alias=LAST_MEETING_COOKIE)] = "",
) -> HTMLResponse:
    """Show the meeting pack, by default since the saved day of the last meeting."""
    day = _choose_first_day(context, since, last_meeting_day)
    return _render_meeting_pack(context, association_filter, day, call_limit)


@router.post("/{language}/meeting", dependencies=[access.COORDINATOR_ACCESS])
def show_meeting_pack_with_qr_codes(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    call_limit: Annotated[CallLimit, Query()] = CALL_LIMIT_CHOICES[0],
) -> HTMLResponse:
    """Create a report link for each listed association, and show the pack with QR codes.

    The links are stored only as hashes, so the response is the one place that contains them.
    Raises HTTPException (409) if no public address is configured; the page says so beforehand.
    """
    app = context.app
    if not report_links.can_create_report_links(app.config):
        raise HTTPException(409)

    def render_report_qr_code(association: str) -> Markup:
        _, url = report_links.create_report_link(
            app.store, app.config, association, context.author, context.now
        )
        return svg.render_qr_code(url)

    day = _choose_first_day(context, since)
    return _render_meeting_pack(context, association_filter, day, call_limit, render_report_qr_code)


def _render_meeting_pack(
    context: RequestContext,
    association_filter: AssociationFilter,
    day: date,
    call_limit: int,
    render_report_qr_code: Callable[[str], Markup] | None = None,
) -> HTMLResponse:
    _, since, _ = find_change_period(context.app.store, day)
    pack = build_meeting_pack(
        context.app.store,
        context.app.config,
        association_filter,
        since,
        context.now,
        limit=call_limit,
    )
    called = [call.summary for call in pack.calls]
    manageable_ids = {item.id for item in called if context.can_manage_association(item)}
    qr_codes: dict[str, Markup] = {}
    if render_report_qr_code:
        qr_codes = {id_: render_report_qr_code(id_) for id_ in manageable_ids}
    filter_params = asdict(association_filter)
    query_params = {**filter_params, "since": day.isoformat()}
    list_url, pack_url = context.links.page_url("associations"), context.links.page_url("meeting")
    return context.render_page(
        "meeting.html",
        pack=pack,
        kind_urls={
            kind: build_url(list_url, {**filter_params, "gap_kind": kind}) for kind in GAP_KINDS
        },
        has_comparison=since <= context.now,
        qr_codes=qr_codes,
        manageable_ids=manageable_ids,
        filters={**query_params, "region": get_region_key(association_filter.region)},
        since=since,
        region_choices=list_filters.list_group_choices(context, "region"),
        tag_choices=list_filters.list_group_choices(context, "tag"),
        qr_codes_url=build_url(pack_url, {**query_params, "call_limit": str(call_limit)}),
        workbook_url=build_url(f"{pack_url}.xlsx", query_params),
        count_gap_titles=count_gap_titles,
        call_limit=call_limit,
        call_limit_choices=CALL_LIMIT_CHOICES,
        shown_kinds_count=SHOWN_GAP_KINDS,
    )


@router.get("/{language}/meeting.xlsx", dependencies=[access.LOGGED_IN_ACCESS])
def download_meeting_workbook(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    last_meeting_day: Annotated[str, Cookie(alias=LAST_MEETING_COOKIE)] = "",
) -> StreamingResponse:
    """Stream the pack as a workbook of three sheets, with all calls."""
    day = _choose_first_day(context, since, last_meeting_day)
    return stream_download(_build_meeting_export(context, association_filter, day), context)


def _choose_first_day(
    context: RequestContext, since: date | None, last_meeting_day: str = ""
) -> date:
    """Return the given day, else the saved or the default one. A day in the future is today."""
    today = context.now.date()
    return min(since or parse_day(last_meeting_day) or today - DEFAULT_CHANGE_PERIOD, today)


def _build_meeting_export(
    context: RequestContext, association_filter: AssociationFilter, day: date
) -> ExportRequest:
    _, since, _ = find_change_period(context.app.store, day)
    return ExportRequest(
        kind="meeting",
        format="xlsx",
        association_filter=association_filter,
        translator=context.translator,
        since=since,
        right_to_left=context.translator.direction == "rtl",
        can_see_contact=context.can_manage_association,
    )
