"""What a coordinator prints for a meeting: the figures, what changed, whom to call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Cookie, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, StreamingResponse
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field

from auditor.evaluation.filters import Chosen
from auditor.evaluation.summary import place
from auditor.rendering import svg
from auditor.report_links import links
from auditor.views import export, meeting_pack
from auditor.views.call_list import MOST
from auditor.views.export import Export
from auditor.web import access, list_filters
from auditor.web.request_context import Asked, Page
from auditor.web.routes.changes import MEETING, day_of
from auditor.web.routes.exports import Day, Filter, Since, attached, midnight

router = APIRouter()

SHOWN = 4
"""Kinds of points that opened or were settled, the most frequent first; a page has no room for all."""
LATELY = timedelta(days=30)
"""How far back a pack looks unless a day is named or kept: meetings are monthly."""
CALLS = (10, 25, MOST)
"""How many calls a pack may have; with the first, it is one sheet of paper."""
Calls = Annotated[int, Field(ge=1, le=MOST)]


class Printing(BaseModel):
    """What is sent for a pack with codes: which one."""

    model_config = ConfigDict(str_strip_whitespace=True)

    region: str = ""
    tag: str = ""
    level: str = ""
    gap: str = ""
    channel: str = ""
    state: str = ""
    q: str = ""
    since: Day = None
    calls: Calls = CALLS[0]


@router.get("/{language}/meeting", dependencies=[access.READER])
def page(
    asked: Page,
    chosen: Filter,
    since: Since = None,
    calls: Annotated[Calls, Query()] = CALLS[0],
    last: Annotated[str, Cookie(alias=MEETING)] = "",
) -> HTMLResponse:
    """The pack to look at and to print. `last` is the day that was kept as that of the last meeting."""
    return _page(asked, _wanted(asked, chosen, since or day_of(last)), calls)


@router.post("/{language}/meeting", dependencies=[access.COORDINATOR])
def with_codes(asked: Page, form: Annotated[Printing, Form()]) -> HTMLResponse:
    """The same with new links as QR codes. A link is shown once, so the answer itself has them.

    409 where no public address is set; the page says so before anybody asks.
    """
    chosen = Chosen(**form.model_dump(exclude={"since", "calls"}))
    app = asked.app
    if not links.can_be_made(app.config):
        raise HTTPException(409)

    def code_of(association: str) -> Markup:
        _, address = links.made(app.store, app.config, association, asked.signature, asked.now)
        return svg.code(address)

    return _page(asked, _wanted(asked, chosen, form.since), form.calls, code_of)


def _page(
    asked: Asked, wanted: Export, most: int, code_of: Callable[[str], Markup] | None = None
) -> HTMLResponse:
    assert wanted.since is not None
    pack = meeting_pack.pack(
        asked.app.store, asked.app.config, wanted.chosen, wanted.since, asked.now, most=most
    )
    mine = {call.association.id for call in pack.calls if asked.acts_for(call.association)}
    told = {**asdict(wanted.chosen), "since": wanted.since.date().isoformat()}
    return asked.page(
        "meeting.html",
        pack=pack,
        codes={one: code_of(one) for one in mine} if code_of else {},
        mine=mine,
        told={**told, "region": place(wanted.chosen.region)},
        since=wanted.since,
        regions=list_filters.groups(asked, "region"),
        tags=list_filters.groups(asked, "tag"),
        sheet=list_filters.way(asked.link.page("meeting.xlsx"), told),
        titles=meeting_pack.titles,
        most=most,
        choices=CALLS,
        shown=SHOWN,
    )


@router.get("/{language}/meeting.xlsx", dependencies=[access.READER])
def workbook(
    asked: Page,
    chosen: Filter,
    since: Since = None,
    last: Annotated[str, Cookie(alias=MEETING)] = "",
) -> StreamingResponse:
    """The pack as a workbook of three sheets, with all calls."""
    wanted = _wanted(asked, chosen, since or day_of(last))
    return attached(wanted, export.stream(wanted, asked.app, asked.now), asked)


def _wanted(asked: Asked, chosen: Chosen, since: date | None) -> Export:
    return Export(
        kind="meeting",
        format="xlsx",
        chosen=chosen,
        words=asked.words,
        since=midnight(since or (asked.now - LATELY).date()),
        right_to_left=asked.words.direction == "rtl",
        private=asked.acts_for,
    )
