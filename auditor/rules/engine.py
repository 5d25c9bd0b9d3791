"""Apply rules to an association, and fold their matches into gaps over several runs. Pure.

Rules are typed TOML tables; each has one of a fixed set of checks. A gap is confirmed after some
runs, opens, and closes when its rule no longer matches.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import filterfalse
from typing import Annotated, Any

from pydantic import Field

from auditor.reference.gap_catalogue import EFFORT_LEVELS, GapCatalogue, GapDefinition
from auditor.rules.checks.base import Rule
from auditor.rules.checks.links import (
    HandlesDifferRule,
    LinksToGoneRule,
    NameDiffersRule,
    NoBacklinkRule,
    NotLinkedRule,
    NotNamedRule,
    ProposedRule,
)
from auditor.rules.checks.reachability import (
    AbsentRule,
    DomainExpiresRule,
    FactRule,
    OlderThanRule,
    PresentAsRule,
    UnreachableRule,
)
from auditor.rules.checks.registry import (
    ColumnHoldsChannelRule,
    DuplicateRule,
    IncompleteRule,
    KindIsRule,
    SharedRule,
    UndeclaredRule,
)
from auditor.rules.context import RuleContext, RuleMatch
from probes.links.channel_registry import is_optional_channel
from storage.models.audit import Gap, compute_gap_rank

RULES_VERSION = 5
"""Increase it when a check or an account status changes. Run reports name it."""

AnyRule = Annotated[
    UndeclaredRule
    | AbsentRule
    | UnreachableRule
    | PresentAsRule
    | OlderThanRule
    | KindIsRule
    | ColumnHoldsChannelRule
    | FactRule
    | DomainExpiresRule
    | ProposedRule
    | NotLinkedRule
    | LinksToGoneRule
    | NoBacklinkRule
    | NameDiffersRule
    | NotNamedRule
    | HandlesDifferRule
    | DuplicateRule
    | SharedRule
    | IncompleteRule,
    Field(discriminator="check"),
]


GapKey = tuple[str, str, str, str]
"""Association, channel, code and subject: what identifies a gap from run to run."""


@dataclass(frozen=True, slots=True)
class GapCandidate:
    """A match of a rule in this run, which `update_gaps` confirms or not."""

    association: str
    code: str
    severity: str
    rule_match: RuleMatch

    @property
    def key(self) -> GapKey:
        """Return what identifies the gap from run to run."""
        return (self.association, self.rule_match.channel, self.code, self.rule_match.subject)

    def count_runs(self, previous_runs: int) -> int:
        """Return the runs that matched, this one included if it counts."""
        if self.rule_match.run_count is not None:
            return self.rule_match.run_count
        return previous_runs + self.rule_match.is_decided

    def is_confirmed_by(self, run_count: int, needed_runs: int) -> bool:
        """Return True if the rule confirms the gap, or if it matched in enough runs."""
        if self.rule_match.is_confirmed is not None:
            return self.rule_match.is_confirmed
        return self.rule_match.is_decided and run_count >= needed_runs


def apply_rules(
    context: RuleContext, rules: Iterable[Rule], catalogue: GapCatalogue
) -> list[GapCandidate]:
    """Return one candidate for each gap; if several rules match, the most certain one."""
    best: dict[GapKey, GapCandidate] = {}
    for candidate in _iter_candidates(context, rules, catalogue):
        # Of equally certain candidates, `max` returns the first.
        rivals = (best.get(candidate.key, candidate), candidate)
        best[candidate.key] = max(rivals, key=_get_certainty)
    return list(best.values())


def _iter_candidates(
    context: RuleContext, rules: Iterable[Rule], catalogue: GapCatalogue
) -> Iterator[GapCandidate]:
    for rule in rules:
        definition = catalogue[rule.code]
        for rule_match in rule.find_matches(context):
            severity = rule_match.severity or definition.get_severity(rule_match.channel)
            yield GapCandidate(context.association.id, rule.code, severity, rule_match)


def _get_certainty(candidate: GapCandidate) -> tuple[bool, bool]:
    return (candidate.rule_match.holds is True, candidate.rule_match.is_confirmed is True)


def get_gap_key(gap: Gap) -> GapKey:
    """Return what identifies a gap from run to run."""
    return (gap.association, gap.channel, gap.code, gap.subject)


def update_gaps(
    gaps: Iterable[Gap],
    candidates: Iterable[GapCandidate],
    catalogue: GapCatalogue,
    now: datetime,
    *,
    unreliable_channels: Collection[str] = (),
) -> list[Gap]:
    """Return the gap rows of an association after a run: continuing, closed and new ones.

    Closed rows are history and do not change. On an unreliable channel nothing changes. An unknown
    match keeps its row; a missing match closes it.
    """
    candidates_by_key = {candidate.key: candidate for candidate in candidates}
    running = {get_gap_key(row): row for row in gaps if row.closed_at is None}
    rows = []
    for gap_key, row in running.items():
        candidate = candidates_by_key.get(gap_key)
        rows.append(_update_gap(row, candidate, catalogue, now, unreliable_channels))
    for gap_key, new_candidate in candidates_by_key.items():
        is_reliable = new_candidate.rule_match.channel not in unreliable_channels
        if gap_key not in running and is_reliable and _is_new_gap(new_candidate):
            rows.append(_create_gap(new_candidate, catalogue, now))
    return rows


def _is_new_gap(candidate: GapCandidate) -> bool:
    rule_match = candidate.rule_match
    return rule_match.holds is True and (rule_match.is_decided or rule_match.is_confirmed is True)


def _update_gap(
    gap: Gap,
    candidate: GapCandidate | None,
    catalogue: GapCatalogue,
    now: datetime,
    unreliable_channels: Collection[str],
) -> Gap:
    if gap.channel in unreliable_channels:
        return gap
    if candidate is None or (candidate.rule_match.has_ended and gap.opened_at is not None):
        return replace(gap, closed_at=now)
    rule_match = candidate.rule_match
    if rule_match.holds is None:
        return gap
    run_count = candidate.count_runs(gap.run_count)
    opening = _find_opening_time(gap, run_count, candidate, catalogue, now)
    changes: dict[str, Any] = {"run_count": run_count, "opened_at": opening}
    # An open gap shows confirmed parameters only: a new cause is shown when it is confirmed.
    if gap.opened_at is None or (rule_match.is_decided and rule_match.is_confirmed is not False):
        changes |= {
            "params": rule_match.params,
            "evidence": rule_match.evidence,
            "severity": candidate.severity,
        }
    return replace(gap, **changes)


def _create_gap(candidate: GapCandidate, catalogue: GapCatalogue, now: datetime) -> Gap:
    rule_match = candidate.rule_match
    row = Gap(
        association=candidate.association,
        channel=rule_match.channel,
        code=candidate.code,
        severity=candidate.severity,
        first_seen=now,
        run_count=candidate.count_runs(0),
        subject=rule_match.subject,
        params=rule_match.params,
        evidence=rule_match.evidence,
    )
    opening = _find_opening_time(row, row.run_count, candidate, catalogue, now)
    return replace(row, opened_at=opening) if opening else row


def _find_opening_time(
    gap: Gap, run_count: int, candidate: GapCandidate, catalogue: GapCatalogue, now: datetime
) -> datetime | None:
    """Return when a row that matched in so many runs is confirmed, or None."""
    if gap.opened_at is not None:
        return gap.opened_at
    is_confirmed = candidate.is_confirmed_by(run_count, catalogue[gap.code].confirm_runs)
    return now if is_confirmed else None


def is_gap_open(gap: Gap) -> bool:
    """Return True if a gap is confirmed and not closed."""
    return gap.opened_at is not None and gap.closed_at is None


def was_opened_since(gap: Gap, since: datetime) -> bool:
    """Return True if a gap was opened since a time."""
    return gap.opened_at is not None and gap.opened_at >= since


def was_closed_since(gap: Gap, since: datetime) -> bool:
    """Return True if a gap was closed since a time."""
    return gap.closed_at is not None and gap.closed_at >= since


def select_visible_gaps(gaps: Sequence[Gap], catalogue: GapCatalogue) -> list[Gap]:
    """Return the open gaps that no other gap hides: by kind, most severe and quickest to fix first.

    Gaps of optional channels come after all others. A gap hides its consequences for the same
    account. A gap of the website hides them on other channels, too: a lost domain explains why
    nothing is linked.
    """
    open_gaps = list(filter(is_gap_open, gaps))
    is_hidden = partial(_is_hidden, open_gaps=open_gaps, catalogue=catalogue)
    visible_gaps = filterfalse(is_hidden, open_gaps)
    return sorted(visible_gaps, key=lambda gap: get_sort_key(gap, catalogue[gap.code]))


def get_sort_key(gap: Gap, definition: GapDefinition) -> tuple[bool, int, int, int, str, str]:
    """Return the position of a gap among those of its association."""
    return (
        is_optional_channel(gap.channel),
        compute_gap_rank(definition.get_kind(gap.channel, gap.severity), gap.severity),
        EFFORT_LEVELS.index(definition.effort),
        definition.order,
        gap.channel,
        gap.subject,
    )


def _is_hidden(gap: Gap, open_gaps: Iterable[Gap], catalogue: GapCatalogue) -> bool:
    return any(_is_hiding_gap(other_gap, gap, catalogue) for other_gap in open_gaps)


def _is_hiding_gap(hiding_gap: Gap, gap: Gap, catalogue: GapCatalogue) -> bool:
    definition = catalogue[hiding_gap.code]
    if gap.code not in definition.hides or hiding_gap is gap:
        return False
    if hiding_gap.channel != gap.channel:
        return definition.scope == "association"
    return hiding_gap.code == "channel_unlisted" or _have_common_subject(hiding_gap, gap)


def _have_common_subject(first: Gap, second: Gap) -> bool:
    """Return True if two gaps are about one account, or one of them about the whole channel."""
    subjects = {first.subject, second.subject}
    return "" in subjects or len(subjects) == 1
