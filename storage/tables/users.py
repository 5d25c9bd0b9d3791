"""Tables of users, their sessions and their one-time links. The rows are the models."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Integer
from sqlmodel import Field

from storage.models.users import Role
from storage.tables.base import StoredModel, enum_column, json_column
from storage.tables.core import cascading_foreign_key


def _user_id_column(*, unique: bool = False) -> Any:
    return Field(
        sa_column=Column(
            Integer,
            cascading_foreign_key("user.id"),
            nullable=False,
            index=not unique,
            unique=unique,
        )
    )


class User(StoredModel, table=True):
    """A user of the web interface.

    `regions` limits a coordinator to these regions, spelt as by
    `auditor.conclusions.summary.get_region_key`; empty means all. A removed user cannot log in; the
    name stays in the log. Without `password_hash` the user has not opened the invitation yet.
    `normalized_name` is the name in the form in which it is compared.
    """

    __tablename__: ClassVar[Any] = "user"

    id: int = Field(default=None, primary_key=True)
    normalized_name: str = Field(default="", unique=True)
    name: str
    role: Role = enum_column(Role)
    regions: list[str] = json_column(default_factory=list)
    added_at: datetime
    added_by: str
    password_hash: str | None = Field(default=None, repr=False)
    password_set_at: datetime | None = None
    removed_at: datetime | None = None


class LoginSession(StoredModel, table=True):
    """A login session of a browser. `token_hash` is the SHA-256 of its cookie."""

    __tablename__: ClassVar[Any] = "login_session"

    token_hash: str = Field(primary_key=True)
    user_id: int = _user_id_column()
    started_at: datetime
    last_seen_at: datetime


class UserInvite(StoredModel, table=True):
    """A one-time link to set a password, at most one per user.

    `token_hash` is the SHA-256 of its token.
    """

    __tablename__: ClassVar[Any] = "user_invite"

    token_hash: str = Field(primary_key=True)
    user_id: int = _user_id_column(unique=True)
    created_at: datetime
    created_by: str
    expires_at: datetime


class FeedLink(StoredModel, table=True):
    """A secret link to the calendar and the data of a user, at most one per user.

    `token_hash` is the SHA-256 of its token.
    """

    __tablename__: ClassVar[Any] = "feed_link"

    token_hash: str = Field(primary_key=True)
    user_id: int = _user_id_column(unique=True)
    created_at: datetime
    last_used_at: datetime | None = None
