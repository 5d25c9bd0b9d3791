"""Sent and failed messages, subscriptions, and requests to subscribe."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, delete, func, select, update

from storage.database.sessions import ModelRepository
from storage.models.users import MAX_SUBSCRIPTION_REQUEST_AGE
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import SENT_MESSAGE, ReportLink, Subscription, SubscriptionRequest

FAILED_MESSAGE_RETENTION = timedelta(days=30)
"""How long a failed message is stored. After that its recipient may have left."""

SUBSCRIPTION_COUNT_KEY = 0x737562_73637269
"""The key of the lock for counting requests and subscriptions before one is added.

A transaction that changes several of them takes it first: two that lock the same rows in another
order would each wait for the other.
"""


class MessageRepository(ModelRepository):
    """Stores which messages were sent, and which failed.

    A message has the key (recipient, kind, occasion).
    """

    def claim(self, recipient: str, kind: str, occasion: str, now: datetime) -> bool:
        """Claim a message before sending it. Return False if it is claimed or sent already.

        A claim counts as sent unless it fails, so that of two senders only one sends.
        """
        row = {"recipient": recipient, "kind": kind, "occasion": occasion, "sent_at": to_utc(now)}
        insert = self._database.build_insert(SENT_MESSAGE).values(sanitize(row))
        claim = insert.on_conflict_do_update(
            index_elements=list(SENT_MESSAGE.primary_key.columns),
            set_={"sent_at": insert.excluded.sent_at, "failure": None},
            where=SENT_MESSAGE.c.failure.is_not(None),
        )
        with self._database.begin_write() as connection:
            return bool(connection.execute(claim).rowcount)

    def get_last_occasion(self, recipient: str, kind: str, before: str) -> str | None:
        """Return the newest occasion before one for which a message of this kind was sent."""
        query = select(func.max(SENT_MESSAGE.c.occasion)).where(
            *_build_message_conditions(recipient, kind),
            SENT_MESSAGE.c.failure.is_(None),
            SENT_MESSAGE.c.occasion < before,
        )
        return self._fetch_first(query)

    def is_sent(self, recipient: str, kind: str, occasion: str) -> bool:
        """Return whether this message was sent or is being sent."""
        query = select(SENT_MESSAGE.c.occasion).where(
            *_build_message_conditions(recipient, kind),
            SENT_MESSAGE.c.occasion == occasion,
            SENT_MESSAGE.c.failure.is_(None),
        )
        return self._fetch_first(query) is not None

    def record_failure(
        self, recipient: str, kind: str, occasion: str, failure: str, now: datetime
    ) -> None:
        """Store that a claimed message failed, so that it can be sent later.

        It replaces an earlier failure of this kind. Failures older than 30 days are deleted. A
        recipient who was erased meanwhile stays so.
        """
        is_same = and_(*_build_message_conditions(recipient, kind))
        is_old = SENT_MESSAGE.c.sent_at < to_utc(now) - FAILED_MESSAGE_RETENTION
        with self._database.begin_write() as connection:
            connection.execute(
                delete(SENT_MESSAGE).where(SENT_MESSAGE.c.failure.is_not(None), is_same | is_old)
            )
            claimed = update(SENT_MESSAGE).where(is_same, SENT_MESSAGE.c.occasion == occasion)
            connection.execute(claimed.values(failure=failure, sent_at=to_utc(now)))

    def clear_failure(self, recipient: str, kind: str) -> None:
        """Delete a failure, because a later message of this kind was sent and covers it."""
        is_same = _build_message_conditions(recipient, kind)
        self._execute(delete(SENT_MESSAGE).where(*is_same, SENT_MESSAGE.c.failure.is_not(None)))

    def count_failures(self, since: datetime) -> int:
        """Return the number of messages that failed since a time."""
        is_recent = SENT_MESSAGE.c.failure.is_not(None) & (SENT_MESSAGE.c.sent_at >= to_utc(since))
        query = select(func.count()).select_from(SENT_MESSAGE).where(is_recent)
        return self._fetch_first(query) or 0


def _build_message_conditions(recipient: str, kind: str) -> tuple[ColumnElement[bool], ...]:
    return SENT_MESSAGE.c.recipient == recipient, SENT_MESSAGE.c.kind == kind


class SubscriptionRepository(ModelRepository):
    """Stores and reads subscriptions."""

    def save(self, subscription: Subscription) -> None:
        """Store a subscription, replacing the one of the same address, kind and association."""
        with self.begin_write_session() as session:
            self._replace_model(session, subscription)

    def resume(self, subscription: Subscription, ended_at: datetime) -> None:
        """Let a subscription continue that ended at a time, unless it was changed since."""
        change = update(Subscription).where(
            col(Subscription.address) == subscription.address,
            col(Subscription.kind) == subscription.kind,
            col(Subscription.association) == subscription.association,
            col(Subscription.changed_at) == to_utc(ended_at),
        )
        self._execute(change.values(is_wanted=True))

    def save_token_hash(self, subscription: Subscription) -> None:
        """Store the token hash of a subscription, and that of the digest if it is new.

        A stored one may have ended in the meantime, so nothing else of it changes. One of an
        association exists, or was erased and stays so.
        """
        key = subscription.address, subscription.kind, subscription.association
        with self.begin_write_session() as session:
            stored = session.get(Subscription, key, with_for_update=True)
            if stored is None and not subscription.association:
                self._replace_model(session, subscription)
            elif stored is not None:
                stored.token_hash = subscription.token_hash

    def unsubscribe(self, token_hash: str, now: datetime) -> bool:
        """End the subscription with this token hash. Return False if there is none."""
        change = update(Subscription).where(col(Subscription.token_hash) == token_hash)
        change = change.values(is_wanted=False, changed_at=to_utc(now))
        return self._execute(change) == 1

    def get(self, address: str, kind: str, association: str = "") -> Subscription | None:
        """Return a subscription, also an ended one, or None."""
        with self.begin_read_session() as session:
            return session.get(Subscription, (address, kind, association))

    def list_subscriptions(
        self, kind: str | None = None, association: str | None = None
    ) -> list[Subscription]:
        """Return subscriptions, also ended ones, in the order of addresses."""
        query = select(Subscription)
        if association is not None:
            query = query.where(Subscription.association == association)
        if kind is not None:
            query = query.where(Subscription.kind == kind)
        key = (Subscription.address, Subscription.kind, Subscription.association)
        return self._fetch_all(query.order_by(*key))

    def count_from_report_links(self, association: str) -> int:
        """Return how many addresses are subscribed through report links of an association."""
        query = select(func.count()).select_from(Subscription)
        query = query.where(
            col(Subscription.association) == association,
            col(Subscription.is_from_report_link),
            col(Subscription.is_wanted),
        )
        return self._fetch_first(query) or 0


class SubscriptionRequestRepository(ModelRepository):
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
        limits = (
            (col(SubscriptionRequest.address) == request.address, max_per_address),
            (col(SubscriptionRequest.association) == request.association, max_per_association),
        )
        count = select(func.count()).select_from(SubscriptionRequest)
        with self.begin_write_session() as session:
            self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            session.exec(delete(SubscriptionRequest).where(has_expired))
            # A revocation deletes the requests of its association: one that is stored later would
            # remain. So the link is not revoked or erased before the session ends.
            if not _lock_unrevoked_link(session, report_link_id):
                return False
            for condition, limit in limits:
                if session.exec(count.where(condition)).one() >= limit:
                    return False
            session.add(request)
        return True

    def get(self, token_hash: str, now: datetime) -> SubscriptionRequest | None:
        """Return the request with this token, or None if there is none or it has expired."""
        query = select(SubscriptionRequest).where(SubscriptionRequest.token_hash == token_hash)
        return self._fetch_first(query.where(_build_validity_condition(now)))

    def remove(self, token_hash: str) -> None:
        """Delete a request whose mail was not sent."""
        is_own = col(SubscriptionRequest.token_hash) == token_hash
        self._execute(delete(SubscriptionRequest).where(is_own))

    def list_requests(self, association: str, now: datetime) -> list[SubscriptionRequest]:
        """Return the requests of an association that have not expired."""
        query = select(SubscriptionRequest).where(SubscriptionRequest.association == association)
        return self._fetch_all(query.where(_build_validity_condition(now)))

    def confirm(self, token_hash: str, now: datetime, *, max_subscribers: int) -> bool:
        """Subscribe the address of a request, and delete its requests.

        Return False if the request does not exist or has expired, or if the association has
        `max_subscribers` already.
        """
        query = select(SubscriptionRequest).where(
            SubscriptionRequest.token_hash == token_hash, _build_validity_condition(now)
        )
        with self.begin_write_session() as session:
            self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            request = session.exec(query.with_for_update()).first()
            if request is None:
                return False
            key: dict[str, Any] = {
                "association": request.association,
                "kind": request.kind,
                "address": request.address,
            }
            if _count_other_subscribers(session, request) >= max_subscribers:
                return False
            subscription = session.exec(select(Subscription).filter_by(**key)).first()
            if subscription is None:
                subscription = Subscription(is_wanted=False, changed_at=now, **key)
                session.add(subscription)
            if not subscription.is_wanted:  # one that the operator has made meanwhile stays
                subscription.is_wanted = True
                subscription.changed_at = now
                subscription.is_from_report_link = True
            session.exec(delete(SubscriptionRequest).filter_by(**key))
        return True


def _lock_unrevoked_link(session: Session, link_id: int) -> bool:
    """Return whether a report link is not revoked, and keep it so until the session ends."""
    is_unrevoked = and_(ReportLink.id == link_id, col(ReportLink.revoked_at).is_(None))
    return (
        session.exec(select(ReportLink).where(is_unrevoked).with_for_update()).first() is not None
    )


def _count_other_subscribers(session: Session, request: SubscriptionRequest) -> int:
    """Return how many other addresses get the same report of the association."""
    query = select(func.count()).select_from(Subscription)
    query = query.where(
        Subscription.association == request.association,
        Subscription.kind == request.kind,
        col(Subscription.is_wanted),
        Subscription.address != request.address,
    )
    return session.exec(query).one()


def _build_validity_condition(now: datetime) -> ColumnElement[bool]:
    """Return the condition for requests that have not expired."""
    return col(SubscriptionRequest.requested_at) > to_utc(now) - MAX_SUBSCRIPTION_REQUEST_AGE


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
