"""The list of associations: filtered, sorted and paged by its address alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, cast, get_args

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from auditor.evaluation.summary import place
from auditor.web import access, list_filters
from auditor.web.list_filters import Choices, way
from auditor.web.request_context import Asked, Page
from auditor.web.routes.exports import Filter
from storage.models.summaries import Sort

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Fields:
    """What the form of the list offers."""

    regions: Choices
    tags: Choices
    levels: Choices
    codes: Choices
    channels: Choices
    states: Choices
    orders: Choices


@router.get("/{language}/associations", dependencies=[access.READER])
def page(
    asked: Page, chosen: Filter, sort: Annotated[str, Query()] = "", after: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """The associations that are asked for, the most pressing first unless another order is named."""
    order = cast("Sort", sort if sort in get_args(Sort) else "urgency")
    rows = asked.read.summaries(chosen.facets, search=chosen.words, sort=order, after=after or None)
    here, told = asked.link.page("associations"), asdict(chosen)
    ordered = {**told, "sort": "" if order == "urgency" else order}
    return asked.page(
        "associations.html",
        fields=_fields(asked),
        chosen=replace(chosen, region=place(chosen.region)),
        sort=order,
        found=rows,
        chips=list_filters.chips(here, ordered, asked.words),
        first=way(here, ordered) if after else "",
        next=way(here, {**ordered, "after": rows.next}) if rows.next else "",
        sheets=list_filters.sheets(asked, ("associations", "accounts", "gaps", "coverage"), told),
    )


def _fields(asked: Asked) -> Fields:
    words = asked.words
    return Fields(
        regions=list_filters.groups(asked, "region"),
        tags=list_filters.groups(asked, "tag"),
        levels=[(level, words.label("level", level)) for level in list_filters.levels()],
        codes=list_filters.codes(words),
        channels=list_filters.channels(asked),
        states=[(state, words.term("counted", state)) for state in list_filters.STATES],
        orders=[
            ("urgency", words.say("the most pressing first")),
            ("name", words.say("by name")),
            ("changed", words.say("the newest change first")),
        ],
    )
