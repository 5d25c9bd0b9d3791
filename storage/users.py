"""Users, their one-time links and their sessions. Only hashes of secrets are stored."""

from datetime import datetime

from sqlmodel import Session, col, delete, func, or_, select, update

from storage.database.sessions import ModelRepository
from storage.errors import ChangedMeanwhileError, StoreError
from storage.models.users import normalize_user_name
from storage.sanitize import to_utc
from storage.tables.users import FeedLink, LoginSession, User, UserInvite


class UserRepository(ModelRepository):
    """Stores and reads users. A removed user stays as a name in the log."""

    def add(self, user: User) -> User:
        """Add a user and return it with its id. A removed user of that name is replaced.

        Raises StoreError if there is a user of that name.
        """
        user.normalized_name = normalize_user_name(user.name)
        same_name = select(User).where(User.normalized_name == user.normalized_name)
        with self.begin_write_session() as session:
            existing = session.exec(same_name).first()
            if existing is None:
                session.add(user)
                return user
            if existing.removed_at is None:
                raise StoreError(
                    f"cannot add the user {existing.name}", "the name is in use", "another name"
                )
            user.id = existing.id
            return session.merge(user)

    def get(self, name: str) -> User | None:
        """Return the user of this name, also a removed one, or None."""
        query = select(User).where(User.normalized_name == normalize_user_name(name))
        return self._fetch_first(query)

    def list_all(self) -> list[User]:
        """Return all users who are not removed, sorted by name."""
        query = select(User).where(col(User.removed_at).is_(None)).order_by(User.normalized_name)
        return self._fetch_all(query)

    def count(self) -> int:
        """Return the number of users who are not removed."""
        query = select(func.count(col(User.id))).where(col(User.removed_at).is_(None))
        return self._fetch_first(query) or 0

    def change_password(self, user: User, password_hash: str, now: datetime) -> bool:
        """Store the hash of a new password and end all sessions and links of the user.

        Return False, and change nothing, if the password was changed since `user` was read.
        """
        with self.begin_write_session() as session:
            unchanged_user = _lock_unchanged_user(session, user)
            if unchanged_user is None:
                return False
            _set_password(session, unchanged_user, password_hash, now)
        return True

    def save_invite(self, invite: UserInvite) -> None:
        """Store a one-time link of a user. An older link, the password and all sessions end.

        The link to feeds ends, too.
        """
        with self.begin_write_session() as session:
            _revoke_access(session, session.get_one(User, invite.user_id))
            session.exec(delete(FeedLink).where(col(FeedLink.user_id) == invite.user_id))
            session.add(invite)

    def get_invite(self, token_hash: str) -> tuple[UserInvite, User] | None:
        """Return the one-time link of this token, also an expired one, and its user, or None."""
        query = select(UserInvite, User).join(User).where(UserInvite.token_hash == token_hash)
        with self.begin_read_session() as session:
            return session.exec(query).first()

    def accept_invite(self, token_hash: str, password_hash: str, now: datetime) -> bool:
        """Set a password with a one-time link. Return False if the link is unknown or expired."""
        with self.begin_write_session() as session:
            invite = session.get(UserInvite, token_hash)
            if invite is None or invite.expires_at <= to_utc(now):
                return False
            _set_password(session, session.get_one(User, invite.user_id), password_hash, now)
        return True

    def remove(self, user: User, now: datetime, *, token_hash: str | None = None) -> None:
        """Remove a user: password, sessions and links end at once. The name stays.

        With `token_hash`, only a user who still has that one-time link is removed. Raises
        ChangedMeanwhileError otherwise.
        """
        with self.begin_write_session() as session:
            stored_user = session.get_one(User, user.id, with_for_update=True)
            invites = select(UserInvite.token_hash).where(UserInvite.user_id == user.id)
            if token_hash is not None and session.exec(invites).first() != token_hash:
                raise ChangedMeanwhileError
            _revoke_access(session, stored_user)
            session.exec(delete(FeedLink).where(col(FeedLink.user_id) == user.id))
            stored_user.removed_at = now

    def restore(
        self, user: User, *, removed_at: datetime | None = None, token_hash: str | None = None
    ) -> None:
        """Give back what a user had before a removal, or before a new one-time link.

        Raises ChangedMeanwhileError if the user was not removed at that time, or no longer has
        that link and no password.
        """
        with self.begin_write_session() as session:
            stored_user = session.get_one(User, user.id, with_for_update=True)
            invites = select(UserInvite.token_hash).where(UserInvite.user_id == user.id)
            state = (stored_user.removed_at, session.exec(invites).first())
            if state != (removed_at, token_hash):
                raise ChangedMeanwhileError
            _revoke_access(session, stored_user)
            stored_user.password_hash = user.password_hash
            stored_user.password_set_at = user.password_set_at
            stored_user.removed_at = None


class FeedLinkRepository(ModelRepository):
    """Stores and reads the secret links to feeds."""

    def save(self, link: FeedLink) -> None:
        """Store the link of a user. An older one ends."""
        with self.begin_write_session() as session:
            session.exec(delete(FeedLink).where(col(FeedLink.user_id) == link.user_id))
            session.add(link)

    def remove(self, token_hash: str) -> None:
        """End a link."""
        self._execute(delete(FeedLink).where(col(FeedLink.token_hash) == token_hash))

    def get(self, user: User) -> FeedLink | None:
        """Return the link of a user, or None."""
        return self._fetch_first(select(FeedLink).where(FeedLink.user_id == user.id))

    def find_user(self, token_hash: str) -> User | None:
        """Return the user of a link, or None."""
        return self._fetch_first(
            select(User).join(FeedLink).where(FeedLink.token_hash == token_hash)
        )

    def mark_used(self, token_hash: str, now: datetime) -> None:
        """Store that a link was used. Raises StoreError soon if the database is busy."""
        change = update(FeedLink).where(col(FeedLink.token_hash) == token_hash)
        self._execute(change.values(last_used_at=to_utc(now)), wait_ms=200)


def _lock_unchanged_user(session: Session, user: User) -> User | None:
    """Return the stored user if it has the same password as `user`, and lock its row."""
    query = select(User).where(User.id == user.id, User.password_hash == user.password_hash)
    return session.exec(query.with_for_update()).first()


def _set_password(session: Session, user: User, password_hash: str, now: datetime) -> None:
    _revoke_access(session, user)
    user.password_hash = password_hash
    user.password_set_at = now


def _revoke_access(session: Session, user: User) -> None:
    """Delete the sessions, the one-time link and the password of a user."""
    session.exec(delete(LoginSession).where(col(LoginSession.user_id) == user.id))
    session.exec(delete(UserInvite).where(col(UserInvite.user_id) == user.id))
    user.password_hash = None
    user.password_set_at = None


class SessionRepository(ModelRepository):
    """Stores and reads login sessions."""

    def start(
        self, login_session: LoginSession, user: User, *, replaced_token_hash: str | None = None
    ) -> bool:
        """Store a session. It replaces the session with the hash `replaced_token_hash`.

        Return False, and store nothing, if the user was removed, or has another password than
        `user`.
        """
        with self.begin_write_session() as session:
            unchanged_user = _lock_unchanged_user(session, user)
            if unchanged_user is None or unchanged_user.removed_at is not None:
                return False
            if replaced_token_hash is not None:
                session.exec(
                    delete(LoginSession).where(col(LoginSession.token_hash) == replaced_token_hash)
                )
            session.add(login_session)
        return True

    def get(self, token_hash: str) -> tuple[LoginSession, User] | None:
        """Return the session of this token and its user, or None. Removed users have no session."""
        query = select(LoginSession, User).join(User)
        query = query.where(LoginSession.token_hash == token_hash, col(User.removed_at).is_(None))
        with self.begin_read_session() as session:
            return session.exec(query).first()

    def touch(self, token_hash: str, now: datetime) -> None:
        """Store that a session was used now. Raises StoreError soon if the database is busy."""
        change = update(LoginSession).where(col(LoginSession.token_hash) == token_hash)
        self._execute(change.values(last_seen_at=to_utc(now)), wait_ms=200)

    def end(self, token_hash: str) -> None:
        """Delete a session."""
        self._execute(delete(LoginSession).where(col(LoginSession.token_hash) == token_hash))

    def end_expired(self, *, started_before: datetime, last_seen_before: datetime) -> int:
        """Delete sessions that started or were last used before these times. Return how many."""
        is_expired = or_(
            col(LoginSession.started_at) < to_utc(started_before),
            col(LoginSession.last_seen_at) < to_utc(last_seen_before),
        )
        return self._execute(delete(LoginSession).where(is_expired))
