"""The nights of one association: a row for each account, a column for each day, what was seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from auditor.evaluation.association_view import AccountView
from probes.models.finding import Reason
from storage.models.audit import Night, NightState, Observation

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
