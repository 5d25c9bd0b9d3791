"""Queries of sent and failed messages, and of subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update

from storage.database.connection import Database
from storage.models.users import Subscription
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import FAILED_MESSAGE, SENT_MESSAGE, SUBSCRIPTION

SUBSCRIPTION_KEY = ("address", "kind", "association")
FAILED_MESSAGE_RETENTION = timedelta(days=30)
"""How long a failed message is stored. After that its recipient may have left."""


class MessageRepository:
    """Stores which messages were sent and which failed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, recipient: str, kind: str, occasion: str, now: datetime) -> bool:
        """Claim a message before sending it. Return False if it is claimed or sent already.

        A claim counts as sent unless it is released, so that of two senders only one sends.
        """
        row = {"recipient": recipient, "kind": kind, "occasion": occasion, "sent_at": to_utc(now)}
        claim = (
            self._database.build_insert(SENT_MESSAGE).values(sanitize(row)).on_conflict_do_nothing()
        )
        with self._database.begin_write() as connection:
            return connection.execute(claim).rowcount == 1

    def release(self, recipient: str, kind: str, occasion: str) -> None:
        """Release the claim of a message that was not sent, so that it can be sent later."""
        conditions = (
            SENT_MESSAGE.c.recipient == recipient,
            SENT_MESSAGE.c.kind == kind,
            SENT_MESSAGE.c.occasion == occasion,
        )
        with self._database.begin_write() as connection:
            connection.execute(delete(SENT_MESSAGE).where(*conditions))

    def get_last_occasion(self, recipient: str, kind: str) -> str | None:
        """Return the newest occasion for which a recipient got a message of this kind, or None."""
        query = select(SENT_MESSAGE.c.occasion).where(
            SENT_MESSAGE.c.recipient == recipient, SENT_MESSAGE.c.kind == kind
        )
        with self._database.begin_read() as connection:
            newest = query.order_by(SENT_MESSAGE.c.occasion.desc()).limit(1)
            return connection.execute(newest).scalar()

    def is_sent(self, recipient: str, kind: str, occasion: str) -> bool:
        """Return whether this message was sent or is being sent."""
        query = select(SENT_MESSAGE.c.sent_at).where(
            SENT_MESSAGE.c.recipient == recipient,
            SENT_MESSAGE.c.kind == kind,
            SENT_MESSAGE.c.occasion == occasion,
        )
        with self._database.begin_read() as connection:
            return connection.execute(query).first() is not None

    def record_failure(self, recipient: str, kind: str, outcome: str, now: datetime) -> None:
        """Store that a message failed, and delete failures that are older than 30 days."""
        row = {
            "recipient": recipient,
            "kind": kind,
            "outcome": outcome,
            "attempted_at": to_utc(now),
        }
        with self._database.begin_write() as connection:
            is_old = FAILED_MESSAGE.c.attempted_at < to_utc(now) - FAILED_MESSAGE_RETENTION
            connection.execute(delete(FAILED_MESSAGE).where(is_old))
            self._database.upsert(
                connection, FAILED_MESSAGE, [sanitize(row)], ("recipient", "kind")
            )

    def clear_failure(self, recipient: str, kind: str) -> None:
        """Delete a failure, because a later message of this kind was sent and covers it."""
        conditions = (FAILED_MESSAGE.c.recipient == recipient, FAILED_MESSAGE.c.kind == kind)
        with self._database.begin_read() as connection:
            if connection.execute(select(FAILED_MESSAGE.c.kind).where(*conditions)).first() is None:
                return
        with self._database.begin_write() as connection:
            connection.execute(delete(FAILED_MESSAGE).where(*conditions))

    def count_failures(self, since: datetime) -> int:
        """Return the number of messages that failed since a time."""
        query = select(func.count()).where(FAILED_MESSAGE.c.attempted_at >= to_utc(since))
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar_one()


class SubscriptionRepository:
    """Stores and reads subscriptions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, subscription: Subscription) -> None:
        """Store a subscription, replacing the one of the same address, kind and association."""
        with self._database.begin_write() as connection:
            self._database.upsert(
                connection, SUBSCRIPTION, [asdict(sanitize(subscription))], SUBSCRIPTION_KEY
            )

    def unsubscribe(self, token_hash: str, now: datetime) -> bool:
        """End the subscription with this token hash. Return False if there is none."""
        change = update(SUBSCRIPTION).where(SUBSCRIPTION.c.token_hash == token_hash)
        with self._database.begin_write() as connection:
            values = {"is_wanted": False, "changed_at": to_utc(now)}
            return connection.execute(change.values(values)).rowcount == 1

    def get(self, address: str, kind: str, association: str = "") -> Subscription | None:
        """Return a subscription, also an ended one, or None."""
        query = select(SUBSCRIPTION).where(
            SUBSCRIPTION.c.address == address,
            SUBSCRIPTION.c.kind == kind,
            SUBSCRIPTION.c.association == association,
        )
        with self._database.begin_read() as connection:
            row = connection.execute(query).first()
        return _to_subscription(row) if row else None

    def list_subscriptions(
        self, kind: str | None = None, association: str | None = None
    ) -> Iterator[Subscription]:
        """Return subscriptions, also ended ones, in the order of addresses."""
        query = select(SUBSCRIPTION)
        if association is not None:
            query = query.where(SUBSCRIPTION.c.association == association)
        if kind is not None:
            query = query.where(SUBSCRIPTION.c.kind == kind)
        key = (SUBSCRIPTION.c.address, SUBSCRIPTION.c.kind, SUBSCRIPTION.c.association)
        return map(_to_subscription, self._database.stream_rows(query, *key))


def _to_subscription(row: Any) -> Subscription:
    return Subscription(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
