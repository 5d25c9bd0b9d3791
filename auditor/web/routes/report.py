"""Pages for associations: the report link, their own report and its mail subscription.

Subscribing: the address gets a mail with a link, whose page shows a button that confirms.

Unsubscribing: opening the link only shows a button, because mail scanners open every link. The
subscription ends by that button, or by the mail program's own (RFC 8058: a POST from another site,
without a session). Both pages are the same for every token, so they do not reveal valid ones.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import AwareDatetime
from starlette.background import BackgroundTask

from auditor.conclusions import replies
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.examples import ExampleFinder
from auditor.conclusions.network_view import load_past_view
from auditor.conclusions.replies import ReplyRefusedError, StepsForm, save_completed_steps
from auditor.core.form_limits import MAX_EMAIL_CHARS, MAX_PLACE_CHARS
from auditor.core.formatting import hash_token
from auditor.core.rendering.templates import WebAppLinks, build_report_file_name
from auditor.presentation.notifications import subscriptions
from auditor.presentation.notifications.subscriptions import CONFIRMATION_DAYS, SubscriptionOutcome
from auditor.presentation.report_links import find_active_report_link
from auditor.presentation.reports import pdf
from auditor.presentation.reports.html import (
    MAX_TYPED_CHARACTERS,
    ReportForms,
    ReportNotice,
    build_card,
    build_report_csp,
    render_report,
)
from auditor.presentation.reports.text import RECENT_PERIOD, list_fixed_gaps
from auditor.web import access
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    RowId,
    build_url,
    render_error_page,
    require_association_view,
)
from storage.errors import StoreError
from storage.tables.communication import ReportLink

router = APIRouter(route_class=access.AccessRoute)

REPORT_LINK_COOKIE = "report_link"
"""Holds the token. The address contains it only once, when the link is opened."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A request of an association for its own report."""

    context: RequestContext
    report_link: ReportLink
    token: str

    @property
    def report_url(self) -> str:
        """Return the report link to print, or "" if no public address is configured."""
        public_url = self.context.app.config.web.public_url
        return f"{public_url}/r/{self.token}" if public_url else ""


def set_report_link_cookie(
    response: Response, request: Request, token: str, expires_at: datetime
) -> Response:
    """Set the cookie with the token until the report link expires, and return the response."""
    state = request.app.state
    has_https_url = state.app.config.web.public_url.startswith("https:")
    is_public_host = not request.scope["is_network_host"]
    response.set_cookie(
        REPORT_LINK_COOKIE,
        token,
        max_age=int((expires_at - state.clock()).total_seconds()),
        httponly=True,
        samesite="lax",
        secure=(has_https_url and is_public_host) or request.scope["scheme"] == "https",
    )
    return response


def get_report_request(request: Request, context: PageContext) -> ReportRequest:
    """Return the report link of a request.

    Raises HTTPException: 410 if the link does not exist, has expired or was revoked (always the
    same answer), and 401 without a cookie. That is a browser without cookies, or a program that
    builds a preview of the link.
    """
    token = request.cookies.get(REPORT_LINK_COOKIE)
    if token is None:
        raise HTTPException(401, headers={"www-authenticate": "ReportLink"})
    store = context.app.store
    report_link = find_active_report_link(store, token, context.now) if token else None
    if report_link is None:
        raise HTTPException(410)
    return ReportRequest(context, report_link, token)


CurrentReportRequest = Annotated[ReportRequest, Depends(get_report_request)]
"""A parameter of a route that an association opens with its report link."""


@router.get("/r/{token}", dependencies=[access.PUBLIC_ACCESS])
def open_report_link(request: Request, token: str) -> Response:
    """Move the token of a report link into a cookie, and redirect to the report.

    An invalid link always gives the same page (410).
    """
    state = request.app.state
    store, now = state.app.store, state.clock()
    report_link = find_active_report_link(store, token, now)
    association = store.registry.get_association(report_link.association) if report_link else None
    if report_link is None or association is None:
        return render_error_page(request.scope, state.app.config, 410, now)
    response = RedirectResponse(f"/{association.language}/report", 303)
    return set_report_link_cookie(response, request, token, report_link.expires_at)


@router.get("/{language}/report", dependencies=[access.REPORT_LINK_ACCESS])
def show_report(
    request: Request, report_request: CurrentReportRequest, notice: Annotated[ReportNotice, Query()]
) -> Response:
    """Show the report with its forms, and what the last of them did.

    The cookie is set again, because the report link may have been extended.
    """
    context, report_link = report_request.context, report_request.report_link
    view = _load_view(report_request)
    store = context.app.store
    since = min(report_link.last_opened_at or context.now, context.now - RECENT_PERIOD)
    if first_run := store.runs.get_first_evaluated():
        since = max(since, first_run.started_at)
    forms = ReportForms(
        replies=list(store.replies.list_replies(view.association.id)),
        completed_steps=store.completed_steps.list_completed_steps(view.association.id),
        notice=notice if notice.done or notice.error else None,
        expires_at=report_link.expires_at,
        news_since=since,
        level_before=_load_level(report_request, view, since),
    )
    content = _render_report(report_request, view, forms=forms)
    response = HTMLResponse(
        content,
        headers={"content-security-policy": build_report_csp(content)},
        background=BackgroundTask(_mark_opened, report_request),
    )
    return set_report_link_cookie(response, request, report_request.token, report_link.expires_at)


def _mark_opened(report_request: ReportRequest) -> None:
    """Store that the report was opened, unless the database cannot be written to.

    It is called after the answer, because another process may hold the database for long.
    """
    context = report_request.context
    with suppress(StoreError):
        context.app.store.report_links.mark_opened(report_request.report_link.id, context.now)


@router.get("/{language}/report.pdf", dependencies=[access.REPORT_LINK_ACCESS])
def download_report_pdf(report_request: CurrentReportRequest) -> Response:
    """Send the report as a PDF."""
    _require_typst()
    view = _load_view(report_request)
    pdf_bytes = pdf.render_pdf(_render_report(report_request, view, is_folded=False))
    stem = build_report_file_name(view.association.id).removesuffix(".html")
    headers = {"content-disposition": f'attachment; filename="{stem}.pdf"'}
    return Response(pdf_bytes, media_type="application/pdf", headers=headers)


def _load_level(report_request: ReportRequest, view: AssociationView, since: datetime) -> str:
    """Return the level at a time, or "" if nothing was fixed since or nothing was known then."""
    app = report_request.context.app
    if not list_fixed_gaps(view, since):
        return ""
    past_view = load_past_view(app.store, app.config, view.association, since)
    return past_view.score.level if past_view.is_checked else ""


@router.get("/{language}/report.png", dependencies=[access.REPORT_LINK_ACCESS])
def download_card(report_request: CurrentReportRequest, since: AwareDatetime) -> Response:
    """Send a picture of what improved since a time, to share."""
    _require_typst()
    context, view = report_request.context, _load_view(report_request)
    level = _load_level(report_request, view, since)
    card = build_card(view, since, level, context.translator)
    network = context.app.config.network.display_name(context.language)
    picture = pdf.render_card({**card, "footer": network})
    headers = {"content-disposition": f'attachment; filename="{since.date()}.png"'}
    return Response(picture, media_type="image/png", headers=headers)


def _require_typst() -> None:
    """Raise HTTPException (404) if Typst is missing. The report then has no link to this page."""
    if not pdf.is_typst_installed():
        raise HTTPException(404)


def _render_report(
    report_request: ReportRequest,
    view: AssociationView,
    *,
    forms: ReportForms | None = None,
    is_folded: bool = True,
) -> str:
    """Render the report with its forms, or to print it (see `render_report`)."""
    context = report_request.context
    links = WebAppLinks(context.language, "/report", has_network_pages=False)
    has_pdf = forms is not None and pdf.is_typst_installed()
    return render_report(
        view,
        context.app.config,
        context.now,
        links,
        context.language,
        examples=ExampleFinder(context.app.store, context.app.config),
        forms=forms,
        report_url=report_request.report_url,
        pdf_url=links.page_url("report.pdf") if has_pdf else "",
        is_folded=is_folded,
    )


@router.post("/{language}/report/replies", dependencies=[access.REPORT_LINK_ACCESS])
def submit_reply(
    report_request: CurrentReportRequest, form: Annotated[replies.ReplyForm, Form()]
) -> RedirectResponse:
    """Save the association's reply for the coordinator."""
    context = report_request.context
    try:
        reply = replies.parse_reply(
            form, _load_view(report_request), report_request.report_link.id, context.now
        )
        replies.save_reply(context.app.store, reply)
    except ReplyRefusedError as refusal:
        typed = form.value if len(form.value) <= MAX_TYPED_CHARACTERS else ""
        refused = ReportNotice(at=form.at, error=refusal.args[0], kind=form.kind, typed=typed)
        return _redirect_to_report(context, refused)
    return _redirect_to_report(context, ReportNotice(at=form.at, done="sent"))


@router.post(
    "/{language}/report/replies/{reply_id}/withdrawal", dependencies=[access.REPORT_LINK_ACCESS]
)
def withdraw_reply(
    report_request: CurrentReportRequest,
    reply_id: RowId,
    at: Annotated[str, Form(max_length=MAX_PLACE_CHARS)] = "",
) -> RedirectResponse:
    """Take back a reply of the association that no coordinator has reviewed yet."""
    context = report_request.context
    association = report_request.report_link.association
    try:
        replies.withdraw_reply(context.app.store, reply_id, association, context.now)
    except ReplyRefusedError as refusal:
        return _redirect_to_report(context, ReportNotice(at=at, error=refusal.args[0]))
    return _redirect_to_report(context, ReportNotice(at=at, done="withdrawn"))


@router.post("/{language}/report/steps", dependencies=[access.REPORT_LINK_ACCESS])
def save_steps(
    report_request: CurrentReportRequest, form: Annotated[StepsForm, Form()]
) -> RedirectResponse:
    """Save which steps of a gap the association has ticked."""
    context = report_request.context
    try:
        save_completed_steps(context.app.store, _load_view(report_request), form, context.now)
    except ReplyRefusedError as refusal:
        return _redirect_to_report(context, ReportNotice(at=form.at, error=refusal.args[0]))
    return _redirect_to_report(context, ReportNotice(at=form.at, done="steps_saved"))


def _redirect_to_report(context: RequestContext, notice: ReportNotice) -> RedirectResponse:
    """Redirect to the subject of a form, or to the message if a field has to be corrected."""
    query_params = notice.model_dump(mode="json", exclude_none=True)
    report_url = build_url(context.links.page_url("report"), query_params)
    is_at_subject = notice.at and not notice.is_about_value
    fragment = quote(notice.at) if is_at_subject else "message"
    return RedirectResponse(f"{report_url}#{fragment}", 303)


def _load_view(report_request: ReportRequest) -> AssociationView:
    return require_association_view(report_request.context, report_request.report_link.association)


@router.get("/{language}/report/subscriptions", dependencies=[access.REPORT_LINK_ACCESS])
def show_subscription_form(
    report_request: CurrentReportRequest, outcome: SubscriptionOutcome | None = None
) -> HTMLResponse:
    """Show the form for an email address."""
    _require_mail_server(report_request)
    context = report_request.context
    association = context.app.store.registry.get_association(report_request.report_link.association)
    return context.render_page(
        "monthly.html", association=association, outcome=outcome, valid_days=CONFIRMATION_DAYS
    )


@router.post("/{language}/report/subscriptions", dependencies=[access.REPORT_LINK_ACCESS])
def request_subscription(
    report_request: CurrentReportRequest,
    email: Annotated[str, Form(max_length=MAX_EMAIL_CHARS)] = "",
) -> RedirectResponse:
    """Ask an address by mail to confirm a subscription. Nothing else is sent to it before.

    The answer is sent before the mail, so it takes the same time for each address.
    """
    _require_mail_server(report_request)
    context = report_request.context
    outcome, token = subscriptions.request_subscription(
        context.app.store, email, report_request.report_link, context.now
    )
    form_url = context.links.page_url("report/subscriptions")
    task = None
    if token:
        task = BackgroundTask(
            subscriptions.send_confirmation_mail, context.app, token, context.language, context.now
        )
    return RedirectResponse(f"{form_url}?outcome={outcome}#message", 303, background=task)


def _require_mail_server(report_request: ReportRequest) -> None:
    """Raise HTTPException (404) if no mail server, or no address for its links, is configured."""
    config = report_request.context.app.config
    if not (config.notify.can_mail and config.web.public_url):
        raise HTTPException(404)


@router.get("/{language}/subscriptions/{token}", dependencies=[access.PUBLIC_ACCESS])
def show_confirmation_form(
    context: PageContext, token: str, *, outcome: Literal["", "confirmed"] = ""
) -> HTMLResponse:
    """Show the button that confirms a subscription, or that it was confirmed.

    The page names the association of a valid link. For every other link it is the same.
    """
    association = subscriptions.find_requested_association(context.app.store, token, context.now)
    return context.render_page(
        "confirm_subscription.html", outcome=outcome, association=association
    )


@router.post("/{language}/subscriptions/{token}", dependencies=[access.PUBLIC_ACCESS])
def confirm_subscription(context: PageContext, token: str) -> Response:
    """Confirm a subscription. A wrong, used or expired link gives 410."""
    is_confirmed = subscriptions.confirm_subscription(context.app.store, token, context.now)
    if not is_confirmed:
        return context.render_page("confirm_subscription.html", status=410, outcome="refused")
    page_url = context.links.page_url(f"subscriptions/{quote(token)}")
    return RedirectResponse(f"{page_url}?outcome=confirmed", 303)


@router.get("/{language}/unsubscribe/{token}", dependencies=[access.PUBLIC_ACCESS])
def show_unsubscribe_form(
    context: PageContext,
    token: str,  # noqa: ARG001
) -> HTMLResponse:  # the page is the same for every token
    """Show the button that unsubscribes."""
    return context.render_page("unsubscribe.html", is_done=False)


@router.post("/{language}/unsubscribe/{token}", dependencies=[access.PUBLIC_ACCESS])
def unsubscribe(context: PageContext, token: str) -> HTMLResponse:
    """End the subscription. There is no redirect, because mail programs follow none (RFC 8058)."""
    context.app.store.subscriptions.unsubscribe(hash_token(token), context.now)
    return context.render_page("unsubscribe.html", is_done=True)
