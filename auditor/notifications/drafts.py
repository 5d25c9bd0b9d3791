"""Drafts: the digest that each recipient gets after a run, or the reason why there is none.

Nothing here sends or stores anything, so `--dry-run` can show what a run would send.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum

from auditor.config.notifications import Recipient
from auditor.config.schema import Config
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
from auditor.rendering.templates import DocumentBuilder, render_message, shorten_subject
from storage.models.audit import AuditRun, AuditRunState
from storage.store import Store

DIGEST_KIND = "digest"
MONTHLY_KIND = "monthly"
INCOMPLETE_RUN_KIND = "incomplete"


class SkipReason(StrEnum):
    """Why a recipient gets no message."""

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
    """Yield a draft of a run's digest for each recipient of the configuration, or for these only."""
    recipients = tuple(only_recipients) or config.notify.recipients
    if recipients and run.state is not AuditRunState.SKIPPED:
        changes = collect_network_changes(store, config, run, _start_of_day_utc(since))
        for recipient in recipients:
            yield _draft_digest(store, config, changes, recipient, since)


def _draft_digest(
    store: Store,
    config: Config,
    network_changes: NetworkChanges,
    recipient: Recipient,
    since: date | None,
) -> MessageDraft:
    run = network_changes.run
    language = recipient.language or config.network.language
    kind = f"{DIGEST_KIND} since {since}" if since else DIGEST_KIND
    if run.state is not AuditRunState.DONE:
        kind = INCOMPLETE_RUN_KIND
    draft = MessageDraft(recipient, kind, run.day.isoformat(), language)
    if skip_reason := find_skip_reason(store, draft):
        return replace(draft, skip_reason=skip_reason)
    last_sent = _start_of_day_utc(since) or _find_last_digest_time(store, recipient, run)
    digest = build_digest(network_changes, since=last_sent, regions=recipient.regions)
    if digest is None:
        return replace(draft, skip_reason=SkipReason.NOTHING_NEW)

    def build_digest_message(links: DraftLinks) -> OutgoingMessage:
        frame = MessageFrame(
            config.network.display_name(language), config.notify.pages_url, links.unsubscribe_url
        )
        subject_line = digest_subject(digest, Translator(language))
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
    subscription = store.get_subscription(
        draft.recipient.key, draft.subscription_kind, draft.association
    )
    if subscription and not subscription.is_wanted:
        return SkipReason.UNSUBSCRIBED
    is_sent = store.is_message_sent(draft.recipient.key, draft.kind, draft.occasion)
    return SkipReason.ALREADY_SENT if is_sent else None


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
    occasion = store.get_last_occasion(recipient.key, DIGEST_KIND)
    last_run = store.get_run(date.fromisoformat(occasion)) if occasion else None
    return max(last_run.started_at, run.started_at - QUIET_PERIOD) if last_run else None
