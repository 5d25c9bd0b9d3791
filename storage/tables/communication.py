"""The tables of talking with associations. Nothing outside `storage` sees them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, cast

from sqlalchemy import Column, Index, Integer, Text
from sqlmodel import Field, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from storage.tables.core import instant_column, moment_column, reference, table_of


class LetterTable(SQLModel, table=True):
    """An association's link to its report, known by its token's hash alone."""

    __tablename__: ClassVar[Any] = "letter"
    __table_args__ = (Index(None, "revoked_at", "expires_at", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, reference("association.id"), nullable=False, index=True))
    token_hash: str = Field(unique=True)
    made_at: datetime = moment_column()
    made_by: str
    expires_at: datetime = moment_column()
    revoked_at: datetime | None = instant_column()
    revoked_by: str | None = None
    opened_at: datetime | None = instant_column()


class ReplyTable(SQLModel, table=True):
    """An association's word on its report. `answer` is NULL while it waits."""

    __tablename__: ClassVar[Any] = "reply"
    __table_args__ = (Index(None, "answer", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, reference("association.id"), nullable=False, index=True))
    kind: str
    said_at: datetime = moment_column()
    channel: str
    account_id: int | None = Field(
        default=None, sa_column=Column(Integer, reference("account.id"), nullable=True)
    )
    code: str | None = None
    value: str | None = None
    text: str
    letter_id: int | None = Field(
        default=None, sa_column=Column(Integer, reference("letter.id"), nullable=True)
    )
    answer: str | None = None
    answered_by: str | None = None
    answered_why: str | None = None
    answered_at: datetime | None = instant_column()


class FollowUpTable(SQLModel, table=True):
    """A line of the follow-up log. Only ever added to."""

    __tablename__: ClassVar[Any] = "follow_up"

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, reference("association.id"), nullable=False, index=True))
    kind: str
    who: str
    at: datetime = moment_column()
    text: str
    due: date | None = Field(default=None, index=True)
    channel: str
    code: str | None = None


class SubscriptionTable(SQLModel, table=True):
    """Whether an address wants a kind of message."""

    __tablename__: ClassVar[Any] = "subscription"

    address: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    association: str = Field(primary_key=True)
    wanted: bool
    changed_at: datetime = moment_column()
    token_hash: str | None = Field(default=None, unique=True)


class SentTable(SQLModel, table=True):
    """A message that was sent: `occasion` (a night, a month) of a kind goes to a recipient once."""

    __tablename__: ClassVar[Any] = "sent"

    recipient: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    occasion: str = Field(primary_key=True)
    sent_at: datetime = moment_column()


class UnsentTable(SQLModel, table=True):
    """A message that did not go when it was last tried, and how that ended."""

    __tablename__: ClassVar[Any] = "unsent"

    recipient: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    outcome: str
    tried_at: datetime = Field(sa_column=Column(cast("Any", UTCDateTime), nullable=False, index=True))


class TrailTable(SQLModel, table=True):
    """A line of the registry's audit trail. Only ever added to, and kept when an association is pruned."""

    __tablename__: ClassVar[Any] = "trail"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment_column()
    who: str
    source: str
    association: str = Field(index=True)
    field: str
    before: str | None = None
    after: str | None = None


LETTER = table_of(LetterTable)
REPLY = table_of(ReplyTable)
FOLLOW_UP = table_of(FollowUpTable)
SUBSCRIPTION = table_of(SubscriptionTable)
SENT = table_of(SentTable)
UNSENT = table_of(UnsentTable)
TRAIL = table_of(TrailTable)
