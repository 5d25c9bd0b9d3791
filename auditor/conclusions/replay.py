"""Replays the runs of one association after another, with the current probes and rules.

The stored pages of each probe result are replayed with the current probes. If a page was pruned, or
if a probe now requests a page that was not requested then, the recorded finding stays. Observations
never change.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from operator import attrgetter

from auditor.checking.checker import create_probe, to_probe_account
from auditor.checking.evidence import ReplayError, is_api_url, replay_answers
from auditor.conclusions.run_results import (
    StatusCounts,
    build_evaluation_policy,
    build_evaluation_time,
    count_statuses,
    group_by_association,
    index_by_account,
    load_disowning_decisions,
)
from auditor.config.schema import Config
from auditor.registry.history import RegistrySnapshot, iter_links_at, registry_at
from auditor.rules.association import evaluate_association
from auditor.rules.association_state import (
    AccountKey,
    AccountOwners,
    AssociationState,
    collect_linked_keys,
    find_account_owners,
)
from probes.log import EventLogger
from probes.models.finding import Account, Finding, Reason
from probes.models.probe import run_offline
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, Association, AuditRun, Decision, Observation
from storage.models.users import AuditLogEntry
from storage.observations.comparison import get_response_seconds, replace_response_seconds
from storage.retention import PROFILE_REMOVED_FACT
from storage.sanitize import sanitize
from storage.store import Store

logger = EventLogger(__name__)

PROBE_FAILURE_REASONS = frozenset({Reason.CRASHED, Reason.UNREADABLE})
"""Findings of a crashed probe or parser. They are not replayed: what hung once may hang again."""


class RunReplay:
    """Replays the runs of a network for one association after another.

    `replayed_count` and `recorded_count` are the numbers of observations with the finding of the
    current probe, and with the recorded one. `channels_without_profile` are those of the last
    association on which a removed profile was erased.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        runs: Sequence[AuditRun],
        *,
        body_store: BodyStore | None = None,
        facet_counts: Mapping[int, StatusCounts] | None = None,
    ) -> None:
        """Create a replay.

        Without `body_store` the recorded findings are used. `facet_counts` are filled by run.
        """
        self.replayed_count = self.recorded_count = 0
        self.channels_without_profile: set[str] = set()
        self._store = store
        self._runs = runs
        self._policy = build_evaluation_policy(config)
        self._body_store = body_store
        self._config = config
        self._facet_counts = facet_counts or {}
        self._changes: dict[str, list[AuditLogEntry]] = {}
        self._disowning_decisions = group_by_association(load_disowning_decisions(store))
        self._links_by_key: dict[AccountKey, list[AccountRow]] = {}
        self._replays_by_page: dict[
            tuple[int | None, datetime | None], list[tuple[Account, Finding | None]]
        ] = {}

    def rebuild_association(self, association: Association) -> AssociationState:
        """Return the state of an association after its runs."""
        store, name = self._store, association.id
        self._replays_by_page = {}
        self.channels_without_profile = set()
        accounts = tuple(store.registry.list_accounts(name, include_withdrawn=True))
        account_by_id = {account.id: account for account in accounts}
        entry = store.registry.get_association_entry(name)
        is_listed = entry is not None and entry.withdrawn_at is None
        registry = RegistrySnapshot(association, is_listed, accounts)
        log_entries = store.audit_log.list_audit_log(name, limit=None)
        domain_checks = store.domain_checks.list_domain_checks(name)
        observations: dict[int | None, list[Observation]] = defaultdict(list)
        for observation in store.observations.list_observations(association=name):
            observations[observation.run_id].append(observation)
        state = AssociationState(
            association, accounts, decisions=tuple(store.decisions.list_decisions(association=name))
        )
        for run in self._runs:
            then = registry_at(registry, log_entries, run.as_of)
            if not then.is_listed:
                continue
            known_checks = [check for check in domain_checks if check.run_id <= run.id]
            state = replace(
                state,
                association=then.association,
                accounts=then.accounts,
                domain_checks=index_by_account(known_checks),
            )
            replayed = {}
            for observation in observations[run.id]:
                row = account_by_id[observation.account_id]
                replayed[observation.account_id] = self._replay_observation(row, observation, state)
            evaluation_time = build_evaluation_time(run, run.unreliable_channels)
            linked_keys = collect_linked_keys(state, replayed.values())
            owners = self.find_owners(linked_keys, run.as_of)
            state = evaluate_association(state, replayed, evaluation_time, self._policy, owners)
            if counts := self._facet_counts.get(run.id):
                count_statuses(counts, state, evaluation_time, self._config)
        return replace(state, association=association, accounts=accounts)

    def find_owners(self, keys: set[AccountKey], timestamp: datetime) -> AccountOwners:
        """Return which associations had registered these accounts at a point in time."""
        unread_keys = keys - self._links_by_key.keys()
        self._links_by_key.update({key: [] for key in unread_keys})
        for row in self._store.registry.find_accounts_by_key(unread_keys):
            self._links_by_key[row.channel, str(row.identity.key)].append(row)
        found = chain.from_iterable(self._links_by_key[key] for key in keys)
        rows = sorted(found, key=attrgetter("id"))
        log = self._store.audit_log
        for association in set(map(attrgetter("association"), rows)) - self._changes.keys():
            self._changes[association] = log.list_audit_log(association, limit=None)
        links = list(iter_links_at(rows, self._changes, timestamp))
        decisions: list[Decision] = []
        for association in set(map(attrgetter("association"), links)):
            decisions += self._disowning_decisions.get(association, ())
        return find_account_owners(links, timestamp, decisions)

    def _replay_observation(
        self, row: AccountRow, observation: Observation, state: AssociationState
    ) -> Observation:
        """Return the observation with the finding of the current probe, or as it is recorded."""
        if PROFILE_REMOVED_FACT in observation.finding.facts:
            self.channels_without_profile.add(row.channel)
        finding = None
        if self._body_store is not None:
            account = to_probe_account(row, state.statuses.get(observation.account_id))
            finding = self._replay_page(account, observation, self._body_store)
        if finding is None:
            self.recorded_count += 1
            return observation
        self.replayed_count += 1
        if observation.is_repeat:
            seconds = get_response_seconds(observation.finding)
            finding = replace_response_seconds(finding, seconds)
        return replace(observation, finding=finding)

    def _replay_page(
        self, account: Account, observation: Observation, body_store: BodyStore
    ) -> Finding | None:
        """Return the finding of the current probe, or None if the recorded one stays.

        It depends on the page and on the account with its previous finding, so it is computed once
        for both.
        """
        page_key = (observation.result_id, observation.first_observed_at)
        replays = self._replays_by_page.setdefault(page_key, [])
        for replayed_account, replayed_finding in replays:
            if replayed_account == account:
                return replayed_finding
        finding = replay_probe(account, observation, body_store)
        replays.append((account, finding))
        return finding


def replay_probe(
    account: Account, observation: Observation, body_store: BodyStore
) -> Finding | None:
    """Return the finding of the current probe, or None if the recorded one stays."""
    if observation.finding.reason in PROBE_FAILURE_REASONS:
        return None
    if any(is_api_url(exchange.url) for exchange in observation.evidence):
        return None
    try:
        answers = replay_answers(observation.evidence, body_store)
        return sanitize(run_offline(create_probe(account), answers).finding)
    except (ReplayError, MissingEvidenceError, DamagedEvidenceError) as error:
        logger.debug(
            "reevaluation_skipped",
            "the observation of account {account} in run {run} keeps its finding: {reason}",
            account=observation.account_id,
            run=observation.run_id,
            reason=str(error),
        )
        return None
