"""The list of gaps: every one that is open and shown, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from auditor.evaluation.summary import place
from auditor.reference.gap_catalogue import SEVERITIES, catalogue
from auditor.web import access, list_filters
from auditor.web.list_filters import way
from auditor.web.request_context import Asked, Page
from storage.models.summaries import GapSort

router = APIRouter()

Text = Annotated[str, Query()]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many associations have a gap, and the way to them."""

    title: str
    count: int
    way: str


@router.get("/{language}/gaps", dependencies=[access.READER])
def page(
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
        codes=list_filters.codes(asked.words),
        channels=list_filters.channels(asked),
        severities=[(name, asked.words.label("severity", name)) for name in SEVERITIES],
        regions=list_filters.groups(asked, "region"),
        found=rows,
        counts=sorted(_counts(asked, region), key=lambda one: -one.count),
        sort=order,
        orders=[
            ("severity", asked.words.say("the gravest first")),
            ("newest", asked.words.say("the newest first")),
        ],
        chips=list_filters.chips(here, ordered, asked.words),
        first=way(here, ordered) if after else "",
        next=way(here, {**ordered, "after": rows.next}) if rows.next else "",
        sheets=list_filters.sheets(asked, ("gaps",), {**told, "severity": ""}),
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
