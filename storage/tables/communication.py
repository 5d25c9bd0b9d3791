"""Tables of report links, replies, steps, follow-ups, messages, and the registry's audit log."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, cast

from sqlalchemy import Column, Index, Integer, Text
from sqlmodel import Field, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from storage.tables.core import (
    cascading_foreign_key,
    datetime_column,
    get_table,
    optional_datetime_column,
)


class ReportLinkTable(SQLModel, table=True):
    """A link to the report of an association. Only the hash of its token is stored."""

    __tablename__: ClassVar[Any] = "report_link"
    __table_args__ = (Index(None, "revoked_at", "expires_at", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    token_hash: str = Field(unique=True)
    created_at: datetime = datetime_column()
    created_by: str
    expires_at: datetime = datetime_column()
    revoked_at: datetime | None = optional_datetime_column()
    revoked_by: str | None = None
    last_opened_at: datetime | None = optional_datetime_column()


class ReplyTable(SQLModel, table=True):
    """A reply of an association to its report. `outcome` is NULL until it is reviewed."""

    __tablename__: ClassVar[Any] = "reply"
    __table_args__ = (Index(None, "outcome", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    kind: str
    submitted_at: datetime = datetime_column()
    channel: str
    account_id: int | None = Field(
        default=None, sa_column=Column(Integer, cascading_foreign_key("account.id"), nullable=True)
    )
    code: str | None = None
    value: str | None = None
    text: str
    report_link_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, cascading_foreign_key("report_link.id"), nullable=True),
    )
    outcome: str | None = None
    reviewed_by: str | None = None
    review_reason: str | None = None
    reviewed_at: datetime | None = optional_datetime_column()


class CompletedStepTable(SQLModel, table=True):
    """A step towards fixing a gap that the association ticked in its report."""

    __tablename__: ClassVar[Any] = "completed_step"

    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), primary_key=True)
    )
    channel: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    completed_at: datetime = datetime_column()


class FollowUpTable(SQLModel, table=True):
    """An entry of the follow-up log. Rows are only added."""

    __tablename__: ClassVar[Any] = "follow_up"

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    kind: str
    author: str
    occurred_at: datetime = Field(
        sa_column=Column(cast("Any", UTCDateTime), nullable=False, index=True)
    )
    text: str
    due_date: date | None = Field(default=None, index=True)
    channel: str
    code: str | None = None


class SubscriptionTable(SQLModel, table=True):
    """The choice of an address to get messages of a kind or not."""

    __tablename__: ClassVar[Any] = "subscription"

    address: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    association: str = Field(primary_key=True)
    is_wanted: bool
    changed_at: datetime = datetime_column()
    token_hash: str | None = Field(default=None, unique=True)


class SentMessageTable(SQLModel, table=True):
    """A sent message. A recipient gets one of a kind for each `occasion` (a run, a month)."""

    __tablename__: ClassVar[Any] = "sent_message"

    recipient: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    occasion: str = Field(primary_key=True)
    sent_at: datetime = datetime_column()


class FailedMessageTable(SQLModel, table=True):
    """A message whose last attempt failed, and how."""

    __tablename__: ClassVar[Any] = "failed_message"

    recipient: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    outcome: str
    attempted_at: datetime = Field(
        sa_column=Column(cast("Any", UTCDateTime), nullable=False, index=True)
    )


class AuditLogTable(SQLModel, table=True):
    """An entry of the audit log. Rows are only added, and stay if the association is pruned."""

    __tablename__: ClassVar[Any] = "audit_log"

    id: int | None = Field(default=None, primary_key=True)
    changed_at: datetime = datetime_column()
    author: str
    source: str
    association: str = Field(index=True)
    field: str
    before: str | None = None
    after: str | None = None


REPORT_LINK = get_table(ReportLinkTable)
REPLY = get_table(ReplyTable)
COMPLETED_STEP = get_table(CompletedStepTable)
FOLLOW_UP = get_table(FollowUpTable)
SUBSCRIPTION = get_table(SubscriptionTable)
SENT_MESSAGE = get_table(SentMessageTable)
FAILED_MESSAGE = get_table(FailedMessageTable)
AUDIT_LOG = get_table(AuditLogTable)
