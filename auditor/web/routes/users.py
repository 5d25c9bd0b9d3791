"""The page of users, for administrators: who there is, added, invited anew, removed, as by `auditor user`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.core.errors import SpokenError
from auditor.evaluation.summary import place
from auditor.reference.regions import REGIONS
from auditor.rendering.templates import words_of
from auditor.users import service
from auditor.web import access
from auditor.web.request_context import Asked, Number, Page
from storage.models.users import Role, User

router = APIRouter()


class Added(BaseModel):
    """The form of a new user. No region is all of them."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    name: str = Field(default="", max_length=1000)
    role: Role = Role.COORDINATOR
    region: list[str] = Field(default_factory=list, max_length=100)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A one-time link that was made just now: it is shown this once."""

    name: str
    url: str
    until: datetime


@router.get("/{language}/people", dependencies=[access.ADMIN])
def page(asked: Page, done: str = "") -> HTMLResponse:
    """Who may log in."""
    return _page(asked, done=done)


@router.post("/{language}/people", dependencies=[access.ADMIN])
def add(request: Request, asked: Page, typed: Annotated[Added, Form()]) -> HTMLResponse:
    """Add somebody. The link is shown this once, so the answer itself has it."""
    store, regions = asked.app.store, typed.region if typed.role is Role.COORDINATOR else ()
    try:
        user, token = service.added(store, typed.name, typed.role, regions, by=asked.signature, now=asked.now)
    except SpokenError as trouble:
        return _page(asked, status=422, typed=typed, trouble=trouble)
    return _page(asked, fresh=_fresh(request, asked, user, token))


@router.post("/{language}/people/{number}/reset", dependencies=[access.ADMIN])
def reset(request: Request, asked: Page, number: Number) -> HTMLResponse:
    """Make a user's new one-time link; password and sessions end."""
    user = _other(asked, number)
    token = service.invited(asked.app.store, user, asked.signature, asked.now)
    return _page(asked, fresh=_fresh(request, asked, user, token))


@router.post("/{language}/people/{number}/remove", dependencies=[access.ADMIN])
def remove(asked: Page, number: Number) -> Response:
    """Let a user in no more."""
    service.removed(asked.app.store, _other(asked, number), asked.now)
    return RedirectResponse(f"{asked.link.page('people')}?done=removed#said", 303)


def _other(asked: Asked, number: int) -> User:
    """The user of a number. 409 for who asks: nobody locks themselves out, so that somebody is left."""
    user = next((one for one in asked.app.store.users() if one.id == number), None)
    if user is None:
        raise HTTPException(404)
    if asked.user and user.id == asked.user.id:
        raise HTTPException(409)
    return user


def _fresh(request: Request, asked: Asked, user: User, token: str) -> Fresh:
    config = asked.app.config
    here = f"{request.scope['scheme']}://{request.headers['host']}"
    url = service.link(config.notify.pages_url or here, asked.language, token)
    return Fresh(user.name, url, asked.now + service.HOLDS)


def _page(
    asked: Asked,
    *,
    status: int = 200,
    typed: Added | None = None,
    fresh: Fresh | None = None,
    trouble: SpokenError | None = None,
    done: str = "",
) -> HTMLResponse:
    store, words = asked.app.store, asked.words
    places = {*REGIONS, *map(place, store.regions())}
    return asked.at(asked.link.page("people")).page(
        "users.html",
        status=status,
        users=store.users(),
        roles=list(Role),
        regions=sorted(((one, words.region(one)) for one in places), key=lambda pair: pair[1]),
        typed=typed or Added(),
        fresh=fresh,
        trouble=words_of(asked.language).say(trouble.said, **trouble.facts) if trouble else "",
        done=done,
        zone=asked.app.config.network.zone,
    )
