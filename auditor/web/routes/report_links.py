"""The associations' links to their reports: who has one, made for one or for many, renewed, ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from auditor.evaluation.summary import Chosen, spoken
from auditor.registry.columns import whatsapp
from auditor.report_links import TITLE, Invitation, Link, Mailing, can_be_made, chosen, end, invitation, made
from auditor.views.export import MEDIA
from auditor.web import access, request_context
from auditor.web.request_context import Asked, Number, Page, way
from auditor.web.routes.associations import found
from storage.models.audit import Association
from storage.models.summaries import Summary
from storage.models.users import Letter, LetterState
from storage.store import Store

router = APIRouter()

LISTED = 50
SOUGHT = 20
"""Associations that a search shows."""


class Many(BaseModel):
    """What is wanted for many: of which associations, whether only those without a link, in which format."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

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


@router.get("/{language}/letters", dependencies=[access.COORDINATOR])
def page(
    asked: Page,
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    state: LetterState | None = None,
    before: Number | None = None,
) -> HTMLResponse:
    """The newest letters, those of a state, or the associations of a name."""
    store, here = asked.read, asked.link.page("letters")
    sought = _sought(asked, store, q) if q.strip() else []
    regions = asked.regions
    listed = store.recent_letters(asked.now, state=state, before=before, limit=LISTED + 1, regions=regions)
    told = {
        "state": state.value if state else "",
        "before": str(listed[LISTED - 1].id) if listed[LISTED:] else "",
    }
    return asked.page(
        "report_links.html",
        q=q,
        sought=sought,
        rows=list(_rows(asked, listed[:LISTED])),
        state=state,
        states=tuple(LetterState),
        first=way(here, {**told, "before": ""}) if before else "",
        next=way(here, told) if told["before"] else "",
        regions=_regions(asked),
        tags=request_context.groups(asked, "tag"),
        can_be_made=can_be_made(asked.app.config),
    )


@router.post("/{language}/letters", dependencies=[access.COORDINATOR])
def many(asked: Page, wanted: Annotated[Many, Form()]) -> Response:
    """Make links for many, as a sheet with the texts to send: the only place where they stand."""
    _refuse_without_address(asked)
    mailing = Mailing(asked.app, asked.signature, asked.now)
    parts = asked.narrowed(Chosen(region=wanted.region, tag=wanted.tag))
    seen = chain.from_iterable(
        chosen(asked.app, asked.now, wanted=part, missing=wanted.missing) for part in parts
    )
    name = f"{TITLE}-{asked.now.date().isoformat()}.{wanted.form}"
    return StreamingResponse(
        _kept_at_the_end(mailing, mailing.pieces(seen, wanted.form, words=asked.words)),
        media_type=MEDIA[wanted.form],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.get("/{language}/letters/{association:path}", dependencies=[access.OWN])
def one(asked: Page, association: str, done: str = "") -> HTMLResponse:
    """An association's letters, and what can be done with them."""
    return _one(asked, association, done=done)


@router.post("/{language}/letters/{association:path}/make", dependencies=[access.OWN])
def make(asked: Page, association: str) -> Response:
    """Make its link. It is shown this once, so the answer itself has it."""
    _refuse_without_address(asked)
    app, view = asked.app, found(asked, association)
    letter, url = made(app.store, app.config, association, asked.signature, asked.now)
    link = Link(url, letter.expires_at)
    texts = invitation(view, app.config, link, asked.now, view.association.language)
    fresh = Fresh(url, letter.expires_at, texts, whatsapp(app.store.contact(association).phone, texts.short))
    return _one(asked, association, fresh=fresh)


@router.post("/{language}/letters/{association:path}/renew", dependencies=[access.OWN])
def renew(asked: Page, association: str) -> RedirectResponse:
    """Let its link hold for longer."""
    found(asked, association)
    asked.app.store.renew_letters(association, end(asked.app.config, asked.now), asked.now)
    return _back(asked, association, "renewed")


@router.post("/{language}/letters/{association:path}/revoke", dependencies=[access.OWN])
def revoke(asked: Page, association: str) -> Response:
    """End its links at once."""
    found(asked, association)
    asked.app.store.revoke_letters(association, asked.signature, asked.now)
    return _back(asked, association, "revoked")


def _one(asked: Asked, association: str, *, done: str = "", fresh: Fresh | None = None) -> HTMLResponse:
    view = found(asked, association)
    rows = list(_rows(asked, asked.app.store.recent_letters(asked.now, association=association)))
    return asked.at(_way(asked, association)).page(
        "report_link.html",
        it=view.association,
        email=asked.app.store.contact(association).email,
        rows=rows,
        holds=any(row.state is LetterState.HOLDS for row in rows),
        until=end(asked.app.config, asked.now),
        can_be_made=can_be_made(asked.app.config),
        done=done,
        fresh=fresh,
    )


def _sought(asked: Asked, store: Store, q: str) -> list[Summary]:
    """The associations of a name that the user looks after, by their names."""
    found = (
        row
        for part in asked.narrowed(Chosen(q=q))
        for row in store.summaries(part.facets, search=part.words, sort="name", limit=SOUGHT).rows
    )
    return sorted(found, key=lambda row: spoken(row.name))[:SOUGHT]


def _regions(asked: Asked) -> request_context.Choices:
    """The regions to choose from: those that the user looks after."""
    own = asked.user.regions if asked.user else ()
    return [(name, said) for name, said in request_context.groups(asked, "region") if not own or name in own]


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
