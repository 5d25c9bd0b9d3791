"""Everything the coordinator's page of one association shows, and nothing of any other association."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auditor.decisions.listing import items
from auditor.evaluation.association_view import AssociationView, waives
from auditor.rules.account_status import Confirm
from auditor.rules.gaps import is_open
from auditor.rules.status_outlook import Prospect, prospects
from auditor.views.timeline import SPAN, Timeline, timeline
from storage.models.audit import Decision, Gap, Observation, Standing
from storage.models.communication import FollowUp, Reply
from storage.store import Store

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
