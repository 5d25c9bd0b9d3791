"""Drafts of messages: digests after a run, and monthly reports of associations.

Nothing here sends or stores anything, so `--dry-run` can show what a run would send.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache, partial

from pydantic import SecretStr

from auditor.config.notifications import Recipient
from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import load_association_view
from auditor.i18n.translator import Translator
from auditor.notifications.digest import (
    QUIET_PERIOD,
    MessageFrame,
    NetworkChanges,
    build_digest,
    collect_network_changes,
    digest_subject,
    digest_text,
)
from auditor.notifications.transports import DeliveryStatus, OutgoingMessage
from auditor.reference.gap_catalogue import Voice
from auditor.rendering.templates import (
    DocumentBuilder,
    MessageDocument,
    MessageLink,
    MessageListItem,
    MessageSection,
    render_message,
    shorten_subject,
)
from auditor.reports.invitation import describe_result_without_gaps, lower_first_letter
from auditor.reports.text import MAX_DETAILED_GAPS, describe_strengths, list_strengths
from storage.models.audit import AuditRun, AuditRunState, Gap
from storage.store import Store

DIGEST_KIND = "digest"
MONTHLY_KIND = "monthly"
INCOMPLETE_RUN_KIND = "incomplete"


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
        kind = INCOMPLETE_RUN_KIND
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
    run = network_changes.run
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


def find_skip_reason(store: Store, draft: MessageDraft) -> DeliveryStatus | None:
    """Return why a message is not sent (unsubscribed, or sent already), or None."""
    subscription = store.subscriptions.get(*draft.subscription_key)
    if subscription and not subscription.is_wanted:
        return DeliveryStatus.UNSUBSCRIBED
    return DeliveryStatus.ALREADY_SENT if store.messages.is_sent(*draft.key) else None


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
        MessageSection(
            translator.label("ui", "todo"),
            tuple(_build_step_item(gap, translator) for gap in view.gaps[:MAX_DETAILED_GAPS]),
        ),
        MessageSection(translator.label("ui", "strengths"), tuple(map(MessageListItem, strengths))),
    )
    report_link = MessageLink(translator.translate("Read the full report and reply"), frame.web_url)
    return MessageDocument(
        title=translator.message("mail.greeting", association=name),
        intro=(
            translator.translate("On {date}", date=run.day),
            translator.label("ui", "not_judgement")
            if view.gaps
            else describe_result_without_gaps(view, run.started_at, translator),
        ),
        sections=tuple(section for section in sections if section.items),
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
    text = translator.describe_gap(
        gap.code, gap.channel, gap.severity, gap.params, Voice.ASSOCIATION
    )
    first_step = lower_first_letter(text.steps[0], translator)
    step = translator.format_pair(translator.translate("First step"), first_step)
    effort = translator.format_pair(translator.label("ui", "time"), text.effort)
    return MessageListItem(text.title, (translator.message(f"why.{gap.code}"), step, effort))
