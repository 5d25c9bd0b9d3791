"""Who may use a route. Each declares it once, as a dependency; a test refuses one that does not.

@router.get("/{language}/letters", dependencies=[access.COORDINATOR])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Depends, HTTPException, Request

from auditor.users import permissions
from auditor.web.user_session import visitor
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
                return permissions.acts_everywhere(user)
            case Access.OWN:
                return permissions.acts_everywhere(user) or self._is_theirs(user, request)
            case Access.COORDINATOR:
                return permissions.coordinates(user)
            case _:
                return True

    def _is_theirs(self, user: User, request: Request) -> bool:
        if not permissions.coordinates(user):
            return False
        store: Store = request.app.state.app.store
        named = self.whose(store, request.path_params)
        association = store.association(named) if named is not None else None
        if association is None:
            raise HTTPException(404)
        return permissions.acts_for(user, association)


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
