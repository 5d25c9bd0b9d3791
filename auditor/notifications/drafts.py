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
from auditor.i18n.wording import Wording
from auditor.notifications.digest import QUIET, Frame, News, bulletin, digest, headline, news
from auditor.notifications.transports import Message
from auditor.rendering.templates import Written, subject, written
from storage.models.audit import Night, NightState
from storage.store import Store

DIGEST = "digest"
MONTHLY = "monthly"
INCOMPLETE = "incomplete"


class Left(StrEnum):
    """Why a recipient gets no message."""

    NOTHING = "nothing_new"
    ALREADY = "already_sent"
    UNWANTED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Links:
    """The links that are made for one message: to end it, and to an association's report."""

    stop: str = ""
    report: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message for one recipient, or why there is none. `occasion` names it among those of its kind."""

    recipient: Recipient
    kind: str
    occasion: str
    language: str
    left: Left | None = None
    association: str = ""
    write: Callable[[Links], Message] | None = None

    @property
    def wish(self) -> str:
        """The kind of subscription it belongs to."""
        return MONTHLY if self.association else DIGEST


def digests(
    store: Store, config: Config, night: Night, *, since: date | None = None, only: Iterable[Recipient] = ()
) -> Iterator[Draft]:
    """The digests of a night for those of the configuration, or for these alone. Writes nothing."""
    recipients = tuple(only) or config.notify.recipients
    if recipients and night.state is not NightState.SKIPPED:
        told = news(store, config, night, _midnight(since))
        yield from (_digest(store, config, told, recipient, since) for recipient in recipients)


def _digest(store: Store, config: Config, told: News, recipient: Recipient, since: date | None) -> Draft:
    night, language = told.night, recipient.language or config.network.language
    kind = f"{DIGEST} since {since}" if since else DIGEST
    if night.state is not NightState.DONE:
        kind = INCOMPLETE
    draft = Draft(recipient, kind, night.day.isoformat(), language)
    if left := why_not(store, draft):
        return replace(draft, left=left)
    after = _midnight(since) or _last_told(store, recipient, night)
    found = digest(told, since=after, regions=recipient.regions)
    if found is None:
        return replace(draft, left=Left.NOTHING)

    def write(links: Links) -> Message:
        frame = Frame(config.network.shown(language), config.notify.pages_url, links.stop)
        line = headline(found, Wording(language))
        return message(draft, night, line, lambda words: bulletin(found, frame, words), links)

    return replace(draft, write=write)


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def why_not(store: Store, draft: Draft) -> Left | None:
    """Whether a recipient does not want such messages, or has this one."""
    wish = store.subscription(draft.recipient.key, draft.wish, draft.association)
    if wish and not wish.wanted:
        return Left.UNWANTED
    sent = store.was_sent(draft.recipient.key, draft.kind, draft.occasion)
    return Left.ALREADY if sent else None


def message(draft: Draft, night: Night, line: str, paper: Written, links: Links) -> Message:
    """A draft written out: the same each time, so that a mail program knows it again."""
    told = f"{draft.recipient.key}\n{draft.kind}\n{draft.occasion}".encode()
    mark = f"{draft.kind.partition(' ')[0]}.{night.day}.{hashlib.sha256(told).hexdigest()[:24]}"
    text, html = written(draft.language, paper)
    moment = night.finished_at or night.started_at
    return Message(subject(line), text, html, draft.language, mark, moment, links.stop)


def _last_told(store: Store, recipient: Recipient, night: Night) -> datetime | None:
    """The beginning of the night of which a recipient was last told, at most 30 days ago."""
    occasion = store.last_occasion(recipient.key, DIGEST)
    last = store.night(date.fromisoformat(occasion)) if occasion else None
    return max(last.started_at, night.started_at - QUIET) if last else None
