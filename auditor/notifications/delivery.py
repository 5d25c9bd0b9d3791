"""Delivers the messages that are due after a run, each at most once.

A message is claimed in the database, then sent. If two processes try, one of them sends it. A
process that is killed between claim and sending loses the message, and the next run does not repeat
it: its contents are still on the pages and in `auditor digest --since`, and people stop reading
mail that arrives twice.

The claim of a message that was certainly not delivered (refused, unreachable) is released. The next
run sends the recipient everything since the last digest that arrived.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import takewhile

from auditor import report_links
from auditor.app import App
from auditor.config.schema import Config
from auditor.notifications import transports
from auditor.notifications.digest import MessageFrame
from auditor.notifications.drafts import (
    MONTHLY_KIND,
    MessageDraft,
    draft_digests,
    draft_monthly_reports,
    find_skip_reason,
)
from auditor.notifications.subscriptions import ensure_unsubscribe_token, load_unsubscribe_key
from auditor.notifications.transports import UNDELIVERED_STATUSES, DeliveryStatus, mask_address
from probes.log import EventLogger
from storage.errors import OneLineError
from storage.models.audit import AuditRun
from storage.store import Store
from storage.tables.communication import Subscription

logger = EventLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one recipient's message."""

    recipient: str
    kind: str
    occasion: str
    status: DeliveryStatus
    subject: str = ""
    reason: str = ""
    text: str = ""

    @property
    def is_undelivered(self) -> bool:
        """Return True if there was a message and it may not have arrived."""
        return self.status in {
            *UNDELIVERED_STATUSES,
            DeliveryStatus.UNCERTAIN,
            DeliveryStatus.FAILED,
        }


def send_run_notifications(
    app: App, run: AuditRun, now: datetime, is_time_over: Callable[[], bool]
) -> None:
    """Send a run's messages until `is_time_over`. Log a warning for each that did not arrive."""
    drafts = takewhile(lambda _draft: not is_time_over(), collect_drafts(app, run))
    for delivery in deliver_drafts(app, drafts, now):
        if delivery.is_undelivered:
            logger.warning(
                "message_delivery_failed",
                "message {kind} of {occasion} to {recipient} not delivered: {status}, {reason}",
                **build_log_fields(delivery),
            )


def build_log_fields(delivery: Delivery) -> dict[str, str]:
    """Return the fields of a delivery for the log.

    The address is masked, also in the reason: mail servers repeat it in their replies.
    """
    masked = mask_address(delivery.recipient)
    pattern = re.compile(re.escape(delivery.recipient), re.IGNORECASE)
    return {
        "kind": delivery.kind,
        "occasion": delivery.occasion,
        "status": str(delivery.status),
        "recipient": masked,
        "reason": pattern.sub(masked, delivery.reason),
    }


def collect_drafts(app: App, run: AuditRun) -> Iterator[MessageDraft]:
    """Yield all messages that are due after a run."""
    yield from draft_digests(app.store, app.config, run)
    yield from draft_monthly_reports(app.store, app.config, run)


def deliver_drafts(app: App, drafts: Iterable[MessageDraft], now: datetime) -> Iterator[Delivery]:
    """Send these messages one after the other and yield the result of each.

    A bug in one message does not stop the others. Raises AuditorError, StoreError: a mistake of the
    operator, such as a key that cannot be read, or a broken database concerns all messages.
    """
    for draft in drafts:
        skip_reason = find_skip_reason(app.store, draft)
        if skip_reason is None and not app.store.messages.claim(*draft.key, now):
            skip_reason = DeliveryStatus.ALREADY_SENT
        yield Delivery(*draft.key, skip_reason) if skip_reason else _deliver(app, draft, now)


def _deliver(app: App, draft: MessageDraft, now: datetime) -> Delivery:
    messages, notify = app.store.messages, app.config.notify
    try:
        message = draft.build(draft, partial(_create_frame, app, draft, now))
    except OneLineError:
        messages.release(*draft.key)
        raise
    except Exception as error:
        # The message is due again after the next run.
        messages.record_failure(*draft.key, DeliveryStatus.FAILED, now)
        logger.exception(
            error,
            "message_build_failed",
            "message {kind} of {occasion} could not be built",
            kind=draft.kind,
            occasion=draft.occasion,
        )
        return _build_failed_delivery(draft, error)
    if message is None:
        messages.release(*draft.key)
        return Delivery(*draft.key, DeliveryStatus.NOTHING_NEW)
    network_name = app.config.network.display_name(draft.language)
    status, reason = transports.send_message(
        message, draft.recipient, notify.smtp, notify.sender, network_name
    )
    if status in UNDELIVERED_STATUSES:
        messages.record_failure(*draft.key, status, now)
    else:
        messages.clear_failure(*draft.key[:2])
    return Delivery(*draft.key, status, message.subject, reason, message.text)


def _build_failed_delivery(draft: MessageDraft, error: Exception) -> Delivery:
    reason = f"{type(error).__name__}: {error}"
    return Delivery(*draft.key, DeliveryStatus.FAILED, reason=reason)


def preview_drafts(
    store: Store, config: Config, drafts: Iterable[MessageDraft]
) -> Iterator[Delivery]:
    """Yield what would be sent. Secret links are not created; they end in "…" instead."""
    for draft in drafts:
        yield _preview_draft(store, config, draft)


def _preview_draft(store: Store, config: Config, draft: MessageDraft) -> Delivery:
    if skip_reason := find_skip_reason(store, draft):
        return Delivery(*draft.key, skip_reason)
    placeholder = f"{config.web.public_url}/…" if config.web.public_url else ""
    frame = MessageFrame(
        config.network.display_name(draft.language),
        placeholder if draft.association else config.notify.pages_url,
        placeholder if draft.recipient.address else "",
    )
    try:
        message = draft.build(draft, lambda: frame)
    except OneLineError:
        raise
    except Exception as error:  # noqa: BLE001 - the reason is part of the preview
        return _build_failed_delivery(draft, error)
    if message is None:
        return Delivery(*draft.key, DeliveryStatus.NOTHING_NEW)
    status = DeliveryStatus.WOULD_SEND
    return Delivery(*draft.key, status, subject=message.subject, text=message.text)


def _create_frame(app: App, draft: MessageDraft, now: datetime) -> MessageFrame:
    """Create the links of a message. Without a public URL or mail address there are no secret ones.

    Older report links of the association stay valid.
    """
    config = app.config
    base_url, network_name = config.web.public_url, config.network.display_name(draft.language)
    pages_url = "" if draft.association else config.notify.pages_url
    if not base_url or draft.recipient.address is None:
        return MessageFrame(network_name, pages_url)
    address, kind, association = draft.subscription_key
    subscription = Subscription(
        address=address, kind=kind, is_wanted=True, changed_at=now, association=association
    )
    key = load_unsubscribe_key(config.storage.folder)
    token = ensure_unsubscribe_token(app.store, key, subscription)
    if association:
        _, pages_url = report_links.create_report_link(
            app.store, config, association, MONTHLY_KIND, now, keep_older_links=True
        )
    return MessageFrame(network_name, pages_url, f"{base_url}/{draft.language}/unsubscribe/{token}")
