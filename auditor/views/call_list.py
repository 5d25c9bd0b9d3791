"""Whom to call first, and why: the most pressing, and behind them whoever is in hand already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from auditor.config.schema import Config
from auditor.evaluation.filters import Chosen
from auditor.evaluation.refresh import refresh
from storage.models.audit import NO_CONTACT, Association, Contact
from storage.models.communication import FollowUp, FollowUpKind
from storage.models.summaries import OpenGap, Summary
from storage.store import Store

MOST = 50
"""Associations that are named: more calls than that are no meeting's work."""
REASONS = 3
PROMISES = 2
REST = timedelta(days=7)
"""So long somebody who was spoken to is not among the first to be called again."""
SPOKEN = frozenset({FollowUpKind.CALLED, FollowUpKind.MET, FollowUpKind.PROMISED})
"""What counts as having spoken: a message that was sent or a note is none."""
BEHIND = 100
"""So many beside those that are wanted are looked at, to find who is not in hand. More calls in a week than
that, and some of them stand among the first again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An association whose turn it is, as a list shows it, how it is reached, and its follow-up log.

    The newest line of the log is the first.
    """

    row: Summary
    log: tuple[FollowUp, ...]
    contact: Contact = NO_CONTACT

    @property
    def newest(self) -> FollowUp | None:
        """When it was last in touch with the network."""
        return self.log[0] if self.log else None

    @property
    def promised(self) -> tuple[FollowUp, ...]:
        """What it promised last."""
        return tuple(line for line in self.log if line.kind is FollowUpKind.PROMISED)[:PROMISES]

    def is_in_hand(self, today: date) -> bool:
        """Whether it was spoken to within a week, or has promised something for a day that is not over."""
        return any(
            (line.kind in SPOKEN and today - line.at.date() <= REST)
            or (line.kind is FollowUpKind.PROMISED and line.due is not None and line.due >= today)
            for line in self.log
        )


@dataclass(frozen=True, slots=True)
class Call:
    """An association to call: how, why (the gravest reason first), what it promised last, the last touch."""

    association: Association
    reasons: tuple[OpenGap, ...]
    contact: Contact = NO_CONTACT
    promised: tuple[FollowUp, ...] = ()
    newest: FollowUp | None = None


def turns(store: Store, chosen: Chosen, today: date, most: int) -> list[Turn]:
    """The most pressing of those that are chosen, whoever is in hand behind the others; so many at most."""
    pressing = store.summaries({*chosen.facets, "gaps"}, search=chosen.words, limit=most + BEHIND).rows
    logs = store.logs([row.id for row in pressing])
    found = [Turn(row, logs.get(row.id, ())) for row in pressing]
    first = sorted(found, key=lambda turn: turn.is_in_hand(today))[:most]
    contacts = store.contacts([turn.row.id for turn in first])
    return [replace(turn, contact=contacts.get(turn.row.id, NO_CONTACT)) for turn in first]


def calls(
    store: Store,
    config: Config,
    chosen: Chosen,
    now: datetime,
    *,
    most: int = MOST,
    patience: int | None = None,
) -> Iterator[Call]:
    """Whom to call of those that are chosen, in their turn, so many at most.

    Where more summaries are stale than `patience`, the old ones tell it (`auditor.evaluation.refresh`).
    """
    refresh(store, config, most=patience)
    for turn in turns(store, chosen, now.date(), most):
        association = store.association(turn.row.id)
        if association is not None:
            yield Call(association, turn.row.gaps[:REASONS], turn.contact, turn.promised, turn.newest)
