"""Access rules of routes, and the session cookies.

Every route declares its access once, as a dependency:

    router = APIRouter(route_class=access.AccessRoute)

    @router.get("/{language}/report-links", dependencies=[access.COORDINATOR_ACCESS])

A test fails if a route declares none.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Depends, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from auditor.web import users
from storage.models.audit import Proposal
from storage.models.users import Role
from storage.store import Store
from storage.tables.communication import Reply
from storage.tables.users import User

Access = Literal[
    "public",
    "report_link",
    "monitoring",
    "logged_in",
    "coordinator",
    "own_region",
    "all_regions",
    "admin",
]
"""The users who may use a route.

`public`: anyone, also with a token in the address. `report_link`: an association with its
report link. `monitoring`: a program on this machine, or one that sends the metrics token. The
routes of the last two check this themselves. The other members are for users: `logged_in`
(every user), `coordinator` (of any region; the page shows only their regions), `own_region`
(coordinators of the association's region), `all_regions` (coordinators without a region limit)
and `admin`.
"""


class NotLoggedInError(Exception):
    """The request has no valid session; the handler shows the login page."""


MAX_ROW_ID = 2**63 - 1
"""Databases store 63-bit ids."""


def find_proposal(store: Store, proposal_id: int) -> Proposal | None:
    """Return the proposal of this id, or None."""
    proposal = next(store.conclusions.list_proposals(after_id=proposal_id - 1), None)
    return proposal if proposal and proposal.id == proposal_id else None


def find_association_id(store: Store, path_params: Mapping[str, Any]) -> str | None:
    """Return the association of a path, or that of its reply or proposal; None without one."""
    if "association" in path_params:
        return str(path_params["association"])
    row: Reply | Proposal | None
    if "reply_id" in path_params:
        row = store.replies.get(min(path_params["reply_id"], MAX_ROW_ID))
    else:
        row = find_proposal(store, min(path_params["proposal_id"], MAX_ROW_ID))
    return row.association if row else None


@dataclass(frozen=True)
class RequireAccess:
    """A dependency that admits a request, or raises NotLoggedInError or HTTPException (403)."""

    access: Access

    def __call__(self, request: Request) -> None:
        """Check the current user against the declared access."""
        if self.access in {"public", "report_link", "monitoring"}:
            return
        user = get_current_user(request)
        if user is None:
            raise NotLoggedInError
        is_allowed = {
            "logged_in": True,
            "coordinator": users.is_coordinator(user),
            "own_region": users.is_coordinator(user),
            "all_regions": users.can_edit_all_regions(user),
            "admin": user.role is Role.ADMIN,
        }
        if not is_allowed[self.access]:
            raise HTTPException(403)
        if self.access == "own_region" and not users.can_edit_all_regions(user):
            store: Store = request.app.state.app.store
            association_id = find_association_id(store, request.path_params)
            association = association_id and store.registry.get_association(association_id)
            if not association:
                raise HTTPException(404)
            if not users.can_edit_association(user, association):
                raise HTTPException(403)


class AccessRoute(APIRoute):
    """A route that checks its declared access before it reads the body of the request.

    FastAPI reads and stores the whole body before it runs the dependencies, so anyone could
    fill the memory and the temporary folder. The dependency checks the access a second time.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, after its access checks unless it only answers GET."""
        handle_request = super().get_route_handler()
        if self.methods == {"GET"}:
            return handle_request

        async def handle_admitted_request(request: Request) -> Response:
            for dependency in self.dependencies:
                if isinstance(dependency.dependency, RequireAccess):
                    await run_in_threadpool(dependency.dependency, request)
            return await handle_request(request)

        return handle_admitted_request


PUBLIC_ACCESS = Depends(RequireAccess("public"))
REPORT_LINK_ACCESS = Depends(RequireAccess("report_link"))
MONITORING_ACCESS = Depends(RequireAccess("monitoring"))
LOGGED_IN_ACCESS = Depends(RequireAccess("logged_in"))
COORDINATOR_ACCESS = Depends(RequireAccess("coordinator"))
OWN_REGION_ACCESS = Depends(RequireAccess("own_region"))
ALL_REGIONS_ACCESS = Depends(RequireAccess("all_regions"))
ADMIN_ACCESS = Depends(RequireAccess("admin"))


SESSION_COOKIE = "session"
KNOWN_BROWSER_COOKIE = "known_browser"
"""Proves that a user has logged in with this browser before; see `routes.login`."""
INVITE_COOKIE = "invite"
"""Holds the token of a one-time link after its address was opened."""


def is_login_allowed(request: Request) -> bool:
    """Return True if session cookies may be set and read on this connection.

    The host must be one of the network's own (not the public name for report links), and the
    connection must be HTTPS or come from this machine. On plain HTTP anyone on the way could copy
    the cookie.
    """
    scope = request.scope
    return bool(scope["is_network_host"] and (scope["scheme"] == "https" or scope["is_local"]))


def get_current_user(request: Request) -> User | None:
    """Return the logged-in user, or None. The session is looked up once for each request."""
    scope = request.scope
    if "user" not in scope:
        token, state = read_cookie(request, SESSION_COOKIE), request.app.state
        scope["user"] = (
            users.find_session_user(state.app.store, token, state.clock()) if token else None
        )
    user: User | None = scope["user"]
    return user


def read_cookie(request: Request, name: str) -> str:
    """Return the value of one of our cookies, or "" if it is missing or login is not allowed."""
    if not is_login_allowed(request):
        return ""
    return request.cookies.get(_build_cookie_name(request, name), "")


def set_cookie(
    request: Request, response: Response, name: str, value: str, max_age_seconds: int | None = None
) -> None:
    """Set a cookie that scripts and other sites cannot read.

    Without `max_age_seconds` it is a session cookie, which ends with the browser.
    """
    response.set_cookie(
        _build_cookie_name(request, name),
        value,
        max_age=max_age_seconds,
        httponly=True,
        samesite="lax",
        secure=request.scope["scheme"] == "https",
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Make the browser delete a cookie."""
    secure = request.scope["scheme"] == "https"
    response.delete_cookie(
        _build_cookie_name(request, name), httponly=True, samesite="lax", secure=secure
    )


def _build_cookie_name(request: Request, name: str) -> str:
    """Return the name with the `__Host-` prefix over HTTPS.

    Neither another host of the domain nor a plain HTTP page can set such a cookie (RFC 6265bis).
    """
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name
