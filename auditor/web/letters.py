"""The associations' links to their reports: who has one, made for one or for many, renewed, ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from auditor.chosen import Chosen
from auditor.export import MEDIA
from auditor.invitation import Invitation, Link, invitation
from auditor.letters import can_be_made, end, made
from auditor.mailing import TITLE, Mailing, chosen
from auditor.phones import whatsapp
from auditor.web import filters
from auditor.web.asked import Asked, Number, Page
from auditor.web.association import found
from auditor.web.filters import way
from auditor.web.signature import LONGEST, Who, signed
from storage.model import Association
from storage.talk import Letter, LetterState

router = APIRouter()

LISTED = 50
SOUGHT = 20
"""Associations that a search shows."""


class Signed(BaseModel):
    """A form with whose word it is."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    who: str = Field(min_length=1, max_length=LONGEST)


class Many(Signed):
    """What is wanted for many: of which associations, whether only those without a link, in which format."""

    region: str = ""
    tag: str = ""
    missing: bool = False
    form: Literal["csv", "xlsx"] = "xlsx"


@dataclass(frozen=True, slots=True)
class Row:
    """A letter in a list, with whose it is and where it stands."""

    letter: Letter
    state: LetterState
    association: Association | None


@dataclass(frozen=True, slots=True)
class Fresh:
    """A link that was made just now, and the texts to send it with: they are shown this once."""

    url: str
    until: datetime
    texts: Invitation
    chat: str | None


@router.get("/{language}/letters")
def page(
    asked: Page,
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    state: LetterState | None = None,
    before: Number | None = None,
    who: Who,
) -> HTMLResponse:
    """The newest letters, those of a state, or the associations of a name."""
    store, here = asked.read, asked.link.page("letters")
    sought = store.summaries(search=Chosen(q=q).words, sort="name", limit=SOUGHT).rows if q.strip() else ()
    listed = store.recent_letters(asked.now, state=state, before=before, limit=LISTED + 1)
    told = {
        "state": state.value if state else "",
        "before": str(listed[LISTED - 1].id) if listed[LISTED:] else "",
    }
    return asked.page(
        "letters.html",
        q=q,
        sought=sought,
        rows=list(_rows(asked, listed[:LISTED])),
        state=state,
        states=tuple(LetterState),
        first=way(here, {**told, "before": ""}) if before else "",
        next=way(here, told) if told["before"] else "",
        regions=filters.groups(asked, "region"),
        tags=filters.groups(asked, "tag"),
        can_be_made=can_be_made(asked.app.config),
        who=who,
    )


@router.post("/{language}/letters")
def many(asked: Page, wanted: Annotated[Many, Form()]) -> Response:
    """Make links for many, as a sheet with the texts to send: the only place where they stand."""
    _refuse_without_address(asked)
    mailing = Mailing(asked.app, wanted.who, asked.now)
    seen = chosen(
        asked.app, asked.now, wanted=Chosen(region=wanted.region, tag=wanted.tag), missing=wanted.missing
    )
    name = f"{TITLE}-{asked.now.date().isoformat()}.{wanted.form}"
    answer = StreamingResponse(
        _kept_at_the_end(mailing, mailing.pieces(seen, wanted.form, words=asked.words)),
        media_type=MEDIA[wanted.form],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
    return signed(answer, wanted.who)


@router.get("/{language}/letters/{association:path}")
def one(asked: Page, association: str, who: Who, done: str = "") -> HTMLResponse:
    """An association's letters, and what can be done with them."""
    return _one(asked, association, who=who, done=done)


@router.post("/{language}/letters/{association:path}/make")
def make(asked: Page, association: str, form: Annotated[Signed, Form()]) -> Response:
    """Make its link. It is shown this once, so the answer itself has it."""
    _refuse_without_address(asked)
    app, view = asked.app, found(asked, association)
    letter, url = made(app.store, app.config, association, form.who, asked.now)
    link = Link(url, letter.expires_at)
    texts = invitation(view, app.config, link, asked.now, view.association.language)
    fresh = Fresh(url, letter.expires_at, texts, whatsapp(view.association.phone, texts.short))
    return signed(_one(asked, association, who=form.who, fresh=fresh), form.who)


@router.post("/{language}/letters/{association:path}/renew")
def renew(asked: Page, association: str) -> RedirectResponse:
    """Let its link hold for longer."""
    found(asked, association)
    asked.app.store.renew_letters(association, end(asked.app.config, asked.now), asked.now)
    return _back(asked, association, "renewed")


@router.post("/{language}/letters/{association:path}/revoke")
def revoke(asked: Page, association: str, form: Annotated[Signed, Form()]) -> Response:
    """End its links at once."""
    found(asked, association)
    asked.app.store.revoke_letters(association, form.who, asked.now)
    return signed(_back(asked, association, "revoked"), form.who)


def _one(
    asked: Asked, association: str, *, who: str, done: str = "", fresh: Fresh | None = None
) -> HTMLResponse:
    view = found(asked, association)
    rows = list(_rows(asked, asked.app.store.recent_letters(asked.now, association=association)))
    return asked.at(_way(asked, association)).page(
        "letter.html",
        it=view.association,
        rows=rows,
        holds=any(row.state is LetterState.HOLDS for row in rows),
        until=end(asked.app.config, asked.now),
        can_be_made=can_be_made(asked.app.config),
        who=who,
        done=done,
        fresh=fresh,
    )


def _rows(asked: Asked, listed: list[Letter]) -> Iterator[Row]:
    for letter in listed:
        yield Row(letter, letter.state(asked.now), asked.app.store.association(letter.association))


def _kept_at_the_end(mailing: Mailing, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The sheet; its links open when all of it has gone out, so that one that breaks off changes nothing."""
    yield from pieces
    mailing.commit()


def _refuse_without_address(asked: Asked) -> None:
    """409 where no public address is set; the page says so before anybody asks."""
    if not can_be_made(asked.app.config):
        raise HTTPException(409)


def _back(asked: Asked, association: str, done: str) -> RedirectResponse:
    return RedirectResponse(f"{_way(asked, association)}?done={done}#said", 303)


def _way(asked: Asked, association: str) -> str:
    return f"{asked.link.page('letters')}/{quote(association, safe='')}"
