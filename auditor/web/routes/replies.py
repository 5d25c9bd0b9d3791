"""The coordinator's queue: what associations reply, and accounts found on their sites, to be settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.decisions import replies
from auditor.decisions.parsing import DecisionError
from auditor.decisions.service import Saying
from auditor.rendering.templates import words_of
from auditor.web import access
from auditor.web.request_context import Asked, Number, Page, way
from storage.errors import StoreError
from storage.models.audit import Proposal
from storage.models.users import Answer, Reply
from storage.store import Store

router = APIRouter()


class Word(BaseModel):
    """An answer as it was typed: what is made of it, and why."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    answer: Answer
    why: str = Field(default="", max_length=500)


def _proposal(store: Store, number: int) -> Proposal | None:
    found = next(store.proposals(after=number - 1), None)
    return found if found and found.id == number else None


def _numbered(told: Mapping[str, Any]) -> int:
    """The number in an address; one that is none finds nothing."""
    number = str(told["number"])
    return int(number) if number.isdecimal() and int(number) < 2**63 else 0


def _replied(store: Store, told: Mapping[str, Any]) -> str | None:
    """Whose a reply is."""
    reply = store.reply(_numbered(told))
    return reply.association if reply else None


def _found_at(store: Store, told: Mapping[str, Any]) -> str | None:
    """At whose site an account was found."""
    proposal = _proposal(store, _numbered(told))
    return proposal.association if proposal else None


@router.get("/{language}/replies", dependencies=[access.COORDINATOR])
def page(
    asked: Page,
    *,
    after: Number = 0,
    beyond: Number = 0,
    done: Answer | None = None,
    late: bool = False,
) -> HTMLResponse:
    """The replies after one, the found accounts beyond one; what became of the answer just given."""
    return _page(asked, after=after, beyond=beyond, done=done, late=late)


@router.post("/{language}/replies/{number}", dependencies=[access.own(_replied)])
def answer(asked: Page, number: Number, word: Annotated[Word, Form()]) -> Response:
    """Accept or decline a reply."""
    store = asked.app.store
    reply = store.reply(number)
    if reply is None:
        raise HTTPException(404)
    try:
        if word.answer is Answer.ACCEPTED:
            _accept(asked, reply, word)
        else:
            replies.decline(store, reply, who=asked.signature, why=word.why, now=asked.now)
    except DecisionError as trouble:
        return _page(asked, status=422, at=f"reply-{number}", word=word, trouble=trouble)
    except StoreError:
        return RedirectResponse(f"{asked.link.page('replies')}?late=true#said", 303)
    return _done(asked, word)


@router.post("/{language}/replies/found/{number}", dependencies=[access.own(_found_at)])
def settle(asked: Page, number: Number, word: Annotated[Word, Form()]) -> Response:
    """Register a found account, or call it somebody else's."""
    proposal = _proposal(asked.app.store, number)
    if proposal is None:
        raise HTTPException(404)
    try:
        saying = _saying(asked, proposal, word)
        if word.answer is Answer.ACCEPTED:
            saying.ours()
        else:
            saying.not_ours()
    except DecisionError as trouble:
        return _page(asked, status=422, at=f"found-{number}", word=word, trouble=trouble)
    return _done(asked, word)


def _accept(asked: Asked, reply: Reply, word: Word) -> None:
    """Raises DecisionError and StoreError."""
    because = asked.words.say("The association says so in answer to its report.")
    replies.accept(
        asked.app.store,
        asked.app.config,
        reply,
        who=asked.signature,
        why=word.why,
        now=asked.now,
        because=because,
    )


def _saying(asked: Asked, proposal: Proposal, word: Word) -> Saying:
    """The decision; without a reason it rests on where the account was found. Raises DecisionError."""
    seen = asked.words.say("Seen on {url}", url=proposal.link.page)
    return Saying.of(
        asked.app.store,
        asked.app.config.channels,
        proposal.association,
        proposal.link.channel,
        who=asked.signature,
        why=word.why or seen,
        now=asked.now,
        account=proposal.link.key,
    )


def _done(asked: Asked, word: Word) -> RedirectResponse:
    return RedirectResponse(f"{asked.link.page('replies')}?done={word.answer}#said", 303)


def _page(
    asked: Asked,
    *,
    status: int = 200,
    after: int = 0,
    beyond: int = 0,
    trouble: DecisionError | None = None,
    **more: object,
) -> HTMLResponse:
    store, here, regions = asked.app.store, asked.link.page("replies"), asked.regions
    listed = replies.waiting(store, after=after, regions=regions)
    found, farther = replies.found(store, asked.app.config, asked.now, after=beyond, regions=regions)
    last = listed[-1].reply.id if listed else None
    blank: dict[str, object] = {"done": None, "late": False, "at": "", "word": None}
    return (asked.at(here) if trouble else asked).page(
        "replies.html",
        status=status,
        listed=listed,
        count=store.count_waiting(regions=regions),
        next=way(here, {"after": str(last)})
        if last and store.waiting_replies(after=last, limit=1, regions=regions)
        else "",
        first=here if after or beyond else "",
        found=found,
        farther=way(here, {"beyond": str(farther)}) + "#found" if farther else "",
        trouble=words_of(asked.language).say(trouble.said, **trouble.facts) if trouble else "",
        **{**blank, **more},
    )
