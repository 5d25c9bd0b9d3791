"""What a coordinator prints for a meeting: the figures, what changed, whom to call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, StreamingResponse
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field

from auditor import export, letters, meeting, qr
from auditor.chosen import Chosen
from auditor.export import Export
from auditor.web.asked import Asked, Page
from auditor.web.exports import Day, Filter, Since, attached, midnight

router = APIRouter()

SHOWN = 8
"""Kinds of points that opened or were settled, the most frequent first; a page has no room for all."""
LATELY = timedelta(days=30)
"""How far back a pack looks unless a day is named: meetings are monthly."""


class Printing(BaseModel):
    """What is sent for a pack with codes: which one, and who makes the links."""

    model_config = ConfigDict(str_strip_whitespace=True)

    region: str = ""
    tag: str = ""
    level: str = ""
    gap: str = ""
    channel: str = ""
    state: str = ""
    q: str = ""
    since: Day = None
    who: str = Field(min_length=1, max_length=100)


@router.get("/{language}/meeting")
def page(asked: Page, chosen: Filter, since: Since = None) -> HTMLResponse:
    """The pack to look at and to print."""
    return _page(asked, _wanted(asked, chosen, since))


@router.post("/{language}/meeting")
def with_codes(asked: Page, form: Annotated[Printing, Form()]) -> HTMLResponse:
    """The same with new links as QR codes. A link is shown once, so the answer itself has them."""
    chosen = Chosen(**form.model_dump(exclude={"since", "who"}))
    app = asked.app

    def code_of(association: str) -> Markup:
        _, address = letters.made(app.store, app.config, association, form.who, asked.now)
        return qr.code(address)

    return _page(asked, _wanted(asked, chosen, form.since), code_of)


def _page(asked: Asked, wanted: Export, code_of: Callable[[str], Markup] | None = None) -> HTMLResponse:
    seen = export.seen(wanted, asked.app, asked.now)
    pack = meeting.pack(seen)
    regions, tags = _named(asked)
    told = {**asdict(wanted.chosen), "since": seen.since.date().isoformat() if seen.since else ""}
    return asked.page(
        "meeting.html",
        pack=pack,
        codes={call.view.association.id: code_of(call.view.association.id) for call in pack.calls}
        if code_of
        else {},
        told=told,
        since=seen.since,
        regions=regions,
        tags=tags,
        sheet=f"{asked.link.page('meeting.xlsx')}?{urlencode({k: v for k, v in told.items() if v})}",
        titles=meeting.titles,
        most=meeting.MOST,
        shown=SHOWN,
    )


@router.get("/{language}/meeting.xlsx")
def workbook(asked: Page, chosen: Filter, since: Since = None) -> StreamingResponse:
    """The pack as a workbook of three sheets."""
    wanted = _wanted(asked, chosen, since)
    return attached(wanted, export.stream(wanted, asked.app, asked.now), asked)


def _wanted(asked: Asked, chosen: Chosen, since: date | None) -> Export:
    return Export(
        kind="meeting",
        format="xlsx",
        chosen=chosen,
        words=asked.words,
        since=midnight(since or (asked.now - LATELY).date()),
        right_to_left=asked.words.direction == "rtl",
    )


def _named(asked: Asked) -> tuple[list[str], list[str]]:
    """The regions and the tags that associations have."""
    people = list(asked.app.store.associations())
    regions = {about.region for about in people if about.region}
    return sorted(regions), sorted({tag for about in people for tag in about.tags})
