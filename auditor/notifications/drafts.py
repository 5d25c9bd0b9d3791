"""Drafts of messages: digests after a run, and monthly reports of associations.

If a recipient gets none, its draft has the reason.

Nothing here sends or stores anything, so `--dry-run` can show what a run would send.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
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
from auditor.notifications.transports import OutgoingMessage
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
from storage.errors import OneLineError
from storage.models.audit import Association, AuditRun, AuditRunState, Gap
from storage.store import Store

DIGEST_KIND = "digest"
MONTHLY_KIND = "monthly"
INCOMPLETE_RUN_KIND = "incomplete"


class SkipReason(StrEnum):
    """The reasons for which a recipient gets no message."""

    NOTHING_NEW = "nothing_new"
    ALREADY_SENT = "already_sent"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class DraftLinks:
    """The links of one message: to unsubscribe, and to the report of an association."""

    unsubscribe_url: str = ""
    report_url: str = ""


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A message for one recipient, or the reason why there is none.

    Recipient, `kind` and `occasion` identify a message. `build_message` is None without message.
    """

    recipient: Recipient
    kind: str
    occasion: str
    language: str
    skip_reason: SkipReason | None = None
    association: str = ""
    build_message: Callable[[DraftLinks], OutgoingMessage] | None = None

    @property
    def subscription_kind(self) -> str:
        """Return the kind of subscription that the message belongs to."""
        return MONTHLY_KIND if self.association else DIGEST_KIND


def draft_digests(
    store: Store,
    config: Config,
    run: AuditRun,
    *,
    since: date | None = None,
    only_recipients: Iterable[Recipient] = (),
) -> Iterator[MessageDraft]:
    """Yield a draft of a run's digest for each configured recipient, or for these only."""
    recipients = tuple(only_recipients) or config.notify.recipients
    if run.state is AuditRunState.SKIPPED:
        return
    load_changes = cache(
        partial(collect_network_changes, store, config, run, _start_of_day_utc(since))
    )
    kind = DIGEST_KIND
    if run.state is not AuditRunState.DONE:
        kind = INCOMPLETE_RUN_KIND
    elif since:
        kind = f"{DIGEST_KIND} since {since}"
    for recipient in recipients:
        language = recipient.language or config.network.language
        draft = MessageDraft(recipient, kind, run.day.isoformat(), language)
        yield _complete_draft(draft, partial(_draft_digest, store, config, load_changes, since))


def _complete_draft(
    draft: MessageDraft, complete: Callable[[MessageDraft], MessageDraft]
) -> MessageDraft:
    """Return the completed draft. If that fails, return one whose `build_message` fails.

    A bug in one message must not stop the others. Raises AuditorError and StoreError: a mistake of
    the operator or a broken database concerns all of them.
    """
    try:
        return complete(draft)
    except OneLineError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again where the message is built
        return replace(draft, build_message=partial(_raise_error, error))


def _raise_error(error: Exception, _links: DraftLinks) -> OutgoingMessage:
    raise error


def _draft_digest(
    store: Store,
    config: Config,
    load_changes: Callable[[], NetworkChanges],
    since: date | None,
    draft: MessageDraft,
) -> MessageDraft:
    if skip_reason := find_skip_reason(store, draft):
        return replace(draft, skip_reason=skip_reason)
    network_changes = load_changes()
    run, recipient, language = network_changes.run, draft.recipient, draft.language
    last_sent = _start_of_day_utc(since) or _find_last_digest_time(store, recipient, run)
    digest = build_digest(network_changes, since=last_sent, regions=recipient.regions)
    if digest is None:
        return replace(draft, skip_reason=SkipReason.NOTHING_NEW)

    def build_digest_message(links: DraftLinks) -> OutgoingMessage:
        frame = MessageFrame(
            config.network.display_name(language), config.notify.pages_url, links.unsubscribe_url
        )
        subject_line = digest_subject(digest, frame.network_name, Translator(language))
        return build_message(
            draft,
            run,
            subject_line,
            lambda translator: digest_text(digest, frame, translator),
            links,
        )

    return replace(draft, build_message=build_digest_message)


def _start_of_day_utc(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def find_skip_reason(store: Store, draft: MessageDraft) -> SkipReason | None:
    """Return why a message is not sent (unsubscribed, or sent already), or None."""
    subscription = store.subscriptions.get(
        draft.recipient.key, draft.subscription_kind, draft.association
    )
    if subscription and not subscription.is_wanted:
        return SkipReason.UNSUBSCRIBED
    if store.messages.is_sent(draft.recipient.key, draft.kind, draft.occasion):
        return SkipReason.ALREADY_SENT
    return None


def build_message(
    draft: MessageDraft,
    run: AuditRun,
    subject_line: str,
    document_builder: DocumentBuilder,
    links: DraftLinks,
) -> OutgoingMessage:
    """Build the message of a draft.

    Its id and time depend on the draft and the run alone, so a mail program recognizes a copy.
    """
    identity = f"{draft.recipient.key}\n{draft.kind}\n{draft.occasion}".encode()
    kind_word = draft.kind.partition(" ")[0]
    text, html = render_message(draft.language, document_builder)
    return OutgoingMessage(
        subject=shorten_subject(subject_line),
        text=text,
        html=html,
        language=draft.language,
        message_id=f"{kind_word}.{run.day}.{hashlib.sha256(identity).hexdigest()[:24]}",
        sent_at=run.finished_at or run.started_at,
        unsubscribe_url=links.unsubscribe_url,
    )


def _find_last_digest_time(store: Store, recipient: Recipient, run: AuditRun) -> datetime | None:
    """Return the start of the run that the recipient's last digest covered, at most 30 days ago."""
    occasion = store.messages.get_last_occasion(recipient.key, DIGEST_KIND)
    if not occasion:
        return None
    last_run = store.runs.get(date.fromisoformat(occasion))
    if last_run is None:
        return None
    return max(last_run.started_at, run.started_at - QUIET_PERIOD)


def draft_monthly_reports(store: Store, config: Config, run: AuditRun) -> Iterator[MessageDraft]:
    """Yield drafts of the monthly reports that are due after a run.

    A subscription made after the first run of a month starts with the next month. A report that
    could not be delivered is due again after the next run.
    """
    if run.state is not AuditRunState.DONE:
        return
    first_run = next(_list_finished_runs_of_month(store, run))
    first_ended_at = first_run.finished_at or first_run.started_at
    for subscription in store.subscriptions.list_subscriptions(MONTHLY_KIND):
        association = store.registry.get_association(subscription.association)
        is_due = subscription.is_wanted and subscription.changed_at <= first_ended_at
        if association and is_due:
            draft = MessageDraft(
                Recipient.model_construct(to=SecretStr(subscription.address)),
                MONTHLY_KIND,
                f"{run.day:%Y-%m} {association.id}",
                association.language,
                association=association.id,
            )
            complete = partial(_draft_monthly_report, store, config, run, association)
            yield _complete_draft(draft, complete)


def _list_finished_runs_of_month(store: Store, run: AuditRun) -> Iterator[AuditRun]:
    """Yield the finished runs since the start of a run's month, oldest first."""
    first_day = run.day.replace(day=1)
    for listed_run in store.runs.list_all():
        if listed_run.day >= first_day and listed_run.state is AuditRunState.DONE:
            yield listed_run


def _draft_monthly_report(
    store: Store, config: Config, run: AuditRun, association: Association, draft: MessageDraft
) -> MessageDraft:
    if skip_reason := find_skip_reason(store, draft):
        return replace(draft, skip_reason=skip_reason)
    # Validated here, because an invalid address must not stop the other reports. An error shows a
    # SecretStr as asterisks, so the log does not have the address.
    draft = replace(draft, recipient=Recipient.model_validate({"to": draft.recipient.to}))
    view = load_association_view(store, config, association.id)
    if view is None:
        return replace(draft, skip_reason=SkipReason.NOTHING_NEW)

    def build_report_message(links: DraftLinks) -> OutgoingMessage:
        frame = MessageFrame(
            config.network.display_name(draft.language), links.report_url, links.unsubscribe_url
        )
        translator = Translator(draft.language)
        subject_line = translator.message(
            "mail.subject.monthly",
            association=association.display_name(draft.language),
            month=translator.format_month(run.day),
        )
        return build_message(
            draft,
            run,
            subject_line,
            lambda translator: build_monthly_report(view, run, frame, translator),
            links,
        )

    return replace(draft, build_message=build_report_message)


def build_monthly_report(
    view: AssociationView, run: AuditRun, frame: MessageFrame, translator: Translator
) -> MessageDocument:
    """Return the message. `frame.web_url` is the URL of the full report. Pure."""
    name = view.association.display_name(translator.language)
    strengths = describe_strengths(list_strengths(view, run.started_at), translator)
    strength_items = tuple(map(MessageListItem, strengths))
    step_items = tuple(_build_step_item(gap, translator) for gap in view.gaps[:MAX_DETAILED_GAPS])
    sections = (
        MessageSection(translator.label("ui", "todo"), step_items),
        MessageSection(translator.label("ui", "strengths"), strength_items),
    )
    return MessageDocument(
        title=translator.message("mail.greeting", association=name),
        intro=(
            translator.translate("On {date}", date=run.day),
            translator.label("ui", "not_judgement")
            if view.gaps
            else describe_result_without_gaps(view, run.started_at, translator),
        ),
        sections=tuple(section for section in sections if section.items),
        links=(MessageLink(translator.translate("Read the full report and reply"), frame.web_url),)
        if frame.web_url
        else (),
        footer=(
            translator.translate(
                "You get this email because {association} asked {network} for it.",
                association=name,
                network=frame.network_name,
            ),
        ),
        unsubscribe_link=MessageLink(translator.translate("Unsubscribe"), frame.unsubscribe_url)
        if frame.unsubscribe_url
        else None,
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
