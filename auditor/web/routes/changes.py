"""What changed since a date: last night, a week ago, the last meeting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Cookie, HTTPException, Query
from fastapi.responses import HTMLResponse

from auditor.users import permissions
from auditor.web import access, list_filters
from auditor.web.request_context import Asked, Page
from auditor.web.routes.login import A_YEAR
from storage.models.summaries import GapPage

router = APIRouter()

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
def page(
    asked: Page,
    since: Annotated[str, Query()] = "",
    keep: Annotated[bool, Query(alias=MEETING)] = False,
    kept: Annotated[str, Cookie(alias=MEETING)] = "",
) -> HTMLResponse:
    """What opened and what closed since a day; since the newest night, where none is named.

    The day of the last meeting is kept by those alone who hold meetings of everybody.
    """
    day, holds = day_of(since), permissions.acts_everywhere(asked.user)
    if keep and not holds:
        raise HTTPException(403)
    sheets = list_filters.sheets(asked, ("changes",), {"since": day.isoformat() if day else ""})
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
