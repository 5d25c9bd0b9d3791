"""The plan of a night: which accounts are worth a look, and when the turn of each comes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from auditor.config import Config
from auditor.order import WHOLE, Order
from auditor.patience import Patience
from auditor.settle import DISOWNING
from auditor.standing import in_force
from auditor.tools import Tools
from probes.model import Kind
from storage.model import AccountRow, Decision, Night, NightState, Standing
from storage.plans import Place

NO_LOOK = frozenset({Kind.NONE, Kind.INVALID})


def make(app: Tools, night: Night, platforms: Mapping[str, Patience], keyed: Collection[str]) -> None:
    """Write the plan of a night: of every account that it has still to look at, where it stands.

    Of a concluded night these are the ones that it left out: what was listed since is not its own.
    """
    store, config = app.store, app.config
    before = store.last_night(NightState.DONE, before=night.day)
    order = Order.of(night, before, days=config.activity.active, platforms=platforms, keyed=keyed)
    rows = unseen(app, night)
    if night.id is not None and store.is_judged(night.id):
        rows = (row for row in rows if row.added_at and row.added_at <= night.started_at)
    store.make_plan(_placed(order, rows, store.standings()), WHOLE)


def _placed(order: Order, rows: Iterable[AccountRow], standings: Iterable[Standing]) -> Iterator[Place]:
    """The place of each account. Both come in the order of the accounts' numbers."""
    held = iter(standings)
    one = next(held, None)
    for row in rows:
        number = row.id or 0
        while one is not None and one.account_id < number:
            one = next(held, None)
        yield order.place(row, one if one is not None and one.account_id == number else None)


def unseen(app: Tools, night: Night) -> Iterator[AccountRow]:
    """The accounts worth a look that a night has not looked at, in the order of their numbers."""
    decisions = app.store.decisions(night.started_at)
    return worth_a_look(app.store.pending(night), decisions, app.config, night.started_at)


def worth_a_look(
    rows: Iterable[AccountRow], decisions: Iterable[Decision], config: Config, now: datetime
) -> Iterator[AccountRow]:
    """The accounts that are looked at: on audited channels, linked, and not disowned."""
    words = (word for word in decisions if word.kind in DISOWNING)
    disowned = {word.account_id for word in in_force(words, now)}
    return (
        row
        for row in rows
        if row.channel in config.channels and row.identity.kind not in NO_LOOK and row.id not in disowned
    )
