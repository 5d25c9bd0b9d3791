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
from auditor.notifications.drafts import MONTHLY, Draft, Links, digests
from auditor.notifications.monthly import monthlies
from auditor.notifications.subscriptions import key_in, stop_token
from auditor.notifications.transports import Fate, Message
from auditor.protocols import Memory
from probes.log import Events
from storage.models.audit import Night
from storage.models.users import Subscription

events = Events(__name__)

LOST = frozenset({Fate.REFUSED, Fate.UNREACHABLE})
"""What surely did not go."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one recipient's message."""

    recipient: str
    kind: str
    occasion: str
    outcome: str
    subject: str = ""
    why: str = ""
    text: str = ""

    @property
    def is_trouble(self) -> bool:
        """Whether a message there was did not surely arrive."""
        return self.outcome in {Fate.REFUSED, Fate.UNREACHABLE, Fate.UNSURE}


def after(app: Memory, night: Night, now: datetime, is_over: Callable[[], bool]) -> None:
    """Send what a night gives to send until `is_over`. What does not arrive is told in one line each."""
    for one in carried(app, takewhile(lambda _draft: not is_over(), waiting(app, night)), now):
        if one.is_trouble:
            said = "{recipient} did not get the message {kind} of {occasion}: {outcome}, {why}"
            events.warning("message_lost", said, **told(one))


def told(one: Delivery) -> dict[str, str]:
    """A delivery as the log tells it: without the address, which a mail server likes to repeat."""
    names = ("kind", "occasion", "outcome")
    why = re.sub(re.escape(one.recipient), masked(one.recipient), one.why, flags=re.IGNORECASE)
    return {name: str(getattr(one, name)) for name in names} | {
        "recipient": masked(one.recipient),
        "why": why,
    }


def masked(recipient: str) -> str:
    """A mail address that the operator knows again and nobody can write to: `a…@example.org`.

    Another service is called by a digest already.
    """
    return re.sub(r"^(.)[^@]*@", r"\1…@", recipient)


def waiting(app: Memory, night: Night) -> Iterator[Draft]:
    """Everything that a night gives to send."""
    yield from digests(app.store, app.config, night)
    yield from monthlies(app.store, app.config, night)


def carried(app: Memory, drafts: Iterable[Draft], now: datetime) -> Iterator[Delivery]:
    """Send these messages, one after the other, and tell what became of each."""
    for draft in drafts:
        if draft.write is None:
            yield _left(draft)
        else:
            yield _carried(app, draft, draft.write, now)


def _carried(app: Memory, draft: Draft, write: Callable[[Links], Message], now: datetime) -> Delivery:
    claim = (draft.recipient.key, draft.kind, draft.occasion)
    if not app.store.claim_message(*claim, now):
        return Delivery(*claim, "already_sent")
    try:
        message = write(_links(app, draft, now))
    except Exception:
        app.store.release_message(*claim)
        raise
    notify = app.config.notify
    outcome = transports.send(
        message, draft.recipient, notify.smtp, notify.sender, app.config.network.shown(draft.language)
    )
    if outcome.fate in LOST:
        app.store.release_message(*claim)
        app.store.keep_unsent(*claim[:2], str(outcome.fate), now)
    else:
        app.store.drop_unsent(*claim[:2])
    return Delivery(*claim, outcome.fate, message.subject, outcome.why, message.text)


def previewed(config: Config, drafts: Iterable[Draft]) -> Iterator[Delivery]:
    """What would be sent. Links that are made for one message alone are left unmade."""
    unmade = f"{config.web.public_url}/…" if config.web.public_url else ""
    for draft in drafts:
        if draft.write is None:
            yield _left(draft)
        else:
            message = draft.write(Links(stop=unmade if draft.recipient.address else "", report=unmade))
            claim = (draft.recipient.key, draft.kind, draft.occasion)
            yield Delivery(*claim, "would_send", message.subject, text=message.text)


def _left(draft: Draft) -> Delivery:
    return Delivery(draft.recipient.key, draft.kind, draft.occasion, str(draft.left))


def _links(app: Memory, draft: Draft, now: datetime) -> Links:
    base = app.config.web.public_url
    if not base or draft.recipient.address is None:
        return Links()
    key = key_in(app.config.storage.folder)
    wish = Subscription(
        draft.recipient.key, draft.wish, wanted=True, changed_at=now, association=draft.association
    )
    token = stop_token(app.store, key, wish)
    stop = f"{base}/{draft.language}/unsubscribe/{token}"
    return Links(stop, _report(app, draft, now) if draft.association else "")


def _report(app: Memory, draft: Draft, now: datetime) -> str:
    """The address of a fresh letter beside those that the association has: its telephone keeps its own."""
    return report_links.made(app.store, app.config, draft.association, MONTHLY, now, keep=True)[1]
