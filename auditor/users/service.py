"""Users of the pages: accounts and invitations, permissions, sessions.

A one-time link is shown once and is valid for a day; its reader sets the password. Every user may
read figures, lists, pages of associations and evidence. Personal data and changes are for
coordinators, of all regions or of associations in their regions. Associations without a region are
for coordinators of all regions.

A session is a random token in a cookie; the database stores its hash. A session that has ended
cannot be used again.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from auditor.config.schema import Config
from auditor.core.errors import TranslatableError
from auditor.core.form_limits import MAX_USER_NAME_CHARS
from auditor.core.formatting import TOKEN_BYTES, hash_token
from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.i18n.catalogs import gettext_noop
from auditor.reference.places import REGIONS, find_region_code
from storage.errors import StoreError
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import Role, clean_user_name
from storage.store import Store
from storage.tables.users import LoginSession, User, UserInvite

MAX_INVITE_AGE = timedelta(hours=24)
"""How long a one-time link is valid."""
MAX_LOGIN_LINK_AGE = timedelta(minutes=15)
"""How long a link that logs in without a password is valid."""


class UserError(TranslatableError):
    """The data of a user is invalid; nothing was changed."""


def add_user(
    store: Store, name: str, role: Role, regions: Iterable[str], *, author: str, now: datetime
) -> tuple[User, str]:
    """Add a user and return it with the token of its one-time link. Raises UserError.

    A removed user with this name is restored.
    """
    clean_name = clean_user_name(name)
    _refuse_invalid_name(store, clean_name)
    user = User(
        name=clean_name,
        role=role,
        added_at=now,
        added_by=author,
        regions=list(_normalize_regions(store, role, regions)),
    )
    try:
        user = store.users.add(user)
    except StoreError:
        _refuse_invalid_name(store, clean_name)  # another request may have added the name
        raise
    return user, create_invite(store, user, author, now)


def create_invite(store: Store, user: User, author: str, now: datetime) -> str:
    """Create a one-time link and return its token. The password, sessions and older links end."""
    assert user.id is not None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    store.users.save_invite(
        UserInvite(
            token_hash=hash_token(token),
            user_id=user.id,
            created_at=now,
            created_by=author,
            expires_at=now + MAX_INVITE_AGE,
        )
    )
    return token


def find_invited_user(store: Store, token: str, now: datetime) -> User | None:
    """Return the user of a one-time link, or None if it is wrong, used or expired."""
    invited = store.users.get_invite(hash_token(token))
    if invited is None or invited[1].removed_at or now >= invited[0].expires_at:
        return None
    return invited[1]


class LoginLink:
    """A link that logs a user in once, without a password, until it expires.

    It exists only in the memory of the process. `auditor demo --serve` creates one; `auditor serve`
    has none.
    """

    def __init__(self, user: User, expires_at: datetime) -> None:
        self.expires_at = expires_at
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._user = user
        self._is_used = False
        self._lock = threading.Lock()

    def take_user(self, token: str, now: datetime) -> User | None:
        """Return the user and use the link up; None if it is wrong, used or expired."""
        is_valid = secrets.compare_digest(token.encode(), self.token.encode())
        with self._lock:
            if not is_valid or self._is_used or now >= self.expires_at:
                return None
            self._is_used = True
        return self._user


def get_user(store: Store, name: str) -> User:
    """Return the user with a name. Raises UserError."""
    user = store.users.get(name)
    if user is None or user.removed_at:
        raise UserError(
            name,
            "there is no user with this name",
            "`auditor user list`",
            message=gettext_noop("There is no user with this name."),
        )
    return user


def remove_user(store: Store, user: User, now: datetime) -> None:
    """Remove a user at once. Entries signed by the user keep the name."""
    assert user.id is not None
    store.users.remove(user.id, now)


def build_welcome_url(base: str, language: str, token: str) -> str:
    """Return the address of a one-time link."""
    return f"{base}/{language}/set-password/{token}"


def get_web_base_url(config: Config) -> str:
    """Return the address of the pages: as configured, or on this machine."""
    if config.notify.pages_url:
        return config.notify.pages_url
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.web.host, config.web.host)  # noqa: S104  # all interfaces
    return f"http://{f'[{host}]' if ':' in host else host}:{config.web.port}"


def _refuse_invalid_name(store: Store, name: str) -> None:
    if not 0 < len(name) <= MAX_USER_NAME_CHARS:
        raise UserError(
            "NAME",
            f"a name must have 1 to {MAX_USER_NAME_CHARS} characters",
            message=gettext_noop("Names can have at most {most} characters."),
            most=MAX_USER_NAME_CHARS,
        )
    existing = store.users.get(name)
    if existing is not None and existing.removed_at is None:
        raise UserError(
            existing.name,
            "there is already a user with this name",
            "another name, or `auditor user remove` first",
            message=gettext_noop("There is already a user with this name."),
        )


def _normalize_regions(store: Store, role: Role, regions: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of a coordinator's regions. Raises UserError for an unknown region."""
    typed = list(filter(None, map(str.strip, regions)))
    if typed and role is not Role.COORDINATOR:
        raise UserError(
            "--region",
            "only coordinators have regions",
            "--role coordinator",
            message=gettext_noop(
                "Regions are for coordinators only. All other users see or manage every region."
            ),
        )
    registered_keys = set(map(get_region_key, store.registry.list_regions()))
    for region in typed:
        if find_region_code(region) is None and region not in registered_keys:
            raise UserError(
                region,
                "no association is in this region",
                f"one of {', '.join(REGIONS)}, or as in the registry",
                message=gettext_noop("There is no region called {region}."),
                region=region,
            )
    return tuple(dict.fromkeys(map(get_region_key, typed)))


def is_coordinator(user: User | None) -> bool:
    """Return True if a user coordinates all or some regions."""
    return user is not None and user.role in {Role.COORDINATOR, Role.ADMIN}


def can_edit_all_regions(user: User | None) -> bool:
    """Return True if a user coordinates all regions."""
    return user is not None and is_coordinator(user) and not user.regions


def can_edit_association(user: User | None, association: Association | AssociationSummary) -> bool:
    """Return True if a user coordinates this association."""
    if user is None or not is_coordinator(user):
        return False
    return not user.regions or (
        association.region is not None and get_region_key(association.region) in user.regions
    )


def find_editable_regions(
    user: User | None, load_regions: Callable[[], Iterable[str]]
) -> frozenset[str] | None:
    """Return the regions of the registry that a user coordinates; None means all."""
    if can_edit_all_regions(user):
        return None
    if user is None or not is_coordinator(user):
        return frozenset()
    return frozenset(typed for typed in load_regions() if get_region_key(typed) in user.regions)


def restrict_filter_to_regions(
    user: User, association_filter: AssociationFilter
) -> Iterator[AssociationFilter]:
    """Return the filter restricted to the user's regions, one filter for each region."""
    if can_edit_all_regions(user):
        yield association_filter
    elif is_coordinator(user):
        regions = set(user.regions)
        if association_filter.region:
            regions &= {get_region_key(association_filter.region)}
        for region in sorted(regions):
            yield replace(association_filter, region=region)


MAX_SESSION_IDLE_TIME = timedelta(hours=8)
"""A session ends after this time without use."""
MAX_SESSION_AGE = timedelta(hours=24)
"""A session ends after this time in any case."""
SESSION_TOUCH_INTERVAL = timedelta(minutes=1)
"""Minimum time between two updates of a session's last use, so that reading rarely writes."""


def start_session(
    store: Store, user: User, now: datetime, *, replaced_token: str | None = None
) -> str | None:
    """Start a session and return its token.

    It replaces the session of `replaced_token` and deletes expired sessions. Returns None if the
    user was removed or the password changed since it was verified.
    """
    assert user.id is not None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    store.sessions.end_expired(
        started_before=now - MAX_SESSION_AGE, last_seen_before=now - MAX_SESSION_IDLE_TIME
    )
    started = store.sessions.start(
        LoginSession(
            token_hash=hash_token(token), user_id=user.id, started_at=now, last_seen_at=now
        ),
        user,
        replaced_token_hash=hash_token(replaced_token) if replaced_token else None,
    )
    return token if started else None


def find_session_user(store: Store, token: str, now: datetime) -> User | None:
    """Return the user of a session token and extend the session, or None."""
    session_row = store.sessions.get(hash_token(token))
    if session_row is None:
        return None
    session, user = session_row
    idle_time = now - session.last_seen_at
    if now - session.started_at >= MAX_SESSION_AGE or idle_time >= MAX_SESSION_IDLE_TIME:
        return None
    if idle_time >= SESSION_TOUCH_INTERVAL:
        with suppress(StoreError):  # pages are shown even if the database cannot be written
            store.sessions.touch(session.token_hash, now)
    return user


def end_session(store: Store, token: str) -> None:
    """End the session of a token."""
    store.sessions.end(hash_token(token))
