"""Downloads: the associations, gaps, accounts, coverage and changes of a list, as sheets or JSON.

What a coordinator prints for a meeting: the figures, what changed, whom to call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Depends, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, StreamingResponse
from markupsafe import Markup
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from auditor import report_links
from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.rendering import svg
from auditor.views import export, meeting_pack
from auditor.views.dashboard import MAX_CALLS
from auditor.views.export import EXPORT_KINDS, MEDIA_TYPES, ExportFormat, ExportRequest
from auditor.web import access, request_context
from auditor.web.request_context import PageContext, RequestContext
from auditor.web.routes.gaps import LAST_MEETING_COOKIE, parse_day

router = APIRouter()

FilterParams = Annotated[AssociationFilter, Depends()]
"""The parameters `region`, `tag`, `level`, `gap`, `channel`, `state` and `q` of any list."""
OptionalDate = Annotated[date | None, BeforeValidator(lambda day: day or None)]
"""A day; a field left empty is none."""
SinceParam = Annotated[OptionalDate, Query()]


@router.get("/{language}/exports/{kind}.{form}", dependencies=[access.LOGGED_IN_ACCESS])
def download_export(
    context: PageContext,
    kind: str,
    form: ExportFormat,
    association_filter: FilterParams,
    *,
    since: SinceParam = None,
    delimiter: Annotated[Literal[",", ";"], Query()] = ",",
) -> StreamingResponse:
    """The rows of a kind, sent as they are made."""
    if kind not in EXPORT_KINDS:
        raise HTTPException(404)
    wanted = ExportRequest(
        kind=kind,
        format=form,
        association_filter=association_filter,
        translator=context.translator,
        since=start_of_day_utc(since),
        delimiter=delimiter,
        right_to_left=context.translator.direction == "rtl",
        can_see_contact=context.can_manage_association,
    )
    return build_download_response(
        wanted, export.stream_export(wanted, context.app, context.now), context
    )


def start_of_day_utc(day: date | None) -> datetime | None:
    """The beginning of a day, UTC, as nights are."""
    return datetime.combine(day, time(), UTC) if day else None


def build_download_response(
    export_request: ExportRequest, chunks: Iterator[bytes], context: RequestContext
) -> StreamingResponse:
    """A file to keep, by a dated name."""
    plain, spoken = (
        export_request.get_file_name(context.now),
        quote(export_request.get_translated_file_name(context.now)),
    )
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{spoken}"
    return StreamingResponse(
        chunks,
        media_type=MEDIA_TYPES[export_request.format],
        headers={"content-disposition": disposition, "cache-control": "no-store"},
    )


MAX_SHOWN_GAP_KINDS = 4
"""Kinds of points that opened or were settled, the most frequent first; a page has no room for all."""
DEFAULT_CHANGE_PERIOD = timedelta(days=30)
"""How far back a pack looks unless a day is named or kept: meetings are monthly."""
CALL_LIMIT_CHOICES = (10, 25, MAX_CALLS)
"""How many calls a pack may have; with the first, it is one sheet of paper."""
CallLimit = Annotated[int, Field(ge=1, le=MAX_CALLS)]


class MeetingPackForm(BaseModel):
    """What is sent for a pack with codes: which one."""

    model_config = ConfigDict(str_strip_whitespace=True)

    region: str = ""
    tag: str = ""
    level: str = ""
    gap: str = ""
    channel: str = ""
    state: str = ""
    q: str = ""
    since: OptionalDate = None
    calls: CallLimit = CALL_LIMIT_CHOICES[0]


@router.get("/{language}/meeting", dependencies=[access.LOGGED_IN_ACCESS])
def show_meeting_pack(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    calls: Annotated[CallLimit, Query()] = CALL_LIMIT_CHOICES[0],
    last_meeting_day: Annotated[str, Cookie(alias=LAST_MEETING_COOKIE)] = "",
) -> HTMLResponse:
    """The pack to look at and to print. `last` is the day that was kept as that of the last meeting."""
    return _render_meeting_pack(
        context,
        _build_meeting_export(context, association_filter, since or parse_day(last_meeting_day)),
        calls,
    )


@router.post("/{language}/meeting", dependencies=[access.COORDINATOR_ACCESS])
def show_meeting_pack_with_qr_codes(
    context: PageContext, form: Annotated[MeetingPackForm, Form()]
) -> HTMLResponse:
    """The same with new links as QR codes. A link is shown once, so the answer itself has them.

    409 where no public address is set; the page says so before anybody asks.
    """
    chosen = AssociationFilter(**form.model_dump(exclude={"since", "calls"}))
    app = context.app
    if not report_links.can_create_report_links(app.config):
        raise HTTPException(409)

    def code_of(association: str) -> Markup:
        _, address = report_links.create_report_link(
            app.store, app.config, association, context.author, context.now
        )
        return svg.render_qr_code(address)

    return _render_meeting_pack(
        context, _build_meeting_export(context, chosen, form.since), form.calls, code_of
    )


def _render_meeting_pack(
    context: RequestContext,
    export_request: ExportRequest,
    limit: int,
    render_report_qr_code: Callable[[str], Markup] | None = None,
) -> HTMLResponse:
    assert export_request.since is not None
    pack = meeting_pack.build_meeting_pack(
        context.app.store,
        context.app.config,
        export_request.association_filter,
        export_request.since,
        context.now,
        limit=limit,
    )
    mine = {
        call.association.id
        for call in pack.calls
        if context.can_manage_association(call.association)
    }
    told = {
        **asdict(export_request.association_filter),
        "since": export_request.since.date().isoformat(),
    }
    return context.render_page(
        "meeting.html",
        pack=pack,
        codes={one: render_report_qr_code(one) for one in mine} if render_report_qr_code else {},
        mine=mine,
        told={**told, "region": get_region_key(export_request.association_filter.region)},
        since=export_request.since,
        regions=request_context.list_group_choices(context, "region"),
        tags=request_context.list_group_choices(context, "tag"),
        sheet=request_context.build_url(context.links.page_url("meeting.xlsx"), told),
        titles=meeting_pack.count_gap_titles,
        most=limit,
        choices=CALL_LIMIT_CHOICES,
        shown=MAX_SHOWN_GAP_KINDS,
    )


@router.get("/{language}/meeting.xlsx", dependencies=[access.LOGGED_IN_ACCESS])
def download_meeting_workbook(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    last_meeting_day: Annotated[str, Cookie(alias=LAST_MEETING_COOKIE)] = "",
) -> StreamingResponse:
    """The pack as a workbook of three sheets, with all calls."""
    wanted = _build_meeting_export(
        context, association_filter, since or parse_day(last_meeting_day)
    )
    return build_download_response(
        wanted, export.stream_export(wanted, context.app, context.now), context
    )


def _build_meeting_export(
    context: RequestContext, association_filter: AssociationFilter, since: date | None
) -> ExportRequest:
    return ExportRequest(
        kind="meeting",
        format="xlsx",
        association_filter=association_filter,
        translator=context.translator,
        since=start_of_day_utc(since or (context.now - DEFAULT_CHANGE_PERIOD).date()),
        right_to_left=context.translator.direction == "rtl",
        can_see_contact=context.can_manage_association,
    )
