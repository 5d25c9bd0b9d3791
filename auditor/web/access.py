"""Who may use a route. Each declares it once, as a dependency; a test refuses one that does not.

@router.get("/{language}/letters", dependencies=[access.COORDINATOR])

Who asks: the user whose session the browser's cookie stands for, and the cookies by which that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Depends, HTTPException, Request
from starlette.responses import Response

from auditor.users import service
from storage.models.users import Role, User
from storage.store import Store


class Access(StrEnum):
    """Who may use a route: from everybody to administrators.

    `open` is anybody, also with a token in the address; `letter` an association by its letter, `machine` this
    machine or who shows its token: routes of these two look for themselves. The rest is for users: `reader`
    everybody who is logged in, `coordinator` one of any region, who is shown what is theirs, `own` one of the
    association's region, `everywhere` one of all regions, and `admin`.
    """

    OPEN = "open"
    LETTER = "letter"
    MACHINE = "machine"
    READER = "reader"
    COORDINATOR = "coordinator"
    OWN = "own"
    EVERYWHERE = "everywhere"
    ADMIN = "admin"


class StrangerError(Exception):
    """Somebody asks who is not logged in, or no longer: the login is shown."""


Whose = Callable[[Store, Mapping[str, Any]], str | None]
"""Tells from the parameters of an address which association it is about; None where there is none."""


def _named(_store: Store, told: Mapping[str, Any]) -> str | None:
    found = told["association"]
    return found if isinstance(found, str) else None


@dataclass(frozen=True)
class Gate:
    """Lets those through who may, raises StrangerError (401) or HTTPException (403) for the others."""

    access: Access
    whose: Whose = _named

    def __call__(self, request: Request) -> None:
        """Look at who asks."""
        if self.access in {Access.OPEN, Access.LETTER, Access.MACHINE}:
            return
        user = visitor(request)
        if user is None:
            raise StrangerError
        if not self._lets(user, request):
            raise HTTPException(403)

    def _lets(self, user: User, request: Request) -> bool:
        match self.access:
            case Access.ADMIN:
                return user.role is Role.ADMIN
            case Access.EVERYWHERE:
                return service.acts_everywhere(user)
            case Access.OWN:
                return service.acts_everywhere(user) or self._is_theirs(user, request)
            case Access.COORDINATOR:
                return service.coordinates(user)
            case _:
                return True

    def _is_theirs(self, user: User, request: Request) -> bool:
        if not service.coordinates(user):
            return False
        store: Store = request.app.state.app.store
        named = self.whose(store, request.path_params)
        association = store.association(named) if named is not None else None
        if association is None:
            raise HTTPException(404)
        return service.acts_for(user, association)


OPEN = Depends(Gate(Access.OPEN))
LETTER = Depends(Gate(Access.LETTER))
MACHINE = Depends(Gate(Access.MACHINE))
READER = Depends(Gate(Access.READER))
COORDINATOR = Depends(Gate(Access.COORDINATOR))
OWN = Depends(Gate(Access.OWN))
EVERYWHERE = Depends(Gate(Access.EVERYWHERE))
ADMIN = Depends(Gate(Access.ADMIN))


def own(whose: Whose) -> Any:
    """As `OWN`, where the address names no association but something of one."""
    return Depends(Gate(Access.OWN, whose))


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
        scope["visitor"] = service.user_of(state.app.store, token, state.clock()) if token else None
    user: User | None = scope["visitor"]
    return user


def read(request: Request, name: str) -> str:
    """What a cookie of ours says; empty where it is not there, or not believed here."""
    return request.cookies.get(_user_named(request, name), "") if can_log_in(request) else ""


def keep(request: Request, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Have the browser keep a cookie that no script and no other site reads: so long, or as it runs."""
    secure = request.scope["scheme"] == "https"
    named = _user_named(request, name)
    answer.set_cookie(named, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)


def forget(request: Request, answer: Response, name: str) -> None:
    """Have the browser keep it no longer."""
    secure = request.scope["scheme"] == "https"
    answer.delete_cookie(_user_named(request, name), httponly=True, samesite="lax", secure=secure)


def _user_named(request: Request, name: str) -> str:
    """The cookie's name: over HTTPS one that no other host and no open line can set (RFC 6265bis)."""
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name


def let_in(request: Request, answer: Response, user: User) -> bool:
    """Begin a session in place of the one that this browser had; False where the user may not come in."""
    state = request.app.state
    older = request.cookies.get(_user_named(request, SESSION))
    token = service.begin(state.app.store, user, state.clock(), instead_of=older)
    if token is not None:
        keep(request, answer, SESSION, token)
    return token is not None
