"""The page of one association, its follow-ups and its on-demand check."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.checking.clock import find_next_start_time
from auditor.core.form_limits import MAX_DAY_CHARS, MAX_NOTES_CHARS, FormText
from auditor.core.phone_numbers import build_whatsapp_url
from auditor.decisions.replies import MAX_PROMISE_PERIOD
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import load_association_view
from auditor.reports.html import sum_channel_points
from auditor.reports.invitation import build_chat_text
from auditor.runs.recheck import RecheckRefusal, RecheckRefusedError, RecheckService
from auditor.views.association_detail import build_association_detail
from auditor.web import access
from auditor.web.list_filters import build_back_url
from auditor.web.request_context import PageContext, RequestContext, parse_day
from storage.models.audit import EMPTY_CONTACT
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp

router = APIRouter(route_class=access.AccessRoute)


EMPTY_FOLLOW_UP: Mapping[str, object] = {"kind": "called", "text": "", "due": ""}
"""The initial values of the follow-up form."""


@router.post(
    "/{language}/associations/{association:path}/checks", dependencies=[access.OWN_REGION_ACCESS]
)
def check_association_now(
    request: Request, context: PageContext, association: str
) -> RedirectResponse:
    """Check the association's accounts now, and redirect to the result."""
    require_association_view(context, association)
    checks: RecheckService = request.app.state.association_checks
    try:
        checks.recheck_association(context.app, association, context.now)
    except RecheckRefusedError as refusal:
        query_params = {"check_refused": refusal.reason.value}
        association_url = context.build_association_url(association, query_params)
        return RedirectResponse(f"{association_url}#check", 303)
    return RedirectResponse(f"{context.build_association_url(association)}#check", 303)


@router.get(
    "/{language}/associations/{association:path}/follow-ups",
    dependencies=[access.OWN_REGION_ACCESS],
)
def show_follow_ups(context: PageContext, association: str) -> RedirectResponse:
    """Redirect to the form, whose address a browser shows after an error."""
    return RedirectResponse(f"{context.build_association_url(association)}#follow-ups", 303)


@router.get("/{language}/associations/{association:path}", dependencies=[access.LOGGED_IN_ACCESS])
def show_association(
    request: Request,
    context: PageContext,
    association: str,
    *,
    check_refused: RecheckRefusal | None = None,
    saved_decision: str = "",
    saved_channel: str = "",
) -> HTMLResponse:
    """Show the page of an association.

    `check_refused` is why the last on-demand check did not run. `saved_decision` is the kind of
    the decision that was just saved, `saved_channel` the channel that it is about.
    """
    view = require_association_view(context, association)
    return render_association(
        request,
        context,
        view,
        check_refusal=check_refused,
        saved_decision={"kind": saved_decision, "channel": saved_channel},
        follow_up_form=EMPTY_FOLLOW_UP,
    )


def render_association(
    request: Request,
    context: RequestContext,
    view: AssociationView,
    *,
    follow_up_form: object,
    status: int = 200,
    check_refusal: RecheckRefusal | None = None,
    saved_decision: Mapping[str, str] | None = None,
    error: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Render the page of an association.

    `saved_decision` has the kind and the channel of the decision that was just saved.
    `follow_up_form` holds the values of the follow-up form, `error` the field that is wrong and the
    message.
    """
    store, config, association = context.app.store, context.app.config, view.association
    can_manage = context.can_manage_association(association)
    contact = store.registry.get_contact(association.id) if can_manage else EMPTY_CONTACT
    checks: RecheckService = request.app.state.association_checks
    page_context = context.with_path(context.build_association_url(association.id))
    detail = build_association_detail(store, view, config, context.now, include_private=can_manage)
    chat_url = None
    if contact.phone:  # the text has no link to the report: only its hash is stored
        chat_text = build_chat_text(view, config, association.language)
        chat_url = build_whatsapp_url(contact.phone, chat_text)
    return page_context.render_page(
        "association_detail.html",
        status=status,
        detail=detail,
        unchecked_names=list(map(context.translator.channel_name, detail["unchecked_channels"])),
        contact=contact,
        whatsapp_url=chat_url,
        next_check_at=find_next_start_time(store.runs.get_latest(), config.schedule, context.now),
        can_manage=can_manage,
        latest_check=checks.find_recent(association.id, context.now),
        check_refusal=check_refusal,
        saved_decision=saved_decision or {"kind": "", "channel": ""},
        follow_up_form=follow_up_form,
        follow_up_error=error,
        channel_points=sum_channel_points(config.unmixed_channels),
        today=context.now.date(),
        list_url=build_back_url(
            context.links.page_url("associations"), context.back_query, f"row-{association.id}"
        ),
    )


def require_association_view(context: RequestContext, association: str) -> AssociationView:
    """Return the association of this id. Raises HTTPException (404) if there is none."""
    view = load_association_view(context.app.store, context.app.config, association)
    if view is None:
        raise HTTPException(404)
    return view


class FollowUpForm(BaseModel):
    """The submitted follow-up; `due` is the promised date as text."""

    model_config = ConfigDict(frozen=True)

    kind: FollowUpKind = FollowUpKind.CALLED
    text: FormText = Field(default="", max_length=MAX_NOTES_CHARS)
    due: str = Field(default="", max_length=MAX_DAY_CHARS)

    @property
    def due_date(self) -> date | None:
        """The promised date, or None if the text is not an ISO date."""
        return parse_day(self.due)


@router.post(
    "/{language}/associations/{association:path}/follow-ups",
    dependencies=[access.OWN_REGION_ACCESS],
)
def add_follow_up(
    request: Request, context: PageContext, association: str, form: Annotated[FollowUpForm, Form()]
) -> Response:
    """Save a follow-up, or show the form again with the error."""
    view = require_association_view(context, association)
    if error := _find_form_error(form, context):
        return render_association(
            request, context, view, status=422, follow_up_form=form, error=error
        )
    follow_up = FollowUp(
        association=view.association.id,
        kind=form.kind,
        author=context.author,
        occurred_at=context.now,
        text=form.text.strip(),
        due_date=form.due_date if form.kind is FollowUpKind.PROMISED else None,
    )
    context.app.store.follow_ups.add(follow_up)
    return RedirectResponse(f"{context.build_association_url(association)}#follow-ups", 303)


def _find_form_error(form: FollowUpForm, context: RequestContext) -> dict[str, str] | None:
    """Return what is missing in a follow-up, in the page's language, or None."""
    translator, today = context.translator, context.now.date()
    if form.kind is FollowUpKind.PROMISED:
        due_date = form.due_date
        if due_date is None or not today <= due_date <= today + MAX_PROMISE_PERIOD:
            message = translator.translate("Enter the promised date, within the next 12 months.")
            return {"field": "due", "message": message}
    elif form.kind is FollowUpKind.NOTE and not form.text.strip():
        return {"field": "text", "message": translator.translate("Enter a note.")}
    return None
