"""The monthly report by mail: an association asks for it beside its own report.

The end of a subscription, from the link of a mail.

Opening the link only shows a button: programs that look through mail open every link. The button, and a mail
program's own (RFC 8058: a POST from anywhere, without a session), end it. Both pages are the same for every
token, so that nobody learns which ones lead to somebody.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.core.tokens import digest
from auditor.notifications import subscriptions
from auditor.notifications.subscriptions import Outcome
from auditor.web import access
from auditor.web.report_session import Reader, Reading
from auditor.web.request_context import Page

router = APIRouter()


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
