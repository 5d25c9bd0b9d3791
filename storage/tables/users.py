"""The tables of who may use the pages. Nothing outside `storage` sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Integer
from sqlmodel import Field, SQLModel

from storage.tables.core import instant_column, json_column, moment_column, reference, table_of


def _owner(*, unique: bool = False) -> Any:
    return Field(
        sa_column=Column(Integer, reference("user.id"), nullable=False, index=not unique, unique=unique)
    )


class UserTable(SQLModel, table=True):
    """Somebody who may log in, or could until `removed_at`. No two have one `key`."""

    __tablename__: ClassVar[Any] = "user"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    name: str
    role: str
    regions: list[str] = json_column()
    added_at: datetime = moment_column()
    added_by: str
    password_hash: str | None = None
    password_at: datetime | None = instant_column()
    removed_at: datetime | None = instant_column()


class SessionTable(SQLModel, table=True):
    """A browser that is logged in, known by its token's hash alone."""

    __tablename__: ClassVar[Any] = "session"

    token_hash: str = Field(primary_key=True)
    user_id: int = _owner()
    begun_at: datetime = moment_column()
    seen_at: datetime = moment_column()


class InvitationTable(SQLModel, table=True):
    """A user's one-time link, known by its token's hash alone. Each has one at most."""

    __tablename__: ClassVar[Any] = "invitation"

    token_hash: str = Field(primary_key=True)
    user_id: int = _owner(unique=True)
    made_at: datetime = moment_column()
    made_by: str
    expires_at: datetime = moment_column()


USER = table_of(UserTable)
SESSION = table_of(SessionTable)
INVITATION = table_of(InvitationTable)
