"""Replays the runs of one association after another, with the current probes and rules.

The stored pages of each probe result are replayed with the current probes. If a page was pruned, or
if a probe now requests a page that was not requested then, the recorded finding stays. Observations
never change. Runs in which nothing can change are skipped (`unchanged_runs.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from operator import attrgetter

from auditor.checking.checker import create_probe, to_probe_account
from auditor.config.schema import Config
from auditor.evaluation.run_results import (
    CoverageCounter,
    build_evaluation_policy,
    build_evaluation_time,
    group_by_association,
    load_disowning_decisions,
)
from auditor.evaluation.unchanged_runs import skip_unchanged_runs
from auditor.evidence import BodyStorage, ReplayError, is_api_url, replay_answers
from auditor.registry.history import (
    RegistrySnapshot,
    has_arrival_change,
    iter_links_at,
    registry_at,
)
from auditor.rules.association import evaluate_association
from auditor.rules.association_state import (
    AccountOwners,
    AssociationState,
    collect_linked_keys,
    find_account_owners,
)
from auditor.rules.decisions_in_force import iter_decision_ends
from auditor.rules.domain_expiry import is_answer_usable
from probes.log import EventLogger
from probes.models.finding import EARLIEST_DATETIME, LATEST_DATETIME, Account, Finding, Reason
from probes.models.probe import run_offline
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AuditRun,
    Decision,
    DomainCheck,
    Observation,
)
from storage.observations.comparison import get_response_seconds, replace_response_seconds
from storage.retention import PROFILE_REMOVED_FACT
from storage.sanitize import sanitize
from storage.store import Store

logger = EventLogger(__name__)

PROBE_FAILURE_REASONS = frozenset({Reason.CRASHED, Reason.UNREADABLE})
"""Findings of a crashed probe or parser. They are not replayed: what hung once may hang again."""


@dataclass(slots=True)
class ReplayCounts:
    """Numbers of replayed and of recorded observations."""

    replayed_count: int = 0
    recorded_count: int = 0


class RunReplay:
    """Replays the runs of a network for one association after another."""

    def __init__(
        self,
        store: Store,
        config: Config,
        runs: Sequence[AuditRun],
        *,
        body_storage: BodyStorage | None = None,
        counts: ReplayCounts | None = None,
        coverage_counters: Mapping[int, CoverageCounter] | None = None,
    ) -> None:
        """Create a replay.

        Without `body_storage` the recorded findings are used. `coverage_counters` are filled by
        run.
        """
        self.store = store
        self.runs = runs
        self.policy = build_evaluation_policy(config)
        self._body_storage = body_storage
        self._replay_cache: ReplayCache | None = None
        self._counts = counts or ReplayCounts()
        self._channels_without_profile: dict[str, set[str]] = defaultdict(set)
        self._coverage_counters = coverage_counters or {}
        self._listed_ids = set(map(attrgetter("id"), store.registry.list_associations()))
        self._registry_changes = store.audit_log.group_changes_by_association()
        self._disowning_decisions = group_by_association(load_disowning_decisions(store))

    def rebuild_association(self, association: Association) -> AssociationState:
        """Return the state of an association after its runs."""
        if self._body_storage is not None:
            self._replay_cache = ReplayCache(self._body_storage)
        is_listed = association.id in self._listed_ids
        return _AssociationReplay(self, association, is_listed=is_listed).rebuild()

    def find_channels_without_profile(self, association: Association) -> AbstractSet[str]:
        """Return the channels of a rebuilt association on which a removed profile was deleted."""
        return self._channels_without_profile.get(association.id, frozenset())

    def replay_finding(
        self, row: AccountRow, observation: Observation, previous_status: AccountStatus | None
    ) -> Finding | None:
        """Return the finding of the current probe, or None if the recorded one stays."""
        if self._replay_cache is None:
            return None
        return self._replay_cache.replay(to_probe_account(row, previous_status), observation)

    def count_observation(
        self, row: AccountRow, observation: Observation, finding: Finding | None
    ) -> None:
        """Count an observation that was replayed with a finding, or that keeps its own."""
        if PROFILE_REMOVED_FACT in observation.finding.facts:
            self._channels_without_profile[row.association].add(row.channel)
        if finding is not None:
            self._counts.replayed_count += 1
            return
        self._counts.recorded_count += 1

    def list_facets(self, run: AuditRun, state: AssociationState) -> list[str]:
        """Return the facets that the coverage of a run counts, or none if it is not counted."""
        counter = self._coverage_counters.get(run.id or 0)
        if counter is None:
            return []
        return counter.list_facets(state, build_evaluation_time(run, run.unreliable_channels))

    def count_coverage(self, run: AuditRun, association: Association, facets: list[str]) -> None:
        """Count the facets of an association for the coverage of a run."""
        counter = self._coverage_counters.get(run.id or 0)
        if counter is not None:
            counter.add_facets(association, facets)

    def find_owners(self, accounts: Iterable[AccountRow], timestamp: datetime) -> AccountOwners:
        """Return which associations had registered these links at a point in time."""
        links = list(iter_links_at(accounts, self._registry_changes, timestamp))
        decisions: list[Decision] = []
        for association in set(map(attrgetter("association"), links)):
            decisions += self._disowning_decisions.get(association, ())
        return find_account_owners(links, timestamp, decisions)

    def list_owner_changes(self, accounts: Iterable[AccountRow]) -> set[datetime]:
        """Return when the owners of these links may have changed."""
        times: set[datetime] = set()
        for association in set(map(attrgetter("association"), accounts)):
            changes = self._registry_changes.get(association, ())
            times.update(map(attrgetter("changed_at"), changes))
            for decision in self._disowning_decisions.get(association, ()):
                times |= _list_decision_times(decision)
        return times | _list_link_times(accounts)


class _AssociationReplay:
    """The replay of one association: its whole history, and its state after the newest run."""

    def __init__(self, replay: RunReplay, association: Association, *, is_listed: bool) -> None:
        store, name = replay.store, association.id
        self._replay = replay
        self._runs = replay.runs
        self._association = association
        self._accounts = tuple(store.registry.list_accounts(name, include_withdrawn=True))
        self._account_by_id = {account.id: account for account in self._accounts}
        self._state = AssociationState(
            association,
            self._accounts,
            decisions=tuple(store.decisions.list_decisions(association=name)),
        )
        self._current_registry = RegistrySnapshot(association, is_listed, self._accounts)
        self._log_entries = store.audit_log.list_audit_log(name, limit=None)
        self._listed_since = self._find_listing_start(store)
        self._domain_checks = store.domain_checks.list_domain_checks(name)
        self._link_cache = RegisteredLinkCache(store)
        self._linked_accounts: list[AccountRow] = []
        self._own_changes = self._list_own_changes()
        self._findings: dict[int, Finding | None] = {}
        self._observations: dict[int | None, dict[int, Observation]] = defaultdict(dict)
        for observation in store.observations.list_observations(association=name):
            self._observations[observation.run_id][observation.account_id] = observation

        self._is_same_as_previous = [False]
        for run, next_run in pairwise(self._runs):
            self._is_same_as_previous.append(self._has_same_checks(run, next_run))

    def rebuild(self) -> AssociationState:
        """Return the state after all runs."""
        position = 0
        while position < len(self._runs):
            before = self._state
            if self._evaluate_run(position):
                position += self._skip_unchanged_runs(position, before)
            position += 1
        return replace(self._state, association=self._association, accounts=self._accounts)

    def _evaluate_run(self, position: int) -> bool:
        """Evaluate a run. Return False if the association was not listed when it began."""
        run = self._runs[position]
        registry = registry_at(self._current_registry, self._log_entries, run.started_at)
        if not registry.is_listed or self._listed_since > run.started_at:
            return False
        state = replace(
            self._state,
            association=registry.association,
            accounts=registry.accounts,
            domain_checks=self._find_domain_checks(run),
        )
        self._state = self._evaluate_state(position, state)
        self._count_run(position, self._list_facets(position, self._state))
        return True

    def _evaluate_state(self, position: int, state: AssociationState) -> AssociationState:
        """Return the state after a run, given the state before it."""
        run = self._runs[position]
        observations = self._replay_observations(run, state)
        linked_keys = collect_linked_keys(state, observations.values())
        self._linked_accounts = self._link_cache.find_by_keys(linked_keys)
        owners = self._replay.find_owners(self._linked_accounts, run.started_at)
        evaluation_time = build_evaluation_time(run, run.unreliable_channels)
        return evaluate_association(
            state, observations, evaluation_time, self._replay.policy, owners
        )

    def _replay_observations(
        self, run: AuditRun, state: AssociationState
    ) -> dict[int, Observation]:
        """Return the observations of a run with the findings of the current probes."""
        self._findings = {}
        replayed = {}
        for account_id, observation in self._observations[run.id].items():
            finding = self._replay.replay_finding(
                self._account_by_id[account_id], observation, state.statuses.get(account_id)
            )
            self._findings[account_id] = finding
            if finding is not None:
                replayed[account_id] = replace(observation, finding=finding)
            else:
                replayed[account_id] = observation
        return replayed

    def _skip_unchanged_runs(self, position: int, before: AssociationState) -> int:
        """Skip the runs after this one in which nothing can change. Return their number."""
        same_runs = range(position, self._find_unchanged_end(position))
        skipped = skip_unchanged_runs(
            before, self._state, same_runs, self._evaluate_state, self._list_facets
        )
        self._state = skipped.state
        if skipped.number:
            facets = self._list_facets(position, self._state)
            for later in same_runs[1 : skipped.number + 1]:
                self._count_run(later, facets)
        return skipped.number

    def _list_facets(self, position: int, state: AssociationState) -> list[str]:
        return self._replay.list_facets(self._runs[position], state)

    def _count_run(self, position: int, facets: list[str]) -> None:
        """Count a run, whose findings are those of the last replay."""
        run = self._runs[position]
        self._replay.count_coverage(run, self._state.association, facets)
        for account_id, observation in self._observations[run.id].items():
            row = self._account_by_id[account_id]
            self._replay.count_observation(row, observation, self._findings[account_id])

    def _find_unchanged_end(self, position: int) -> int:
        """Return the position after the runs that have the same input as this one."""
        next_change = self._find_next_change(self._runs[position].started_at)
        for end in range(position + 1, len(self._runs)):
            if self._runs[end].started_at >= next_change or not self._is_same_as_previous[end]:
                return end
        return len(self._runs)

    def _find_next_change(self, run_started_at: datetime) -> datetime:
        """Return when people may have changed the input next, or a moment after all runs."""
        changes = self._own_changes | self._replay.list_owner_changes(self._linked_accounts)
        return min((time for time in changes if time > run_started_at), default=LATEST_DATETIME)

    def _has_same_checks(self, run: AuditRun, next_run: AuditRun) -> bool:
        """Return True if the next run observed the same as a run, later and as reliably."""
        if next_run.started_at <= run.started_at:
            return False
        if next_run.unreliable_channels != run.unreliable_channels:
            return False
        if not self._has_same_domain_answers(run, next_run):
            return False
        observations = self._observations[run.id]
        next_observations = self._observations[next_run.id]
        if observations.keys() != next_observations.keys():
            return False
        for account_id, observation in observations.items():
            if not _is_later_repeat(next_observations[account_id], observation, next_run):
                return False
        return True

    def _has_same_domain_answers(self, run: AuditRun, next_run: AuditRun) -> bool:
        """Return True if both runs know the same domain checks, and the same of them count."""
        checks = self._find_domain_checks(run)
        if checks != self._find_domain_checks(next_run):
            return False
        for check in checks.values():
            could_use = is_answer_usable(check, run.started_at)
            if is_answer_usable(check, next_run.started_at) != could_use:
                return False
        return True

    def _find_domain_checks(self, run: AuditRun) -> dict[int, DomainCheck]:
        """Return the newest domain check of each account until a run."""
        newest = {}
        for check in self._domain_checks:
            if check.run_id <= (run.id or 0):
                newest[check.account_id] = check
        return newest

    def _list_own_changes(self) -> set[datetime]:
        """Return when people may have changed the input of the evaluation."""
        times = set(map(attrgetter("changed_at"), self._log_entries))
        for decision in self._state.decisions:
            times |= _list_decision_times(decision)
        return times | _list_link_times(self._accounts)

    def _find_listing_start(self, store: Store) -> datetime:
        """Return since when the association was listed, as far as its log does not say it.

        It is derived from its links and gaps.
        """
        if has_arrival_change(self._log_entries):
            return EARLIEST_DATETIME
        gaps = store.conclusions.list_gaps(self._association.id)
        starts = set(map(attrgetter("first_seen"), gaps))
        starts.update(filter(None, map(attrgetter("added_at"), self._accounts)))
        last_run_start = self._runs[-1].started_at if self._runs else LATEST_DATETIME
        return min(starts, default=last_run_start)


def _is_later_repeat(observation: Observation, previous: Observation, run: AuditRun) -> bool:
    """Return True if an observation repeats the previous one, at a time within its run."""
    if observation.result_id != previous.result_id:
        return False
    if observation.first_observed_at != previous.first_observed_at:  # with another stored page
        return False
    if get_response_seconds(observation.finding) != get_response_seconds(previous.finding):
        return False
    return observation.observed_at >= run.started_at > previous.observed_at


def _list_decision_times(decision: Decision) -> set[datetime]:
    """Return when a decision was taken, and when it ends or was withdrawn."""
    times = {decision.decided_at, *iter_decision_ends(decision)}
    if decision.withdrawal is not None:
        times.add(decision.withdrawal.withdrawn_at)
    return times


def _list_link_times(accounts: Iterable[AccountRow]) -> set[datetime]:
    """Return when links were added or withdrawn."""
    times = set()
    for account in accounts:
        times |= {account.added_at, account.withdrawn_at}
    return set(filter(None, times))


_PageKey = tuple[int | None, datetime | None]
"""The id of a result, and when its page was stored."""


class ReplayCache:
    """Replays each stored page of the probe results of one association once.

    A replay depends on the page and on the account with its previous finding, so that all
    observations with a page have the same finding unless the previous finding differs.
    """

    def __init__(self, body_storage: BodyStorage) -> None:
        self._body_storage = body_storage
        self._replays_by_page: dict[_PageKey, list[tuple[Account, Finding | None]]] = {}

    def replay(self, account: Account, observation: Observation) -> Finding | None:
        """Return the finding of the current probe, or None if the recorded one stays."""
        finding = self._replay_result(account, observation)
        if finding is None or not observation.is_repeat:
            return finding
        return replace_response_seconds(finding, get_response_seconds(observation.finding))

    def _replay_result(self, account: Account, observation: Observation) -> Finding | None:
        page_key = (observation.result_id, observation.first_observed_at)
        replays = self._replays_by_page.setdefault(page_key, [])
        for replayed_account, replayed_finding in replays:
            if replayed_account == account:
                return replayed_finding
        finding = replay_probe(account, observation, self._body_storage)
        replays.append((account, finding))
        return finding


class RegisteredLinkCache:
    """The registered links that the runs of one association need, read once for each key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows_by_key: dict[tuple[str, str], list[AccountRow]] = {}

    def find_by_keys(self, keys: AbstractSet[tuple[str, str]]) -> list[AccountRow]:
        """Return the links with these (channel, key) pairs, in the order they were listed."""
        unread_keys = keys - self._rows_by_key.keys()
        if unread_keys:
            self._read_links(unread_keys)
        rows: list[AccountRow] = []
        for key in keys:
            rows += self._rows_by_key[key]
        return sorted(rows, key=lambda row: row.id or 0)

    def _read_links(self, keys: AbstractSet[tuple[str, str]]) -> None:
        """Add the links with these keys. A key that none has gets an empty list."""
        for key in keys:
            self._rows_by_key[key] = []
        for row in self._store.registry.find_accounts_by_key(keys):
            self._rows_by_key[row.channel, row.identity.key or ""].append(row)


def replay_probe(
    account: Account, observation: Observation, body_storage: BodyStorage
) -> Finding | None:
    """Return the finding of the current probe, or None if the recorded one stays."""
    if observation.finding.reason in PROBE_FAILURE_REASONS:
        return None
    if any(is_api_url(exchange.url) for exchange in observation.evidence):
        return None
    try:
        answers = replay_answers(observation.evidence, body_storage)
        result = run_offline(create_probe(account), answers)
    except (ReplayError, MissingEvidenceError, DamagedEvidenceError) as error:
        logger.debug(
            "reevaluation_skipped",
            "the observation of account {account} in run {run} keeps its finding: {reason}",
            account=observation.account_id,
            run=observation.run_id,
            reason=str(error),
        )
        return None
    return sanitize(result.finding)
