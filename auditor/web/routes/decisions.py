"""The form of a decision: what a person knows of an association, taken down as on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.decisions.parsing import DecisionError, unwaived
from auditor.decisions.service import Saying, items, withdrawn
from auditor.evaluation.association_view import AssociationView
from auditor.rendering.templates import words_of
from auditor.web import access, request_context
from auditor.web.request_context import Asked, Page
from auditor.web.routes.associations import found

router = APIRouter()

ASKED = ("kind", "channel", "account", "code", "number")
"""What the address of a form asks; the rest is typed."""
A_MOMENT = timedelta(minutes=1)


class Wish(BaseModel):
    """What the form holds, as it was typed; an empty text is nothing.

    `account` is a key or a link; `seen` the day of a publication; `to` where it moved; `number` the decision
    that is taken back.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["attest", "none_by_choice", "ours", "not_ours", "moved", "waive", "withdraw"]
    channel: str = Field(default="", max_length=40)
    account: str = Field(default="", max_length=2000)
    seen: str = Field(default="", max_length=40)
    to: str = Field(default="", max_length=2000)
    code: str = Field(default="", max_length=80)
    until: str = Field(default="", max_length=40)
    why: str = Field(default="", max_length=2000)
    number: str = Field(default="", max_length=20)


@router.get("/{language}/associations/{association:path}/decide", dependencies=[access.OWN])
def form(asked: Page, association: str, wish: Annotated[Wish, Query()]) -> HTMLResponse:
    """The form of one kind of decision."""
    return _form(asked, found(asked, association), wish)


@router.post("/{language}/associations/{association:path}/decide", dependencies=[access.OWN])
def keep(request: Request, asked: Page, association: str, wish: Annotated[Wish, Form()]) -> Response:
    """Keep the decision, or show what is wrong with it beside the form."""
    view = found(asked, association)
    try:
        if not _is_twice(request, (association, wish, asked.signature), asked.now):
            _kept(asked, association, wish)
            request.app.state.decided = (association, wish, asked.signature), asked.now
    except DecisionError as trouble:
        return _form(asked, view, wish, trouble)
    return RedirectResponse(f"{asked.link.association(association)}?kept={wish.kind}#decisions", 303)


def _is_twice(request: Request, told: tuple[str, Wish, str], now: datetime) -> bool:
    """Whether the very same form of the same person came a moment ago: an impatient finger decides once."""
    last, when = getattr(request.app.state, "decided", (None, now))
    return last == told and now - when < A_MOMENT


def _kept(asked: Asked, association: str, wish: Wish) -> None:
    """Keep what was decided. Raises DecisionError."""
    if wish.kind == "withdraw":
        _withdrawn(asked, association, wish)
        return
    saying = Saying.of(
        asked.app.store,
        asked.app.config.channels,
        association,
        wish.channel or None,
        who=asked.signature,
        why=wish.why,
        now=asked.now,
        account=wish.account or None,
    )
    _said(saying, wish)


def _said(saying: Saying, wish: Wish) -> None:
    until = wish.until or None
    match wish.kind:
        case "attest":
            saying.attest(seen=wish.seen or None, until=until)
        case "none_by_choice":
            saying.none_by_choice(until=until)
        case "ours":
            saying.ours()
        case "not_ours":
            saying.not_ours(until=until)
        case "moved":
            saying.moved(to=wish.to.strip() or None, until=until)
        case _ if not (wish.channel or wish.code):
            raise unwaived(saying.there.association, "what is waived is not said")
        case _:
            saying.waive(code=wish.code or None, until=until)


def _withdrawn(asked: Asked, association: str, wish: Wish) -> None:
    """Take a decision back, if it is this association's. Raises DecisionError."""
    _numbered(asked, association, wish.number)
    withdrawn(asked.app.store, wish.number, who=asked.signature, why=wish.why, now=asked.now)


def _numbered(asked: Asked, association: str, number: str) -> Mapping[str, Any]:
    """The association's decision of a number, as `decide list` tells it; not found, if it is not theirs."""
    store = asked.app.store
    for word in store.decisions(association=association):
        if str(word.id) == number:
            accounts = {row.id: row for row in store.accounts(association) if row.id is not None}
            return items([word], accounts, {}, asked.now)[0]
    raise HTTPException(404)


def _form(
    asked: Asked, view: AssociationView, wish: Wish, trouble: DecisionError | None = None
) -> HTMLResponse:
    told = {name: value for name, value in wish.model_dump().items() if name in ASKED}
    here = request_context.way(f"{asked.link.association(view.association.id)}/decide", told)
    return asked.at(here).page(
        "decision_form.html",
        status=422 if trouble else 200,
        view=view,
        it=wish,
        trouble=words_of(asked.language).say(trouble.said, **trouble.facts) if trouble else "",
        today=asked.now.date(),
        codes=request_context.codes(asked.words),
        word=_numbered(asked, view.association.id, wish.number) if wish.kind == "withdraw" else None,
    )
