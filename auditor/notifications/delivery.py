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
from itertools import takewhile

from auditor import report_links
from auditor.config.schema import Config
from auditor.notifications import transports
from auditor.notifications.drafts import (
    MONTHLY_KIND,
    DraftLinks,
    MessageDraft,
    draft_digests,
    draft_monthly_reports,
)
from auditor.notifications.subscriptions import ensure_unsubscribe_token, load_unsubscribe_key
from auditor.notifications.transports import DeliveryStatus, OutgoingMessage
from auditor.protocols import EvaluationContext
from probes.log import EventLogger
from storage.errors import OneLineError
from storage.models.audit import AuditRun
from storage.tables.communication import Subscription

logger = EventLogger(__name__)

UNDELIVERED_STATUSES = frozenset({DeliveryStatus.REFUSED, DeliveryStatus.UNREACHABLE})
"""Statuses of messages that were certainly not delivered."""
FAILED_STATUS = "failed"
"""The status of a message that could not be built: by a bug, or for an invalid address."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one recipient's message."""

    recipient: str
    kind: str
    occasion: str
    status: str
    subject: str = ""
    reason: str = ""
    text: str = ""

    @property
    def is_undelivered(self) -> bool:
        """Return True if there was a message and it may not have arrived."""
        return self.status in {
            DeliveryStatus.REFUSED,
            DeliveryStatus.UNREACHABLE,
            DeliveryStatus.UNCERTAIN,
            FAILED_STATUS,
        }


def send_run_notifications(
    app: EvaluationContext, run: AuditRun, now: datetime, is_time_over: Callable[[], bool]
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
    reason = re.sub(
        re.escape(delivery.recipient),
        mask_address(delivery.recipient),
        delivery.reason,
        flags=re.IGNORECASE,
    )
    return {
        "kind": delivery.kind,
        "occasion": delivery.occasion,
        "status": str(delivery.status),
        "recipient": mask_address(delivery.recipient),
        "reason": reason,
    }


def mask_address(recipient: str) -> str:
    """Return a mail address as `a…@example.org`: recognizable for the operator, useless for others.

    Recipients of other services are identified by a hash already and are returned unchanged.
    """
    return re.sub(r"^(.)[^@]*@", r"\1…@", recipient)


def collect_drafts(app: EvaluationContext, run: AuditRun) -> Iterator[MessageDraft]:
    """Yield all messages that are due after a run."""
    yield from draft_digests(app.store, app.config, run)
    yield from draft_monthly_reports(app.store, app.config, run)


def deliver_drafts(
    app: EvaluationContext, drafts: Iterable[MessageDraft], now: datetime
) -> Iterator[Delivery]:
    """Send these messages one after the other and yield the result of each.

    A bug in one message does not stop the others. Raises AuditorError, StoreError.
    """
    for draft in drafts:
        if draft.build_message is None:
            yield _build_skipped_delivery(draft)
        else:
            yield _deliver_draft(app, draft, draft.build_message, now)


def _deliver_draft(
    app: EvaluationContext,
    draft: MessageDraft,
    build_message: Callable[[DraftLinks], OutgoingMessage],
    now: datetime,
) -> Delivery:
    claim = (draft.recipient.key, draft.kind, draft.occasion)
    if not app.store.messages.claim(*claim, now):
        return Delivery(*claim, "already_sent")
    try:
        message = build_message(_build_message_links(app, draft, now))
    except OneLineError:
        # A mistake of the operator, such as a key that cannot be read, concerns all messages.
        app.store.messages.release(*claim)
        raise
    except Exception as error:
        # The message is due again after the next run.
        app.store.messages.release(*claim)
        app.store.messages.record_failure(*claim[:2], FAILED_STATUS, now)
        logger.exception(
            error,
            "message_build_failed",
            "message {kind} of {occasion} could not be built",
            kind=draft.kind,
            occasion=draft.occasion,
        )
        return _build_failed_delivery(draft, error)
    notify = app.config.notify
    result = transports.send_message(
        message,
        draft.recipient,
        notify.smtp,
        notify.sender,
        app.config.network.display_name(draft.language),
    )
    if result.status in UNDELIVERED_STATUSES:
        app.store.messages.release(*claim)
        app.store.messages.record_failure(*claim[:2], str(result.status), now)
    else:
        app.store.messages.clear_failure(*claim[:2])
    return Delivery(*claim, result.status, message.subject, result.reason, message.text)


def _build_failed_delivery(draft: MessageDraft, error: Exception) -> Delivery:
    reason = f"{type(error).__name__}: {error}"
    return Delivery(draft.recipient.key, draft.kind, draft.occasion, FAILED_STATUS, reason=reason)


def preview_drafts(config: Config, drafts: Iterable[MessageDraft]) -> Iterator[Delivery]:
    """Yield what would be sent. Secret links are not created; they end in "…" instead."""
    placeholder = f"{config.web.public_url}/…" if config.web.public_url else ""
    for draft in drafts:
        if draft.build_message is None:
            yield _build_skipped_delivery(draft)
        else:
            yield _preview_draft(draft, draft.build_message, placeholder)


def _preview_draft(
    draft: MessageDraft, build_message: Callable[[DraftLinks], OutgoingMessage], placeholder: str
) -> Delivery:
    links = DraftLinks(
        unsubscribe_url=placeholder if draft.recipient.address else "", report_url=placeholder
    )
    try:
        message = build_message(links)
    except Exception as error:  # noqa: BLE001 - the reason is part of the preview
        return _build_failed_delivery(draft, error)
    claim = (draft.recipient.key, draft.kind, draft.occasion)
    return Delivery(*claim, "would_send", message.subject, text=message.text)


def _build_skipped_delivery(draft: MessageDraft) -> Delivery:
    return Delivery(draft.recipient.key, draft.kind, draft.occasion, str(draft.skip_reason))


def _build_message_links(app: EvaluationContext, draft: MessageDraft, now: datetime) -> DraftLinks:
    """Create the links of a message. There are none without a public URL or mail address."""
    base_url = app.config.web.public_url
    if not base_url or draft.recipient.address is None:
        return DraftLinks()
    key = load_unsubscribe_key(app.config.storage.folder)
    subscription = Subscription(
        address=draft.recipient.key,
        kind=draft.subscription_kind,
        is_wanted=True,
        changed_at=now,
        association=draft.association,
    )
    token = ensure_unsubscribe_token(app.store, key, subscription)
    return DraftLinks(
        unsubscribe_url=f"{base_url}/{draft.language}/unsubscribe/{token}",
        report_url=_create_report_url(app, draft, now) if draft.association else "",
    )


def _create_report_url(app: EvaluationContext, draft: MessageDraft, now: datetime) -> str:
    """Create a report link and return its URL. Older links of the association stay valid."""
    _, url = report_links.create_report_link(
        app.store, app.config, draft.association, MONTHLY_KIND, now, keep_older_links=True
    )
    return url
