"""Tables of report links, replies, steps, follow-ups and messages. The rows are the models."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, Integer, String, Table, Text
from sqlmodel import Field

from storage.models.users import FollowUpKind, ReplyKind, ReplyOutcome, ReportLinkState
from storage.tables.base import StoredModel, enum_column, get_table
from storage.tables.core import IDS_ARE_USED_ONCE, METADATA, UTCDateTime, cascading_foreign_key


class ReportLink(StoredModel, table=True):
    """A link to the report of an association, which expires and can be revoked.

    `token_hash` is the SHA-256 of its token in hexadecimal; the token itself is displayed once and
    not stored.
    """

    __tablename__: ClassVar[Any] = "report_link"
    __table_args__ = IDS_ARE_USED_ONCE

    id: int = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    token_hash: str = Field(unique=True)
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    last_opened_at: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """Return whether the link opens the report."""
        return self.get_state(now) is ReportLinkState.ACTIVE

    def get_state(self, now: datetime) -> ReportLinkState:
        """Return whether the link is active, expired or revoked."""
        if self.revoked_at is not None:
            return ReportLinkState.REVOKED
        return ReportLinkState.ACTIVE if now < self.expires_at else ReportLinkState.EXPIRED


class Reply(StoredModel, table=True):
    """A reply of an association to its report. It waits for a review until `outcome` is set.

    A withdrawn reply has no `reviewed_by`, and `reviewed_at` is when it was withdrawn. `value`
    depends on the kind: the key of an account that was found on the website (`claimed`,
    `disowned`), the new address (`moved`), or a day in ISO format (`promised`, `seen`,
    `domain_expires`). `code` names the gap it refers to, if any.
    """

    __tablename__: ClassVar[Any] = "reply"
    __table_args__ = (Index(None, "outcome", "id"), IDS_ARE_USED_ONCE)

    id: int = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    kind: ReplyKind = enum_column(ReplyKind)
    submitted_at: datetime
    channel: str = ""
    account_id: int | None = Field(
        default=None, sa_column=Column(Integer, cascading_foreign_key("account.id"), nullable=True)
    )
    code: str | None = None
    value: str | None = None
    text: str = ""
    report_link_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, cascading_foreign_key("report_link.id"), nullable=True),
    )
    outcome: ReplyOutcome | None = enum_column(ReplyOutcome, default=None)
    reviewed_by: str | None = None
    review_reason: str | None = None
    reviewed_at: datetime | None = None

    def is_equal_request(self, other: Reply) -> bool:
        """Return True if another reply asks for the same, from another time or report link."""
        differing = {"id", "submitted_at", "report_link_id"}
        return self.model_dump(exclude=differing) == other.model_dump(exclude=differing)


class CompletedStep(StoredModel, table=True):
    """A step towards fixing a gap that the association ticked in its report. `step` counts from 1.

    `channel`, `code` and `subject` are those of the gap.
    """

    __tablename__: ClassVar[Any] = "completed_step"

    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), primary_key=True)
    )
    channel: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    completed_at: datetime


class FollowUp(StoredModel, table=True):
    """An entry of the follow-up log: who was in contact, when, and about what. Only added.

    `due_date` is the day of a promise or of a workshop, whose title is `text`. `channel` and `code`
    name the gap it refers to, if any.
    """

    __tablename__: ClassVar[Any] = "follow_up"
    __table_args__ = (Index(None, "kind", "due_date"), IDS_ARE_USED_ONCE)

    id: int = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    kind: FollowUpKind = enum_column(FollowUpKind)
    author: str
    occurred_at: datetime = Field(index=True)
    text: str = ""
    due_date: date | None = None
    channel: str = ""
    code: str | None = None


class Subscription(StoredModel, table=True):
    """The choice of an address to get messages of a kind (`digest`, `monthly`) or not.

    `token_hash` is the hash of the token in its unsubscribe link. `association` is empty for a
    coordinator. One that was made through a report link ends when links are revoked.
    """

    __tablename__: ClassVar[Any] = "subscription"

    address: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    association: str = Field(default="", primary_key=True, index=True)
    is_wanted: bool
    changed_at: datetime
    token_hash: str | None = Field(default=None, unique=True)
    is_from_report_link: bool = False


class SubscriptionRequest(StoredModel, table=True):
    """A subscription that its address has not confirmed yet. There is one for each mail.

    `token_hash` is the hash of the token in the link of that mail.
    """

    __tablename__: ClassVar[Any] = "subscription_request"

    token_hash: str = Field(primary_key=True)
    address: str = Field(index=True)
    kind: str
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    requested_at: datetime = Field(index=True)


REPORT_LINK = get_table(ReportLink)
REPLY = get_table(Reply)
COMPLETED_STEP = get_table(CompletedStep)
FOLLOW_UP = get_table(FollowUp)
SUBSCRIPTION = get_table(Subscription)
SUBSCRIPTION_REQUEST = get_table(SubscriptionRequest)

SENT_MESSAGE = Table(
    "sent_message",
    METADATA,
    Column("recipient", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("occasion", String, primary_key=True),
    Column("sent_at", UTCDateTime, nullable=False, index=True),
    Column("failure", String),
)
"""A message that was sent, or whose last attempt at `sent_at` failed; `failure` says how.

A recipient gets one of a kind for each `occasion` (a run, a month).
"""
