"""The coordinator's queue: what associations reply, and accounts found on their sites, to be settled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor import replies, waiting
from auditor.decisions import DecisionError, nobody
from auditor.saying import Saying
from auditor.templating import words_of
from auditor.web.asked import Asked, Number, Page
from auditor.web.filters import way
from auditor.web.signature import Name, Who, signed
from storage.errors import StoreError
from storage.model import Proposal
from storage.talk import Answer, Reply

router = APIRouter()


class Word(BaseModel):
    """An answer as it was typed: what is made of it, why, and whose word that is."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    answer: Answer
    why: str = Field(default="", max_length=500)
    who: Name = ""


@router.get("/{language}/replies")
def page(
    asked: Page,
    *,
    after: Number = 0,
    beyond: Number = 0,
    done: Answer | None = None,
    late: bool = False,
    who: Who,
) -> HTMLResponse:
    """The replies after one, the found accounts beyond one; what became of the answer just given."""
    return _page(asked, after=after, beyond=beyond, done=done, late=late, who=who)


@router.post("/{language}/replies/{number}")
def answer(asked: Page, number: Number, word: Annotated[Word, Form()]) -> Response:
    """Accept or decline a reply."""
    store = asked.app.store
    reply = store.reply(number)
    if reply is None:
        raise HTTPException(404)
    try:
        _refuse_nobody(word)
        if word.answer is Answer.ACCEPTED:
            _accept(asked, reply, word)
        else:
            replies.decline(store, reply, who=word.who, why=word.why, now=asked.now)
    except DecisionError as trouble:
        return _page(asked, status=422, who=word.who, at=f"reply-{number}", word=word, trouble=trouble)
    except StoreError:
        return RedirectResponse(f"{asked.link.page('replies')}?late=true#said", 303)
    return _done(asked, word)


@router.post("/{language}/replies/found/{number}")
def settle(asked: Page, number: Number, word: Annotated[Word, Form()]) -> Response:
    """Register a found account, or call it somebody else's."""
    proposal = next(asked.app.store.proposals(after=number - 1), None)
    if proposal is None or proposal.id != number:
        raise HTTPException(404)
    try:
        saying = _saying(asked, proposal, word)
        if word.answer is Answer.ACCEPTED:
            saying.ours()
        else:
            saying.not_ours()
    except DecisionError as trouble:
        return _page(asked, status=422, who=word.who, at=f"found-{number}", word=word, trouble=trouble)
    return _done(asked, word)


def _accept(asked: Asked, reply: Reply, word: Word) -> None:
    """Raises DecisionError and StoreError."""
    because = asked.words.say("The association says so in answer to its report.")
    replies.accept(
        asked.app.store,
        asked.app.config,
        reply,
        who=word.who,
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
        who=word.who,
        why=word.why or seen,
        now=asked.now,
        account=proposal.link.key,
    )


def _refuse_nobody(word: Word) -> None:
    if not word.who:
        raise nobody()


def _done(asked: Asked, word: Word) -> RedirectResponse:
    kept = RedirectResponse(f"{asked.link.page('replies')}?done={word.answer}#said", 303)
    return signed(kept, word.who)


def _page(
    asked: Asked,
    *,
    status: int = 200,
    after: int = 0,
    beyond: int = 0,
    who: str = "",
    trouble: DecisionError | None = None,
    **more: object,
) -> HTMLResponse:
    store, here = asked.app.store, asked.link.page("replies")
    listed = waiting.waiting(store, after=after)
    found, farther = waiting.found(store, asked.app.config, asked.now, after=beyond)
    last = listed[-1].reply.id if listed else None
    blank: dict[str, object] = {"done": None, "late": False, "at": "", "word": None}
    return (asked.at(here) if trouble else asked).page(
        "replies.html",
        status=status,
        listed=listed,
        count=store.count_waiting(),
        next=way(here, {"after": str(last)}) if last and store.waiting_replies(after=last, limit=1) else "",
        first=here if after or beyond else "",
        found=found,
        farther=way(here, {"beyond": str(farther)}) + "#found" if farther else "",
        who=who,
        trouble=trouble.told(words_of(asked.language)) if trouble else "",
        **{**blank, **more},
    )
