"""Queries of users and their sessions. Only hashes of passwords and tokens are stored."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from storage.database.connection import Database
from storage.errors import StoreError
from storage.models.users import LoginSession, User, UserInvite, normalize_user_name
from storage.sanitize import sanitize, to_utc
from storage.tables.core import LOGIN_SESSION, USER, USER_INVITE
from storage.tables.mappers import USER_COLUMNS, to_user


class UserRepository:
    """Stores and reads users. A removed user stays as a name in the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user: User) -> User:
        """Add a user and return it with its id. A removed user of that name is replaced.

        Raises StoreError if there is a user of that name.
        """
        user = sanitize(user)
        values = {**_build_user_values(user), "normalized_name": user.normalized_name}
        with self._database.begin_write() as connection:
            row = connection.execute(
                select(USER.c.id, USER.c.name, USER.c.removed_at).where(
                    USER.c.normalized_name == user.normalized_name
                )
            ).first()
            if row is None:
                key = connection.execute(insert(USER).values(values)).inserted_primary_key
                return replace(user, id=key[0] if key else None)
            if row.removed_at is None:
                raise StoreError(
                    f"cannot add the user {row.name}", "the name is in use", "another name"
                )
            connection.execute(update(USER).where(USER.c.id == row.id).values(values))
            return replace(user, id=row.id)

    def get(self, name: str) -> User | None:
        """Return the user of this name, also a removed one, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                select(*USER_COLUMNS).where(USER.c.normalized_name == normalize_user_name(name))
            ).first()
        return to_user(row) if row else None

    def list_all(self) -> list[User]:
        """Return all users who are not removed, sorted by name."""
        query = (
            select(*USER_COLUMNS)
            .where(USER.c.removed_at.is_(None))
            .order_by(USER.c.normalized_name)
        )
        with self._database.begin_read() as connection:
            return [to_user(row) for row in connection.execute(query)]

    def count(self) -> int:
        """Return the number of users who are not removed."""
        query = select(func.count()).select_from(USER).where(USER.c.removed_at.is_(None))
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar_one()

    def change_password(self, user: User, password_hash: str, now: datetime) -> bool:
        """Store the hash of a new password and end all sessions and links of the user.

        Return False, and change nothing, if the password was changed since `user` was read.
        """
        is_unchanged = (USER.c.id == user.id) & (USER.c.password_hash == user.password_hash)
        with self._database.begin_write() as connection:
            query = select(USER.c.id).where(is_unchanged).with_for_update()
            user_id = connection.execute(query).scalar()
            if user_id is None:
                return False
            _set_password(connection, user_id, password_hash, now)
        return True

    def rehash_password(self, user: User, password_hash: str) -> None:
        """Store another hash of the same password, unless it was changed. Sessions are kept."""
        is_unchanged = (USER.c.id == user.id) & (USER.c.password_hash == user.password_hash)
        with self._database.begin_write() as connection:
            connection.execute(update(USER).where(is_unchanged).values(password_hash=password_hash))

    def save_invite(self, invite: UserInvite) -> None:
        """Store a one-time link of a user. An older link, the password and all sessions end."""
        invite = sanitize(invite)
        with self._database.begin_write() as connection:
            _revoke_access(connection, invite.user_id)
            connection.execute(insert(USER_INVITE).values(asdict(invite)))

    def get_invite(self, token_hash: str) -> tuple[UserInvite, User] | None:
        """Return the one-time link of this token, also an expired one, and its user, or None."""
        query = select(USER_INVITE, *USER_COLUMNS).join(USER, USER.c.id == USER_INVITE.c.user_id)
        with self._database.begin_read() as connection:
            row = connection.execute(query.where(USER_INVITE.c.token_hash == token_hash)).first()
        if row is None:
            return None
        values = {column.name: getattr(row, column.name) for column in USER_INVITE.columns}
        return UserInvite(**values), to_user(row)

    def accept_invite(self, token_hash: str, password_hash: str, now: datetime) -> bool:
        """Set a password with a one-time link. Return False if the link is unknown or expired."""
        is_valid = (USER_INVITE.c.token_hash == token_hash) & (
            USER_INVITE.c.expires_at > to_utc(now)
        )
        with self._database.begin_write() as connection:
            user_id = connection.execute(select(USER_INVITE.c.user_id).where(is_valid)).scalar()
            if user_id is None:
                return False
            _set_password(connection, user_id, password_hash, now)
        return True

    def remove(self, user_id: int, now: datetime) -> None:
        """Remove a user: password, sessions and link end at once. The name stays."""
        with self._database.begin_write() as connection:
            _revoke_access(connection, user_id)
            connection.execute(
                update(USER).where(USER.c.id == user_id).values(removed_at=to_utc(now))
            )


def _set_password(connection: Connection, user_id: int, password_hash: str, now: datetime) -> None:
    _revoke_access(connection, user_id)
    values = {"password_hash": password_hash, "password_set_at": to_utc(now)}
    connection.execute(update(USER).where(USER.c.id == user_id).values(values))


def _revoke_access(connection: Connection, user_id: int) -> None:
    """Delete the sessions, the one-time link and the password of a user."""
    for table in (LOGIN_SESSION, USER_INVITE):
        connection.execute(delete(table).where(table.c.user_id == user_id))
    connection.execute(
        update(USER).where(USER.c.id == user_id).values(password_hash=None, password_set_at=None)
    )


def _build_user_values(user: User) -> dict[str, Any]:
    values = {name: value for name, value in asdict(user).items() if name != "id"}
    return {**values, "role": user.role.value, "regions": list(user.regions)}


class SessionRepository:
    """Stores and reads login sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self, session: LoginSession, user: User, *, replaced_token_hash: str | None = None
    ) -> bool:
        """Store a session. It replaces the session with the hash `replaced_token_hash`.

        Return False, and store nothing, if the user was removed, or has another password than
        `user`.
        """
        is_unchanged = (USER.c.id == session.user_id) & USER.c.removed_at.is_(None)
        is_unchanged &= USER.c.password_hash == user.password_hash
        with self._database.begin_write() as connection:
            query = select(USER.c.id).where(is_unchanged).with_for_update()
            if connection.execute(query).first() is None:
                return False
            if replaced_token_hash is not None:
                connection.execute(
                    delete(LOGIN_SESSION).where(LOGIN_SESSION.c.token_hash == replaced_token_hash)
                )
            connection.execute(insert(LOGIN_SESSION).values(asdict(sanitize(session))))
        return True

    def get(self, token_hash: str) -> tuple[LoginSession, User] | None:
        """Return the session of this token and its user, or None. Removed users have no session."""
        query = select(LOGIN_SESSION, *USER_COLUMNS).join(
            USER, USER.c.id == LOGIN_SESSION.c.user_id
        )
        query = query.where(LOGIN_SESSION.c.token_hash == token_hash, USER.c.removed_at.is_(None))
        with self._database.begin_read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        session = LoginSession(row.token_hash, row.user_id, row.started_at, row.last_seen_at)
        return session, to_user(row)

    def touch(self, token_hash: str, now: datetime) -> None:
        """Store that a session was used now."""
        with self._database.begin_write() as connection:
            change = update(LOGIN_SESSION).where(LOGIN_SESSION.c.token_hash == token_hash)
            connection.execute(change.values(last_seen_at=to_utc(now)))

    def end(self, token_hash: str) -> None:
        """Delete a session."""
        with self._database.begin_write() as connection:
            connection.execute(
                delete(LOGIN_SESSION).where(LOGIN_SESSION.c.token_hash == token_hash)
            )

    def end_expired(self, *, started_before: datetime, last_seen_before: datetime) -> int:
        """Delete sessions that started or were last used before these times. Return how many."""
        is_expired = or_(
            LOGIN_SESSION.c.started_at < to_utc(started_before),
            LOGIN_SESSION.c.last_seen_at < to_utc(last_seen_before),
        )
        with self._database.begin_write() as connection:
            return connection.execute(delete(LOGIN_SESSION).where(is_expired)).rowcount
