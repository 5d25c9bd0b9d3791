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
from auditor.core.errors import TranslatableError
from auditor.core.tokens import TOKEN_BYTES, hash_token
from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.i18n.catalogs import gettext_noop
from auditor.reference.regions import REGIONS, find_region_code
from storage.errors import StoreError
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import LoginSession, Role, User, UserInvite
from storage.sanitize import sanitize
from storage.store import Store

INVITE_VALIDITY = timedelta(hours=24)
"""How long a one-time link holds."""
MAX_NAME_CHARACTERS = 100
"""Characters of a name."""


class UserError(TranslatableError):
    """A user cannot be as it was typed; nothing was changed."""


def add_user(
    store: Store, name: str, role: Role, regions: Iterable[str], *, author: str, now: datetime
) -> tuple[User, str]:
    """Add a user: it, and the token of the link by which it sets a password. Raises PeopleError.

    One of that name who was removed comes back.
    """
    fit = " ".join(sanitize(name).split())
    _refuse_invalid_name(store, fit)
    user = store.add_user(User(fit, role, now, author, _normalize_regions(store, role, regions)))
    return user, create_invite(store, user, author, now)


def create_invite(store: Store, user: User, author: str, now: datetime) -> str:
    """Make a user's one-time link: its token. Password, sessions and an older link end with that."""
    assert user.id is not None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    store.save_user_invite(
        UserInvite(hash_token(token), user.id, now, author, now + INVITE_VALIDITY)
    )
    return token


def find_invited_user(store: Store, token: str, now: datetime) -> User | None:
    """Whose one-time link this is; None for one that is wrong, used or has ended."""
    found = store.get_user_invite(hash_token(token))
    if found is None or found[1].removed_at or now >= found[0].expires_at:
        return None
    return found[1]


def get_user(store: Store, name: str) -> User:
    """The user of a name. Raises PeopleError."""
    user = store.get_user(name)
    if user is None or user.removed_at:
        said = gettext_noop("There is no user with this name.")
        raise UserError(name, "there is no user of this name", "`auditor user list`", message=said)
    return user


def remove_user(store: Store, user: User, now: datetime) -> None:
    """Take a user's leave away at once. What was signed keeps the name."""
    assert user.id is not None
    store.remove_user(user.id, now)


def build_welcome_url(base: str, language: str, token: str) -> str:
    """The one-time link under the address of the pages."""
    return f"{base}/{language}/set-password/{token}"


def get_web_base_url(config: Config) -> str:
    """Where the pages are reached: as the configuration says, else on this machine."""
    if config.notify.pages_url:
        return config.notify.pages_url
    host = config.web.host
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what listens everywhere
    return (
        f"http://[{here}]:{config.web.port}" if ":" in here else f"http://{here}:{config.web.port}"
    )


def _refuse_invalid_name(store: Store, name: str) -> None:
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        said = gettext_noop("Names can have at most {most} characters.")
        raise UserError(
            "NAME",
            f"a name has 1 to {MAX_NAME_CHARACTERS} characters",
            message=said,
            most=MAX_NAME_CHARACTERS,
        )
    there = store.get_user(name)
    if there is not None and there.removed_at is None:
        said = gettext_noop("There is already a user with this name.")
        remedy = "another name, or `auditor user remove` first"
        raise UserError(there.name, "there is a user of this name already", remedy, message=said)


def _normalize_regions(store: Store, role: Role, regions: Iterable[str]) -> tuple[str, ...]:
    """A coordinator's regions as everything is found by them. Raises PeopleError for one that is none."""
    typed = [one.strip() for one in regions if one.strip()]
    if typed and role is not Role.COORDINATOR:
        said = gettext_noop(
            "Regions are for coordinators only. All other users see or manage every region."
        )
        raise UserError(
            "--region", "regions are for coordinators", "--role coordinator", message=said
        )
    there = {get_region_key(one) for one in store.list_regions()}
    for one in typed:
        if find_region_code(one) is None and one not in there:
            said = gettext_noop("There is no region called {region}.")
            remedy = f"one of {', '.join(REGIONS)}, or as the registry writes it"
            raise UserError(
                one, "no association is in a region of this name", remedy, message=said, region=one
            )
    return tuple(dict.fromkeys(map(get_region_key, typed)))


def is_coordinator(user: User | None) -> bool:
    """Whether a user looks after associations, of all regions or of some."""
    return user is not None and user.role in {Role.COORDINATOR, Role.ADMIN}


def can_edit_all_regions(user: User | None) -> bool:
    """Whether a user looks after the associations of all regions."""
    return user is not None and is_coordinator(user) and not user.regions


def can_edit_association(user: User | None, association: Association | AssociationSummary) -> bool:
    """Whether a user looks after this association."""
    if user is None or not is_coordinator(user):
        return False
    return not user.regions or (
        association.region is not None and get_region_key(association.region) in user.regions
    )


def find_editable_regions(
    user: User | None, load_regions: Callable[[], Iterable[str]]
) -> frozenset[str] | None:
    """Of the registry's regions, as it writes them, those that a user looks after; None is everywhere."""
    if can_edit_all_regions(user):
        return None
    own = user.regions if user is not None and is_coordinator(user) else ()
    return (
        frozenset(typed for typed in load_regions() if get_region_key(typed) in own)
        if own
        else frozenset()
    )


def restrict_filter_to_regions(
    user: User, association_filter: AssociationFilter
) -> Iterator[AssociationFilter]:
    """What of those that are chosen a user looks after: all of it, or the part of each of their regions."""
    if can_edit_all_regions(user):
        yield association_filter
    elif is_coordinator(user):
        wanted = (
            {get_region_key(association_filter.region)}
            if association_filter.region
            else set(user.regions)
        )
        yield from (
            replace(association_filter, region=region)
            for region in sorted(wanted & set(user.regions))
        )


SESSION_IDLE_TIMEOUT = timedelta(hours=8)
"""So long nobody has to log in again who only had a meeting."""
SESSION_MAX_AGE = timedelta(hours=24)
"""After so long everybody has to, whatever they do."""
SESSION_TOUCH_INTERVAL = timedelta(minutes=1)
"""How often it is written down that a session is used: reading pages writes no more than that."""


def start_session(
    store: Store, user: User, now: datetime, *, replaced_token: str | None = None
) -> str | None:
    """Let a user in: the token of a new session. The one of the token `instead_of` ends, and all old ones.

    None where the user may not come in any more by what was proved: removed, reset, another password.
    """
    assert user.id is not None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    store.end_expired_sessions(
        started_before=now - SESSION_MAX_AGE, last_seen_before=now - SESSION_IDLE_TIMEOUT
    )
    older = hash_token(replaced_token) if replaced_token else None
    begun = store.start_session(
        LoginSession(hash_token(token), user.id, now, now), user, replaced_token_hash=older
    )
    return token if begun else None


def find_session_user(store: Store, token: str, now: datetime) -> User | None:
    """Whose session this token is, if it still goes on; it goes on from now."""
    found = store.get_session(hash_token(token))
    if found is None:
        return None
    session, user = found
    if (
        now - session.started_at >= SESSION_MAX_AGE
        or now - session.last_seen_at >= SESSION_IDLE_TIMEOUT
    ):
        return None
    if now - session.last_seen_at >= SESSION_TOUCH_INTERVAL:
        with suppress(StoreError):  # a page is not refused because nothing can be written just now
            store.touch_session(session.token_hash, now)
    return user


def end_session(store: Store, token: str) -> None:
    """Log out."""
    store.end_session(hash_token(token))
