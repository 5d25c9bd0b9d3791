"""Sent and failed messages, subscriptions, and requests to subscribe."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete, func, select, update

from storage.database.connection import Repository
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import (
    SENT_MESSAGE,
    FailedMessage,
    ReportLink,
    SentMessage,
    Subscription,
    SubscriptionRequest,
)

FAILED_MESSAGE_RETENTION = timedelta(days=30)
"""How long a failed message is stored. After that its recipient may have left."""

SUBSCRIPTION_COUNT_KEY = 0x737562_73637269
"""The key of the lock for counting requests and subscriptions before one is added.

A transaction that changes several of them takes it first: two that lock the same rows in another
order would each wait for the other.
"""

MAX_REQUEST_AGE = timedelta(days=7)
"""How long a request to subscribe can be confirmed. After that it is deleted."""


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

    def save_token_hash(self, subscription: Subscription) -> None:
        """Store the token hash of a subscription, and the subscription if it is new.

        A stored one may have ended in the meantime, so nothing else of it changes.
        """
        key = subscription.address, subscription.kind, subscription.association
        with self._database.begin_write_session() as session:
            stored = session.get(Subscription, key, with_for_update=True)
            if stored is None:
                self._database.replace_model(session, subscription)
            else:
                stored.token_hash = subscription.token_hash

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

    def count_from_report_links(self, association: str) -> int:
        """Return how many addresses are subscribed through report links of an association."""
        query = select(func.count()).select_from(Subscription)
        query = query.where(
            col(Subscription.association) == association,
            col(Subscription.is_from_report_link),
            col(Subscription.is_wanted),
        )
        with self._database.begin_read_session() as session:
            return session.exec(query).one()


class SubscriptionRequestRepository(Repository):
    """Stores requests to subscribe until they are confirmed or expire."""

    def add(
        self,
        request: SubscriptionRequest,
        *,
        report_link_id: int,
        max_per_address: int,
        max_per_association: int,
    ) -> bool:
        """Store a request, and delete expired ones.

        Return False if a limit is reached, or if the report link of the request was revoked.
        """
        has_expired = ~_build_validity_condition(request.requested_at)
        is_same_address = col(SubscriptionRequest.address) == request.address
        is_same_association = col(SubscriptionRequest.association) == request.association
        count = select(func.count()).select_from(SubscriptionRequest)
        with self._database.begin_write_session() as session:
            self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            session.exec(delete(SubscriptionRequest).where(has_expired))
            if not _lock_unrevoked_link(session, report_link_id):
                return False
            if session.exec(count.where(is_same_address)).one() >= max_per_address:
                return False
            if session.exec(count.where(is_same_association)).one() >= max_per_association:
                return False
            session.add(request)
        return True

    def get(self, token_hash: str, now: datetime) -> SubscriptionRequest | None:
        """Return the request with this token, or None if there is none or it has expired."""
        with self._database.begin_read_session() as session:
            request = session.get(SubscriptionRequest, token_hash)
        if request is None or request.requested_at <= now - MAX_REQUEST_AGE:
            return None
        return request

    def remove(self, token_hash: str) -> None:
        """Delete a request whose mail was not sent."""
        is_own = col(SubscriptionRequest.token_hash) == token_hash
        with self._database.begin_write_session() as session:
            session.exec(delete(SubscriptionRequest).where(is_own))

    def list_requests(self, association: str, now: datetime) -> list[SubscriptionRequest]:
        """Return the requests of an association that have not expired."""
        query = select(SubscriptionRequest).where(SubscriptionRequest.association == association)
        with self._database.begin_read_session() as session:
            return list(session.exec(query.where(_build_validity_condition(now))))

    def confirm(self, token_hash: str, now: datetime, *, max_subscribers: int) -> bool:
        """Subscribe the address of a request, and delete its requests.

        Return False if the request does not exist or has expired, or if the association has
        `max_subscribers` already.
        """
        with self._database.begin_write_session() as session:
            self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            request = session.get(SubscriptionRequest, token_hash, with_for_update=True)
            if request is None or request.requested_at <= now - MAX_REQUEST_AGE:
                return False
            if _count_other_subscribers(session, request) >= max_subscribers:
                return False
            is_same = (
                col(SubscriptionRequest.address) == request.address,
                col(SubscriptionRequest.kind) == request.kind,
                col(SubscriptionRequest.association) == request.association,
            )
            _store_confirmed_subscription(session, request, now)
            session.exec(delete(SubscriptionRequest).where(*is_same))
        return True


def _lock_unrevoked_link(session: Session, report_link_id: int) -> bool:
    """Return False if a report link was revoked or erased. Else it is not before the session ends.

    A revocation deletes the requests of its association: one that is stored later would remain.
    """
    query = select(ReportLink.id).where(
        col(ReportLink.id) == report_link_id, col(ReportLink.revoked_at).is_(None)
    )
    return session.exec(query.with_for_update()).first() is not None


def _build_validity_condition(now: datetime) -> ColumnElement[bool]:
    """Return the condition for requests that have not expired."""
    return col(SubscriptionRequest.requested_at) > to_utc(now) - MAX_REQUEST_AGE


def _store_confirmed_subscription(
    session: Session, request: SubscriptionRequest, now: datetime
) -> None:
    """Store the subscription of a request; one that the operator has made meanwhile stays."""
    key = request.address, request.kind, request.association
    subscription = session.get(Subscription, key)
    if subscription is None:
        address, kind, association = key
        subscription = Subscription(
            address=address, kind=kind, association=association, is_wanted=False, changed_at=now
        )
        session.add(subscription)
    if not subscription.is_wanted:
        subscription.is_wanted = True
        subscription.changed_at = now
        subscription.is_from_report_link = True


def _count_other_subscribers(session: Session, request: SubscriptionRequest) -> int:
    """Return how many other addresses are subscribed to the same messages."""
    query = select(func.count()).select_from(Subscription)
    query = query.where(
        col(Subscription.association) == request.association,
        col(Subscription.kind) == request.kind,
        col(Subscription.is_wanted),
        col(Subscription.address) != request.address,
    )
    return session.exec(query).one()


def end_subscriptions_from_links(
    session: Session, associations: Collection[str] | None, now: datetime
) -> int:
    """End the subscriptions that report links of these associations, or of all, have made.

    Requests are deleted. Return how many subscriptions ended.
    """
    change = update(Subscription).where(
        col(Subscription.is_from_report_link), col(Subscription.is_wanted)
    )
    removal = delete(SubscriptionRequest)
    if associations is not None:
        change = change.where(col(Subscription.association).in_(associations))
        removal = removal.where(col(SubscriptionRequest.association).in_(associations))
    session.exec(removal)
    return session.exec(change.values(is_wanted=False, changed_at=to_utc(now))).rowcount
