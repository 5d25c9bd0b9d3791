"""Logging in and out. A wrong name and a wrong password answer alike, and take alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL

from auditor.i18n.wording import Wording
from auditor.users import service
from auditor.users.passwords import LONGEST, Passwords, normal
from auditor.web import access, errors
from auditor.web.middleware import Attempts, keys_of, proof_of
from auditor.web.request_context import Asked, Page, asked_of
from storage.models.users import User

router = APIRouter()

A_YEAR = 366 * 24 * 3600
OWN_WAY = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")
"""A way on this site: no browser takes it for an address elsewhere."""
IN_AND_OUT = re.compile(r"/[a-z]{2}/log(in|out)\b.*")
"""Where nobody wants to be led who has just logged in."""


@dataclass(frozen=True, slots=True)
class Doorman:
    """What every attempt to log in needs of the process: it is there once."""

    passwords: Passwords = field(default_factory=Passwords)
    attempts: Attempts = field(default_factory=Attempts)


class Typed(BaseModel):
    """The form. `next` is where to go then."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(default="", max_length=1000)
    password: str = Field(default="", repr=False)
    next: str = ""


@router.get("/{language}/login", dependencies=[access.OPEN])
def form(request: Request, asked: Page, then: Annotated[str, Query(alias="next")] = "") -> Response:
    """Ask for name and password."""
    return _form(request, asked, then)


@router.post("/{language}/login", dependencies=[access.OPEN])
async def log_in(request: Request, asked: Page, typed: Annotated[Typed, Form()]) -> Response:
    """Let somebody in, or say that it did not work, and nothing of why."""
    if not access.can_log_in(request):
        return await _again(request, asked, typed, 403)
    if len(normal(typed.password)) > LONGEST:
        return await _again(request, asked, typed, 422, too_long(asked.words))
    user = await run_in_threadpool(asked.app.store.user, typed.name)
    doorman, keys = doorman_of(request), counted_by(request, user, typed.name)
    async with doorman.attempts.turn(keys) as seconds:
        if seconds:
            answer = await _again(request, asked, typed, 429, minutes(asked, seconds))
            answer.headers["retry-after"] = str(seconds)
            return answer
        agreed, newer = await doorman.passwords.agrees(typed.password, user.password_hash if user else None)
        if not agreed or user is None:
            doorman.attempts.failed(keys)
            told = asked.words.say("The name or the password is wrong.")
            return await _again(request, asked, typed, 401, told)
    if newer:
        await run_in_threadpool(asked.app.store.rehash_password, user, newer)
        user = replace(user, password_hash=newer)
    return await run_in_threadpool(led_in, request, user, own_way(typed.next))


@router.post("/{language}/logout", dependencies=[access.OPEN])
def log_out(request: Request, asked: Page) -> Response:
    """End the session, on our side as well."""
    if token := access.read(request, access.SESSION):
        service.end(asked.app.store, token)
    answer = RedirectResponse(asked.link.page("login"), 303)
    access.forget(request, answer, access.SESSION)
    answer.headers["clear-site-data"] = '"cache", "storage"'
    return answer


def stranger(request: Request, _: Exception) -> Response:
    """The login, leading to the page that somebody asked for who is not logged in, or no longer."""
    state = request.app.state
    language = errors.language_of(request.scope, state.app.config)
    answer = _form(request, asked_of(request, language), _wanted(request), status=401)
    answer.headers["www-authenticate"] = "Session"
    return answer


def led_in(request: Request, user: User, way: str) -> Response:
    """Begin the session of a user and lead on; the browser is known from now on.

    Where the password of `user` was changed or reset meanwhile, nobody is let in.
    """
    answer = RedirectResponse(way, 303)
    if access.let_in(request, answer, user):
        access.keep(request, answer, access.KNOWN, proof_of(user), A_YEAR)
    return answer


def own_way(asked: str) -> str:
    """Where to lead somebody: a way on this site, else its door."""
    return asked if OWN_WAY.fullmatch(asked) and not IN_AND_OUT.fullmatch(asked) else "/"


def doorman_of(request: Request) -> Doorman:
    """The process's own."""
    found: Doorman = request.app.state.doorman
    return found


def counted_by(request: Request, user: User | None, name: str) -> tuple[str, ...]:
    """By what this attempt is counted."""
    address = request.client.host if request.client else ""
    return keys_of(address, name, user, access.read(request, access.KNOWN))


def too_long(words: Wording) -> str:
    """What is said of a password that is longer than any may be."""
    return words.count(
        "A password has at most {n} character.", "A password has at most {n} characters.", LONGEST
    )


def minutes(asked: Asked, seconds: int) -> str:
    """What is said to somebody who has to wait."""
    return asked.words.count(
        "There were too many wrong attempts. Please try again in {n} minute.",
        "There were too many wrong attempts. Please try again in {n} minutes.",
        -(-seconds // 60),
    )


async def _again(request: Request, asked: Asked, typed: Typed, status: int, told: str = "") -> HTMLResponse:
    """The form once more, with what was wrong; made in a thread, for the loop goes on meanwhile."""
    shown = partial(_form, request, asked, typed.next, status=status, trouble=told, name=typed.name)
    return await run_in_threadpool(shown)


def _wanted(request: Request) -> str:
    """The page that was asked for, or that held the form that was sent."""
    if request.method == "GET":
        query = request.scope["query_string"]
        way = request.scope["raw_path"] + (b"?" + query if query else b"")
        return own_way(way.decode("latin-1"))
    held = URL(request.headers.get("referer", ""))
    here = held.netloc == request.headers.get("host")
    return own_way(f"{held.path}?{held.query}" if held.query else held.path) if here else "/"


def _form(
    request: Request, asked: Asked, then: str, *, status: int = 200, trouble: str = "", name: str = ""
) -> HTMLResponse:
    is_open_line = not access.can_log_in(request)
    return asked.page(
        "login.html",
        status=403 if is_open_line else status,
        next=own_way(then),
        trouble=trouble,
        name=name,
        is_open_line=is_open_line,
        is_nobody_there=not asked.app.store.count_users(),
        most=LONGEST,
    )
