"""Apply rules to an association, and fold their matches into gaps over several runs. Pure.

Rules are typed TOML tables; each has one of a fixed set of checks. A gap is confirmed after some
runs, opens, and closes when its rule no longer matches.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from auditor.core.reference.gap_catalogue import EFFORT_LEVELS, GapCatalogue, GapDefinition
from auditor.rules.checks import (
    ColumnHoldsChannelRule,
    DuplicateRule,
    HandlesDifferRule,
    IncompleteRule,
    KindIsRule,
    LinksToGoneRule,
    NameDiffersRule,
    NoBacklinkRule,
    NotLinkedRule,
    NotNamedRule,
    ProposedRule,
    Rule,
    SharedRule,
    UndeclaredRule,
)
from auditor.rules.context import MatchOutcome, RuleContext, RuleMatch
from auditor.rules.observation_checks import (
    AbsentRule,
    DomainExpiresRule,
    FactRule,
    OlderThanRule,
    PresentAsRule,
    UnreachableRule,
)
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


def apply_rules(context: RuleContext, rules: Iterable[Rule]) -> dict[GapKey, RuleMatch]:
    """Return one match for each gap; if several rules match, the first of the most certain.

    `update_gaps` confirms it or not.
    """
    best: dict[GapKey, RuleMatch] = {}
    for rule in rules:
        for found in rule.find_matches(context):
            key = (context.association.id, found.channel, rule.code, found.subject)
            if best.setdefault(key, found).outcome.certainty < found.outcome.certainty:
                best[key] = found
    return best


def get_gap_key(gap: Gap) -> GapKey:
    """Return what identifies a gap from run to run."""
    return (gap.association, gap.channel, gap.code, gap.subject)


def update_gaps(
    gaps: Iterable[Gap],
    rule_matches: Mapping[GapKey, RuleMatch],
    catalogue: GapCatalogue,
    now: datetime,
    *,
    unreliable_channels: Collection[str] = (),
) -> list[Gap]:
    """Return the gap rows of an association after a run: continuing, closed and new ones.

    Closed rows are history and do not change. On an unreliable channel nothing changes. An unknown
    match keeps its row; a missing match closes it.
    """
    new_matches = dict(rule_matches)
    rows = []
    for row in gaps:
        if row.closed_at is None:
            row_match = new_matches.pop(get_gap_key(row), None)
            is_reliable = row.channel not in unreliable_channels
            rows.append(_update_gap(row, row_match, catalogue, now) if is_reliable else row)
    for (association, channel, code, subject), rule_match in new_matches.items():
        is_new = rule_match.outcome.counts or rule_match.outcome.confirms
        if is_new and channel not in unreliable_channels:
            row = Gap(
                association,
                channel,
                code,
                catalogue[code].get_severity(channel),
                first_seen=now,
                run_count=0,
                subject=subject,
            )
            rows.append(_update_gap(row, rule_match, catalogue, now))
    return rows


def _update_gap(
    gap: Gap, rule_match: RuleMatch | None, catalogue: GapCatalogue, now: datetime
) -> Gap:
    """Return the row after a run: closed without a match, unchanged if the match is unknown.

    An open gap shows confirmed parameters only: a new cause is shown when it is confirmed.
    """
    is_open = gap.opened_at is not None
    if rule_match is None or (rule_match.outcome is MatchOutcome.ENDED and is_open):
        return replace(gap, closed_at=now)
    outcome = rule_match.outcome
    if outcome is MatchOutcome.UNKNOWN:
        return gap
    run_count = rule_match.run_count or gap.run_count + outcome.counts
    has_enough_runs = run_count >= catalogue[gap.code].confirm_runs
    is_confirmed = outcome.confirms or (outcome is MatchOutcome.COUNTED and has_enough_runs)
    changes: dict[str, Any] = {"run_count": run_count}
    if not is_open or outcome in {MatchOutcome.COUNTED, MatchOutcome.CONFIRMED}:
        changes |= {
            "params": rule_match.params,
            "evidence": rule_match.evidence,
            "severity": rule_match.severity or catalogue[gap.code].get_severity(gap.channel),
        }
    if is_confirmed and not is_open:
        changes["opened_at"] = now
    return replace(gap, **changes)


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
    """Return those gaps that no other one hides: by kind, most severe and quickest to fix first.

    Gaps of optional channels come after all others. A gap hides its consequences for the same
    account. A gap of the website hides them on other channels, too: a lost domain explains why
    nothing is linked.
    """
    visible_gaps = [
        gap
        for gap in gaps
        if not any(_is_hiding_gap(other_gap, gap, catalogue) for other_gap in gaps)
    ]
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


def _is_hiding_gap(hiding_gap: Gap, gap: Gap, catalogue: GapCatalogue) -> bool:
    """Return True if a gap explains another one.

    Both are about one account, or one of them is about the whole channel or association.
    """
    definition = catalogue[hiding_gap.code]
    if gap.code not in definition.hides:
        return False
    if hiding_gap.channel != gap.channel:
        return definition.scope == "association"
    subjects = {hiding_gap.subject, gap.subject}
    return hiding_gap.code == "channel_unlisted" or "" in subjects or len(subjects) == 1
