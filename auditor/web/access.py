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

    PUBLIC = "open"
    REPORT_LINK = "letter"
    MONITORING = "machine"
    LOGGED_IN = "reader"
    COORDINATOR = "coordinator"
    OWN_REGION = "own"
    ALL_REGIONS = "everywhere"
    ADMIN = "admin"


class NotLoggedInError(Exception):
    """Somebody asks who is not logged in, or no longer: the login is shown."""


AssociationFinder = Callable[[Store, Mapping[str, Any]], str | None]
"""Tells from the parameters of an address which association it is about; None where there is none."""


def _find_association_in_path(_store: Store, path_params: Mapping[str, Any]) -> str | None:
    found = path_params["association"]
    return found if isinstance(found, str) else None


@dataclass(frozen=True)
class RequireAccess:
    """Lets those through who may, raises StrangerError (401) or HTTPException (403) for the others."""

    access: Access
    find_association: AssociationFinder = _find_association_in_path

    def __call__(self, request: Request) -> None:
        """Look at who asks."""
        if self.access in {Access.PUBLIC, Access.REPORT_LINK, Access.MONITORING}:
            return
        user = get_current_user(request)
        if user is None:
            raise NotLoggedInError
        if not self._is_allowed(user, request):
            raise HTTPException(403)

    def _is_allowed(self, user: User, request: Request) -> bool:
        match self.access:
            case Access.ADMIN:
                return user.role is Role.ADMIN
            case Access.ALL_REGIONS:
                return service.can_edit_all_regions(user)
            case Access.OWN_REGION:
                return service.can_edit_all_regions(user) or self._is_in_own_region(user, request)
            case Access.COORDINATOR:
                return service.is_coordinator(user)
            case _:
                return True

    def _is_in_own_region(self, user: User, request: Request) -> bool:
        if not service.is_coordinator(user):
            return False
        store: Store = request.app.state.app.store
        named = self.find_association(store, request.path_params)
        association = store.get_association(named) if named is not None else None
        if association is None:
            raise HTTPException(404)
        return service.can_edit_association(user, association)


PUBLIC_ACCESS = Depends(RequireAccess(Access.PUBLIC))
REPORT_LINK_ACCESS = Depends(RequireAccess(Access.REPORT_LINK))
MONITORING_ACCESS = Depends(RequireAccess(Access.MONITORING))
LOGGED_IN_ACCESS = Depends(RequireAccess(Access.LOGGED_IN))
COORDINATOR_ACCESS = Depends(RequireAccess(Access.COORDINATOR))
OWN_REGION_ACCESS = Depends(RequireAccess(Access.OWN_REGION))
ALL_REGIONS_ACCESS = Depends(RequireAccess(Access.ALL_REGIONS))
ADMIN_ACCESS = Depends(RequireAccess(Access.ADMIN))


def require_own_region(find_association: AssociationFinder) -> Any:
    """As `OWN`, where the address names no association but something of one."""
    return Depends(RequireAccess(Access.OWN_REGION, find_association))


SESSION_COOKIE, KNOWN_BROWSER_COOKIE, INVITE_COOKIE = "session", "known", "invited"
"""Cookies: who is logged in, that this browser was before, and a one-time link's token for a while."""


def is_login_allowed(request: Request) -> bool:
    """Whether a session may be told of here.

    Not under the name that letters carry, nor over an open line, where anybody could take it along: that is
    HTTPS, or this machine itself.
    """
    scope = request.scope
    return bool(scope["home"] and (scope["scheme"] == "https" or scope["here"]))


def get_current_user(request: Request) -> User | None:
    """The user who is logged in, looked up once a request."""
    scope = request.scope
    if "visitor" not in scope:
        token, state = read_cookie(request, SESSION_COOKIE), request.app.state
        scope["visitor"] = (
            service.find_session_user(state.app.store, token, state.clock()) if token else None
        )
    user: User | None = scope["visitor"]
    return user


def read_cookie(request: Request, name: str) -> str:
    """What a cookie of ours says; empty where it is not there, or not believed here."""
    return (
        request.cookies.get(_build_cookie_name(request, name), "")
        if is_login_allowed(request)
        else ""
    )


def set_cookie(
    request: Request, response: Response, name: str, value: str, max_age_seconds: int | None = None
) -> None:
    """Have the browser keep a cookie that no script and no other site reads: so long, or as it runs."""
    secure = request.scope["scheme"] == "https"
    named = _build_cookie_name(request, name)
    response.set_cookie(
        named, value, max_age=max_age_seconds, httponly=True, samesite="lax", secure=secure
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Have the browser keep it no longer."""
    secure = request.scope["scheme"] == "https"
    response.delete_cookie(
        _build_cookie_name(request, name), httponly=True, samesite="lax", secure=secure
    )


def _build_cookie_name(request: Request, name: str) -> str:
    """The cookie's name: over HTTPS one that no other host and no open line can set (RFC 6265bis)."""
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name


def start_session(request: Request, response: Response, user: User) -> bool:
    """Begin a session in place of the one that this browser had; False where the user may not come in."""
    state = request.app.state
    older = request.cookies.get(_build_cookie_name(request, SESSION_COOKIE))
    token = service.start_session(state.app.store, user, state.clock(), replaced_token=older)
    if token is not None:
        set_cookie(request, response, SESSION_COOKIE, token)
    return token is not None
