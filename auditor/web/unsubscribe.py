"""The end of a subscription, from the link of a mail.

Opening the link only shows a button: programs that look through mail open every link. The button, and a mail
program's own (RFC 8058: a POST from anywhere, without a session), end it. Both pages are the same for every
token, so that nobody learns which ones lead to somebody.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from auditor.letters import digest
from auditor.web import access
from auditor.web.asked import Page

router = APIRouter()


@router.get("/{language}/unsubscribe/{token}", dependencies=[access.OPEN])
def ask(asked: Page, token: str) -> HTMLResponse:  # noqa: ARG001  # the page is the same for every token
    """Show the button."""
    return asked.page("unsubscribe.html", is_done=False)


@router.post("/{language}/unsubscribe/{token}", dependencies=[access.OPEN])
def end(asked: Page, token: str) -> HTMLResponse:
    """End the subscription. No redirect: mail programs follow none (RFC 8058)."""
    asked.app.store.unsubscribe(digest(token), asked.now)
    return asked.page("unsubscribe.html", is_done=True)
