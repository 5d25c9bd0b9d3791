"""What a night gives to send: for each recipient a message not yet written, or why there is none.

Nothing here sends or keeps anything, so `--dry-run` shows what a night would send.
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
    """The links that are made for one message: to end it, and to an association's report."""

    unsubscribe_url: str = ""
    report_url: str = ""


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A message for one recipient, or why there is none. `occasion` names it among those of its kind."""

    recipient: Recipient
    kind: str
    occasion: str
    language: str
    skip_reason: SkipReason | None = None
    association: str = ""
    build_message: Callable[[DraftLinks], OutgoingMessage] | None = None

    @property
    def subscription_kind(self) -> str:
        """The kind of subscription it belongs to."""
        return MONTHLY_KIND if self.association else DIGEST_KIND


def draft_digests(
    store: Store,
    config: Config,
    run: AuditRun,
    *,
    since: date | None = None,
    only_recipients: Iterable[Recipient] = (),
) -> Iterator[MessageDraft]:
    """The digests of a night for those of the configuration, or for these alone. Writes nothing."""
    recipients = tuple(only_recipients) or config.notify.recipients
    if recipients and run.state is not AuditRunState.SKIPPED:
        told = collect_network_changes(store, config, run, _start_of_day_utc(since))
        yield from (
            _draft_digest(store, config, told, recipient, since) for recipient in recipients
        )


def _draft_digest(
    store: Store,
    config: Config,
    network_changes: NetworkChanges,
    recipient: Recipient,
    since: date | None,
) -> MessageDraft:
    night, language = network_changes.night, recipient.language or config.network.language
    kind = f"{DIGEST_KIND} since {since}" if since else DIGEST_KIND
    if night.state is not AuditRunState.DONE:
        kind = INCOMPLETE_RUN_KIND
    draft = MessageDraft(recipient, kind, night.day.isoformat(), language)
    if left := find_skip_reason(store, draft):
        return replace(draft, skip_reason=left)
    after = _start_of_day_utc(since) or _find_last_digest_time(store, recipient, night)
    found = build_digest(network_changes, since=after, regions=recipient.regions)
    if found is None:
        return replace(draft, skip_reason=SkipReason.NOTHING_NEW)

    def write(links: DraftLinks) -> OutgoingMessage:
        frame = MessageFrame(
            config.network.display_name(language), config.notify.pages_url, links.unsubscribe_url
        )
        line = digest_subject(found, Translator(language))
        return build_message(
            draft, night, line, lambda words: digest_text(found, frame, words), links
        )

    return replace(draft, build_message=write)


def _start_of_day_utc(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def find_skip_reason(store: Store, draft: MessageDraft) -> SkipReason | None:
    """Whether a recipient does not want such messages, or has this one."""
    wish = store.get_subscription(draft.recipient.key, draft.subscription_kind, draft.association)
    if wish and not wish.is_wanted:
        return SkipReason.UNSUBSCRIBED
    sent = store.is_message_sent(draft.recipient.key, draft.kind, draft.occasion)
    return SkipReason.ALREADY_SENT if sent else None


def build_message(
    draft: MessageDraft,
    run: AuditRun,
    subject_line: str,
    document_builder: DocumentBuilder,
    links: DraftLinks,
) -> OutgoingMessage:
    """A draft written out: the same each time, so that a mail program knows it again."""
    told = f"{draft.recipient.key}\n{draft.kind}\n{draft.occasion}".encode()
    mark = f"{draft.kind.partition(' ')[0]}.{run.day}.{hashlib.sha256(told).hexdigest()[:24]}"
    text, html = render_message(draft.language, document_builder)
    moment = run.finished_at or run.started_at
    return OutgoingMessage(
        shorten_subject(subject_line),
        text,
        html,
        draft.language,
        mark,
        moment,
        links.unsubscribe_url,
    )


def _find_last_digest_time(store: Store, recipient: Recipient, run: AuditRun) -> datetime | None:
    """The beginning of the night of which a recipient was last told, at most 30 days ago."""
    occasion = store.get_last_occasion(recipient.key, DIGEST_KIND)
    last = store.get_run(date.fromisoformat(occasion)) if occasion else None
    return max(last.started_at, run.started_at - QUIET_PERIOD) if last else None
