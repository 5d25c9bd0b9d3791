"""Pages for associations: the report link, their own report, its mail subscription and their badge.

Unsubscribing: opening the link only shows a button, because mail scanners open every link. The
subscription ends by that button, or by the mail program's own (RFC 8058: a POST from another site,
without a session). Both pages are the same for every token, so they do not reveal valid ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.core.tokens import hash_token
from auditor.decisions import replies
from auditor.decisions.replies import ReplyRefusal, ReplyRefusedError
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import load_association_view
from auditor.notifications import subscriptions
from auditor.notifications.subscriptions import SubscriptionOutcome
from auditor.report_links import find_active_report_link
from auditor.reports.html import render_badge, wants_badge
from auditor.web import access, errors
from auditor.web.request_context import PageContext, RequestContext
from auditor.web.routes.associations import require_association_view
from storage.models.audit import AuditRunState
from storage.models.users import ReportLink

router = APIRouter()

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
        """The report link for a printed report, or "" if no public address is configured."""
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
    association = store.get_association(report_link.association) if report_link else None
    if report_link is None or association is None:
        return errors.render_error_page(request.scope, state.app.config, 410, now)
    response = RedirectResponse(f"/{association.language}/report", 303)
    return set_report_link_cookie(response, request, token, report_link.expires_at)


@router.get("/{language}/report", dependencies=[access.REPORT_LINK_ACCESS])
def show_report(
    request: Request,
    report_request: CurrentReportRequest,
    sent: bool = False,
    error: ReplyRefusal | None = None,
) -> Response:
    """Show the report with its reply forms.

    `sent`: a reply was just saved. `error`: why it was not. The cookie is set again, because the
    report link may have been extended.
    """
    context, report_link = report_request.context, report_request.report_link
    view = _load_view(report_request)
    store = context.app.store
    assert report_link.id is not None
    store.mark_report_link_opened(report_link.id, context.now)
    response = context.render_report(
        view,
        replies=list(store.list_replies(view.association.id)),
        is_reply_sent=sent,
        refusal=error,
        report_url=report_request.report_url,
    )
    return set_report_link_cookie(response, request, report_request.token, report_link.expires_at)


@router.get("/{language}/report.pdf", dependencies=[access.REPORT_LINK_ACCESS])
def download_report_pdf(report_request: CurrentReportRequest) -> Response:
    """Send the report as a PDF."""
    return report_request.context.render_report_pdf(
        _load_view(report_request), report_url=report_request.report_url
    )


@router.post("/{language}/report/replies", dependencies=[access.REPORT_LINK_ACCESS])
def submit_reply(
    report_request: CurrentReportRequest, form: Annotated[replies.ReplyForm, Form()]
) -> RedirectResponse:
    """Save the association's reply for the coordinator."""
    context = report_request.context
    report_url = context.links.page_url("report")
    try:
        reply = replies.parse_reply(
            form, _load_view(report_request), report_request.report_link.id, context.now
        )
        replies.save_reply(context.app.store, reply)
    except ReplyRefusedError as refusal:
        return RedirectResponse(f"{report_url}?error={refusal.reason}#message", 303)
    return RedirectResponse(f"{report_url}?sent=true#message", 303)


def _load_view(report_request: ReportRequest) -> AssociationView:
    return require_association_view(report_request.context, report_request.report_link.association)


@router.get("/{language}/report/subscriptions", dependencies=[access.REPORT_LINK_ACCESS])
def show_subscription_form(
    report_request: CurrentReportRequest, outcome: SubscriptionOutcome | None = None
) -> HTMLResponse:
    """Show the form for an email address."""
    _require_mail_server(report_request)
    context = report_request.context
    association = context.app.store.get_association(report_request.report_link.association)
    return context.render_page("monthly.html", association=association, outcome=outcome)


@router.post("/{language}/report/subscriptions", dependencies=[access.REPORT_LINK_ACCESS])
def subscribe_to_monthly_report(
    report_request: CurrentReportRequest, email: Annotated[str, Form(max_length=254)] = ""
) -> RedirectResponse:
    """Subscribe an address to the monthly report. Each mail has a link to unsubscribe."""
    _require_mail_server(report_request)
    context = report_request.context
    outcome = subscriptions.subscribe_to_monthly_report(
        context.app.store, email, report_request.report_link.association, context.now
    )
    form_url = context.links.page_url("report/subscriptions")
    return RedirectResponse(f"{form_url}?outcome={outcome}#message", 303)


def _require_mail_server(report_request: ReportRequest) -> None:
    """Raise HTTPException (404) if no mail server is configured."""
    if not report_request.context.app.config.notify.can_mail:
        raise HTTPException(404)


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
    context.app.store.unsubscribe(hash_token(token), context.now)
    return context.render_page("unsubscribe.html", is_done=True)


BADGE_CACHE_CONTROL = "public, max-age=86400"


@router.get("/badges/{association:path}/{language}.svg", dependencies=[access.PUBLIC_ACCESS])
def show_badge(context: PageContext, association: str, request: Request) -> Response:
    """Send the badge of an association.

    Raises HTTPException (404) if the association has not asked for one, or before the first run.
    """
    app = context.app
    registered = app.store.get_association(association)
    run = app.store.get_latest_run(AuditRunState.DONE)
    if registered is None or run is None or not wants_badge(registered):
        raise HTTPException(404)
    view = load_association_view(app.store, app.config, association)
    if view is None:
        raise HTTPException(404)
    content = render_badge(view, run.started_at, context.language).encode()
    etag = f'"{sha256(content).hexdigest()[:20]}"'
    headers = {"cache-control": BADGE_CACHE_CONTROL, "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/svg+xml", headers=headers)
