"""Sent and failed messages, and subscriptions."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlmodel import col, delete, func, select, update

from storage.database.connection import Repository
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import SENT_MESSAGE, FailedMessage, SentMessage, Subscription

FAILED_MESSAGE_RETENTION = timedelta(days=30)
"""How long a failed message is stored. After that its recipient may have left."""


class MessageRepository(Repository):
    """Stores which messages were sent and which failed."""

    def claim(self, recipient: str, kind: str, occasion: str, now: datetime) -> bool:
        """Claim a message before sending it. Return False if it is claimed or sent already.

        A claim counts as sent unless it is released, so that of two senders only one sends.
        """
        row = {"recipient": recipient, "kind": kind, "occasion": occasion, "sent_at": to_utc(now)}
        claim = self._database.build_insert(SENT_MESSAGE).values(sanitize(row))
        with self._database.begin_write_session() as session:
            inserted = session.exec(claim.on_conflict_do_nothing())
            return bool(inserted.rowcount)

    def release(self, recipient: str, kind: str, occasion: str) -> None:
        """Release the claim of a message that was not sent, so that it can be sent later."""
        with self._database.begin_write_session() as session:
            claim = session.get(SentMessage, (recipient, kind, occasion))
            if claim is not None:
                session.delete(claim)

    def get_last_occasion(self, recipient: str, kind: str) -> str | None:
        """Return the newest occasion for which a recipient got a message of this kind, or None."""
        query = select(func.max(SentMessage.occasion)).where(
            SentMessage.recipient == recipient, SentMessage.kind == kind
        )
        with self._database.begin_read_session() as session:
            return session.exec(query).one()

    def is_sent(self, recipient: str, kind: str, occasion: str) -> bool:
        """Return whether this message was sent or is being sent."""
        with self._database.begin_read_session() as session:
            return session.get(SentMessage, (recipient, kind, occasion)) is not None

    def record_failure(self, recipient: str, kind: str, outcome: str, now: datetime) -> None:
        """Store that a message failed, and delete failures that are older than 30 days."""
        is_old = col(FailedMessage.attempted_at) < to_utc(now) - FAILED_MESSAGE_RETENTION
        failure = FailedMessage(recipient=recipient, kind=kind, outcome=outcome, attempted_at=now)
        with self._database.begin_write_session() as session:
            session.exec(delete(FailedMessage).where(is_old))
            self._database.replace_model(session, failure)

    def clear_failure(self, recipient: str, kind: str) -> None:
        """Delete a failure, because a later message of this kind was sent and covers it."""
        with self._database.begin_read_session() as session:
            if session.get(FailedMessage, (recipient, kind)) is None:
                return
        is_cleared = col(FailedMessage.recipient) == recipient, col(FailedMessage.kind) == kind
        with self._database.begin_write_session() as session:
            session.exec(delete(FailedMessage).where(*is_cleared))

    def count_failures(self, since: datetime) -> int:
        """Return the number of messages that failed since a time."""
        is_recent = col(FailedMessage.attempted_at) >= to_utc(since)
        query = select(func.count(col(FailedMessage.recipient))).where(is_recent)
        with self._database.begin_read_session() as session:
            return session.exec(query).one()


class SubscriptionRepository(Repository):
    """Stores and reads subscriptions."""

    def save(self, subscription: Subscription) -> None:
        """Store a subscription, replacing the one of the same address, kind and association."""
        with self._database.begin_write_session() as session:
            self._database.replace_model(session, subscription)

    def unsubscribe(self, token_hash: str, now: datetime) -> bool:
        """End the subscription with this token hash. Return False if there is none."""
        change = update(Subscription).where(col(Subscription.token_hash) == token_hash)
        change = change.values(is_wanted=False, changed_at=to_utc(now))
        with self._database.begin_write_session() as session:
            return session.exec(change).rowcount == 1

    def get(self, address: str, kind: str, association: str = "") -> Subscription | None:
        """Return a subscription, also an ended one, or None."""
        with self._database.begin_read_session() as session:
            return session.get(Subscription, (address, kind, association))

    def list_subscriptions(
        self, kind: str | None = None, association: str | None = None
    ) -> Iterator[Subscription]:
        """Return subscriptions, also ended ones, in the order of addresses."""
        query = select(Subscription)
        if association is not None:
            query = query.where(Subscription.association == association)
        if kind is not None:
            query = query.where(Subscription.kind == kind)
        key = (Subscription.address, Subscription.kind, Subscription.association)
        return self._database.stream_models(query, *key)
