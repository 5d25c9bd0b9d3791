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

from auditor.evaluation.summary import place
from auditor.reference.gap_catalogue import SEVERITIES, catalogue
from auditor.users import service
from auditor.web import access, request_context
from auditor.web.request_context import Asked, Page, way
from auditor.web.routes.login import A_YEAR
from storage.models.summaries import GapPage, GapSort

router = APIRouter()

Text = Annotated[str, Query()]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many associations have a gap, and the way to them."""

    title: str
    count: int
    way: str


@router.get("/{language}/gaps", dependencies=[access.READER])
def list_gaps(
    asked: Page,
    *,
    gap: Text = "",
    channel: Text = "",
    severity: Text = "",
    region: Text = "",
    sort: Text = "",
    after: Text = "",
) -> HTMLResponse:
    """The gaps that are asked for, fifty a page, and how many associations have each."""
    order: GapSort = "newest" if sort == "newest" else "severity"
    rows = asked.read.told_gaps(
        code=gap or None,
        channel=channel or None,
        severity=severity or None,
        region=place(region) if region else None,
        sort=order,
        after=after or None,
    )
    here = asked.link.page("gaps")
    told = {"gap": gap, "channel": channel, "severity": severity, "region": place(region)}
    ordered = {**told, "sort": "" if order == "severity" else order}
    return asked.page(
        "gaps.html",
        chosen=told,
        codes=request_context.codes(asked.words),
        channels=request_context.channels(asked),
        severities=[(name, asked.words.label("severity", name)) for name in SEVERITIES],
        regions=request_context.groups(asked, "region"),
        found=rows,
        counts=sorted(_counts(asked, region), key=lambda one: -one.count),
        sort=order,
        orders=[
            ("severity", asked.words.say("the gravest first")),
            ("newest", asked.words.say("the newest first")),
        ],
        chips=request_context.chips(here, ordered, asked.words),
        first=way(here, ordered) if after else "",
        next=way(here, {**ordered, "after": rows.next}) if rows.next else "",
        sheets=request_context.sheets(asked, ("gaps",), {**told, "severity": ""}),
    )


def _counts(asked: Asked, region: str) -> Iterator[Counted]:
    """Each gap on each channel that any association has, in a region or everywhere."""
    tally = asked.read.tally(f"region:{place(region)}" if region else "", "gap:")
    for facet, count in tally.items():
        code, at, channel = facet.removeprefix("gap:").partition("@")
        if at and code in catalogue().entries:
            told = asked.words.gap(code, channel, "info", {}).title
            to = {"gap": code, "channel": channel, "region": region}
            yield Counted(told, count, way(asked.link.page("gaps"), to))


QUICK = (7, 30)
"""Days back that are a click away."""
LISTED = 200
"""Changes of a kind that a page lists."""
MEETING = "meeting"
"""The cookie that keeps the day of the last meeting."""


@dataclass(frozen=True, slots=True)
class Since:
    """The gaps that opened and closed since a day; of more than fit a page, the gravest."""

    since: date | None
    today: date
    meeting: date | None
    opened: GapPage
    closed: GapPage

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are listed."""
        return any(page.count > len(page.rows) for page in (self.opened, self.closed))

    @property
    def quick(self) -> list[tuple[int, date]]:
        """Some days back, and which day that is."""
        return [(days, self.today - timedelta(days=days)) for days in QUICK]


@router.get("/{language}/changes", dependencies=[access.READER])
def list_changes(
    asked: Page,
    since: Annotated[str, Query()] = "",
    keep: Annotated[bool, Query(alias=MEETING)] = False,
    kept: Annotated[str, Cookie(alias=MEETING)] = "",
) -> HTMLResponse:
    """What opened and what closed since a day; since the newest night, where none is named.

    The day of the last meeting is kept by those alone who hold meetings of everybody.
    """
    day, holds = day_of(since), service.acts_everywhere(asked.user)
    if keep and not holds:
        raise HTTPException(403)
    sheets = request_context.sheets(asked, ("changes",), {"since": day.isoformat() if day else ""})
    it = _told(asked, day, day if keep else day_of(kept))
    answer = asked.page("changes.html", it=it, sheets=sheets, holds=holds)
    if keep and day:
        answer.set_cookie(MEETING, day.isoformat(), max_age=A_YEAR, httponly=True, samesite="lax")
    return answer


def _told(asked: Asked, day: date | None, meeting: date | None) -> Since:
    store = asked.read
    night = store.judged_night()
    began = datetime.combine(day, time(), UTC) if day else night.started_at if night else asked.now
    return Since(
        since=day or (night.day if night else None),
        today=asked.now.date(),
        meeting=meeting,
        opened=store.changes(began, "opened", limit=LISTED),
        closed=store.changes(began, "closed", limit=LISTED),
    )


def day_of(typed: str) -> date | None:
    """The day that was typed, or None for what is none: a mistyped address shows last night's changes."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None
