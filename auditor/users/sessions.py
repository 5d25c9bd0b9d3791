"""Who is logged in: a browser that holds a token of which we keep the hash, for as long as a row says so.

Nothing is signed and nothing is in the cookie but chance, so that what is ended is ended: a copied cookie
opens nothing after a logout, another password, a reset or a removal.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import datetime, timedelta

from auditor.core.tokens import BYTES, digest
from storage.errors import StoreError
from storage.models.users import Session, User
from storage.store import Store

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
