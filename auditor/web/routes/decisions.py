"""The form of a decision: what a person knows of an association, taken down as on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.decisions.parsing import DecisionError, build_waiver_target_error
from auditor.decisions.service import DecisionService, build_decision_items, withdraw_decision
from auditor.evaluation.association_view import AssociationView
from auditor.rendering.templates import get_html_translator
from auditor.web import access, request_context
from auditor.web.request_context import PageContext, RequestContext
from auditor.web.routes.associations import require_association_view

router = APIRouter()

PREFILLED_FIELDS = ("kind", "channel", "account", "code", "number")
"""What the address of a form asks; the rest is typed."""
DUPLICATE_SUBMIT_PERIOD = timedelta(minutes=1)


class DecisionForm(BaseModel):
    """What the form holds, as it was typed; an empty text is nothing.

    `account` is a key or a link; `seen` the day of a publication; `to` where it moved; `number` the decision
    that is taken back.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["confirm", "none_by_choice", "claim", "disown", "moved", "waive", "withdraw"]
    channel: str = Field(default="", max_length=40)
    account: str = Field(default="", max_length=2000)
    seen: str = Field(default="", max_length=40)
    to: str = Field(default="", max_length=2000)
    code: str = Field(default="", max_length=80)
    until: str = Field(default="", max_length=40)
    why: str = Field(default="", max_length=2000)
    number: str = Field(default="", max_length=20)


@router.get(
    "/{language}/associations/{association:path}/decide", dependencies=[access.OWN_REGION_ACCESS]
)
def show_decision_form(
    context: PageContext, association: str, form: Annotated[DecisionForm, Query()]
) -> HTMLResponse:
    """The form of one kind of decision."""
    return _render_decision_form(context, require_association_view(context, association), form)


@router.post(
    "/{language}/associations/{association:path}/decide", dependencies=[access.OWN_REGION_ACCESS]
)
def submit_decision(
    request: Request, context: PageContext, association: str, form: Annotated[DecisionForm, Form()]
) -> Response:
    """Keep the decision, or show what is wrong with it beside the form."""
    view = require_association_view(context, association)
    try:
        if not _is_duplicate_submission(request, (association, form, context.author), context.now):
            _save_decision(context, association, form)
            request.app.state.decided = (association, form, context.author), context.now
    except DecisionError as trouble:
        return _render_decision_form(context, view, form, trouble)
    return RedirectResponse(
        f"{context.links.association_url(association)}?kept={form.kind}#decisions", 303
    )


def _is_duplicate_submission(
    request: Request, submission: tuple[str, DecisionForm, str], now: datetime
) -> bool:
    """Whether the very same form of the same person came a moment ago: an impatient finger decides once."""
    last, when = getattr(request.app.state, "decided", (None, now))
    return last == submission and now - when < DUPLICATE_SUBMIT_PERIOD


def _save_decision(context: RequestContext, association: str, form: DecisionForm) -> None:
    """Keep what was decided. Raises DecisionError."""
    if form.kind == "withdraw":
        _withdraw_decision(context, association, form)
        return
    saying = DecisionService.create(
        context.app.store,
        context.app.config.channels,
        association,
        form.channel or None,
        author=context.author,
        reason=form.why,
        now=context.now,
        account=form.account or None,
    )
    _apply_decision(saying, form)


def _apply_decision(decision_service: DecisionService, form: DecisionForm) -> None:
    until = form.until or None
    match form.kind:
        case "confirm":
            decision_service.confirm_account(publication_day=form.seen or None, until=until)
        case "none_by_choice":
            decision_service.mark_none_by_choice(until=until)
        case "claim":
            decision_service.claim_account()
        case "disown":
            decision_service.disown_account(until=until)
        case "moved":
            decision_service.mark_moved(new_link=form.to.strip() or None, until=until)
        case _ if not (form.channel or form.code):
            raise build_waiver_target_error(
                decision_service.registered.association, "what is waived is not said"
            )
        case _:
            decision_service.waive_gaps(code=form.code or None, until=until)


def _withdraw_decision(context: RequestContext, association: str, form: DecisionForm) -> None:
    """Take a decision back, if it is this association's. Raises DecisionError."""
    _load_decision_item(context, association, form.number)
    withdraw_decision(
        context.app.store, form.number, author=context.author, reason=form.why, now=context.now
    )


def _load_decision_item(
    context: RequestContext, association: str, number: str
) -> Mapping[str, Any]:
    """The association's decision of a number, as `decide list` tells it; not found, if it is not theirs."""
    store = context.app.store
    for word in store.list_decisions(association=association):
        if str(word.id) == number:
            accounts = {
                row.id: row for row in store.list_accounts(association) if row.id is not None
            }
            return build_decision_items([word], accounts, {}, context.now)[0]
    raise HTTPException(404)


def _render_decision_form(
    context: RequestContext,
    view: AssociationView,
    form: DecisionForm,
    error: DecisionError | None = None,
) -> HTMLResponse:
    told = {name: value for name, value in form.model_dump().items() if name in PREFILLED_FIELDS}
    here = request_context.build_url(
        f"{context.links.association_url(view.association.id)}/decide", told
    )
    return context.with_path(here).render_page(
        "decision_form.html",
        status=422 if error else 200,
        view=view,
        it=form,
        trouble=get_html_translator(context.language).translate(error.message, **error.facts)
        if error
        else "",
        today=context.now.date(),
        codes=request_context.list_gap_choices(context.translator),
        word=_load_decision_item(context, view.association.id, form.number)
        if form.kind == "withdraw"
        else None,
    )
