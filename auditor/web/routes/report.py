"""An association's own report: from the link in its letter to its answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from auditor.decisions import replies
from auditor.decisions.replies import Refusal, RefusalError
from auditor.evaluation.association_view import AssociationView
from auditor.report_links.links import opened
from auditor.web import access, errors
from auditor.web.report_session import Reader, Reading, let_in
from auditor.web.routes.association import found

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
