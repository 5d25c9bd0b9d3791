"""What a coordinator prints for a meeting: the figures, what changed, whom to call."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, StreamingResponse

from auditor import export, meeting
from auditor.chosen import Chosen
from auditor.export import Export
from auditor.web.asked import Asked, Page
from auditor.web.exports import Filter, Since, attached, midnight

router = APIRouter()

SHOWN = 8
"""Kinds of points that opened or were settled, the most frequent first; a page has no room for all."""
LATELY = timedelta(days=30)
"""How far back a pack looks unless a day is named: meetings are monthly."""


@router.get("/{language}/meeting")
def page(asked: Page, chosen: Filter, since: Since = None) -> HTMLResponse:
    """The pack to look at and to print."""
    wanted = _wanted(asked, chosen, since)
    seen = export.seen(wanted, asked.app, asked.now)
    regions, tags = _named(asked)
    return asked.page(
        "meeting.html",
        pack=meeting.pack(seen),
        chosen=chosen,
        since=seen.since,
        regions=regions,
        tags=tags,
        sheet=f"meeting.xlsx?{urlencode({'region': chosen.region, 'tag': chosen.tag, 'since': since or ''})}",
        titles=meeting.titles,
        most=meeting.MOST,
        shown=SHOWN,
    )


@router.get("/{language}/meeting.xlsx")
def workbook(asked: Page, chosen: Filter, since: Since = None) -> StreamingResponse:
    """The pack as a workbook of three sheets."""
    wanted = _wanted(asked, chosen, since)
    return attached(wanted, export.stream(wanted, asked.app, asked.now), asked)


def _wanted(asked: Asked, chosen: Chosen, since: Since) -> Export:
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
