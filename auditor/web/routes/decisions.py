"""The form that records a decision about an association, like `auditor decide`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.core.form_limits import (
    MAX_ADDRESS_CHARS,
    MAX_CHANNEL_CHARS,
    MAX_CODE_CHARS,
    MAX_DAY_CHARS,
    MAX_REASON_CHARS,
    MAX_ROW_ID_CHARS,
    FormText,
)
from auditor.decisions.recording import (
    DecisionError,
    DecisionInput,
    build_decision_items,
    record_decision,
    withdraw_decision,
)
from auditor.evaluation.association_view import AssociationView
from auditor.web import access, list_filters
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    build_url,
    require_association_view,
)
from storage.models.audit import DecisionKind

router = APIRouter(route_class=access.AccessRoute)

PREFILLED_FIELDS = ("kind", "channel", "account", "gap_code", "decision_id")
"""The fields that the form's address sets; the user fills in the others."""
DUPLICATE_SUBMIT_PERIOD = timedelta(minutes=1)


class DecisionForm(BaseModel):
    """The submitted form; an empty text means not given.

    `account` is an account key or a link, `last_activity` the date of a publication, `expires_on`
    that of the end of a domain, `new_url` the new address of a moved account, `decision_id` the
    decision to withdraw.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal[
        "confirm",
        "none_by_choice",
        "claim",
        "disown",
        "moved",
        "waive",
        "domain_expires",
        "withdraw",
    ]
    channel: str = Field(default="", max_length=MAX_CHANNEL_CHARS)
    account: str = Field(default="", max_length=MAX_ADDRESS_CHARS)
    last_activity: str = Field(default="", max_length=MAX_DAY_CHARS)
    expires_on: str = Field(default="", max_length=MAX_DAY_CHARS)
    new_url: str = Field(default="", max_length=MAX_ADDRESS_CHARS)
    gap_code: str = Field(default="", max_length=MAX_CODE_CHARS)
    until: str = Field(default="", max_length=MAX_DAY_CHARS)
    reason: FormText = Field(default="", max_length=MAX_REASON_CHARS)
    decision_id: str = Field(default="", max_length=MAX_ROW_ID_CHARS)


Submission = tuple[str, DecisionForm, str]
"""Association id, form and author."""


@router.get(
    "/{language}/associations/{association:path}/decisions", dependencies=[access.OWN_REGION_ACCESS]
)
def show_decision_form(
    context: PageContext, association: str, form: Annotated[DecisionForm, Query()]
) -> HTMLResponse:
    """Show the form for one kind of decision."""
    return _render_decision_form(context, require_association_view(context, association), form)


@router.post(
    "/{language}/associations/{association:path}/decisions", dependencies=[access.OWN_REGION_ACCESS]
)
def submit_decision(
    request: Request, context: PageContext, association: str, form: Annotated[DecisionForm, Form()]
) -> Response:
    """Save the decision, or show the form again with the error."""
    view = require_association_view(context, association)
    submission = (association, form, context.author)
    try:
        with request.app.state.decision_lock:  # both requests of a double click arrive together
            if not _is_duplicate_submission(request, submission, context.now):
                _save_decision(context, association, form)
                request.app.state.last_decision_submission = submission, context.now
    except DecisionError as error:
        return _render_decision_form(context, view, form, error)
    association_url = context.build_association_url(
        association, {"saved_decision": form.kind, "saved_channel": form.channel}
    )
    return RedirectResponse(f"{association_url}#{_choose_anchor(form)}", 303)


def _choose_anchor(form: DecisionForm) -> str:
    """Return the part of the association's page that shows the decision."""
    if form.kind == "waive":
        return "problems"
    return f"channel-{form.channel}" if form.channel else "more"


def _is_duplicate_submission(request: Request, submission: Submission, now: datetime) -> bool:
    """Return True if the same user sent the same form a moment ago, such as by a double click."""
    previous: tuple[Submission, datetime] | None = request.app.state.last_decision_submission
    if previous is None:
        return False
    previous_submission, submitted_at = previous
    return previous_submission == submission and now - submitted_at < DUPLICATE_SUBMIT_PERIOD


def _save_decision(context: RequestContext, association: str, form: DecisionForm) -> None:
    """Save the decision. Raises DecisionError."""
    if form.kind == "withdraw":
        _withdraw_decision(context, association, form)
        return
    typed = DecisionInput(
        association=association,
        kind=DecisionKind(form.kind),
        author=context.author,
        reason=form.reason,
        channel=form.channel,
        account=form.account,
        until=form.until,
        last_activity=form.last_activity,
        new_link=form.new_url.strip(),
        code=form.gap_code,
        expires_on=form.expires_on,
    )
    record_decision(context.app.store, context.app.config.channels, typed, context.now)


def _withdraw_decision(context: RequestContext, association: str, form: DecisionForm) -> None:
    """Withdraw a decision of this association. Raises DecisionError and HTTPException (404)."""
    _load_decision_item(context, association, form.decision_id)
    withdraw_decision(
        context.app.store,
        form.decision_id,
        author=context.author,
        reason=form.reason,
        now=context.now,
    )


def _load_decision_item(
    context: RequestContext, association: str, decision_id: str
) -> Mapping[str, Any]:
    """Return the item of `decide list` for one decision.

    Raises HTTPException (404) if the association has no such decision.
    """
    store = context.app.store
    for decision in store.decisions.list_decisions(association=association):
        if str(decision.id) == decision_id:
            rows = store.registry.list_accounts(association)
            accounts = {row.id: row for row in rows if row.id is not None}
            return build_decision_items([decision], accounts, {}, context.now)[0]
    raise HTTPException(404)


def _render_decision_form(
    context: RequestContext,
    view: AssociationView,
    form: DecisionForm,
    error: DecisionError | None = None,
) -> HTMLResponse:
    association_id = view.association.id
    form_url = build_url(
        f"{context.links.association_url(association_id)}/decisions",
        {**form.model_dump(include=set(PREFILLED_FIELDS)), "back": context.back_query},
    )
    decision = None
    if form.kind == "withdraw":
        decision = _load_decision_item(context, association_id, form.decision_id)
    return context.with_path(form_url).render_page(
        "decision_form.html",
        status=422 if error else 200,
        view=view,
        form=form,
        form_url=form_url,
        error_message=context.translate_error(error),
        today=context.now.date(),
        gap_choices=list_filters.list_gap_choices(context.translator),
        decision=decision,
    )
