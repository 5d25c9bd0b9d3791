"""Browsers that are logged in. Only a token's hash is here, and a row that is gone lets nobody in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, or_, select, update

from storage.database.connection import Database
from storage.models.users import Session, User
from storage.sanitize import clean, instant
from storage.tables.mappers import COLUMNS, user_of
from storage.tables.users import SESSION, USER


class Sessions:
    """The queries of sessions. A part of `Store`."""

    _database: Database

    def begin_session(self, session: Session, user: User, *, instead_of: str | None = None) -> bool:
        """Keep a session; the one of the token `instead_of` (its hash) ends with that.

        False, and nothing is kept, where the user was removed, reset or has another password than here.
        """
        same = (USER.c.id == session.user_id) & USER.c.removed_at.is_(None)
        same &= USER.c.password_hash == user.password_hash
        with self._database.writing() as connection:
            if connection.execute(select(USER.c.id).where(same).with_for_update()).first() is None:
                return False
            if instead_of is not None:
                connection.execute(delete(SESSION).where(SESSION.c.token_hash == instead_of))
            connection.execute(insert(SESSION).values(asdict(clean(session))))
        return True

    def session(self, token_hash: str) -> tuple[Session, User] | None:
        """The session of this token and whose it is; none of somebody who was removed."""
        query = select(SESSION, *COLUMNS).join(USER, USER.c.id == SESSION.c.user_id)
        mine = query.where(SESSION.c.token_hash == token_hash, USER.c.removed_at.is_(None))
        with self._database.reading() as connection:
            row = connection.execute(mine).first()
        if row is None:
            return None
        return Session(row.token_hash, row.user_id, row.begun_at, row.seen_at), user_of(row)

    def session_seen(self, token_hash: str, now: datetime) -> None:
        """Keep that a session was used."""
        with self._database.writing() as connection:
            mine = update(SESSION).where(SESSION.c.token_hash == token_hash)
            connection.execute(mine.values(seen_at=instant(now)))

    def end_session(self, token_hash: str) -> None:
        """End a session."""
        with self._database.writing() as connection:
            connection.execute(delete(SESSION).where(SESSION.c.token_hash == token_hash))

    def end_old_sessions(self, *, begun: datetime, seen: datetime) -> int:
        """End those that began, or were last used, before these moments: so many."""
        old = or_(SESSION.c.begun_at < instant(begun), SESSION.c.seen_at < instant(seen))
        with self._database.writing() as connection:
            return connection.execute(delete(SESSION).where(old)).rowcount
