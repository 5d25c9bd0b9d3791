"""Drafts the messages that are due after a run, and delivers each at most once.

A message is claimed in the database, then sent. If two processes try, one of them sends it. A
process that is killed between claim and sending loses the message, and the next run does not repeat
it: its contents are still on the pages and in `auditor digest --since`, and people stop reading
mail that arrives twice.

The claim of a message that was certainly not delivered (refused, unreachable) is released. The next
run sends the recipient everything since the last digest that arrived.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache, partial
from itertools import takewhile

from pydantic import SecretStr

from auditor.app import App
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.network_view import load_association_view
from auditor.config.notifications import Recipient
from auditor.config.schema import Config
from auditor.core.i18n.translator import Translator
from auditor.core.rendering.templates import (
    DocumentBuilder,
    MessageDocument,
    MessageListItem,
    render_message,
    shorten_subject,
)
from auditor.presentation import report_links
from auditor.presentation.notifications import transports
from auditor.presentation.notifications.digest import (
    DIGEST_KIND,
    MONTHLY_KIND,
    QUIET_PERIOD,
    MessageFrame,
    NetworkChanges,
    build_digest,
    collect_network_changes,
    digest_subject,
    digest_text,
)
from auditor.presentation.notifications.subscriptions import (
    ensure_unsubscribe_token,
    load_unsubscribe_key,
)
from auditor.presentation.notifications.transports import (
    UNDELIVERED_STATUSES,
    DeliveryStatus,
    OutgoingMessage,
    mask_address,
)
from auditor.presentation.reports.invitation import describe_result_without_gaps
from auditor.presentation.reports.text import MAX_DETAILED_GAPS, describe_strengths, list_strengths
from probes.log import EventLogger
from storage.errors import OneLineError
from storage.models.audit import AuditRun, AuditRunState, Gap
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
        return self.status in {*UNDELIVERED_STATUSES, "uncertain", "failed"}


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


def deliver_drafts(
    app: App, drafts: Iterable[MessageDraft], now: datetime, *, is_dry_run: bool = False
) -> Iterator[Delivery]:
    """Send these messages one after the other and yield the result of each.

    A dry run sends and stores nothing, and secret links end in "…". A bug in one message does not
    stop the others. Raises AuditorError, StoreError: a mistake of the operator, such as a key that
    cannot be read, or a broken database concerns all messages.
    """
    for draft in drafts:
        yield _deliver(app, draft, now, is_dry_run)


def _deliver(app: App, draft: MessageDraft, now: datetime, is_dry_run: bool) -> Delivery:
    messages, notify = app.store.messages, app.config.notify
    subscription = app.store.subscriptions.get(*draft.subscription_key)
    # A report of an association was subscribed to; a missing row was erased meanwhile.
    is_unsubscribed = not subscription.is_wanted if subscription else bool(draft.association)
    if is_unsubscribed or messages.is_sent(*draft.key):
        return Delivery(*draft.key, "unsubscribed" if is_unsubscribed else "already_sent")
    try:
        message = draft.build(draft, partial(_create_frame, app, draft, now, is_dry_run))
    except OneLineError:
        raise
    except Exception as error:
        # The message is due again after the next run.
        if not is_dry_run and messages.claim(*draft.key, now):
            messages.record_failure(*draft.key, "failed", now)
            logger.exception(
                error,
                "message_build_failed",
                "message {kind} of {occasion} could not be built",
                kind=draft.kind,
                occasion=draft.occasion,
            )
        reason = f"{type(error).__name__}: {error}"
        return Delivery(*draft.key, "failed", reason=reason)
    if message is None:
        return Delivery(*draft.key, "nothing_new")
    if is_dry_run:
        return Delivery(*draft.key, "would_send", message.subject, text=message.text)
    if not messages.claim(*draft.key, now):
        return Delivery(*draft.key, "already_sent")
    network_name = app.config.network.display_name(draft.language)
    status, reason = transports.send_message(
        message, draft.recipient, notify.smtp, notify.sender, network_name
    )
    if status in UNDELIVERED_STATUSES:
        messages.record_failure(*draft.key, status, now)
    else:
        messages.clear_failure(*draft.key[:2])
    return Delivery(*draft.key, status, message.subject, reason, message.text)


def _create_frame(app: App, draft: MessageDraft, now: datetime, is_dry_run: bool) -> MessageFrame:
    """Create the links of a message. Without a public URL or mail address there are no secret ones.

    Older report links of the association stay valid.
    """
    config = app.config
    base_url, network_name = config.web.public_url, config.network.display_name(draft.language)
    pages_url = "" if draft.association else config.notify.pages_url
    if not base_url or draft.recipient.address is None:
        return MessageFrame(network_name, pages_url)
    if is_dry_run:
        placeholder = f"{base_url}/…"
        page = placeholder if draft.association else pages_url
        return MessageFrame(network_name, page, placeholder)
    address, kind, association = draft.subscription_key
    subscription = Subscription(
        address=address, kind=kind, is_wanted=True, changed_at=now, association=association
    )
    key = load_unsubscribe_key(config.storage.folder)
    token = ensure_unsubscribe_token(app.store, key, subscription)
    if association:
        _, pages_url = report_links.create_report_link(
            app.store, config, association, MONTHLY_KIND, now
        )
    return MessageFrame(network_name, pages_url, f"{base_url}/{draft.language}/unsubscribe/{token}")


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A message that one recipient may get. Recipient, `kind` and `occasion` identify it.

    `build` returns the message, or None if there is nothing to say. It calls its argument, which
    creates the links of the message, only if there is a message.
    """

    recipient: Recipient
    kind: str
    occasion: str
    language: str
    build: Callable[[MessageDraft, Callable[[], MessageFrame]], OutgoingMessage | None]
    association: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return the key by which the database knows the message."""
        return self.recipient.key, self.kind, self.occasion

    @property
    def subscription_key(self) -> tuple[str, str, str]:
        """Return address, kind and association of the subscription that it belongs to."""
        kind = MONTHLY_KIND if self.association else DIGEST_KIND
        return self.recipient.key, kind, self.association


def draft_digests(
    store: Store,
    config: Config,
    run: AuditRun,
    *,
    since: date | None = None,
    only_recipients: Iterable[Recipient] = (),
) -> Iterator[MessageDraft]:
    """Yield a draft of a run's digest for each configured recipient, or for these only."""
    if run.state is AuditRunState.SKIPPED:
        return
    start = datetime.combine(since, time(), UTC) if since else None
    load_changes = cache(partial(collect_network_changes, store, config, run, start))
    kind = f"{DIGEST_KIND} since {since}" if since else DIGEST_KIND
    if run.state is not AuditRunState.DONE:
        kind = "incomplete"
    build = partial(_build_digest_message, store, load_changes, start)
    for recipient in tuple(only_recipients) or config.notify.recipients:
        language = recipient.language or config.network.language
        yield MessageDraft(recipient, kind, run.day.isoformat(), language, build)


def _build_digest_message(
    store: Store,
    load_changes: Callable[[], NetworkChanges],
    since: datetime | None,
    draft: MessageDraft,
    create_frame: Callable[[], MessageFrame],
) -> OutgoingMessage | None:
    network_changes = load_changes()
    run = network_changes[0]
    last_day = store.messages.get_last_occasion(draft.recipient.key, DIGEST_KIND, draft.occasion)
    last_run = store.runs.get(date.fromisoformat(last_day)) if last_day else None
    if since is None and last_run is not None:
        # Everything since the run that the last digest covered, at most 30 days ago.
        since = max(last_run.started_at, run.started_at - QUIET_PERIOD)
    digest = build_digest(network_changes, since=since, regions=draft.recipient.regions)
    if digest is None:
        return None
    frame = create_frame()
    subject = digest_subject(digest, frame.network_name, Translator(draft.language))
    return build_message(draft, run, subject, frame, partial(digest_text, digest, frame))


def build_message(
    draft: MessageDraft,
    run: AuditRun,
    subject: str,
    frame: MessageFrame,
    document_builder: DocumentBuilder,
) -> OutgoingMessage:
    """Build the message of a draft.

    Its id and time depend on the draft and the run alone, so a mail program recognizes a copy.
    """
    text, html = render_message(draft.language, document_builder)
    identity = hashlib.sha256("\n".join(draft.key).encode()).hexdigest()
    return OutgoingMessage(
        subject=shorten_subject(subject),
        text=text,
        html=html,
        language=draft.language,
        message_id=f"{draft.kind.partition(' ')[0]}.{run.day}.{identity[:24]}",
        sent_at=run.finished_at or run.started_at,
        unsubscribe_url=frame.unsubscribe_url,
    )


def draft_monthly_reports(store: Store, config: Config, run: AuditRun) -> Iterator[MessageDraft]:
    """Yield drafts of the monthly reports that are due after a run.

    A subscription made after the first run of a month starts with the next month. A report that
    could not be delivered is due again after the next run.
    """
    if run.state is not AuditRunState.DONE:
        return
    first_run = next(
        listed_run
        for listed_run in store.runs.list_all()
        if listed_run.day >= run.day.replace(day=1) and listed_run.state is AuditRunState.DONE
    )
    first_ended_at = first_run.finished_at or first_run.started_at
    for subscription in store.subscriptions.list_subscriptions(MONTHLY_KIND):
        association = store.registry.get_association(subscription.association)
        is_due = subscription.is_wanted and subscription.changed_at <= first_ended_at
        if association and is_due:
            yield MessageDraft(
                Recipient.model_construct(to=SecretStr(subscription.address)),
                MONTHLY_KIND,
                f"{run.day:%Y-%m} {association.id}",
                association.language,
                partial(_build_monthly_message, store, config, run),
                association.id,
            )


def _build_monthly_message(
    store: Store,
    config: Config,
    run: AuditRun,
    draft: MessageDraft,
    create_frame: Callable[[], MessageFrame],
) -> OutgoingMessage | None:
    # Validated here, because an invalid address must not stop the other reports. An error shows a
    # SecretStr as asterisks, so the log does not have the address.
    Recipient.model_validate({"to": draft.recipient.to})
    view = load_association_view(store, config, draft.association)
    if view is None:  # it left the network
        return None
    frame, translator = create_frame(), Translator(draft.language)
    subject = translator.message(
        "mail.subject.monthly",
        association=view.association.display_name(draft.language),
        month=translator.format_month(run.day),
    )
    return build_message(
        draft, run, subject, frame, partial(build_monthly_report, view, run, frame)
    )


def build_monthly_report(
    view: AssociationView, run: AuditRun, frame: MessageFrame, translator: Translator
) -> MessageDocument:
    """Return the message. `frame.web_url` is the URL of the full report. Pure."""
    name = view.association.display_name(translator.language)
    strengths = describe_strengths(list_strengths(view, run.started_at), translator)
    sections = (
        (
            translator.label("ui", "todo"),
            tuple(_build_step_item(gap, translator) for gap in view.gaps[:MAX_DETAILED_GAPS]),
        ),
        (translator.label("ui", "strengths"), tuple(map(MessageListItem, strengths))),
    )
    result = translator.label("ui", "not_judgement")
    if not view.gaps:
        result = describe_result_without_gaps(view, run.started_at, translator)
    report_link = (translator.translate("Read the full report and reply"), frame.web_url)
    return MessageDocument(
        title=translator.message("mail.greeting", association=name),
        intro=(translator.translate("On {date}", date=run.day), result),
        sections=tuple(section for section in sections if section[1]),
        links=(report_link,) if frame.web_url else (),
        footer=(
            translator.translate(
                "You get this email because {association} asked {network} for it.",
                association=name,
                network=frame.network_name,
            ),
        ),
        unsubscribe_link=frame.build_unsubscribe_link(translator),
    )


def _build_step_item(gap: Gap, translator: Translator) -> MessageListItem:
    """Return a gap: why it matters, its first step and the time that it takes."""
    text = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params, "association")
    first_step = translator.lower_first_letter(text.steps[0])
    step = translator.format_pair(translator.translate("First step"), first_step)
    effort = translator.format_pair(translator.label("ui", "time"), text.effort)
    return MessageListItem(text.title, (translator.message(f"why.{gap.code}"), step, effort))
