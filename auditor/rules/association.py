"""Evaluate one run for one association: statuses, proposals and gaps. Pure.

Runs and re-evaluation both use `evaluate_association`, so a rebuild of an unchanged history changes
nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from auditor.core.reference.gap_catalogue import GapCatalogue
from auditor.rules.account_status import ActivityBands, ConfirmationThresholds, advance
from auditor.rules.association_state import (
    AccountKey,
    AccountOwners,
    AssociationState,
    EvaluationTime,
    apply_decisions,
    find_disowned_accounts,
    find_other_owners,
    select_decisions_in_force,
)
from auditor.rules.checks import Rule
from auditor.rules.context import (
    DomainExpiry,
    EvaluatedAccount,
    RuleContext,
    find_domain_expiry,
    select_stated_expiries,
)
from auditor.rules.engine import apply_rules, is_gap_open, update_gaps
from auditor.rules.link_reciprocity import credit_linked_posts
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import FoundLink, Presence
from storage.models.audit import Decision, DecisionKind, Gap, Observation, Proposal

UNREACHABLE_SITE_GAPS = frozenset({"website_down", "website_insecure"})
"""Gaps of an existing site that visitors cannot reach."""


@dataclass(frozen=True, slots=True)
class EvaluationPolicy:
    """Rules, thresholds and channels of an evaluation."""

    confirmation_thresholds: ConfirmationThresholds
    activity_bands: ActivityBands
    rules: tuple[Rule, ...]
    catalogue: GapCatalogue
    channels: frozenset[str]


def evaluate_association(
    association_state: AssociationState,
    observations: Mapping[int, Observation],
    evaluation_time: EvaluationTime,
    policy: EvaluationPolicy,
    owners: AccountOwners,
) -> AssociationState:
    """Return the state after a run with these observations by account."""
    statuses = dict(association_state.statuses)
    for row in association_state.accounts:
        observation = observations.get(row.id or 0)
        if observation is not None:
            statuses[observation.account_id] = advance(
                association_state.get_status(row),
                observation,
                policy.confirmation_thresholds,
                is_unreliable=row.channel in evaluation_time.unreliable_channels,
            )
    new_state = replace(association_state, statuses=statuses)
    if WEBSITE_CHANNEL not in evaluation_time.unreliable_channels:
        proposals = update_proposals(
            new_state, observations, policy.channels, owners, evaluation_time
        )
        new_state = replace(new_state, proposals=proposals)
    gaps = _update_association_gaps(new_state, observations, evaluation_time, policy, owners)
    return replace(new_state, gaps=gaps)


def _update_association_gaps(
    association_state: AssociationState,
    observations: Mapping[int, Observation],
    evaluation_time: EvaluationTime,
    policy: EvaluationPolicy,
    owners: AccountOwners,
) -> tuple[Gap, ...]:
    """Return the closed gaps, which are history, and those that the rules find now."""
    # The accounts whose observation is part of the status, and not of another account.
    decided_account_ids = set()
    for account_id, observation in observations.items():
        status = association_state.statuses.get(account_id)
        if status is not None and status.decided_at == observation.observed_at:
            decided_account_ids.add(account_id)
    context = build_rule_context(
        association_state, evaluation_time, owners, decided_account_ids, bands=policy.activity_bands
    )
    evaluated_channels = policy.channels | {""}  # "": gaps of the association itself
    rule_matches = apply_rules(context, policy.rules)
    evaluated_matches = {
        key: rule_match
        for key, rule_match in rule_matches.items()
        if rule_match.channel in evaluated_channels
    }
    open_gaps = update_gaps(
        association_state.gaps,
        evaluated_matches,
        policy.catalogue,
        evaluation_time.now,
        unreliable_channels=evaluation_time.unreliable_channels,
    )
    closed_gaps = [gap for gap in association_state.gaps if gap.closed_at is not None]
    return (*closed_gaps, *open_gaps)


def build_rule_context(
    association_state: AssociationState,
    evaluation_time: EvaluationTime,
    owners: AccountOwners,
    decided_account_ids: Collection[int] = (),
    *,
    bands: ActivityBands | None = None,
) -> RuleContext:
    """Return the association for rules: decisions applied, disowned accounts removed.

    With `bands`, posts that its own site links to count as publications of its accounts.
    """
    association, now = association_state.association, evaluation_time.now
    in_force = select_decisions_in_force(
        association_state.decisions, now, evaluation_time.run_started_at
    )
    disowned = find_disowned_accounts(association_state, in_force)
    accounts = _evaluate_accounts(
        association_state, evaluation_time, in_force, disowned, decided_account_ids
    )
    if bands is not None:
        accounts = credit_linked_posts(accounts, bands, evaluation_time.run_started_at)
    channels_by_kind: dict[DecisionKind, set[str]] = defaultdict(set)
    for decision in in_force:
        channels_by_kind[decision.kind].add(decision.channel)
    return RuleContext(
        association=association,
        accounts=tuple(accounts),
        now=now,
        run_started_at=evaluation_time.run_started_at,
        proposals=association_state.proposals,
        none_by_choice=frozenset(association.none_by_choice).union(
            channels_by_kind[DecisionKind.NONE_BY_CHOICE]
        ),
        other_owners=find_other_owners(association_state, owners),
        disowned_accounts=disowned,
        moved_channels=frozenset(channels_by_kind[DecisionKind.MOVED]),
        unreachable_sites=frozenset(
            (gap.channel, gap.subject)
            for gap in association_state.gaps
            if gap.code in UNREACHABLE_SITE_GAPS and is_gap_open(gap)
        ),
        domain_expiries=_find_domain_expiries(
            association_state, accounts, in_force, evaluation_time.run_started_at
        ),
    )


def _evaluate_accounts(
    association_state: AssociationState,
    evaluation_time: EvaluationTime,
    in_force: Collection[Decision],
    disowned: Collection[AccountKey],
    decided_account_ids: Collection[int],
) -> list[EvaluatedAccount]:
    """Return the listed accounts that are not disowned, with the decisions in force applied."""
    accounts = []
    for row in association_state.list_listed_accounts(evaluation_time.now):
        if (row.channel, row.subject) in disowned:
            continue
        status = apply_decisions(
            association_state.get_status(row),
            in_force,
            evaluation_time.now,
            evaluation_time.run_started_at,
        )
        is_reliable = row.channel not in evaluation_time.unreliable_channels
        was_decided = row.id in decided_account_ids and is_reliable
        aliases = association_state.collect_aliases(row)
        accounts.append(EvaluatedAccount(row, status, was_decided, aliases))
    return accounts


def _find_domain_expiries(
    association_state: AssociationState,
    accounts: Iterable[EvaluatedAccount],
    in_force: Iterable[Decision],
    run_started_at: datetime,
) -> dict[int, DomainExpiry]:
    stated = select_stated_expiries(in_force)
    expiries = {}
    for account in accounts:
        row = account.row
        expiry = find_domain_expiry(row, association_state.domain_checks, stated, run_started_at)
        if expiry is not None:
            expiries[row.id] = expiry
    return expiries


MAX_PROPOSALS = 200
"""Accounts without a decision that are proposed to an association. Then no further one is.

A hijacked site that linked to other accounts in each run added rows for ever.
"""


def update_proposals(
    association_state: AssociationState,
    observations: Mapping[int, Observation],
    channels: Collection[str],
    owners: AccountOwners,
    evaluation_time: EvaluationTime,
) -> tuple[Proposal, ...]:
    """Return the proposals after a run: unregistered accounts that the own sites link to.

    Known proposals always stay.
    """
    association, now = association_state.association.id, evaluation_time.now
    proposals = {(row.link.channel, row.link.key): row for row in association_state.proposals}
    in_force = select_decisions_in_force(association_state.decisions, now)
    registered_names = _collect_registered_names(association_state, in_force, now)

    def can_be_proposed(link: FoundLink) -> bool:
        account_key = (link.channel, link.key)
        is_proposable = link.channel in channels and link.channel != WEBSITE_CHANNEL
        if not is_proposable or account_key in registered_names:
            return False
        return set(owners.get(account_key, ())) <= {association}

    links = map(attrgetter("link"), association_state.proposals)
    undecided = {(link.channel, link.key) for link in filter(can_be_proposed, links)}
    undecided -= find_disowned_accounts(association_state, in_force)
    max_count = len(proposals) + MAX_PROPOSALS - len(undecided)

    for row in association_state.list_listed_accounts(now):
        observation = observations.get(row.id or 0)
        if row.channel != WEBSITE_CHANNEL or observation is None:
            continue
        if observation.finding.presence is not Presence.PRESENT:
            continue
        for link in filter(can_be_proposed, observation.finding.links):
            seen_at = observation.observed_at
            previous = proposals.get((link.channel, link.key))
            if previous is None and len(proposals) < max_count:
                proposals[link.channel, link.key] = Proposal(association, link, seen_at, seen_at)
            elif previous and previous.last_seen < evaluation_time.run_started_at:
                proposals[link.channel, link.key] = replace(
                    previous, link=link, last_seen=seen_at, run_count=previous.run_count + 1
                )
    return tuple(proposals.values())


def _collect_registered_names(
    association_state: AssociationState, decisions: Iterable[Decision], now: datetime
) -> set[AccountKey]:
    """Return every name of the registered accounts; of a moved one only its old name."""
    moved = [decision for decision in decisions if decision.kind is DecisionKind.MOVED]
    moved_account_ids = set(map(attrgetter("account_id"), moved))
    registered_names: set[AccountKey] = set()
    for row in association_state.list_listed_accounts(now):
        aliases = {row.identity.key}
        if row.id not in moved_account_ids:
            aliases |= association_state.collect_aliases(row)
        registered_names.update((row.channel, alias) for alias in aliases if alias)
    return registered_names
