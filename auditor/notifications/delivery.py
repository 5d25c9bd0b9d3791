"""The courier: takes each recipient its message at the end of a night, once.

At most once: a message is claimed in the database, then sent. Of two runs one sends. A run that is killed
between claim and sending has lost that message, and the next night does not repeat it: what is lost is still
in the web and in `auditor digest --since`, while a mailbox that gets everything twice is soon not read.
A message that surely did not go (refused, unreachable) gives its claim back. It is tried again with the next
night, which tells of everything since that recipient was last told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from auditor import report_links
from auditor.config.schema import Config
from auditor.notifications import transports
from auditor.notifications.drafts import MONTHLY_KIND, DraftLinks, MessageDraft, draft_digests
from auditor.notifications.monthly import draft_monthly_reports
from auditor.notifications.subscriptions import ensure_unsubscribe_token, load_unsubscribe_key
from auditor.notifications.transports import DeliveryStatus, OutgoingMessage
from auditor.protocols import EvaluationContext
from probes.log import EventLogger
from storage.models.audit import AuditRun
from storage.models.users import Subscription

events = EventLogger(__name__)

UNDELIVERED_STATUSES = frozenset({DeliveryStatus.REFUSED, DeliveryStatus.UNREACHABLE})
"""What surely did not go."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one recipient's message."""

    recipient: str
    kind: str
    occasion: str
    status: str
    subject: str = ""
    reason: str = ""
    text: str = ""

    @property
    def is_undelivered(self) -> bool:
        """Whether a message there was did not surely arrive."""
        return self.status in {
            DeliveryStatus.REFUSED,
            DeliveryStatus.UNREACHABLE,
            DeliveryStatus.UNCERTAIN,
        }


def send_run_notifications(
    app: EvaluationContext, run: AuditRun, now: datetime, is_time_over: Callable[[], bool]
) -> None:
    """Send what a night gives to send until `is_over`. What does not arrive is told in one line each."""
    for one in deliver_drafts(
        app, takewhile(lambda _draft: not is_time_over(), collect_drafts(app, run)), now
    ):
        if one.is_undelivered:
            said = "{recipient} did not get the message {kind} of {occasion}: {status}, {reason}"
            events.warning("message_delivery_failed", said, **build_log_fields(one))


def build_log_fields(delivery: Delivery) -> dict[str, str]:
    """A delivery as the log tells it: without the address, which a mail server likes to repeat."""
    names = ("kind", "occasion", "status")
    why = re.sub(
        re.escape(delivery.recipient),
        mask_address(delivery.recipient),
        delivery.reason,
        flags=re.IGNORECASE,
    )
    return {name: str(getattr(delivery, name)) for name in names} | {
        "recipient": mask_address(delivery.recipient),
        "reason": why,
    }


def mask_address(recipient: str) -> str:
    """A mail address that the operator knows again and nobody can write to: `a…@example.org`.

    Another service is called by a digest already.
    """
    return re.sub(r"^(.)[^@]*@", r"\1…@", recipient)


def collect_drafts(app: EvaluationContext, run: AuditRun) -> Iterator[MessageDraft]:
    """Everything that a night gives to send."""
    yield from draft_digests(app.store, app.config, run)
    yield from draft_monthly_reports(app.store, app.config, run)


def deliver_drafts(
    app: EvaluationContext, drafts: Iterable[MessageDraft], now: datetime
) -> Iterator[Delivery]:
    """Send these messages, one after the other, and tell what became of each."""
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
    if not app.store.claim_message(*claim, now):
        return Delivery(*claim, "already_sent")
    try:
        message = build_message(_build_message_links(app, draft, now))
    except Exception:
        app.store.release_message(*claim)
        raise
    notify = app.config.notify
    outcome = transports.send_message(
        message,
        draft.recipient,
        notify.smtp,
        notify.sender,
        app.config.network.display_name(draft.language),
    )
    if outcome.status in UNDELIVERED_STATUSES:
        app.store.release_message(*claim)
        app.store.record_failed_message(*claim[:2], str(outcome.status), now)
    else:
        app.store.clear_failed_message(*claim[:2])
    return Delivery(*claim, outcome.status, message.subject, outcome.reason, message.text)


def preview_drafts(config: Config, drafts: Iterable[MessageDraft]) -> Iterator[Delivery]:
    """What would be sent. Links that are made for one message alone are left unmade."""
    unmade = f"{config.web.public_url}/…" if config.web.public_url else ""
    for draft in drafts:
        if draft.build_message is None:
            yield _build_skipped_delivery(draft)
        else:
            message = draft.build_message(
                DraftLinks(
                    unsubscribe_url=unmade if draft.recipient.address else "", report_url=unmade
                )
            )
            claim = (draft.recipient.key, draft.kind, draft.occasion)
            yield Delivery(*claim, "would_send", message.subject, text=message.text)


def _build_skipped_delivery(draft: MessageDraft) -> Delivery:
    return Delivery(draft.recipient.key, draft.kind, draft.occasion, str(draft.skip_reason))


def _build_message_links(app: EvaluationContext, draft: MessageDraft, now: datetime) -> DraftLinks:
    base = app.config.web.public_url
    if not base or draft.recipient.address is None:
        return DraftLinks()
    key = load_unsubscribe_key(app.config.storage.folder)
    wish = Subscription(
        draft.recipient.key,
        draft.subscription_kind,
        is_wanted=True,
        changed_at=now,
        association=draft.association,
    )
    token = ensure_unsubscribe_token(app.store, key, wish)
    stop = f"{base}/{draft.language}/unsubscribe/{token}"
    return DraftLinks(stop, _create_report_url(app, draft, now) if draft.association else "")


def _create_report_url(app: EvaluationContext, draft: MessageDraft, now: datetime) -> str:
    """The address of a fresh letter beside those that the association has: its telephone keeps its own."""
    return report_links.create_report_link(
        app.store, app.config, draft.association, MONTHLY_KIND, now, keep_older_links=True
    )[1]
