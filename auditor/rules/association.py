"""Evaluate one run for one association: statuses, proposals and gaps. Pure.

Runs and re-evaluation both use `evaluate_association`, so a rebuild of an unchanged history changes
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from auditor.reference.gap_catalogue import GapCatalogue
from auditor.rules import engine
from auditor.rules.account_status import (
    ActivityBands,
    ConfirmationThresholds,
    advance,
    apply_decisions,
    select_decisions_in_force,
)
from auditor.rules.checks.base import Rule
from auditor.rules.context import EvaluatedAccount, RuleContext
from auditor.rules.domain_expiry import (
    DomainExpiry,
    find_domain_expiry,
    select_stated_expiries,
)
from auditor.rules.engine import apply_rules
from auditor.rules.linked_posts import credit_linked_posts
from probes.links import channel_registry, identify
from probes.models.finding import ACCOUNT_KINDS, FoundLink, Identity, Presence
from probes.witnesses import WikidataStatement, WitnessSource
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    Decision,
    DecisionKind,
    DomainCheck,
    Gap,
    Observation,
    Proposal,
    WitnessRecord,
)

AccountOwners = Mapping[tuple[str, str], tuple[str, ...]]
"""Associations that register an account, by (channel, key)."""

DISOWNING_DECISION_KINDS = frozenset({DecisionKind.DISOWN, DecisionKind.MOVED})
"""Decisions after which an account is neither checked nor evaluated: disowned or moved."""

UNREACHABLE_SITE_GAPS = frozenset({"website_down", "website_insecure"})
"""Gaps of an existing site that visitors cannot reach."""


@dataclass(frozen=True, slots=True)
class AssociationState:
    """The stored state of one association; `gaps` includes closed ones.

    `witness_records` are sorted by time. `domain_checks` has the newest domain check by account.
    """

    association: Association
    accounts: tuple[AccountRow, ...] = ()
    statuses: Mapping[int, AccountStatus] = field(default_factory=dict)
    proposals: tuple[Proposal, ...] = ()
    gaps: tuple[Gap, ...] = ()
    decisions: tuple[Decision, ...] = ()
    witness_records: tuple[WitnessRecord, ...] = ()
    domain_checks: Mapping[int, DomainCheck] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationPolicy:
    """Rules, thresholds and channels of an evaluation."""

    confirmation_thresholds: ConfirmationThresholds
    activity_bands: ActivityBands
    rules: tuple[Rule, ...]
    catalogue: GapCatalogue
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class EvaluationTime:
    """The time of an evaluation: start of the run, latest change that counts, unreliable channels.

    Results are as of the start of the run, and decisions expire at the start of a run. Changes by
    people count up to `now`.
    """

    run_started_at: datetime
    now: datetime
    unreliable_channels: frozenset[str] = frozenset()


def evaluate_association(
    association_state: AssociationState,
    observations: Mapping[int, Observation],
    evaluation_time: EvaluationTime,
    policy: EvaluationPolicy,
    owners: AccountOwners,
) -> AssociationState:
    """Return the state after a run with these observations by account."""
    changed_statuses = {
        row.id: _advance_status(association_state, row, observation, evaluation_time, policy)
        for row in association_state.accounts
        if row.id is not None and (observation := observations.get(row.id)) is not None
    }
    new_state = replace(
        association_state, statuses={**association_state.statuses, **changed_statuses}
    )
    new_state = replace(
        new_state,
        proposals=_update_proposals(new_state, observations, evaluation_time, policy, owners),
    )
    decided_account_ids = frozenset(
        account
        for account, observation in observations.items()
        if _is_decided(new_state.statuses.get(account), observation)
    )
    context = build_rule_context(
        new_state, evaluation_time, owners, decided_account_ids, bands=policy.activity_bands
    )
    candidates = apply_rules(context, policy.rules, policy.catalogue)
    evaluated_channels = policy.channels | {""}  # "": gaps of the association itself
    own_candidates = [
        candidate for candidate in candidates if candidate.rule_match.channel in evaluated_channels
    ]
    open_gaps = engine.update_gaps(
        new_state.gaps,
        own_candidates,
        policy.catalogue,
        evaluation_time.now,
        unreliable_channels=evaluation_time.unreliable_channels,
    )
    closed_gaps = tuple(row for row in new_state.gaps if row.closed_at is not None)
    return replace(new_state, gaps=closed_gaps + tuple(open_gaps))


def _is_decided(status: AccountStatus | None, observation: Observation) -> bool:
    """Return True if an observation is part of the status, and not of another account."""
    return status is not None and status.decided_at == observation.observed_at


def _advance_status(
    association_state: AssociationState,
    row: AccountRow,
    observation: Observation,
    evaluation_time: EvaluationTime,
    policy: EvaluationPolicy,
) -> AccountStatus:
    previous_status = association_state.statuses.get(observation.account_id) or AccountStatus(
        observation.account_id
    )
    return advance(
        previous_status,
        observation,
        policy.confirmation_thresholds,
        is_unreliable=row.channel in evaluation_time.unreliable_channels,
    )


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
    in_force = select_decisions_in_force(
        association_state.decisions, evaluation_time.now, evaluation_time.run_started_at
    )
    disowned = _find_disowned_accounts(association_state, in_force)
    accounts = [
        _evaluate_account(association_state, row, evaluation_time, in_force, decided_account_ids)
        for row in association_state.accounts
        if is_listed_at(row, evaluation_time.now)
        and (row.channel, row.identity.key or row.typed_text) not in disowned
    ]
    if bands is not None:
        accounts = credit_linked_posts(accounts, bands, evaluation_time.run_started_at)
    channels_without_account = {
        decision.channel for decision in in_force if decision.kind is DecisionKind.NONE_BY_CHOICE
    }
    return RuleContext(
        association=association_state.association,
        accounts=tuple(accounts),
        now=evaluation_time.now,
        run_started_at=evaluation_time.run_started_at,
        proposals=association_state.proposals,
        none_by_choice=frozenset(
            channels_without_account | set(association_state.association.none_by_choice)
        ),
        other_owners=_find_other_owners(association_state, owners),
        disowned_accounts=disowned,
        moved_channels=frozenset(
            decision.channel for decision in in_force if decision.kind is DecisionKind.MOVED
        ),
        unreachable_sites=frozenset(
            (gap.channel, gap.subject)
            for gap in association_state.gaps
            if gap.code in UNREACHABLE_SITE_GAPS and engine.is_gap_open(gap)
        ),
        domain_expiries=_find_domain_expiries(
            association_state, (account.row for account in accounts), in_force, evaluation_time
        ),
    )


def _find_domain_expiries(
    association_state: AssociationState,
    rows: Iterable[AccountRow],
    in_force: Iterable[Decision],
    evaluation_time: EvaluationTime,
) -> dict[int, DomainExpiry]:
    stated = select_stated_expiries(in_force)
    expiries = {}
    for row in rows:
        expiry = find_domain_expiry(
            row, association_state.domain_checks, stated, evaluation_time.run_started_at
        )
        if row.id is not None and expiry is not None:
            expiries[row.id] = expiry
    return expiries


def _evaluate_account(
    association_state: AssociationState,
    row: AccountRow,
    evaluation_time: EvaluationTime,
    decisions: Iterable[Decision],
    decided_account_ids: Collection[int],
) -> EvaluatedAccount:
    status = association_state.statuses.get(row.id or 0) or AccountStatus(row.id or 0)
    decided_status = apply_decisions(
        status, row.channel, decisions, evaluation_time.now, evaluation_time.run_started_at
    )
    was_decided_in_run = (
        row.id in decided_account_ids and row.channel not in evaluation_time.unreliable_channels
    )
    return EvaluatedAccount(
        row, decided_status, was_decided_in_run, collect_account_aliases(row, status)
    )


def collect_account_keys(association_state: AssociationState) -> set[tuple[str, str]]:
    """Return the (channel, key) pairs whose other owners matter."""
    keys = {
        (row.channel, row.identity.key)
        for row in association_state.accounts
        if row.identity.key is not None
    }
    linked_keys = [
        link.key
        for status in association_state.statuses.values()
        if status.last_known_finding
        for link in status.last_known_finding.links
    ]
    return keys | {
        (channel_registry.WEBSITE_CHANNEL, key)
        for linked_key in linked_keys
        for key in (linked_key, linked_key.partition("/")[0])
    }


def collect_linked_keys(
    association_state: AssociationState, observations: Iterable[Observation]
) -> set[tuple[str, str]]:
    """Return the (channel, key) pairs of the accounts, and of those that pages link to.

    Accounts that Wikidata names are included.
    """
    links_now = [link for observation in observations for link in observation.finding.links]
    sites = {
        (channel_registry.WEBSITE_CHANNEL, key)
        for link in links_now
        for key in (link.key, link.key.partition("/")[0])
    }
    wikidata_links = [
        statement.link
        for record in association_state.witness_records
        for statement in record.answer.statements
    ]
    return (
        collect_account_keys(association_state)
        | sites
        | {(link.channel, link.key) for link in (*links_now, *wikidata_links)}
    )


def _find_other_owners(
    association_state: AssociationState, owners: AccountOwners
) -> dict[tuple[str, str], tuple[str, ...]]:
    owners_by_key = {
        account_key: tuple(
            owner
            for owner in owners.get(account_key, ())
            if owner != association_state.association.id
        )
        for account_key in collect_account_keys(association_state)
        if account_key in owners
    }
    return {
        account_key: other_owners
        for account_key, other_owners in owners_by_key.items()
        if other_owners
    }


def _find_disowned_accounts(
    association_state: AssociationState, decisions: Iterable[Decision]
) -> frozenset[tuple[str, str]]:
    """Return the (channel, key) pairs that decisions disown or move.

    A disowned account is disowned under all its names. A moved one may have moved to one of them.
    """
    account_ids = {row.id for row in association_state.accounts}
    disowning = [decision for decision in decisions if decision.kind in DISOWNING_DECISION_KINDS]
    by_account = {
        account_key
        for decision in disowning
        if decision.account_id in account_ids
        for account_key in _iter_disowned_names(association_state, decision)
    }
    by_key = {
        (decision.channel, decision.value)
        for decision in disowning
        if decision.kind is DecisionKind.DISOWN and decision.account_id is None and decision.value
    }
    return frozenset(by_account | by_key)


def _iter_disowned_names(
    association_state: AssociationState, decision: Decision
) -> Iterator[tuple[str, str]]:
    """Yield the keys that a disowning decision names."""
    row = next(row for row in association_state.accounts if row.id == decision.account_id)
    yield row.channel, row.identity.key or row.typed_text
    if decision.kind is DecisionKind.DISOWN:
        yield from ((row.channel, name) for name in _collect_row_aliases(association_state, row))


def collect_account_aliases(row: AccountRow, status: AccountStatus) -> frozenset[str]:
    """Return every key of an account: registered, platform ids, target of a redirect."""
    last_finding, names = status.last_known_finding, {row.identity.key} - {None}
    for number in (status.platform_id, last_finding.platform_id if last_finding else None):
        names |= {number, f"id:{number}"} if number else set()
    if (
        last_finding is not None
        and last_finding.presence is Presence.PRESENT
        and last_finding.final_url
        and row.channel != "website"
    ):
        target = _identify_url(last_finding.final_url)
        if target.channel == row.channel:
            names |= {target.key} - {None}
    return frozenset(name for name in names if name)


@lru_cache(maxsize=4096)
def _identify_url(url: str) -> Identity:
    """Return the identity of a URL. Cached, because one run asks several times in a row."""
    return identify.identify_link(url)


def _update_proposals(
    association_state: AssociationState,
    observations: Mapping[int, Observation],
    evaluation_time: EvaluationTime,
    policy: EvaluationPolicy,
    owners: AccountOwners,
) -> tuple[Proposal, ...]:
    """Return the proposals after a run: unregistered accounts that the own sites link to.

    Accounts that only Wikidata names are proposed as well.
    """
    if "website" in evaluation_time.unreliable_channels:
        return association_state.proposals
    association, now = association_state.association.id, evaluation_time.now
    rows = {(row.link.channel, row.link.key): row for row in association_state.proposals}
    registered_names = _collect_registered_names(association_state, now)

    def can_be_proposed(link: FoundLink) -> bool:
        account_key = (link.channel, link.key)
        has_other_owner = any(name != association for name in owners.get(account_key, ()))
        return (
            link.channel in policy.channels
            and link.channel != channel_registry.WEBSITE_CHANNEL
            and account_key not in registered_names
            and not has_other_owner
        )

    for observation in _select_site_observations(association_state, observations, now):
        for link in filter(can_be_proposed, observation.finding.links):
            proposal = Proposal(association, link, observation.observed_at, observation.observed_at)
            rows[link.channel, link.key] = _merge_linked_proposal(
                rows.get((link.channel, link.key)), proposal, evaluation_time.run_started_at
            )
    for record in select_newest_answers(association_state, now):
        for link in (statement.link for statement in record.answer.statements):
            if can_be_proposed(link):
                proposal = Proposal(association, link, record.asked_at, record.asked_at)
                rows[link.channel, link.key] = _merge_wikidata_proposal(
                    rows.get((link.channel, link.key)), proposal
                )
    return tuple(rows.values())


def _merge_linked_proposal(
    previous: Proposal | None, proposal: Proposal, run_started_at: datetime
) -> Proposal:
    """Return the proposal of an account that the site links to. It replaces one from Wikidata."""
    if previous is None or previous.is_from_wikidata:
        return replace(proposal, id=previous.id if previous else None)
    is_newer = previous.last_seen < run_started_at
    return _count_again(previous, proposal) if is_newer else previous


def _merge_wikidata_proposal(previous: Proposal | None, proposal: Proposal) -> Proposal:
    """Return the proposal of an account that Wikidata names. It replaces no link of the site."""
    if previous is None:
        return proposal
    is_newer = previous.is_from_wikidata and previous.last_seen < proposal.last_seen
    return _count_again(previous, proposal) if is_newer else previous


def _count_again(previous: Proposal, proposal: Proposal) -> Proposal:
    return replace(
        previous,
        link=proposal.link,
        last_seen=proposal.last_seen,
        run_count=previous.run_count + 1,
    )


def select_newest_answers(
    association_state: AssociationState, now: datetime
) -> list[WitnessRecord]:
    """Return the newest answer until `now` of each witness about each listed account.

    Requests without an answer do not count, so an earlier answer stays.
    """
    listed_ids = {row.id for row in association_state.accounts if is_listed_at(row, now)}
    newest = {
        (record.account_id, record.source): record
        for record in association_state.witness_records
        if record.answer.failure is None
        and record.asked_at <= now
        and record.account_id in listed_ids
    }
    return [newest[key] for key in sorted(newest)]


def select_wikidata_statements(
    association_state: AssociationState, now: datetime
) -> tuple[WikidataStatement, ...]:
    """Return what Wikidata's newest answers say about the accounts of an association."""
    return tuple(
        statement
        for record in select_newest_answers(association_state, now)
        if record.source is WitnessSource.WIKIDATA
        for statement in record.answer.statements
    )


def _collect_registered_names(
    association_state: AssociationState, now: datetime
) -> set[tuple[str, str]]:
    """Return every name of the registered accounts; of a moved one only its old name."""
    in_force = select_decisions_in_force(association_state.decisions, now)
    moved_account_ids = {
        decision.account_id for decision in in_force if decision.kind is DecisionKind.MOVED
    }
    registered_names: set[tuple[str, str]] = set()
    for row in association_state.accounts:
        if not is_listed_at(row, now):
            continue
        if row.id not in moved_account_ids:
            aliases = _collect_row_aliases(association_state, row)
            registered_names.update((row.channel, alias) for alias in aliases)
        elif row.identity.key:
            registered_names.add((row.channel, row.identity.key))
    return registered_names


def _collect_row_aliases(association_state: AssociationState, row: AccountRow) -> frozenset[str]:
    return collect_account_aliases(
        row, association_state.statuses.get(row.id or 0) or AccountStatus(row.id or 0)
    )


def _select_site_observations(
    association_state: AssociationState, observations: Mapping[int, Observation], now: datetime
) -> list[Observation]:
    site_ids = [
        row.id
        for row in association_state.accounts
        if row.channel == "website" and is_listed_at(row, now)
    ]
    site_observations = [
        observations[account_id]
        for account_id in site_ids
        if account_id is not None and account_id in observations
    ]
    return [
        observation
        for observation in site_observations
        if observation.finding.presence is Presence.PRESENT
    ]


def is_listed_at(row: AccountRow, now: datetime) -> bool:
    """Return True if a link was listed at a point in time."""
    was_added = row.added_at is None or row.added_at <= now
    return was_added and (row.withdrawn_at is None or row.withdrawn_at > now)


def find_account_owners(
    accounts: Iterable[AccountRow],
    now: datetime,
    decisions: Iterable[Decision] = (),
    run_started_at: datetime | None = None,
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return who registered each account at a point in time.

    Links that name no account and disowned accounts are left out.
    """
    disowning = [
        decision
        for decision in select_decisions_in_force(decisions, now, run_started_at)
        if decision.kind in DISOWNING_DECISION_KINDS
    ]
    disowned_ids = {decision.account_id for decision in disowning} - {None}
    disowned_keys = {
        (decision.association, decision.channel, decision.value)
        for decision in disowning
        if decision.account_id is None
    }
    owners: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in accounts:
        account_key = (row.channel, row.identity.key or "")
        is_owned = (
            row.id not in disowned_ids and (row.association, *account_key) not in disowned_keys
        )
        is_listed_account = (
            account_key[1] and row.identity.kind in ACCOUNT_KINDS and is_listed_at(row, now)
        )
        if is_listed_account and is_owned and row.association not in owners.get(account_key, ()):
            owners[account_key] = (*owners.get(account_key, ()), row.association)
    return owners
