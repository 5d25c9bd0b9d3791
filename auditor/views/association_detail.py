"""Everything the coordinator's page of one association shows, and nothing of any other association.

The nights of one association: a row for each account, a column for each day, what was seen. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from auditor.decisions.service import items
from auditor.evaluation.association_view import AccountView, AssociationView, waives
from auditor.rules.account_status import Confirm, Prospect, prospects
from auditor.rules.engine import is_open
from probes.models.finding import Reason
from storage.models.audit import Decision, Gap, Night, NightState, Observation, Standing
from storage.models.users import FollowUp, Reply
from storage.store import Store

SPAN = 30
"""Days that are shown."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One account on one day.

    `sign` is present, absent or unknown; blind where the night distrusted the channel; left_out where the
    night was and did not look at it; skipped where we had no line of our own; empty where there was no night.
    """

    day: date
    sign: str = ""
    reason: Reason | None = None

    @property
    def has_look(self) -> bool:
        """Whether the night looked at the account, so that there is evidence to show."""
        return self.sign in {"present", "absent", "unknown", "blind"}


@dataclass(frozen=True, slots=True)
class Strip:
    """One account's days, the oldest first."""

    account: AccountView
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The days, the oldest first, and every account's strip."""

    days: tuple[date, ...] = ()
    strips: tuple[Strip, ...] = ()


def timeline(
    accounts: Iterable[AccountView], nights: Sequence[Night], looks: Iterable[Observation], span: int = SPAN
) -> Timeline:
    """The days up to the newest night, `span` at most, none before the first."""
    if not nights:
        return Timeline()
    by_day = {night.day: night for night in nights}
    last = max(by_day)
    first = max(min(by_day), last - timedelta(days=span - 1))
    days = tuple(first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
    seen = {(look.account_id, look.night_id): look for look in looks}
    strips = (
        Strip(account, tuple(_cell(account, day, by_day.get(day), seen) for day in days))
        for account in accounts
    )
    return Timeline(days, tuple(strips))


def _cell(
    account: AccountView, day: date, night: Night | None, seen: Mapping[tuple[int, int], Observation]
) -> Cell:
    if night is None or night.id is None:
        return Cell(day)
    look = seen.get((account.account_id, night.id))
    if look is None:
        return Cell(day, "skipped" if night.state is NightState.SKIPPED else "left_out")
    sign = "blind" if account.channel in night.blind else look.finding.presence.value
    return Cell(day, sign, look.finding.reason)


LATELY = timedelta(days=30)
"""How long a settled gap is still told of."""
TOLD = 60
"""Events that are listed."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: opened or closed (a gap), decided or withdrawn (a decision), replied, touched."""

    at: datetime
    kind: str
    about: Gap | Decision | Reply | FollowUp


@dataclass(frozen=True, slots=True)
class Portrait:
    """One association as its coordinator sees it.

    `settled` are the gaps closed lately; `waived` those somebody said need not be told, each with that word.
    `ledger` are the decisions as `decide list` tells them, the newest first; `log` is the follow-up log, and
    `waiting` how many replies wait for an answer.
    """

    view: AssociationView
    standings: Mapping[int, Standing]
    timeline: Timeline
    settled: tuple[Gap, ...]
    waived: tuple[tuple[Gap, Decision], ...]
    ledger: tuple[Mapping[str, Any], ...]
    events: tuple[Event, ...]
    log: tuple[FollowUp, ...]
    waiting: int
    confirm: Confirm

    def prospects(self, account_id: int) -> list[Prospect]:
        """What is on its way for an account: a doubt, a trouble, another account, a return."""
        standing = self.standings.get(account_id)
        return [one for one in prospects(standing, self.confirm) if one.nights] if standing else []


def portrait(
    store: Store, view: AssociationView, confirm: Confirm, now: datetime, *, private: bool = True
) -> Portrait:
    """The page of an association whose view is at hand; what was said with its people, if `private`."""
    mine = view.association.id
    decisions = tuple(store.decisions(association=mine))
    standings = {standing.account_id: standing for standing in store.standings(mine)}
    rows = {row.id: row for row in store.accounts(mine, include_withdrawn=True) if row.id}
    told = items(decisions, rows, standings, now)
    replies = list(store.replies(mine)) if private else []
    log = store.follow_ups(mine) if private else []
    return Portrait(
        view=view,
        standings=standings,
        timeline=_nights(store, view),
        settled=tuple(gap for gap in _closed(view) if gap.closed_at and gap.closed_at >= now - LATELY),
        waived=tuple(_waived(view)),
        ledger=tuple(reversed(told)),
        events=tuple(events(view, decisions, replies, log))[:TOLD],
        log=tuple(log),
        waiting=sum(reply.answer is None for reply in replies),
        confirm=confirm,
    )


def _nights(store: Store, view: AssociationView) -> Timeline:
    nights = store.newest_nights(SPAN)
    ids = [night.id for night in nights if night.id is not None]
    looks: Iterable[Observation] = store.glances(view.association.id, ids)
    return timeline(view.accounts, nights, looks)


def _closed(view: AssociationView) -> Iterator[Gap]:
    """The gaps that were told and are over, those a person waived left out."""
    return (gap for gap in view.all_gaps if gap.opened_at and gap.closed_at and gap not in view.waived)


def _waived(view: AssociationView) -> Iterator[tuple[Gap, Decision]]:
    """The open gaps that need not be told, each with the newest word that says so."""
    for gap in filter(is_open, view.waived):
        yield gap, next(word for word in reversed(view.words) if waives(word, gap))


def events(
    view: AssociationView,
    decisions: Iterable[Decision],
    replies: Iterable[Reply] = (),
    log: Iterable[FollowUp] = (),
) -> list[Event]:
    """What happened, the newest first."""
    told = [gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived]
    opened = [Event(gap.opened_at, "opened", gap) for gap in told if gap.opened_at]
    closed = [Event(gap.closed_at, "closed", gap) for gap in told if gap.closed_at]
    words = list(decisions)
    said = [Event(word.decided_at, "decided", word) for word in words]
    back = [Event(word.withdrawn.withdrawn_at, "withdrawn", word) for word in words if word.withdrawn]
    replied = [Event(reply.said_at, "replied", reply) for reply in replies]
    touched = [Event(line.at, "touched", line) for line in log]
    return sorted(
        [*opened, *closed, *said, *back, *replied, *touched], key=lambda event: event.at, reverse=True
    )
