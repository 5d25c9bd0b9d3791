"""The list of associations: filtered, sorted and paged by its address alone.

The coordinator's page of one association.

The follow-up log of an association: who was in touch with it, when, and what was promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Annotated, cast, get_args

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import association_view
from auditor.evaluation.summary import place
from auditor.reports.html import is_wanted, points, snippet
from auditor.runs.account_worker import Checks, NotNow, NotNowError
from auditor.views.association_detail import portrait
from auditor.web import access, request_context
from auditor.web.request_context import Asked, Choices, Page, way
from auditor.web.routes.exports import Filter
from storage.models.audit import NO_CONTACT
from storage.models.summaries import Sort
from storage.models.users import FollowUp, FollowUpKind

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
def list_associations(
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
        chips=request_context.chips(here, ordered, asked.words),
        first=way(here, ordered) if after else "",
        next=way(here, {**ordered, "after": rows.next}) if rows.next else "",
        sheets=request_context.sheets(asked, ("associations", "accounts", "gaps", "coverage"), told),
    )


def _fields(asked: Asked) -> Fields:
    words = asked.words
    return Fields(
        regions=request_context.groups(asked, "region"),
        tags=request_context.groups(asked, "tag"),
        levels=[(level, words.label("level", level)) for level in request_context.levels()],
        codes=request_context.codes(words),
        channels=request_context.channels(asked),
        states=[(state, words.term("counted", state)) for state in request_context.STATES],
        orders=[
            ("urgency", words.say("the most pressing first")),
            ("name", words.say("by name")),
            ("changed", words.say("the newest change first")),
        ],
    )


BLANK: Mapping[str, object] = {"kind": "called", "text": "", "due": ""}
"""The follow-up form before anything is typed."""


@router.post("/{language}/associations/{association:path}/check", dependencies=[access.OWN])
def check(request: Request, asked: Page, association: str) -> RedirectResponse:
    """Look at its accounts at once, and lead to what was seen."""
    found(asked, association)
    way, checks = asked.link.association(association), request.app.state.checks
    try:
        checks.make(asked.app, association, asked.now)
    except NotNowError as refused:
        return RedirectResponse(f"{way}?check={refused.why}#check", 303)
    return RedirectResponse(f"{way}#check", 303)


@router.get("/{language}/associations/{association:path}", dependencies=[access.READER])
def page(
    request: Request,
    asked: Page,
    association: str,
    *,
    check: NotNow | None = None,
    kept: str = "",
) -> HTMLResponse:
    """What is known of an association, what it rests on, and what can be decided."""
    view = found(asked, association)
    return shown(request, asked, view, refused=check, kept=kept, line=BLANK)


def shown(
    request: Request, asked: Asked, view: AssociationView, *, status: int = 200, **more: object
) -> HTMLResponse:
    """The page of an association. `line` is what its follow-up form holds, `trouble` what that lacks."""
    checks: Checks = request.app.state.checks
    blank: dict[str, object] = {"refused": None, "kept": "", "trouble": ""}
    values = {**blank, "check": checks.of(view.association.id, asked.now), **more}
    values |= {"is_wanted": is_wanted, "snippet": snippet, "mine": asked.acts_for(view.association)}
    values["contact"] = asked.app.store.contact(view.association.id) if values["mine"] else NO_CONTACT
    it = portrait(asked.app.store, view, asked.app.config.confirm, asked.now, private=values["mine"] is True)
    here = asked.at(asked.link.association(view.association.id))
    return here.page(
        "association_detail.html", status=status, it=it, points=points(), today=asked.now.date(), **values
    )


def found(asked: Asked, association: str) -> AssociationView:
    """The association of this id; 404 where there is none."""
    view = association_view(asked.app.store, asked.app.config, association, asked.now)
    if view is None:
        raise HTTPException(404)
    return view


FARTHEST = timedelta(days=366)
"""How far ahead a promise may lie."""


class Line(BaseModel):
    """A line as it was typed; `due` is a promise's day."""

    model_config = ConfigDict(frozen=True)

    kind: FollowUpKind = FollowUpKind.CALLED
    text: str = Field(default="", max_length=2000)
    due: str = Field(default="", max_length=40)

    @property
    def day(self) -> date | None:
        """The day that was typed, None where it is none."""
        try:
            return date.fromisoformat(self.due)
        except ValueError:
            return None


@router.post("/{language}/associations/{association:path}/follow-up", dependencies=[access.OWN])
def keep(request: Request, asked: Page, association: str, line: Annotated[Line, Form()]) -> Response:
    """Keep a line, or show what it lacks beside the form."""
    view = found(asked, association)
    if trouble := _trouble(line, asked):
        return shown(request, asked, view, status=422, line=line, trouble=trouble)
    due = line.day if line.kind is FollowUpKind.PROMISED else None
    asked.app.store.add_follow_up(
        FollowUp(view.association.id, line.kind, asked.signature, asked.now, line.text.strip(), due)
    )
    return RedirectResponse(f"{asked.link.association(association)}#log", 303)


def _trouble(line: Line, asked: Asked) -> str:
    """What a line lacks, in the page's language; empty where it is complete."""
    words, today = asked.words, asked.now.date()
    if line.kind is FollowUpKind.PROMISED:
        if line.day is None or not today <= line.day <= today + FARTHEST:
            return words.say("Please name the day of the promise, within a year from now.")
    elif line.kind is FollowUpKind.NOTE and not line.text.strip():
        return words.say("Please write the note.")
    return ""
