"""The rules: typed TOML tables that say when something is a gap, each with one of a closed set of checks.

Gaps over the nights: candidates are believed after a while, opened, and closed when they stop. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from auditor.reference.gap_catalogue import EFFORTS, SEVERITIES, Catalogue, Entry
from auditor.rules.checks.base import Check
from auditor.rules.checks.links import (
    HandlesDiffer,
    LinksToGone,
    NameDiffers,
    NoBacklink,
    NotLinked,
    NotNamed,
    Proposed,
)
from auditor.rules.checks.reachability import Absent, Fact, OlderThan, PresentAs, Unreachable
from auditor.rules.checks.registry import (
    ColumnHoldsChannel,
    Duplicate,
    Incomplete,
    KindIs,
    Shared,
    Undeclared,
)
from auditor.rules.context import Case, Sign
from storage.models.audit import Gap

VERSION = 4
"""Raised when a check, or what is held of an account, is judged otherwise; each night's receipt names it."""

Rule = Annotated[
    Undeclared
    | Absent
    | Unreachable
    | PresentAs
    | OlderThan
    | KindIs
    | ColumnHoldsChannel
    | Fact
    | Proposed
    | NotLinked
    | LinksToGone
    | NoBacklink
    | NameDiffers
    | NotNamed
    | HandlesDiffer
    | Duplicate
    | Shared
    | Incomplete,
    Field(discriminator="check"),
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gap that a rule sees tonight, not yet believed: `gaps.fold` believes it, or not."""

    association: str
    code: str
    severity: str
    sign: Sign

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes a gap the same gap from night to night."""
        return (self.association, self.sign.channel, self.code, self.sign.subject)


def judge(case: Case, rules: Iterable[Check], words: Catalogue) -> list[Candidate]:
    """What the rules see in a case: one candidate for each gap, the clearest where several rules see it."""
    best: dict[tuple[str, str, str, str], Candidate] = {}
    for rule in rules:
        for sign in rule.signs(case):
            severity = words[rule.code].severity_on(sign.channel)
            candidate = Candidate(case.association.id, rule.code, severity, sign)
            before = best.get(candidate.key)
            if before is None or _clearness(candidate) > _clearness(before):
                best[candidate.key] = candidate
    return list(best.values())


def _clearness(candidate: Candidate) -> tuple[bool, bool]:
    return (candidate.sign.holds is True, candidate.sign.confirmed is True)


Key = tuple[str, str, str, str]


def key(gap: Gap) -> Key:
    """What makes a gap the same gap from night to night."""
    return (gap.association, gap.channel, gap.code, gap.subject)


def fold(
    rows: Iterable[Gap],
    candidates: Iterable[Candidate],
    catalogue: Catalogue,
    now: datetime,
    *,
    blind: Collection[str] = (),
) -> list[Gap]:
    """The rows of one association after a night: those still running, those that stopped, the new ones.

    Closed rows are history and are not touched. On a blind channel nothing moves. A candidate that
    cannot be told keeps its row as it was; one that is not seen any more closes it.
    """
    seen = {candidate.key: candidate for candidate in candidates}
    running = {key(row): row for row in rows if row.closed_at is None}
    kept = [_next(row, seen.get(at), catalogue, now, blind) for at, row in running.items()]
    return kept + [
        _new(candidate, catalogue, now)
        for at, candidate in seen.items()
        if at not in running and candidate.sign.channel not in blind and _is_news(candidate)
    ]


def _is_news(candidate: Candidate) -> bool:
    sign = candidate.sign
    return sign.holds is True and (sign.decided or sign.confirmed is True)


def _next(
    row: Gap, candidate: Candidate | None, catalogue: Catalogue, now: datetime, blind: Collection[str]
) -> Gap:
    if row.channel in blind:
        return row
    if candidate is None or (candidate.sign.ended and row.opened_at is not None):
        return replace(row, closed_at=now)
    sign = candidate.sign
    if sign.holds is None:
        return row
    nights = sign.nights if sign.nights is not None else row.nights + sign.decided
    opening = _opening(row, nights, candidate, catalogue, now)
    changes: dict[str, Any] = {"nights": nights, "opened_at": opening}
    # What is told of an open gap was believed: a new cause or an absence is told once it is believed too.
    if row.opened_at is None or (sign.decided and sign.confirmed is not False):
        changes |= {"params": sign.params, "evidence": sign.evidence, "severity": candidate.severity}
    return replace(row, **changes)


def _new(candidate: Candidate, catalogue: Catalogue, now: datetime) -> Gap:
    sign = candidate.sign
    row = Gap(
        association=candidate.association,
        channel=sign.channel,
        code=candidate.code,
        severity=candidate.severity,
        first_seen=now,
        nights=sign.nights if sign.nights is not None else int(sign.decided),
        subject=sign.subject,
        params=sign.params,
        evidence=sign.evidence,
    )
    opening = _opening(row, row.nights, candidate, catalogue, now)
    return replace(row, opened_at=opening) if opening else row


def _opening(
    row: Gap, nights: int, candidate: Candidate, catalogue: Catalogue, now: datetime
) -> datetime | None:
    """When a row that has held for so many nights was believed; None: not yet."""
    sign = candidate.sign
    if row.opened_at is not None or sign.confirmed is False:
        return row.opened_at
    is_believed = sign.confirmed or (sign.decided and nights >= catalogue[row.code].confirm_nights)
    return now if is_believed else None


def is_open(gap: Gap) -> bool:
    """Whether a gap is believed and still there."""
    return gap.opened_at is not None and gap.closed_at is None


def visible(rows: Sequence[Gap], catalogue: Catalogue) -> list[Gap]:
    """The open gaps of one association that no other hides: gravest first, then what is quickest to mend.

    A gap hides the consequences for its own account; one of the website hides them on other channels
    too (a lost domain explains why nothing is linked).
    """
    opened = [row for row in rows if is_open(row)]
    hiding = [row for row in opened if catalogue[row.code].hides]
    shown = [row for row in opened if not any(_hides(other, row, catalogue) for other in hiding)]
    return sorted(shown, key=lambda row: _place(row, catalogue[row.code]))


def _place(row: Gap, entry: Entry) -> tuple[int, int, int, str, str]:
    effort = EFFORTS.index(entry.effort)
    return SEVERITIES.index(row.severity), effort, entry.order, row.channel, row.subject


def _hides(other: Gap, row: Gap, catalogue: Catalogue) -> bool:
    entry = catalogue[other.code]
    if row.code not in entry.hides or other is row:
        return False
    same_account = not row.subject or not other.subject or row.subject == other.subject
    if other.channel != row.channel:
        return entry.scope == "association"
    return same_account or other.code == "channel_unlisted"
