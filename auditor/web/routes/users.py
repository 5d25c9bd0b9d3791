"""The page of users, for administrators: who there is, added, invited anew, removed, as by `auditor user`.

A user's own page: who they are here, and another password. And the page of a one-time link.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from auditor.core.errors import SpokenError
from auditor.core.tokens import digest
from auditor.evaluation.summary import place
from auditor.i18n.wording import Wording
from auditor.reference.regions import REGIONS
from auditor.rendering.templates import words_of
from auditor.users import service
from auditor.users.passwords import LONGEST, SHORTEST, Fault, fault, normal
from auditor.web import access
from auditor.web.request_context import Asked, Number, Page
from auditor.web.routes.login import Doorman, doorman_of, led_in, minutes, too_long
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
def users_page(asked: Page, done: str = "") -> HTMLResponse:
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


AN_HOUR = 3600
"""How long the browser keeps a one-time link's token, after the address has shown it."""


class Chosen(BaseModel):
    """A new password, typed twice, and the one of until now where there is one."""

    model_config = ConfigDict(frozen=True)

    password: str = Field(default="", repr=False)
    again: str = Field(default="", repr=False)
    now: str = Field(default="", repr=False)


@router.get("/{language}/account", dependencies=[access.READER])
def page(asked: Page, *, done: bool = False) -> HTMLResponse:
    """Who is logged in, and the form of another password."""
    return _own(asked, done=done)


@router.post("/{language}/account", dependencies=[access.READER])
async def change(request: Request, asked: Page, chosen: Annotated[Chosen, Form()]) -> Response:
    """Take another password; every session ends, and this browser begins a new one."""
    user = asked.user
    assert user is not None
    doorman, keys = doorman_of(request), (f"account page {user.key}",)
    if trouble := _trouble(asked, user, chosen):
        return _own(asked, status=422, trouble=trouble)
    async with doorman.attempts.turn(keys) as seconds:
        if seconds:
            answer = _own(asked, status=429, trouble=minutes(asked, seconds))
            answer.headers["retry-after"] = str(seconds)
            return answer
        if not await _agrees(doorman, chosen.now, user):
            doorman.attempts.failed(keys)
            return _own(asked, status=422, trouble=asked.words.say("This is not your password of until now."))
    kept = await doorman.passwords.hash(chosen.password)
    if not await run_in_threadpool(asked.app.store.change_password, user, kept, asked.now):
        raise access.StrangerError
    changed = replace(user, password_hash=kept)
    return await run_in_threadpool(led_in, request, changed, asked.link.page("account?done=true"))


@router.get("/{language}/welcome/{token}", dependencies=[access.OPEN])
def enter(request: Request, asked: Page, token: str) -> Response:
    """Exchange a one-time link for a cookie. That uses nothing up: programs in the mail open it."""
    if not access.can_log_in(request) or service.opened(asked.app.store, token, asked.now) is None:
        return _ended(asked)
    answer = RedirectResponse(asked.link.page("welcome"), 303)
    access.keep(request, answer, access.INVITED, token, AN_HOUR)
    return answer


@router.get("/{language}/welcome", dependencies=[access.OPEN])
def welcome(request: Request, asked: Page) -> HTMLResponse:
    """Ask for a password."""
    user = service.opened(asked.app.store, access.read(request, access.INVITED), asked.now)
    return _welcome(asked, user) if user else _ended(asked)


@router.post("/{language}/welcome", dependencies=[access.OPEN])
async def begin(request: Request, asked: Page, chosen: Annotated[Chosen, Form()]) -> Response:
    """Set the password, once, and let the user in."""
    store, token = asked.app.store, access.read(request, access.INVITED)
    user = await run_in_threadpool(service.opened, store, token, asked.now)
    if user is None:
        return _ended(asked)
    if trouble := _trouble(asked, user, chosen):
        return _welcome(asked, user, status=422, trouble=trouble)
    kept = await doorman_of(request).passwords.hash(chosen.password)
    if not await run_in_threadpool(store.accept, digest(token), kept, asked.now):
        return _ended(asked)
    answer = await run_in_threadpool(led_in, request, replace(user, password_hash=kept), asked.link.page())
    access.forget(request, answer, access.INVITED)
    return answer


async def _agrees(doorman: Doorman, password: str, user: User) -> bool:
    if len(normal(password)) > LONGEST:
        return False
    agreed, _ = await doorman.passwords.agrees(password, user.password_hash)
    return agreed


def _trouble(asked: Asked, user: User, chosen: Chosen) -> str:
    """What is wrong with a new password, in the page's language; empty where it may be taken."""
    network = asked.app.config.network
    found = fault(chosen.password, user.name, network.name, network.name_ar or "", network.name_fr or "")
    if found:
        return said(found, asked.words)
    return "" if chosen.password == chosen.again else asked.words.say("The two do not read the same.")


def said(found: Fault, words: Wording) -> str:
    """What is wrong with a password, in words."""
    match found:
        case Fault.SHORT:
            return words.count(
                "A password has at least {n} character.", "A password has at least {n} characters.", SHORTEST
            )
        case Fault.LONG:
            return too_long(words)
        case _:
            return words.say("This password is among the first that a stranger tries. Please choose another.")


def _own(asked: Asked, *, status: int = 200, done: bool = False, trouble: str = "") -> HTMLResponse:
    return asked.page("account.html", status=status, done=done, trouble=trouble, least=SHORTEST, most=LONGEST)


def _welcome(asked: Asked, user: User, *, status: int = 200, trouble: str = "") -> HTMLResponse:
    return asked.page(
        "set_password.html", status=status, invited=user, trouble=trouble, least=SHORTEST, most=LONGEST
    )


def _ended(asked: Asked) -> HTMLResponse:
    """The same for a link that is wrong, used, replaced or too old."""
    words = asked.words
    told = words.say("It holds for a day and for one time. Please ask whoever sent it for a new one.")
    return asked.page("error.html", status=410, title=words.say("This link has ended"), said=told)
