"""Who may use the pages: added, given a password, removed. Their names stay where they signed.

Browsers that are logged in. Only a token's hash is here, and a row that is gone lets nobody in.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from storage.database.connection import Database
from storage.errors import StoreError
from storage.models.users import Invitation, Session, User, key_of
from storage.sanitize import clean, instant
from storage.tables.core import INVITATION, SESSION, USER
from storage.tables.mappers import COLUMNS, user_of


class Users:
    """The queries of users. A part of `Store`."""

    _database: Database

    def add_user(self, user: User) -> User:
        """Keep a user and give it back with its id; one of that name who was removed comes back as this one.

        Raises StoreError where somebody of that name is there.
        """
        fit = clean(user)
        values = {**_columns(fit), "key": fit.key}
        with self._database.writing() as connection:
            row = connection.execute(
                select(USER.c.id, USER.c.name, USER.c.removed_at).where(USER.c.key == fit.key)
            ).first()
            if row is None:
                key = connection.execute(insert(USER).values(values)).inserted_primary_key
                return replace(fit, id=key[0] if key else None)
            if row.removed_at is None:
                raise StoreError(f"the user {row.name}", "there is one of that name", "another name")
            connection.execute(update(USER).where(USER.c.id == row.id).values(values))
            return replace(fit, id=row.id)

    def user(self, name: str) -> User | None:
        """The user of this name, also one who was removed."""
        with self._database.reading() as connection:
            row = connection.execute(select(*COLUMNS).where(USER.c.key == key_of(name))).first()
        return user_of(row) if row else None

    def users(self) -> list[User]:
        """The users who may log in, or will when they have opened their link, by their names."""
        query = select(*COLUMNS).where(USER.c.removed_at.is_(None)).order_by(USER.c.key)
        with self._database.reading() as connection:
            return [user_of(row) for row in connection.execute(query)]

    def count_users(self) -> int:
        """How many there are."""
        query = select(func.count()).select_from(USER).where(USER.c.removed_at.is_(None))
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def change_password(self, user: User, password_hash: str, now: datetime) -> bool:
        """Keep a user's new password by its hash; every session and every link of theirs ends.

        False, and nothing is changed, where it is another by now than this user's, or none.
        """
        same = (USER.c.id == user.id) & (USER.c.password_hash == user.password_hash)
        with self._database.writing() as connection:
            found = connection.execute(select(USER.c.id).where(same).with_for_update()).scalar()
            if found is None:
                return False
            _set_password(connection, found, password_hash, now)
        return True

    def rehash_password(self, user: User, password_hash: str) -> None:
        """Keep the same password by another hash, if nobody has changed it meanwhile; sessions go on."""
        same = (USER.c.id == user.id) & (USER.c.password_hash == user.password_hash)
        with self._database.writing() as connection:
            connection.execute(update(USER).where(same).values(password_hash=password_hash))

    def invite(self, invitation: Invitation) -> None:
        """Keep a user's one-time link in place of an older one; password and sessions of until now end."""
        fit = clean(invitation)
        with self._database.writing() as connection:
            _lock_out(connection, fit.user_id)
            connection.execute(insert(INVITATION).values(asdict(fit)))

    def invitation(self, token_hash: str) -> tuple[Invitation, User] | None:
        """The one-time link of this token, also one that has ended, and whose it is."""
        query = select(INVITATION, *COLUMNS).join(USER, USER.c.id == INVITATION.c.user_id)
        with self._database.reading() as connection:
            row = connection.execute(query.where(INVITATION.c.token_hash == token_hash)).first()
        if row is None:
            return None
        told = {column.name: getattr(row, column.name) for column in INVITATION.columns}
        return Invitation(**told), user_of(row)

    def accept(self, token_hash: str, password_hash: str, now: datetime) -> bool:
        """Use a one-time link: set the password by its hash, in one transaction; False where it has ended."""
        mine = (INVITATION.c.token_hash == token_hash) & (INVITATION.c.expires_at > instant(now))
        with self._database.writing() as connection:
            found = connection.execute(select(INVITATION.c.user_id).where(mine)).scalar()
            if found is None:
                return False
            _set_password(connection, found, password_hash, now)
        return True

    def remove_user(self, user_id: int, now: datetime) -> None:
        """Take a user's leave away at once: password, sessions and link. The name stays."""
        with self._database.writing() as connection:
            _lock_out(connection, user_id)
            connection.execute(update(USER).where(USER.c.id == user_id).values(removed_at=instant(now)))


def _set_password(connection: Connection, user_id: int, password_hash: str, now: datetime) -> None:
    _lock_out(connection, user_id)
    values = {"password_hash": password_hash, "password_at": instant(now)}
    connection.execute(update(USER).where(USER.c.id == user_id).values(values))


def _lock_out(connection: Connection, user_id: int) -> None:
    """End whatever a user could come in by."""
    for table in (SESSION, INVITATION):
        connection.execute(delete(table).where(table.c.user_id == user_id))
    connection.execute(update(USER).where(USER.c.id == user_id).values(password_hash=None, password_at=None))


def _columns(user: User) -> dict[str, Any]:
    told = {name: value for name, value in asdict(user).items() if name != "id"}
    return {**told, "role": user.role.value, "regions": list(user.regions)}


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
