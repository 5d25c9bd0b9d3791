"""The stored state of one association, the owners of its accounts, and decisions in force. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain
from operator import attrgetter

from auditor.rules.account_status import is_confirmed_lost
from auditor.rules.context import get_site_keys
from probes.links import channel_registry, identify
from probes.models.finding import (
    ACCOUNT_KINDS,
    Activity,
    DatePrecision,
    Finding,
    FoundLink,
    Identity,
    Presence,
)
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    Decision,
    DecisionKind,
    DomainCheck,
    Gap,
    Observation,
    Proposal,
    SurveyAnswer,
)

DISPUTE_VALIDITY = timedelta(days=180)
ATTESTATION_VALIDITY = timedelta(days=365)
NO_END = datetime.max.replace(tzinfo=UTC)

ATTESTED_SOURCE = "attested"
"""The source of a publication date that a person reported."""


def select_decisions_in_force(
    decisions: Iterable[Decision], now: datetime, run_started_at: datetime | None = None
) -> list[Decision]:
    """Return the decisions in force at a time, oldest first.

    A decision is in force if it was taken at or before `now` and is neither withdrawn nor expired.
    Decisions expire at the start of a run, `run_started_at`, because between runs only people
    change anything.
    """
    run_started_at = run_started_at or now
    in_force = [
        decision
        for decision in decisions
        if decision.decided_at <= now
        and not is_withdrawn(decision, now)
        and _get_nominal_end(decision) > run_started_at
    ]
    return sorted(in_force, key=attrgetter("decided_at"))


def is_withdrawn(decision: Decision, now: datetime) -> bool:
    """Return True if a decision was withdrawn until a time."""
    return decision.withdrawal is not None and decision.withdrawal.withdrawn_at <= now


def _get_nominal_end(decision: Decision) -> datetime:
    end = decision.expires_at or NO_END
    if decision.kind is DecisionKind.CONFIRM:
        return min(end, decision.decided_at + ATTESTATION_VALIDITY)
    return end


def get_decision_end(decision: Decision, status: AccountStatus) -> datetime | None:
    """Return when a decision ends for a status, or None for never. A dispute lasts 180 days."""
    end = _get_nominal_end(decision)
    if decision.kind is DecisionKind.CONFIRM and is_confirmed_lost(status):
        return min(end, decision.decided_at + DISPUTE_VALIDITY)
    return None if end == NO_END else end


def iter_decision_ends(decision: Decision) -> Iterator[datetime]:
    """Yield the possible ends of a decision, whatever the status is."""
    yield _get_nominal_end(decision)
    if decision.kind is DecisionKind.CONFIRM:
        yield decision.decided_at + DISPUTE_VALIDITY


def is_overridden_by_evidence(decision: Decision, status: AccountStatus) -> bool:
    """Return True if the contradicting evidence is newer than the decision."""
    return is_confirmed_lost(status) and (
        status.since is None or status.since > decision.decided_at
    )


def apply_decisions(
    status: AccountStatus,
    decisions: Iterable[Decision],
    now: datetime,
    run_started_at: datetime | None = None,
) -> AccountStatus:
    """Return the status with the decisions in force. It is not stored, so decisions simply expire.

    An attestation makes an account present while the evidence is unchanged. A newer absence, an
    absence with a new reason, or another account under its name overrides it. It is valid for 12
    months, or for 180 days if it contradicts a confirmed absence (a dispute).
    """
    for decision in select_decisions_in_force(decisions, now, run_started_at):
        is_about_account = decision.account_id == status.account_id
        if decision.kind is DecisionKind.CONFIRM and is_about_account:
            status = _apply_attestation(status, decision, run_started_at or now)
    return status


def _apply_attestation(
    status: AccountStatus, decision: Decision, run_started_at: datetime
) -> AccountStatus:
    decision_end = get_decision_end(decision, status)
    if is_overridden_by_evidence(decision, status) or (
        decision_end is not None and run_started_at >= decision_end
    ):
        return status
    activities = [status.last_activity]
    with suppress(ValueError):  # the decision may name no day
        day = date.fromisoformat(str(decision.value))
        midnight = datetime.combine(day, time(), UTC)
        activities.append(Activity(midnight, ATTESTED_SOURCE, DatePrecision.DAY))
    streak = status.other_account_streak
    if streak is not None and streak.since <= decision.decided_at:
        streak = None
    attested_status = replace(
        status,
        last_activity=max(filter(None, activities), key=attrgetter("published_at"), default=None),
        other_account_streak=streak,
    )
    if status.state is AccountState.PRESENT:
        return attested_status
    doubt = None if status.state is AccountState.GONE else status.unconfirmed_streak
    return replace(
        attested_status,
        state=AccountState.PRESENT,
        reason=None,
        since=decision.decided_at,
        unconfirmed_streak=doubt,
        is_attested=True,
    )


AccountKey = tuple[str, str]
"""An account: (channel, key)."""

AccountOwners = Mapping[AccountKey, tuple[str, ...]]
"""Associations that register an account."""


def is_disowning(decision: Decision) -> bool:
    """Return True if an account is neither checked nor evaluated after a decision."""
    return decision.kind in {DecisionKind.DISOWN, DecisionKind.MOVED}


@dataclass(frozen=True, slots=True)
class AssociationState:
    """The stored state of one association; `gaps` includes closed ones.

    `domain_checks` has the newest domain check by account. `answers` to the survey are in the order
    of their ids, and `media_officer` is what the registry says.
    """

    association: Association
    accounts: tuple[AccountRow, ...] = ()
    statuses: Mapping[int, AccountStatus] = field(default_factory=dict)
    proposals: tuple[Proposal, ...] = ()
    gaps: tuple[Gap, ...] = ()
    decisions: tuple[Decision, ...] = ()
    domain_checks: Mapping[int, DomainCheck] = field(default_factory=dict)
    answers: tuple[SurveyAnswer, ...] = ()
    media_officer: str | None = None

    def get_status(self, row: AccountRow) -> AccountStatus:
        """Return the status of an account; a new one if it was never checked."""
        return self.statuses.get(row.id or 0) or AccountStatus(row.id or 0)

    def list_listed_accounts(self, now: datetime) -> list[AccountRow]:
        """Return the accounts that were listed at a point in time."""
        return [row for row in self.accounts if is_listed_at(row, now)]

    def collect_aliases(self, row: AccountRow) -> frozenset[str]:
        """Return every known key of an account."""
        return collect_account_aliases(row, self.get_status(row))


@dataclass(frozen=True, slots=True)
class EvaluationTime:
    """The time of an evaluation: start of the run, latest change that counts, unreliable channels.

    Results are as of the start of the run, and decisions expire at the start of a run. Changes by
    people count up to `now`.
    """

    run_started_at: datetime
    now: datetime
    unreliable_channels: frozenset[str] = frozenset()


def is_listed_at(row: AccountRow, now: datetime) -> bool:
    """Return True if a link was listed at a point in time."""
    was_added = row.added_at is None or row.added_at <= now
    return was_added and (row.withdrawn_at is None or row.withdrawn_at > now)


def collect_account_aliases(row: AccountRow, status: AccountStatus) -> frozenset[str]:
    """Return every key of an account: registered, platform ids, target of a redirect."""
    finding = status.last_known_finding
    names = {row.identity.key}
    platform_ids = {status.platform_id}
    if finding is not None:
        platform_ids.add(finding.platform_id)
        names.add(_find_redirect_target(row, finding))
    for platform_id in filter(None, platform_ids):
        names |= {platform_id, f"id:{platform_id}"}
    return frozenset(filter(None, names))


def _find_redirect_target(row: AccountRow, finding: Finding) -> str | None:
    """Return the key of another account to which a platform redirected, or None.

    Most accounts end at their own address, so a report of one loads no channel.
    """
    if (
        row.channel == channel_registry.WEBSITE_CHANNEL
        or finding.presence is not Presence.PRESENT
        or finding.final_url in (None, row.identity.canonical)
    ):
        return None
    target = _identify_url(finding.final_url)
    return target.key if target.channel == row.channel else None


@lru_cache(maxsize=4096)
def _identify_url(url: str | None) -> Identity:
    """Return the identity of a URL. Cached, because one run asks several times in a row."""
    return identify.identify_link(url or "")


def collect_account_keys(association_state: AssociationState) -> set[AccountKey]:
    """Return the accounts and linked sites whose other owners matter."""
    links = map(attrgetter("channel", "identity.key"), association_state.accounts)
    keys = {link for link in links if link[1] is not None}
    findings = map(attrgetter("last_known_finding"), association_state.statuses.values())
    for finding in filter(None, findings):
        keys |= _collect_site_keys(finding.links)
    return keys


def collect_linked_keys(
    association_state: AssociationState, observations: Iterable[Observation]
) -> set[AccountKey]:
    """Return the accounts, and those that pages link to."""
    keys = collect_account_keys(association_state)
    for observation in observations:
        keys |= _collect_site_keys(observation.finding.links)
        keys.update(map(_get_link_key, observation.finding.links))
    return keys


_get_link_key = attrgetter("channel", "key")


def _collect_site_keys(links: Iterable[FoundLink]) -> set[AccountKey]:
    """Return the links as websites. A site may be registered by any of its pages."""
    site_keys = chain.from_iterable(map(get_site_keys, links))
    return {(channel_registry.WEBSITE_CHANNEL, site_key) for site_key in site_keys}


def find_other_owners(
    association_state: AssociationState, owners: AccountOwners
) -> dict[AccountKey, tuple[str, ...]]:
    """Return the other associations that register one of the accounts or linked sites."""
    own_id = association_state.association.id
    other_owners = {}
    for key in collect_account_keys(association_state):
        other_owners[key] = tuple(owner for owner in owners.get(key, ()) if owner != own_id)
    return other_owners


def find_disowned_accounts(
    association_state: AssociationState, decisions: Iterable[Decision]
) -> frozenset[AccountKey]:
    """Return the accounts that decisions disown or move.

    A disowned account is disowned under all its names. A moved one may have moved to one of them.
    """
    rows_by_id: dict[int | None, AccountRow] = {row.id: row for row in association_state.accounts}
    disowned: set[AccountKey] = set()
    for decision in filter(is_disowning, decisions):
        row = rows_by_id.get(decision.account_id)
        names = {decision.value}  # of an unregistered account
        if row is not None:
            names = {row.subject}
            if decision.kind is DecisionKind.DISOWN:
                names |= association_state.collect_aliases(row)
        disowned.update((decision.channel, name) for name in names if name)
    return frozenset(disowned)


def find_account_owners(
    accounts: Iterable[AccountRow],
    now: datetime,
    decisions: Iterable[Decision] = (),
    run_started_at: datetime | None = None,
) -> dict[AccountKey, tuple[str, ...]]:
    """Return who registered each account at a point in time.

    Links that name no account and disowned accounts are left out.
    """
    in_force = select_decisions_in_force(decisions, now, run_started_at)
    # An unregistered account has no id.
    disowned = {
        decision.account_id or (decision.association, decision.channel, decision.value)
        for decision in filter(is_disowning, in_force)
    }
    owners: dict[AccountKey, tuple[str, ...]] = {}
    for row in accounts:
        key = row.identity.key
        if not key or row.identity.kind not in ACCOUNT_KINDS or not is_listed_at(row, now):
            continue
        if disowned.isdisjoint([row.id, (row.association, row.channel, key)]):
            names = (*owners.get((row.channel, key), ()), row.association)
            owners[row.channel, key] = tuple(dict.fromkeys(names))
    return owners
