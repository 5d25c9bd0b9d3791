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
from auditor.evaluation.summary import Chosen, place
from auditor.rendering import svg
from auditor.views import export, meeting_pack
from auditor.views.dashboard import MOST
from auditor.views.export import KINDS, MEDIA, Export, Format
from auditor.web import access, request_context
from auditor.web.request_context import Asked, Page
from auditor.web.routes.gaps import MEETING, day_of

router = APIRouter()

Filter = Annotated[Chosen, Depends()]
"""The parameters `region`, `tag`, `level`, `gap`, `channel`, `state` and `q` of any list."""
Day = Annotated[date | None, BeforeValidator(lambda day: day or None)]
"""A day; a field left empty is none."""
Since = Annotated[Day, Query()]


@router.get("/{language}/exports/{kind}.{form}", dependencies=[access.READER])
def download(
    asked: Page,
    kind: str,
    form: Format,
    chosen: Filter,
    *,
    since: Since = None,
    delimiter: Annotated[Literal[",", ";"], Query()] = ",",
) -> StreamingResponse:
    """The rows of a kind, sent as they are made."""
    if kind not in KINDS:
        raise HTTPException(404)
    wanted = Export(
        kind=kind,
        format=form,
        chosen=chosen,
        words=asked.words,
        since=midnight(since),
        delimiter=delimiter,
        right_to_left=asked.words.direction == "rtl",
        private=asked.acts_for,
    )
    return attached(wanted, export.stream(wanted, asked.app, asked.now), asked)


def midnight(day: date | None) -> datetime | None:
    """The beginning of a day, UTC, as nights are."""
    return datetime.combine(day, time(), UTC) if day else None


def attached(wanted: Export, pieces: Iterator[bytes], asked: Asked) -> StreamingResponse:
    """A file to keep, by a dated name."""
    plain, spoken = wanted.file_name(asked.now), quote(wanted.spoken_name(asked.now))
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{spoken}"
    return StreamingResponse(
        pieces,
        media_type=MEDIA[wanted.format],
        headers={"content-disposition": disposition, "cache-control": "no-store"},
    )


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
    if not report_links.can_be_made(app.config):
        raise HTTPException(409)

    def code_of(association: str) -> Markup:
        _, address = report_links.made(app.store, app.config, association, asked.signature, asked.now)
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
        regions=request_context.groups(asked, "region"),
        tags=request_context.groups(asked, "tag"),
        sheet=request_context.way(asked.link.page("meeting.xlsx"), told),
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
