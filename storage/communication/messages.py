"""What was sent to whom, and who wants what."""

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
"""So long it is remembered that a message did not go: whom it was for may be gone himself."""


class MessageQueries:
    """The queries of messages and subscriptions. A part of `Store`."""

    _database: Database

    def claim_message(self, recipient: str, kind: str, occasion: str, now: datetime) -> bool:
        """Take it upon oneself to send this message; False where somebody has already.

        A claim stands as sent unless it is released, so of two senders one sends.
        """
        row = {"recipient": recipient, "kind": kind, "occasion": occasion, "sent_at": to_utc(now)}
        claim = (
            self._database.build_insert(SENT_MESSAGE).values(sanitize(row)).on_conflict_do_nothing()
        )
        with self._database.begin_write() as connection:
            return connection.execute(claim).rowcount == 1

    def release_message(self, recipient: str, kind: str, occasion: str) -> None:
        """Give a claim back: the message did not go, and may be sent later."""
        where = (
            SENT_MESSAGE.c.recipient == recipient,
            SENT_MESSAGE.c.kind == kind,
            SENT_MESSAGE.c.occasion == occasion,
        )
        with self._database.begin_write() as connection:
            connection.execute(delete(SENT_MESSAGE).where(*where))

    def get_last_occasion(self, recipient: str, kind: str) -> str | None:
        """The newest occasion of which a recipient was told."""
        query = select(SENT_MESSAGE.c.occasion).where(
            SENT_MESSAGE.c.recipient == recipient, SENT_MESSAGE.c.kind == kind
        )
        with self._database.begin_read() as connection:
            return connection.execute(
                query.order_by(SENT_MESSAGE.c.occasion.desc()).limit(1)
            ).scalar()

    def is_message_sent(self, recipient: str, kind: str, occasion: str) -> bool:
        """Whether this message was sent, or is being sent."""
        query = select(SENT_MESSAGE.c.sent_at).where(
            SENT_MESSAGE.c.recipient == recipient,
            SENT_MESSAGE.c.kind == kind,
            SENT_MESSAGE.c.occasion == occasion,
        )
        with self._database.begin_read() as connection:
            return connection.execute(query).first() is not None

    def record_failed_message(self, recipient: str, kind: str, outcome: str, now: datetime) -> None:
        """Remember that a message of this kind did not go; what is a month old is forgotten with it."""
        row = {
            "recipient": recipient,
            "kind": kind,
            "outcome": outcome,
            "attempted_at": to_utc(now),
        }
        with self._database.begin_write() as connection:
            connection.execute(
                delete(FAILED_MESSAGE).where(
                    FAILED_MESSAGE.c.attempted_at < to_utc(now) - FAILED_MESSAGE_RETENTION
                )
            )
            self._database.upsert(
                connection, FAILED_MESSAGE, [sanitize(row)], ("recipient", "kind")
            )

    def clear_failed_message(self, recipient: str, kind: str) -> None:
        """Forget it again: a message of this kind went, and told of everything since."""
        where = (FAILED_MESSAGE.c.recipient == recipient, FAILED_MESSAGE.c.kind == kind)
        with self._database.begin_read() as connection:
            if connection.execute(select(FAILED_MESSAGE.c.kind).where(*where)).first() is None:
                return
        with self._database.begin_write() as connection:
            connection.execute(delete(FAILED_MESSAGE).where(*where))

    def count_failed_messages(self, since: datetime) -> int:
        """How many messages were tried since a moment and have not gone."""
        query = select(func.count()).where(FAILED_MESSAGE.c.attempted_at >= to_utc(since))
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar_one()

    def save_subscription(self, subscription: Subscription) -> None:
        """Keep the newest word on a subscription."""
        with self._database.begin_write() as connection:
            self._database.upsert(
                connection, SUBSCRIPTION, [asdict(sanitize(subscription))], SUBSCRIPTION_KEY
            )

    def unsubscribe(self, token_hash: str, now: datetime) -> bool:
        """End the subscription that this token's hash belongs to; False where there is none."""
        ended = update(SUBSCRIPTION).where(SUBSCRIPTION.c.token_hash == token_hash)
        with self._database.begin_write() as connection:
            values = {"is_wanted": False, "changed_at": to_utc(now)}
            return connection.execute(ended.values(values)).rowcount == 1

    def get_subscription(
        self, address: str, kind: str, association: str = ""
    ) -> Subscription | None:
        """The word on one subscription, if there is one."""
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
        """The words on subscriptions, by address; those that ended too."""
        query = select(SUBSCRIPTION)
        if association is not None:
            query = query.where(SUBSCRIPTION.c.association == association)
        if kind is not None:
            query = query.where(SUBSCRIPTION.c.kind == kind)
        key = (SUBSCRIPTION.c.address, SUBSCRIPTION.c.kind, SUBSCRIPTION.c.association)
        return map(_to_subscription, self._database.stream_rows(query, *key))


def _to_subscription(row: Any) -> Subscription:
    return Subscription(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
