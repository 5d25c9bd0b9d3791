"""The list of gaps: every one that is open and shown, the gravest first.

What changed since a date: last night, a week ago, the last meeting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Cookie, HTTPException, Query
from fastapi.responses import HTMLResponse

from auditor.evaluation.summary import get_region_key
from auditor.reference.gap_catalogue import SEVERITIES, load_gap_catalogue
from auditor.users import service
from auditor.web import access, request_context
from auditor.web.request_context import PageContext, RequestContext, build_url
from auditor.web.routes.login import YEAR_SECONDS
from storage.models.summaries import GapPage, GapSort

router = APIRouter()

TextParam = Annotated[str, Query()]


@dataclass(frozen=True, slots=True)
class GapCount:
    """How many associations have a gap, and the way to them."""

    title: str
    association_count: int
    url: str


@router.get("/{language}/gaps", dependencies=[access.LOGGED_IN_ACCESS])
def list_gaps(
    context: PageContext,
    *,
    gap: TextParam = "",
    channel: TextParam = "",
    severity: TextParam = "",
    region: TextParam = "",
    sort: TextParam = "",
    after: TextParam = "",
) -> HTMLResponse:
    """The gaps that are asked for, fifty a page, and how many associations have each."""
    order: GapSort = "newest" if sort == "newest" else "severity"
    rows = context.fresh_store.list_visible_gaps(
        code=gap or None,
        channel=channel or None,
        severity=severity or None,
        region=get_region_key(region) if region else None,
        sort=order,
        cursor=after or None,
    )
    here = context.links.page_url("gaps")
    told = {"gap": gap, "channel": channel, "severity": severity, "region": get_region_key(region)}
    ordered = {**told, "sort": "" if order == "severity" else order}
    return context.render_page(
        "gaps.html",
        chosen=told,
        codes=request_context.list_gap_choices(context.translator),
        channels=request_context.list_channel_choices(context),
        severities=[(name, context.translator.label("severity", name)) for name in SEVERITIES],
        regions=request_context.list_group_choices(context, "region"),
        found=rows,
        counts=sorted(_count_gaps(context, region), key=lambda one: -one.association_count),
        sort=order,
        orders=[
            ("severity", context.translator.translate("most severe first")),
            ("newest", context.translator.translate("newest first")),
        ],
        chips=request_context.build_filter_chips(here, ordered, context.translator),
        first=build_url(here, ordered) if after else "",
        next=build_url(here, {**ordered, "after": rows.next_cursor}) if rows.next_cursor else "",
        sheets=request_context.build_export_links(context, ("gaps",), {**told, "severity": ""}),
    )


def _count_gaps(context: RequestContext, region: str) -> Iterator[GapCount]:
    """Each gap on each channel that any association has, in a region or everywhere."""
    tally = context.fresh_store.get_facet_counts(
        f"region:{get_region_key(region)}" if region else "", "gap:"
    )
    for facet, count in tally.items():
        code, at, channel = facet.removeprefix("gap:").partition("@")
        if at and code in load_gap_catalogue().definitions:
            told = context.translator.describe_gap(code, channel, "info", {}).title
            to = {"gap": code, "channel": channel, "region": region}
            yield GapCount(told, count, build_url(context.links.page_url("gaps"), to))


QUICK_RANGE_DAYS = (7, 30)
"""Days back that are a click away."""
MAX_LISTED_CHANGES = 200
"""Changes of a kind that a page lists."""
LAST_MEETING_COOKIE = "meeting"
"""The cookie that keeps the day of the last meeting."""


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """The gaps that opened and closed since a day; of more than fit a page, the gravest."""

    since: date | None
    today: date
    last_meeting_day: date | None
    opened: GapPage
    closed: GapPage

    @property
    def is_truncated(self) -> bool:
        """Whether there are more than are listed."""
        return any(page.count > len(page.rows) for page in (self.opened, self.closed))

    @property
    def quick_ranges(self) -> list[tuple[int, date]]:
        """Some days back, and which day that is."""
        return [(days, self.today - timedelta(days=days)) for days in QUICK_RANGE_DAYS]


@router.get("/{language}/changes", dependencies=[access.LOGGED_IN_ACCESS])
def list_changes(
    context: PageContext,
    since: Annotated[str, Query()] = "",
    save_meeting_day: Annotated[bool, Query(alias=LAST_MEETING_COOKIE)] = False,
    saved_meeting_day: Annotated[str, Cookie(alias=LAST_MEETING_COOKIE)] = "",
) -> HTMLResponse:
    """What opened and what closed since a day; since the newest night, where none is named.

    The day of the last meeting is kept by those alone who hold meetings of everybody.
    """
    day, holds = parse_day(since), service.can_edit_all_regions(context.user)
    if save_meeting_day and not holds:
        raise HTTPException(403)
    sheets = request_context.build_export_links(
        context, ("changes",), {"since": day.isoformat() if day else ""}
    )
    it = _load_changes(context, day, day if save_meeting_day else parse_day(saved_meeting_day))
    answer = context.render_page("changes.html", it=it, sheets=sheets, holds=holds)
    if save_meeting_day and day:
        answer.set_cookie(
            LAST_MEETING_COOKIE,
            day.isoformat(),
            max_age=YEAR_SECONDS,
            httponly=True,
            samesite="lax",
        )
    return answer


def _load_changes(
    context: RequestContext, day: date | None, last_meeting_day: date | None
) -> ChangesPage:
    store = context.fresh_store
    night = store.get_latest_evaluated_run()
    began = (
        datetime.combine(day, time(), UTC) if day else night.started_at if night else context.now
    )
    return ChangesPage(
        since=day or (night.day if night else None),
        today=context.now.date(),
        last_meeting_day=last_meeting_day,
        opened=store.list_gap_changes(began, "opened", limit=MAX_LISTED_CHANGES),
        closed=store.list_gap_changes(began, "closed", limit=MAX_LISTED_CHANGES),
    )


def parse_day(text: str) -> date | None:
    """The day that was typed, or None for what is none: a mistyped address shows last night's changes."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
