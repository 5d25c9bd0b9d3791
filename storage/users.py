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
from storage.models.users import LoginSession, User, UserInvite, normalize_user_name
from storage.sanitize import sanitize, to_utc
from storage.tables.core import LOGIN_SESSION, USER, USER_INVITE
from storage.tables.mappers import USER_COLUMNS, to_user


class UserQueries:
    """The queries of users. A part of `Store`."""

    _database: Database

    def add_user(self, user: User) -> User:
        """Keep a user and give it back with its id; one of that name who was removed comes back as this one.

        Raises StoreError where somebody of that name is there.
        """
        fit = sanitize(user)
        values = {**_build_user_values(fit), "normalized_name": fit.normalized_name}
        with self._database.begin_write() as connection:
            row = connection.execute(
                select(USER.c.id, USER.c.name, USER.c.removed_at).where(
                    USER.c.normalized_name == fit.normalized_name
                )
            ).first()
            if row is None:
                key = connection.execute(insert(USER).values(values)).inserted_primary_key
                return replace(fit, id=key[0] if key else None)
            if row.removed_at is None:
                raise StoreError(
                    f"the user {row.name}", "there is one of that name", "another name"
                )
            connection.execute(update(USER).where(USER.c.id == row.id).values(values))
            return replace(fit, id=row.id)

    def get_user(self, name: str) -> User | None:
        """The user of this name, also one who was removed."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                select(*USER_COLUMNS).where(USER.c.normalized_name == normalize_user_name(name))
            ).first()
        return to_user(row) if row else None

    def list_users(self) -> list[User]:
        """The users who may log in, or will when they have opened their link, by their names."""
        query = (
            select(*USER_COLUMNS)
            .where(USER.c.removed_at.is_(None))
            .order_by(USER.c.normalized_name)
        )
        with self._database.begin_read() as connection:
            return [to_user(row) for row in connection.execute(query)]

    def count_users(self) -> int:
        """How many there are."""
        query = select(func.count()).select_from(USER).where(USER.c.removed_at.is_(None))
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar_one()

    def change_password(self, user: User, password_hash: str, now: datetime) -> bool:
        """Keep a user's new password by its hash; every session and every link of theirs ends.

        False, and nothing is changed, where it is another by now than this user's, or none.
        """
        same = (USER.c.id == user.id) & (USER.c.password_hash == user.password_hash)
        with self._database.begin_write() as connection:
            found = connection.execute(select(USER.c.id).where(same).with_for_update()).scalar()
            if found is None:
                return False
            _set_password(connection, found, password_hash, now)
        return True

    def rehash_password(self, user: User, password_hash: str) -> None:
        """Keep the same password by another hash, if nobody has changed it meanwhile; sessions go on."""
        same = (USER.c.id == user.id) & (USER.c.password_hash == user.password_hash)
        with self._database.begin_write() as connection:
            connection.execute(update(USER).where(same).values(password_hash=password_hash))

    def save_user_invite(self, invite: UserInvite) -> None:
        """Keep a user's one-time link in place of an older one; password and sessions of until now end."""
        fit = sanitize(invite)
        with self._database.begin_write() as connection:
            _revoke_access(connection, fit.user_id)
            connection.execute(insert(USER_INVITE).values(asdict(fit)))

    def get_user_invite(self, token_hash: str) -> tuple[UserInvite, User] | None:
        """The one-time link of this token, also one that has ended, and whose it is."""
        query = select(USER_INVITE, *USER_COLUMNS).join(USER, USER.c.id == USER_INVITE.c.user_id)
        with self._database.begin_read() as connection:
            row = connection.execute(query.where(USER_INVITE.c.token_hash == token_hash)).first()
        if row is None:
            return None
        told = {column.name: getattr(row, column.name) for column in USER_INVITE.columns}
        return UserInvite(**told), to_user(row)

    def accept_user_invite(self, token_hash: str, password_hash: str, now: datetime) -> bool:
        """Use a one-time link: set the password by its hash, in one transaction; False where it has ended."""
        mine = (USER_INVITE.c.token_hash == token_hash) & (USER_INVITE.c.expires_at > to_utc(now))
        with self._database.begin_write() as connection:
            found = connection.execute(select(USER_INVITE.c.user_id).where(mine)).scalar()
            if found is None:
                return False
            _set_password(connection, found, password_hash, now)
        return True

    def remove_user(self, user_id: int, now: datetime) -> None:
        """Take a user's leave away at once: password, sessions and link. The name stays."""
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
    """End whatever a user could come in by."""
    for table in (LOGIN_SESSION, USER_INVITE):
        connection.execute(delete(table).where(table.c.user_id == user_id))
    connection.execute(
        update(USER).where(USER.c.id == user_id).values(password_hash=None, password_set_at=None)
    )


def _build_user_values(user: User) -> dict[str, Any]:
    told = {name: value for name, value in asdict(user).items() if name != "id"}
    return {**told, "role": user.role.value, "regions": list(user.regions)}


class SessionQueries:
    """The queries of sessions. A part of `Store`."""

    _database: Database

    def start_session(
        self, session: LoginSession, user: User, *, replaced_token_hash: str | None = None
    ) -> bool:
        """Keep a session; the one of the token `instead_of` (its hash) ends with that.

        False, and nothing is kept, where the user was removed, reset or has another password than here.
        """
        same = (USER.c.id == session.user_id) & USER.c.removed_at.is_(None)
        same &= USER.c.password_hash == user.password_hash
        with self._database.begin_write() as connection:
            if connection.execute(select(USER.c.id).where(same).with_for_update()).first() is None:
                return False
            if replaced_token_hash is not None:
                connection.execute(
                    delete(LOGIN_SESSION).where(LOGIN_SESSION.c.token_hash == replaced_token_hash)
                )
            connection.execute(insert(LOGIN_SESSION).values(asdict(sanitize(session))))
        return True

    def get_session(self, token_hash: str) -> tuple[LoginSession, User] | None:
        """The session of this token and whose it is; none of somebody who was removed."""
        query = select(LOGIN_SESSION, *USER_COLUMNS).join(
            USER, USER.c.id == LOGIN_SESSION.c.user_id
        )
        mine = query.where(LOGIN_SESSION.c.token_hash == token_hash, USER.c.removed_at.is_(None))
        with self._database.begin_read() as connection:
            row = connection.execute(mine).first()
        if row is None:
            return None
        return LoginSession(row.token_hash, row.user_id, row.started_at, row.last_seen_at), to_user(
            row
        )

    def touch_session(self, token_hash: str, now: datetime) -> None:
        """Keep that a session was used."""
        with self._database.begin_write() as connection:
            mine = update(LOGIN_SESSION).where(LOGIN_SESSION.c.token_hash == token_hash)
            connection.execute(mine.values(last_seen_at=to_utc(now)))

    def end_session(self, token_hash: str) -> None:
        """End a session."""
        with self._database.begin_write() as connection:
            connection.execute(
                delete(LOGIN_SESSION).where(LOGIN_SESSION.c.token_hash == token_hash)
            )

    def end_expired_sessions(self, *, started_before: datetime, last_seen_before: datetime) -> int:
        """End those that began, or were last used, before these moments: so many."""
        old = or_(
            LOGIN_SESSION.c.started_at < to_utc(started_before),
            LOGIN_SESSION.c.last_seen_at < to_utc(last_seen_before),
        )
        with self._database.begin_write() as connection:
            return connection.execute(delete(LOGIN_SESSION).where(old)).rowcount
