"""An association's own report: from the link in its letter to its answers.

The monthly report by mail: an association asks for it beside its own report.

The end of a subscription, from the link of a mail.

Opening the link only shows a button: programs that look through mail open every link. The button, and a mail
program's own (RFC 8058: a POST from anywhere, without a session), end it. Both pages are the same for every
token, so that nobody learns which ones lead to somebody.

The badge that an association may show on its own pages.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
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
from auditor.web.request_context import (
    CurrentReportRequest,
    PageContext,
    ReportRequest,
    set_report_link_cookie,
)
from auditor.web.routes.associations import require_association_view
from storage.models.audit import AuditRunState

router = APIRouter()


@router.get("/r/{token}", dependencies=[access.PUBLIC_ACCESS])
def open_report_link(request: Request, token: str) -> Response:
    """Exchange a letter's token for a cookie, and lead to the report. What is wrong with one is not said."""
    state = request.app.state
    now = state.clock()
    letter = find_active_report_link(state.app.store, token, now)
    association = state.app.store.association(letter.association) if letter else None
    if letter is None or association is None:
        return errors.render_error_page(request.scope, state.app.config, 410, now)
    return set_report_link_cookie(
        RedirectResponse(f"/{association.language}/report", 303), request, token, letter.expires_at
    )


@router.get("/{language}/report", dependencies=[access.REPORT_LINK_ACCESS])
def show_report(
    request: Request,
    report_request: CurrentReportRequest,
    said: bool = False,
    refused: ReplyRefusal | None = None,
) -> Response:
    """The report, to be read and answered. Its cookie holds as long as the letter, which may be renewed."""
    asked, view = report_request.context, _load_view(report_request)
    assert report_request.report_link.id is not None
    asked.app.store.mark_report_link_opened(report_request.report_link.id, asked.now)
    answers = list(asked.app.store.list_replies(view.association.id))
    shown = asked.render_report(
        view,
        replies=answers,
        is_reply_sent=said,
        refusal=refused,
        report_url=report_request.report_url,
    )
    return set_report_link_cookie(
        shown, request, report_request.token, report_request.report_link.expires_at
    )


@router.get("/{language}/report.pdf", dependencies=[access.REPORT_LINK_ACCESS])
def download_report_pdf(report_request: CurrentReportRequest) -> Response:
    """The report as a PDF."""
    return report_request.context.render_report_pdf(
        _load_view(report_request), report_url=report_request.report_url
    )


@router.post("/{language}/report/reply", dependencies=[access.REPORT_LINK_ACCESS])
def submit_reply(
    report_request: CurrentReportRequest, form: Annotated[replies.ReplyForm, Form()]
) -> RedirectResponse:
    """Keep the association's answer for the coordinator."""
    asked = report_request.context
    way = asked.links.page_url("report")
    try:
        said = replies.parse_reply(
            form, _load_view(report_request), report_request.report_link.id, asked.now
        )
        replies.save_reply(asked.app.store, said)
    except ReplyRefusedError as refusal:
        return RedirectResponse(f"{way}?refused={refusal.reason}#said", 303)
    return RedirectResponse(f"{way}?said=true#said", 303)


def _load_view(report_request: ReportRequest) -> AssociationView:
    return require_association_view(report_request.context, report_request.report_link.association)


@router.get("/{language}/report/monthly", dependencies=[access.REPORT_LINK_ACCESS])
def show_subscription_form(
    report_request: CurrentReportRequest, outcome: SubscriptionOutcome | None = None
) -> HTMLResponse:
    """Ask for an address."""
    _require_mail_server(report_request)
    asked = report_request.context
    association = asked.app.store.get_association(report_request.report_link.association)
    return asked.render_page("monthly.html", association=association, outcome=outcome)


@router.post("/{language}/report/monthly", dependencies=[access.REPORT_LINK_ACCESS])
def subscribe_to_monthly_report(
    report_request: CurrentReportRequest, address: Annotated[str, Form(max_length=254)] = ""
) -> RedirectResponse:
    """Keep that this address wants it. The link in each mail ends it."""
    _require_mail_server(report_request)
    asked, association = report_request.context, report_request.report_link.association
    outcome = subscriptions.subscribe_to_monthly_report(
        asked.app.store, address, association, asked.now
    )
    return RedirectResponse(f"{asked.links.page_url('report/monthly')}?outcome={outcome}#said", 303)


def _require_mail_server(report_request: ReportRequest) -> None:
    """404 where no mail can be sent: nothing is promised that cannot be kept."""
    if not report_request.context.app.config.notify.can_mail:
        raise HTTPException(404)


@router.get("/{language}/unsubscribe/{token}", dependencies=[access.PUBLIC_ACCESS])
def show_unsubscribe_form(context: PageContext, token: str) -> HTMLResponse:  # noqa: ARG001  # the page is the same for every token
    """Show the button."""
    return context.render_page("unsubscribe.html", is_done=False)


@router.post("/{language}/unsubscribe/{token}", dependencies=[access.PUBLIC_ACCESS])
def unsubscribe(context: PageContext, token: str) -> HTMLResponse:
    """End the subscription. No redirect: mail programs follow none (RFC 8058)."""
    context.app.store.unsubscribe(hash_token(token), context.now)
    return context.render_page("unsubscribe.html", is_done=True)


BADGE_CACHE_CONTROL = "public, max-age=86400"


@router.get("/badge/{association:path}/{language}.svg", dependencies=[access.PUBLIC_ACCESS])
def show_badge(context: PageContext, association: str, request: Request) -> Response:
    """The badge of an association that wants one; 404 for any other, and before the first night."""
    app, known = context.app, context.app.store.get_association(association)
    night = app.store.get_latest_run(AuditRunState.DONE)
    if known is None or night is None or not wants_badge(known):
        raise HTTPException(404)
    view = load_association_view(app.store, app.config, association, context.now)
    if view is None:
        raise HTTPException(404)
    drawn = render_badge(view, night.started_at, context.language).encode()
    headers = {"cache-control": BADGE_CACHE_CONTROL, "etag": f'"{sha256(drawn).hexdigest()[:20]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(drawn, media_type="image/svg+xml", headers=headers)
