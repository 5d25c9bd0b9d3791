"""Who asks: the user whose session the browser's cookie stands for, and the cookies by which that is told."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from auditor.users import sessions
from storage.models.users import User

SESSION, KNOWN, INVITED = "session", "known", "invited"
"""Cookies: who is logged in, that this browser was before, and a one-time link's token for a while."""


def can_log_in(request: Request) -> bool:
    """Whether a session may be told of here.

    Not under the name that letters carry, nor over an open line, where anybody could take it along: that is
    HTTPS, or this machine itself.
    """
    scope = request.scope
    return bool(scope["home"] and (scope["scheme"] == "https" or scope["here"]))


def visitor(request: Request) -> User | None:
    """The user who is logged in, looked up once a request."""
    scope = request.scope
    if "visitor" not in scope:
        token, state = read(request, SESSION), request.app.state
        scope["visitor"] = sessions.user_of(state.app.store, token, state.clock()) if token else None
    user: User | None = scope["visitor"]
    return user


def read(request: Request, name: str) -> str:
    """What a cookie of ours says; empty where it is not there, or not believed here."""
    return request.cookies.get(_named(request, name), "") if can_log_in(request) else ""


def keep(request: Request, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Have the browser keep a cookie that no script and no other site reads: so long, or as it runs."""
    secure = request.scope["scheme"] == "https"
    named = _named(request, name)
    answer.set_cookie(named, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)


def forget(request: Request, answer: Response, name: str) -> None:
    """Have the browser keep it no longer."""
    secure = request.scope["scheme"] == "https"
    answer.delete_cookie(_named(request, name), httponly=True, samesite="lax", secure=secure)


def _named(request: Request, name: str) -> str:
    """The cookie's name: over HTTPS one that no other host and no open line can set (RFC 6265bis)."""
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name


def let_in(request: Request, answer: Response, user: User) -> bool:
    """Begin a session in place of the one that this browser had; False where the user may not come in."""
    state = request.app.state
    older = request.cookies.get(_named(request, SESSION))
    token = sessions.begin(state.app.store, user, state.clock(), instead_of=older)
    if token is not None:
        keep(request, answer, SESSION, token)
    return token is not None
