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
from auditor.evaluation.network_view import load_association_view
from auditor.evaluation.summary import get_region_key
from auditor.reports.html import build_badge_html, sum_channel_points, wants_badge
from auditor.runs.account_worker import RecheckRefusal, RecheckRefusedError, RecheckService
from auditor.views.association_detail import build_association_detail
from auditor.web import access, request_context
from auditor.web.request_context import FieldChoices, PageContext, RequestContext, build_url
from auditor.web.routes.exports import FilterParams
from storage.models.audit import EMPTY_CONTACT
from storage.models.summaries import SummarySort
from storage.models.users import FollowUp, FollowUpKind

router = APIRouter()


@dataclass(frozen=True, slots=True)
class AssociationFilterChoices:
    """What the form of the list offers."""

    regions: FieldChoices
    tags: FieldChoices
    levels: FieldChoices
    gap_codes: FieldChoices
    channels: FieldChoices
    coverage_states: FieldChoices
    sort_orders: FieldChoices


@router.get("/{language}/associations", dependencies=[access.LOGGED_IN_ACCESS])
def list_associations(
    context: PageContext,
    association_filter: FilterParams,
    sort: Annotated[str, Query()] = "",
    after: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """The associations that are asked for, the most pressing first unless another order is named."""
    order = cast("SummarySort", sort if sort in get_args(SummarySort) else "urgency")
    rows = context.fresh_store.list_summaries(
        association_filter.facets,
        search_terms=association_filter.search_words,
        sort=order,
        cursor=after or None,
    )
    here, told = context.links.page_url("associations"), asdict(association_filter)
    ordered = {**told, "sort": "" if order == "urgency" else order}
    return context.render_page(
        "associations.html",
        fields=_build_filter_choices(context),
        chosen=replace(association_filter, region=get_region_key(association_filter.region)),
        sort=order,
        found=rows,
        chips=request_context.build_filter_chips(here, ordered, context.translator),
        first=build_url(here, ordered) if after else "",
        next=build_url(here, {**ordered, "after": rows.next_cursor}) if rows.next_cursor else "",
        sheets=request_context.build_export_links(
            context, ("associations", "accounts", "gaps", "coverage"), told
        ),
    )


def _build_filter_choices(context: RequestContext) -> AssociationFilterChoices:
    words = context.translator
    return AssociationFilterChoices(
        regions=request_context.list_group_choices(context, "region"),
        tags=request_context.list_group_choices(context, "tag"),
        levels=[
            (level, words.label("level", level)) for level in request_context.list_score_levels()
        ],
        gap_codes=request_context.list_gap_choices(words),
        channels=request_context.list_channel_choices(context),
        coverage_states=[
            (state, words.term("counted", state)) for state in request_context.COVERAGE_STATES
        ],
        sort_orders=[
            ("urgency", words.translate("most urgent first")),
            ("name", words.translate("by name")),
            ("changed", words.translate("latest change first")),
        ],
    )


EMPTY_FOLLOW_UP: Mapping[str, object] = {"kind": "called", "text": "", "due": ""}
"""The follow-up form before anything is typed."""


@router.post(
    "/{language}/associations/{association:path}/check", dependencies=[access.OWN_REGION_ACCESS]
)
def check_association_now(
    request: Request, context: PageContext, association: str
) -> RedirectResponse:
    """Look at its accounts at once, and lead to what was seen."""
    require_association_view(context, association)
    way, checks = context.links.association_url(association), request.app.state.checks
    try:
        checks.recheck_association(context.app, association, context.now)
    except RecheckRefusedError as refused:
        return RedirectResponse(f"{way}?check={refused.reason}#check", 303)
    return RedirectResponse(f"{way}#check", 303)


@router.get("/{language}/associations/{association:path}", dependencies=[access.LOGGED_IN_ACCESS])
def show_association(
    request: Request,
    context: PageContext,
    association: str,
    *,
    check: RecheckRefusal | None = None,
    kept: str = "",
) -> HTMLResponse:
    """What is known of an association, what it rests on, and what can be decided."""
    view = require_association_view(context, association)
    return render_association(
        request, context, view, refused=check, kept=kept, line=EMPTY_FOLLOW_UP
    )


def render_association(
    request: Request,
    context: RequestContext,
    view: AssociationView,
    *,
    status: int = 200,
    **template_values: object,
) -> HTMLResponse:
    """The page of an association. `line` is what its follow-up form holds, `trouble` what that lacks."""
    checks: RecheckService = request.app.state.checks
    blank: dict[str, object] = {"refused": None, "kept": "", "trouble": ""}
    values = {
        **blank,
        "check": checks.find_recent(view.association.id, context.now),
        **template_values,
    }
    values |= {
        "is_wanted": wants_badge,
        "snippet": build_badge_html,
        "mine": context.can_manage_association(view.association),
    }
    values["contact"] = (
        context.app.store.get_contact(view.association.id) if values["mine"] else EMPTY_CONTACT
    )
    it = build_association_detail(
        context.app.store,
        view,
        context.app.config.confirm,
        context.now,
        include_private=values["mine"] is True,
    )
    here = context.with_path(context.links.association_url(view.association.id))
    return here.render_page(
        "association_detail.html",
        status=status,
        it=it,
        points=sum_channel_points(),
        today=context.now.date(),
        **values,
    )


def require_association_view(context: RequestContext, association: str) -> AssociationView:
    """The association of this id; 404 where there is none."""
    view = load_association_view(context.app.store, context.app.config, association, context.now)
    if view is None:
        raise HTTPException(404)
    return view


MAX_PROMISE_DELAY = timedelta(days=366)
"""How far ahead a promise may lie."""


class FollowUpForm(BaseModel):
    """A line as it was typed; `due` is a promise's day."""

    model_config = ConfigDict(frozen=True)

    kind: FollowUpKind = FollowUpKind.CALLED
    text: str = Field(default="", max_length=2000)
    due: str = Field(default="", max_length=40)

    @property
    def due_date(self) -> date | None:
        """The day that was typed, None where it is none."""
        try:
            return date.fromisoformat(self.due)
        except ValueError:
            return None


@router.post(
    "/{language}/associations/{association:path}/follow-up", dependencies=[access.OWN_REGION_ACCESS]
)
def add_follow_up(
    request: Request, context: PageContext, association: str, form: Annotated[FollowUpForm, Form()]
) -> Response:
    """Keep a line, or show what it lacks beside the form."""
    view = require_association_view(context, association)
    if trouble := _find_form_error(form, context):
        return render_association(request, context, view, status=422, line=form, trouble=trouble)
    due = form.due_date if form.kind is FollowUpKind.PROMISED else None
    context.app.store.add_follow_up(
        FollowUp(
            view.association.id, form.kind, context.author, context.now, form.text.strip(), due
        )
    )
    return RedirectResponse(f"{context.links.association_url(association)}#log", 303)


def _find_form_error(form: FollowUpForm, context: RequestContext) -> str:
    """What a line lacks, in the page's language; empty where it is complete."""
    words, today = context.translator, context.now.date()
    if form.kind is FollowUpKind.PROMISED:
        if form.due_date is None or not today <= form.due_date <= today + MAX_PROMISE_DELAY:
            return words.translate("Enter the promised date, within the next 12 months.")
    elif form.kind is FollowUpKind.NOTE and not form.text.strip():
        return words.translate("Enter a note.")
    return ""
