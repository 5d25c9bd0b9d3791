"""What would change a standing: how many more nights, of what, since when. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.rules.account_status import Confirm
from storage.models.audit import Standing, State, Streak


@dataclass(frozen=True, slots=True)
class Prospect:
    """One sentence about what is on its way or would be needed; `kind` names it.

    to_lose, losing: absences make a present account gone, or are on the way to. to_return, returning: good
    nights bring a gone one back. to_tell: nothing was told yet, and one look that tells will do. trouble: it
    is out of reach for `cause`. other: another account answers under its name.
    `nights` have been, `more` are needed; `not_before` is the first day on which it can be;
    `days` is how long absences have to last.
    """

    kind: str
    nights: int = 0
    more: int = 0
    since: datetime | None = None
    not_before: datetime | None = None
    cause: str = ""
    days: int = 0


def prospects(standing: Standing, confirm: Confirm) -> Iterator[Prospect]:
    """What is on its way, then what it would take."""
    yield from _streak("trouble", standing.trouble)
    yield from _streak("other", standing.other)
    doubt = standing.doubt
    if doubt is not None:
        gone = standing.state is State.GONE
        yield _doubted(
            "returning" if gone else "losing", doubt, confirm.back if gone else confirm.failures, confirm
        )
    elif standing.state is State.GONE:
        yield Prospect("to_return", more=confirm.back)
    else:
        kind = "to_lose" if standing.state is State.PRESENT else "to_tell"
        yield Prospect(kind, more=confirm.failures, days=confirm.days)


def _doubted(kind: str, doubt: Streak, nights: int, confirm: Confirm) -> Prospect:
    """A change on its way: an absence must last some days besides, a return need not."""
    soonest = doubt.since + timedelta(days=confirm.days) if kind == "losing" else None
    return Prospect(kind, doubt.nights, max(1, nights - doubt.nights), doubt.since, soonest)


def _streak(kind: str, streak: Streak | None) -> Iterator[Prospect]:
    if streak is not None:
        cause = streak.cause.partition("/")[2] or streak.cause
        yield Prospect(kind, streak.nights, since=streak.since, cause=cause)
