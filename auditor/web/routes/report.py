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

from auditor.core.tokens import digest
from auditor.decisions import replies
from auditor.decisions.replies import Refusal, RefusalError
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import association_view
from auditor.notifications import subscriptions
from auditor.notifications.subscriptions import Outcome
from auditor.report_links import opened
from auditor.reports.html import badge, is_wanted
from auditor.web import access, errors
from auditor.web.request_context import Page, Reader, Reading, let_in
from auditor.web.routes.associations import found
from storage.models.audit import NightState

router = APIRouter()


@router.get("/r/{token}", dependencies=[access.OPEN])
def enter(request: Request, token: str) -> Response:
    """Exchange a letter's token for a cookie, and lead to the report. What is wrong with one is not said."""
    state = request.app.state
    now = state.clock()
    letter = opened(state.app.store, token, now)
    association = state.app.store.association(letter.association) if letter else None
    if letter is None or association is None:
        return errors.page(request.scope, state.app.config, 410, now)
    return let_in(RedirectResponse(f"/{association.language}/report", 303), request, token, letter.expires_at)


@router.get("/{language}/report", dependencies=[access.LETTER])
def report(request: Request, reading: Reader, said: bool = False, refused: Refusal | None = None) -> Response:
    """The report, to be read and answered. Its cookie holds as long as the letter, which may be renewed."""
    asked, view = reading.asked, _view(reading)
    assert reading.letter.id is not None
    asked.app.store.letter_opened(reading.letter.id, asked.now)
    answers = list(asked.app.store.replies(view.association.id))
    shown = asked.report(view, replies=answers, thanked=said, refused=refused, address=reading.address)
    return let_in(shown, request, reading.token, reading.letter.expires_at)


@router.get("/{language}/report.pdf", dependencies=[access.LETTER])
def paper(reading: Reader) -> Response:
    """The report as a PDF."""
    return reading.asked.paper(_view(reading), address=reading.address)


@router.post("/{language}/report/reply", dependencies=[access.LETTER])
def answer(reading: Reader, form: Annotated[replies.Form, Form()]) -> RedirectResponse:
    """Keep the association's answer for the coordinator."""
    asked = reading.asked
    way = asked.link.page("report")
    try:
        said = replies.reply(form, _view(reading), reading.letter.id, asked.now)
        replies.keep(asked.app.store, said)
    except RefusalError as refusal:
        return RedirectResponse(f"{way}?refused={refusal.why}#said", 303)
    return RedirectResponse(f"{way}?said=true#said", 303)


def _view(reading: Reading) -> AssociationView:
    return found(reading.asked, reading.letter.association)


@router.get("/{language}/report/monthly", dependencies=[access.LETTER])
def ask(reading: Reader, outcome: Outcome | None = None) -> HTMLResponse:
    """Ask for an address."""
    _refuse_without_mail(reading)
    asked = reading.asked
    association = asked.app.store.association(reading.letter.association)
    return asked.page("monthly.html", association=association, outcome=outcome)


@router.post("/{language}/report/monthly", dependencies=[access.LETTER])
def keep(reading: Reader, address: Annotated[str, Form(max_length=254)] = "") -> RedirectResponse:
    """Keep that this address wants it. The link in each mail ends it."""
    _refuse_without_mail(reading)
    asked, association = reading.asked, reading.letter.association
    outcome = subscriptions.monthly(asked.app.store, address, association, asked.now)
    return RedirectResponse(f"{asked.link.page('report/monthly')}?outcome={outcome}#said", 303)


def _refuse_without_mail(reading: Reading) -> None:
    """404 where no mail can be sent: nothing is promised that cannot be kept."""
    if not reading.asked.app.config.notify.can_mail:
        raise HTTPException(404)


@router.get("/{language}/unsubscribe/{token}", dependencies=[access.OPEN])
def ask_to_unsubscribe(asked: Page, token: str) -> HTMLResponse:  # noqa: ARG001  # the page is the same for every token
    """Show the button."""
    return asked.page("unsubscribe.html", is_done=False)


@router.post("/{language}/unsubscribe/{token}", dependencies=[access.OPEN])
def end(asked: Page, token: str) -> HTMLResponse:
    """End the subscription. No redirect: mail programs follow none (RFC 8058)."""
    asked.app.store.unsubscribe(digest(token), asked.now)
    return asked.page("unsubscribe.html", is_done=True)


DAY = "public, max-age=86400"


@router.get("/badge/{association:path}/{language}.svg", dependencies=[access.OPEN])
def image(asked: Page, association: str, request: Request) -> Response:
    """The badge of an association that wants one; 404 for any other, and before the first night."""
    app, known = asked.app, asked.app.store.association(association)
    night = app.store.last_night(NightState.DONE)
    if known is None or night is None or not is_wanted(known):
        raise HTTPException(404)
    view = association_view(app.store, app.config, association, asked.now)
    if view is None:
        raise HTTPException(404)
    drawn = badge(view, night.started_at, asked.language).encode()
    headers = {"cache-control": DAY, "etag": f'"{sha256(drawn).hexdigest()[:20]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(drawn, media_type="image/svg+xml", headers=headers)
