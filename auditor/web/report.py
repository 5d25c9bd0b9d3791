"""An association's own report: from the link in its letter to its answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor import replies
from auditor.letters import opened
from auditor.replies import Refusal, RefusalError
from auditor.view import AssociationView
from auditor.web import errors
from auditor.web.association import found
from auditor.web.reader import LETTER, Reader, Reading

router = APIRouter()


@router.get("/r/{token}")
def enter(request: Request, token: str) -> Response:
    """Exchange a letter's token for a cookie, and lead to the report. What is wrong with one is not said."""
    state = request.app.state
    now = state.clock()
    letter = opened(state.app.store, token, now)
    association = state.app.store.association(letter.association) if letter else None
    if letter is None or association is None:
        return errors.page(request.scope, state.app.config, 410, now)
    answer = RedirectResponse(f"/{association.language}/report", 303)
    secure = state.app.config.web.public_url.startswith("https:") and not request.scope["home"]
    seconds = int((letter.expires_at - now).total_seconds())
    answer.set_cookie(LETTER, token, max_age=seconds, httponly=True, samesite="lax", secure=secure)
    return answer


@router.get("/{language}/report")
def report(reading: Reader, said: bool = False, refused: Refusal | None = None) -> HTMLResponse:
    """The report, to be read and answered."""
    asked, view = reading.asked, _view(reading)
    assert reading.letter.id is not None
    asked.app.store.letter_opened(reading.letter.id, asked.now)
    answers = list(asked.app.store.replies(view.association.id))
    return asked.report(view, replies=answers, thanked=said, refused=refused, address=reading.address)


@router.get("/{language}/report.pdf")
def paper(reading: Reader) -> Response:
    """The report as a PDF."""
    return reading.asked.paper(_view(reading), address=reading.address)


@router.post("/{language}/report/reply")
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
