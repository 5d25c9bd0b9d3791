"""Proposals: unregistered accounts that an association's own sites link to. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from auditor.rules.association_state import (
    AccountKey,
    AccountOwners,
    AssociationState,
    EvaluationTime,
    find_disowned_accounts,
)
from auditor.rules.decisions_in_force import select_decisions_in_force
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import FoundLink, Presence
from storage.models.audit import Decision, DecisionKind, Observation, Proposal

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

    def has_place(link: FoundLink) -> bool:
        is_known = (link.channel, link.key) in proposals
        return can_be_proposed(link) and (is_known or len(proposals) < max_count)

    for row in association_state.list_listed_accounts(now):
        observation = observations.get(row.id or 0)
        if row.channel != WEBSITE_CHANNEL or observation is None:
            continue
        if observation.finding.presence is not Presence.PRESENT:
            continue
        for link in filter(has_place, observation.finding.links):
            seen_at = observation.observed_at
            previous = proposals.get((link.channel, link.key))
            if previous is None:
                proposals[link.channel, link.key] = Proposal(association, link, seen_at, seen_at)
            elif previous.last_seen < evaluation_time.run_started_at:
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
        registered_names.update((row.channel, alias) for alias in filter(None, aliases))
    return registered_names
