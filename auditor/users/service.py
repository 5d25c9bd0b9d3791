"""Users of the pages: added, invited anew, removed. The command line and the pages do it by these functions.

A link is shown once and holds a day; whoever opens it sets the password. There is no other first password.

What a user may do, by role and regions (docs/decisions, "Who may do what"). Pure.

Whoever is logged in reads figures, lists, pages of associations and evidence. What concerns persons, and
whatever changes something, is for coordinators: of all regions, or of associations whose region is one of
theirs. One without a region is for those of all.

Who is logged in: a browser that holds a token of which we keep the hash, for as long as a row says so.

Nothing is signed and nothing is in the cookie but chance, so that what is ended is ended: a copied cookie
opens nothing after a logout, another password, a reset or a removal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from auditor.config.schema import Config
from auditor.core.errors import SpokenError
from auditor.core.tokens import BYTES, digest
from auditor.evaluation.summary import Chosen, place
from auditor.i18n.catalogs import phrase
from auditor.reference.regions import REGIONS, code_of
from storage.errors import StoreError
from storage.models.audit import Association
from storage.models.summaries import Summary
from storage.models.users import Invitation, Role, Session, User
from storage.sanitize import clean
from storage.store import Store

HOLDS = timedelta(hours=24)
"""How long a one-time link holds."""
LONGEST = 100
"""Characters of a name."""


class PeopleError(SpokenError):
    """A user cannot be as it was typed; nothing was changed."""


def added(
    store: Store, name: str, role: Role, regions: Iterable[str], *, by: str, now: datetime
) -> tuple[User, str]:
    """Add a user: it, and the token of the link by which it sets a password. Raises PeopleError.

    One of that name who was removed comes back.
    """
    fit = " ".join(clean(name).split())
    _refuse(store, fit)
    user = store.add_user(User(fit, role, now, by, _places(store, role, regions)))
    return user, invited(store, user, by, now)


def invited(store: Store, user: User, by: str, now: datetime) -> str:
    """Make a user's one-time link: its token. Password, sessions and an older link end with that."""
    assert user.id is not None
    token = secrets.token_urlsafe(BYTES)
    store.invite(Invitation(digest(token), user.id, now, by, now + HOLDS))
    return token


def opened(store: Store, token: str, now: datetime) -> User | None:
    """Whose one-time link this is; None for one that is wrong, used or has ended."""
    found = store.invitation(digest(token))
    if found is None or found[1].removed_at or now >= found[0].expires_at:
        return None
    return found[1]


def known(store: Store, name: str) -> User:
    """The user of a name. Raises PeopleError."""
    user = store.user(name)
    if user is None or user.removed_at:
        said = phrase("There is no user of this name.")
        raise PeopleError(name, "there is no user of this name", "`auditor user list`", said=said)
    return user


def removed(store: Store, user: User, now: datetime) -> None:
    """Take a user's leave away at once. What was signed keeps the name."""
    assert user.id is not None
    store.remove_user(user.id, now)


def link(base: str, language: str, token: str) -> str:
    """The one-time link under the address of the pages."""
    return f"{base}/{language}/welcome/{token}"


def base(config: Config) -> str:
    """Where the pages are reached: as the configuration says, else on this machine."""
    if config.notify.pages_url:
        return config.notify.pages_url
    host = config.web.host
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what listens everywhere
    return f"http://[{here}]:{config.web.port}" if ":" in here else f"http://{here}:{config.web.port}"


def _refuse(store: Store, name: str) -> None:
    if not 0 < len(name) <= LONGEST:
        said = phrase("A name has 1 to {most} characters.")
        raise PeopleError("NAME", f"a name has 1 to {LONGEST} characters", said=said, most=LONGEST)
    there = store.user(name)
    if there is not None and there.removed_at is None:
        said = phrase("There is a user of this name already.")
        remedy = "another name, or `auditor user remove` first"
        raise PeopleError(there.name, "there is a user of this name already", remedy, said=said)


def _places(store: Store, role: Role, regions: Iterable[str]) -> tuple[str, ...]:
    """A coordinator's regions as everything is found by them. Raises PeopleError for one that is none."""
    typed = [one.strip() for one in regions if one.strip()]
    if typed and role is not Role.COORDINATOR:
        said = phrase("Regions are for coordinators: everybody else reads all of them, or does all.")
        raise PeopleError("--region", "regions are for coordinators", "--role coordinator", said=said)
    there = {place(one) for one in store.regions()}
    for one in typed:
        if code_of(one) is None and one not in there:
            said = phrase("No association is in a region of this name: {region}")
            remedy = f"one of {', '.join(REGIONS)}, or as the registry writes it"
            raise PeopleError(
                one, "no association is in a region of this name", remedy, said=said, region=one
            )
    return tuple(dict.fromkeys(map(place, typed)))


def coordinates(user: User | None) -> bool:
    """Whether a user looks after associations, of all regions or of some."""
    return user is not None and user.role in {Role.COORDINATOR, Role.ADMIN}


def acts_everywhere(user: User | None) -> bool:
    """Whether a user looks after the associations of all regions."""
    return user is not None and coordinates(user) and not user.regions


def acts_for(user: User | None, association: Association | Summary) -> bool:
    """Whether a user looks after this association."""
    if user is None or not coordinates(user):
        return False
    return not user.regions or (association.region is not None and place(association.region) in user.regions)


def reach(user: User | None, there: Callable[[], Iterable[str]]) -> frozenset[str] | None:
    """Of the registry's regions, as it writes them, those that a user looks after; None is everywhere."""
    if acts_everywhere(user):
        return None
    own = user.regions if user is not None and coordinates(user) else ()
    return frozenset(typed for typed in there() if place(typed) in own) if own else frozenset()


def narrowed(user: User, chosen: Chosen) -> Iterator[Chosen]:
    """What of those that are chosen a user looks after: all of it, or the part of each of their regions."""
    if acts_everywhere(user):
        yield chosen
    elif coordinates(user):
        wanted = {place(chosen.region)} if chosen.region else set(user.regions)
        yield from (replace(chosen, region=region) for region in sorted(wanted & set(user.regions)))


IDLE = timedelta(hours=8)
"""So long nobody has to log in again who only had a meeting."""
WHOLE = timedelta(hours=24)
"""After so long everybody has to, whatever they do."""
OFTEN = timedelta(minutes=1)
"""How often it is written down that a session is used: reading pages writes no more than that."""


def begin(store: Store, user: User, now: datetime, *, instead_of: str | None = None) -> str | None:
    """Let a user in: the token of a new session. The one of the token `instead_of` ends, and all old ones.

    None where the user may not come in any more by what was proved: removed, reset, another password.
    """
    assert user.id is not None
    token = secrets.token_urlsafe(BYTES)
    store.end_old_sessions(begun=now - WHOLE, seen=now - IDLE)
    older = digest(instead_of) if instead_of else None
    begun = store.begin_session(Session(digest(token), user.id, now, now), user, instead_of=older)
    return token if begun else None


def user_of(store: Store, token: str, now: datetime) -> User | None:
    """Whose session this token is, if it still goes on; it goes on from now."""
    found = store.session(digest(token))
    if found is None:
        return None
    session, user = found
    if now - session.begun_at >= WHOLE or now - session.seen_at >= IDLE:
        return None
    if now - session.seen_at >= OFTEN:
        with suppress(StoreError):  # a page is not refused because nothing can be written just now
            store.session_seen(session.token_hash, now)
    return user


def end(store: Store, token: str) -> None:
    """Log out."""
    store.end_session(digest(token))
