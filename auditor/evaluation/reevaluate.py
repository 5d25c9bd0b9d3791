"""Rebuilds every status, gap and proposal from observations, stored evidence and decisions.

The stored pages of each observation are replayed with the current probes. If a page was pruned, or
if a probe now requests a page that was not requested then, the recorded finding stays. Observations
never change. A rebuild of an unchanged history with unchanged probes and rules changes nothing.

The module also describes the changes of a rebuild for people: line by line, by kind, and as
warnings of possible errors of the auditor.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from auditor.checking.canaries import MIN_CHANGED_ACCOUNTS
from auditor.checking.checker import create_probe, to_probe_account
from auditor.config.schema import Config
from auditor.evaluation.run_results import (
    Conclusions,
    CoverageCounter,
    build_evaluation_policy,
    build_evaluation_time,
)
from auditor.evidence import BodyStorage, ReplayError, replay_answers
from auditor.i18n.translator import Translator
from auditor.protocols import EvaluationContext
from auditor.reference.gap_catalogue import Voice
from auditor.registry.history import (
    RegistrySnapshot,
    has_arrival_change,
    iter_links_at,
    registry_at,
)
from auditor.rules import engine
from auditor.rules.association import evaluate_association
from auditor.rules.association_state import (
    DISOWNING_DECISION_KINDS,
    AccountOwners,
    AssociationState,
    collect_linked_keys,
    find_account_owners,
)
from probes.links import channel_registry, identify
from probes.log import EventLogger
from probes.models.finding import EARLIEST_DATETIME, LATEST_DATETIME, Account, Finding, Reason
from probes.models.probe import run_offline
from storage.api_data import PROFILE_REMOVED_FACT
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AuditRun,
    Decision,
    Gap,
    Observation,
    Proposal,
)
from storage.observations.comparison import get_response_seconds, replace_response_seconds
from storage.sanitize import sanitize
from storage.store import Store

logger = EventLogger(__name__)

ProgressCallback = Callable[[int, int], None]

PROBE_FAILURE_REASONS = frozenset({Reason.CRASHED, Reason.UNREADABLE})
"""Findings of a crashed probe or parser. They are not replayed: what hung once may hang again."""


@dataclass(frozen=True, slots=True)
class ConclusionChange:
    """A changed conclusion; `kind` is account_status, gap or proposal. None means not there."""

    kind: str
    association: str
    channel: str
    subject: str
    before: str | None
    after: str | None


@dataclass(slots=True)
class ReevaluationResult:
    """Numbers of runs, replayed and recorded observations, and the changes.

    `expired_counts` has the recorded observations whose API responses were dropped, by channel and
    day of the run: no new version of a probe can read them.
    """

    run_count: int = 0
    replayed_count: int = 0
    recorded_count: int = 0
    expired_counts: Counter[tuple[str, date]] = field(default_factory=Counter)
    changes: list[ConclusionChange] = field(default_factory=list)


def reevaluate(
    context: EvaluationContext,
    *,
    dry_run: bool = False,
    progress: ProgressCallback | None = None,
    before: datetime | None = None,
) -> ReevaluationResult:
    """Rebuild every conclusion and return the changes; with `dry_run` store nothing.

    With `before`, runs that began at that moment or later are left out.
    """
    runs = [
        run
        for run in context.store.runs.list_evaluated()
        if before is None or run.started_at < before
    ]
    result = ReevaluationResult(run_count=len(runs))
    coverage_counters: dict[int, CoverageCounter] = {}
    if not dry_run:
        for run_id in find_recountable_runs(context.store, runs):
            coverage_counters[run_id] = CoverageCounter(context.config.channels)
    replay = RunReplay(
        context.store,
        context.config,
        runs,
        body_storage=context.body_store,
        result=result,
        coverage_counters=coverage_counters,
    )
    associations = list(context.store.registry.list_associations(include_withdrawn=True))
    conclusions = Conclusions()
    for number, association in enumerate(associations, start=1):
        rebuilt = replay.rebuild_association(association)
        if channels := replay.find_channels_without_profile(association):
            rebuilt = _restore_profile_gaps(context, rebuilt, channels)
        conclusions.add_changes(AssociationState(association), rebuilt)
        if progress:
            progress(number, len(associations))
    result.changes = _find_changes(context.store, conclusions)
    if not dry_run:
        coverage_by_run = {
            run_id: counter.counts_by_group for run_id, counter in coverage_counters.items()
        }
        context.store.conclusions.replace(
            conclusions.statuses, conclusions.gaps, conclusions.proposals, coverage_by_run
        )
    return result


def _restore_profile_gaps(
    context: EvaluationContext, rebuilt: AssociationState, channels: AbstractSet[str]
) -> AssociationState:
    """Return the state with the stored gaps that only a deleted profile could prove again."""
    codes = {rule.code for rule in context.config.rules if rule.reads_profile}

    def is_unprovable(gap: Gap) -> bool:
        return gap.channel in channels and gap.code in codes

    stored_gaps = context.store.conclusions.list_gaps(rebuilt.association.id)
    unprovable_gaps = [replace(gap, id=None) for gap in stored_gaps if is_unprovable(gap)]
    provable_gaps = [gap for gap in rebuilt.gaps if not is_unprovable(gap)]
    return replace(rebuilt, gaps=(*provable_gaps, *unprovable_gaps))


def find_recountable_runs(store: Store, runs: Iterable[AuditRun]) -> Iterator[int]:
    """Yield the ids of the runs whose coverage can be counted again: those after the last erasure.

    The coverage of earlier runs includes erased associations and stays as it is.
    """
    last_erasure = store.erasure.get_last_erasure_time()
    return (
        run.id
        for run in runs
        if run.id is not None and (last_erasure is None or run.started_at > last_erasure)
    )


class RunReplay:
    """Replays the runs of a network for one association after another."""

    def __init__(
        self,
        store: Store,
        config: Config,
        runs: Sequence[AuditRun],
        *,
        body_storage: BodyStorage | None = None,
        result: ReevaluationResult | None = None,
        coverage_counters: Mapping[int, CoverageCounter] | None = None,
    ) -> None:
        """Create a replay.

        Without `body_storage` the recorded findings are used. `coverage_counters` are filled by
        run.
        """
        self._store = store
        self._runs = runs
        self._day_by_run_id = {run.id: run.day for run in runs}
        self._replay_cache = ReplayCache(body_storage) if body_storage else None
        self._result = result or ReevaluationResult()
        self._channels_without_profile: dict[str, set[str]] = defaultdict(set)
        self._coverage_counters = coverage_counters or {}
        self._policy = build_evaluation_policy(config)
        self._listed_ids = {association.id for association in store.registry.list_associations()}
        self._registry_changes = store.audit_log.group_changes_by_association()
        self._disowning_decisions: dict[str, list[Decision]] = defaultdict(list)
        for decision in store.decisions.list_decisions():
            if decision.kind in DISOWNING_DECISION_KINDS:
                self._disowning_decisions[decision.association].append(decision)

    def rebuild_association(self, association: Association) -> AssociationState:
        """Return the state of an association after its runs."""
        store = self._store
        if self._replay_cache:
            self._replay_cache.clear()
        accounts = tuple(store.registry.list_accounts(association.id, include_withdrawn=True))
        decisions = tuple(store.decisions.list_decisions(association=association.id))
        witness_records = tuple(store.witnesses.list_witness_records(association.id))
        state = AssociationState(
            association, accounts, decisions=decisions, witness_records=witness_records
        )
        current = RegistrySnapshot(association, association.id in self._listed_ids, accounts)
        log_entries = store.audit_log.list_audit_log(association.id, limit=None)
        if has_arrival_change(log_entries):
            listed_since = EARLIEST_DATETIME
        else:
            listed_since = self._find_listing_start(association, accounts)
        observations_by_run = self._load_observations(association)
        account_by_id = {account.id: account for account in accounts}
        link_cache = RegisteredLinkCache(store)
        domain_checks = store.domain_checks.list_domain_checks(association.id)
        for run in self._runs:
            registry = registry_at(current, log_entries, run.started_at)
            if registry.is_listed and listed_since <= run.started_at:
                state = replace(
                    state,
                    association=registry.association,
                    accounts=registry.accounts,
                    domain_checks={
                        check.account_id: check
                        for check in domain_checks
                        if check.run_id <= (run.id or 0)
                    },
                )
                observations = {
                    account_id: self._replay_observation(
                        account_by_id[account_id], observation, state.statuses.get(account_id)
                    )
                    for account_id, observation in observations_by_run.get(run.id or 0, {}).items()
                }
                state = self._evaluate_run(state, run, observations, link_cache)
        return replace(state, association=association, accounts=accounts)

    def find_channels_without_profile(self, association: Association) -> AbstractSet[str]:
        """Return the channels of a rebuilt association on which a removed profile was deleted."""
        return self._channels_without_profile.get(association.id, frozenset())

    def _evaluate_run(
        self,
        state: AssociationState,
        run: AuditRun,
        observations: Mapping[int, Observation],
        link_cache: RegisteredLinkCache,
    ) -> AssociationState:
        """Return the state of an association after one run, and count its coverage."""
        evaluation_time = build_evaluation_time(run, run.unreliable_channels)
        linked_keys = collect_linked_keys(state, observations.values())
        owners = self._find_owners(link_cache.find_by_keys(linked_keys), run.started_at)
        state = evaluate_association(state, observations, evaluation_time, self._policy, owners)
        if run.id is not None and run.id in self._coverage_counters:
            self._coverage_counters[run.id].add_association(state, evaluation_time)
        return state

    def _find_listing_start(
        self, association: Association, accounts: Sequence[AccountRow]
    ) -> datetime:
        """Return since when an association without log entries was listed.

        It is derived from its links and gaps.
        """
        starts = [account.added_at for account in accounts if account.added_at]
        starts += [gap.first_seen for gap in self._store.conclusions.list_gaps(association.id)]
        last_run_start = self._runs[-1].started_at if self._runs else LATEST_DATETIME
        return min(starts, default=last_run_start)

    def _find_owners(self, accounts: Iterable[AccountRow], timestamp: datetime) -> AccountOwners:
        """Return which associations had registered these links at a point in time."""
        links = list(iter_links_at(accounts, self._registry_changes, timestamp))
        decisions = [
            decision
            for name in {link.association for link in links}
            for decision in self._disowning_decisions.get(name, ())
        ]
        return find_account_owners(links, timestamp, decisions)

    def _load_observations(self, association: Association) -> Mapping[int, dict[int, Observation]]:
        observations: dict[int, dict[int, Observation]] = defaultdict(dict)
        for observation in self._store.observations.list_observations(association=association.id):
            observations[observation.run_id][observation.account_id] = observation
        return observations

    def _replay_observation(
        self, row: AccountRow, observation: Observation, previous_status: AccountStatus | None
    ) -> Observation:
        if PROFILE_REMOVED_FACT in observation.finding.facts:
            self._channels_without_profile[row.association].add(row.channel)
        finding = None
        if self._replay_cache:
            account = to_probe_account(row, previous_status)
            finding = self._replay_cache.replay(account, observation)
        if finding is None:
            self._result.recorded_count += 1
            if has_expired_response(observation):
                day = self._day_by_run_id.get(observation.run_id, observation.observed_at.date())
                self._result.expired_counts[row.channel, day] += 1
            return observation
        self._result.replayed_count += 1
        return replace(observation, finding=finding)


class ReplayCache:
    """Replays each probe result of one association once.

    A replay depends on the result and on the account with its previous finding, so that all
    observations of a result have the same finding unless the previous finding differs.
    """

    def __init__(self, body_storage: BodyStorage) -> None:
        self._body_storage = body_storage
        self._replays_by_result: dict[int | None, list[tuple[Account, Finding | None]]] = {}

    def replay(self, account: Account, observation: Observation) -> Finding | None:
        """Return the finding of the current probe, or None if the recorded one stays."""
        finding = self._replay_result(account, observation)
        if finding is None or not observation.is_repeat:
            return finding
        return replace_response_seconds(finding, get_response_seconds(observation.finding))

    def _replay_result(self, account: Account, observation: Observation) -> Finding | None:
        replays = self._replays_by_result.setdefault(observation.result_id, [])
        for replayed_account, replayed_finding in replays:
            if replayed_account == account:
                return replayed_finding
        finding = replay_probe(account, observation, self._body_storage)
        replays.append((account, finding))
        return finding

    def clear(self) -> None:
        """Forget all replays, before the next association."""
        self._replays_by_result.clear()


class RegisteredLinkCache:
    """The registered links that the runs of one association need, read once for each key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows_by_key: dict[tuple[str, str], list[AccountRow]] = {}

    def find_by_keys(self, keys: AbstractSet[tuple[str, str]]) -> list[AccountRow]:
        """Return the links with these (channel, key) pairs, in the order they were listed."""
        if unknown := keys - self._rows_by_key.keys():
            self._rows_by_key |= {key: [] for key in unknown}
            for row in self._store.registry.find_accounts_by_key(unknown):
                self._rows_by_key[row.channel, row.identity.key or ""].append(row)
        rows = (row for key in keys for row in self._rows_by_key[key])
        return sorted(rows, key=lambda row: row.id or 0)


def replay_probe(
    account: Account, observation: Observation, body_storage: BodyStorage
) -> Finding | None:
    """Return the finding of the current probe, or None if the recorded one stays."""
    if observation.finding.reason in PROBE_FAILURE_REASONS:
        return None
    try:
        result = run_offline(
            create_probe(account, _find_api_channels(account, observation)),
            replay_answers(observation.evidence, body_storage),
        )
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


def has_expired_response(observation: Observation) -> bool:
    """Return True if the responses of an API were dropped, as its terms demand."""
    api_hosts = channel_registry.list_api_hosts()
    return any(
        exchange.is_pruned and identify.get_link_host(exchange.url) in api_hosts
        for exchange in observation.evidence
    )


def _find_api_channels(account: Account, observation: Observation) -> tuple[str, ...]:
    """Return the channel if the observation was made with its API."""
    channel_api = channel_registry.get_channel_api(account.channel)
    used_api = channel_api is not None and any(
        identify.get_link_host(exchange.url) == channel_api.host
        for exchange in observation.evidence
    )
    return (account.channel,) if used_api else ()


def _find_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    """Return the differences between the stored and the derived conclusions."""
    return [
        *_find_status_changes(store, derived),
        *_find_gap_changes(store, derived),
        *_find_proposal_changes(store, derived),
    ]


def _find_status_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    accounts = {
        account.id: account for account in store.registry.list_accounts(include_withdrawn=True)
    }
    stored = {status.account_id: status for status in store.statuses.list_account_statuses()}
    rebuilt = {status.account_id: sanitize(status) for status in derived.statuses}
    return _compare_conclusions(stored, rebuilt, lambda status: _describe_status(status, accounts))


def _find_gap_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    stored = {
        (engine.get_gap_key(gap), gap.first_seen): replace(gap, id=None)
        for gap in store.conclusions.list_gaps()
    }
    rebuilt = {(engine.get_gap_key(gap), gap.first_seen): sanitize(gap) for gap in derived.gaps}
    return _compare_conclusions(stored, rebuilt, _describe_gap)


def _find_proposal_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    stored = {
        _proposal_key(proposal): replace(proposal, id=None)
        for proposal in store.conclusions.list_proposals()
    }
    rebuilt = {_proposal_key(proposal): sanitize(proposal) for proposal in derived.proposals}
    return _compare_conclusions(stored, rebuilt, _describe_proposal)


def _proposal_key(proposal: Proposal) -> tuple[str, str, str]:
    return (proposal.association, proposal.link.channel, proposal.link.key)


def _compare_conclusions(
    before: Mapping[Any, Any],
    after: Mapping[Any, Any],
    describe: Callable[[Any], tuple[str, str, str, str, str]],
) -> list[ConclusionChange]:
    changes = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old != new:
            kind, association, channel, subject, _ = describe(old or new)
            texts = [
                describe(conclusion)[4] if conclusion is not None else None
                for conclusion in (old, new)
            ]
            changes.append(ConclusionChange(kind, association, channel, subject, *texts))
    return changes


def _describe_status(
    status: AccountStatus, accounts: Mapping[int | None, AccountRow]
) -> tuple[str, str, str, str, str]:
    account = accounts[status.account_id]
    subject = account.identity.key or account.typed_text
    last_activity = status.last_activity.format_iso() if status.last_activity else "no date"
    text = f"{status.state}/{status.reason or '-'}, {last_activity}"
    return "account_status", account.association, account.channel, subject, text


def _describe_gap(gap: Gap) -> tuple[str, str, str, str, str]:
    return (
        "gap",
        gap.association,
        gap.channel,
        f"{gap.code} {gap.subject}".strip(),
        f"{_get_gap_state(gap)}, {gap.run_count} runs",
    )


def _get_gap_state(gap: Gap) -> str:
    if gap.closed_at:
        return "closed"
    return "open" if gap.opened_at else "candidate"


def _describe_proposal(proposal: Proposal) -> tuple[str, str, str, str, str]:
    return "proposal", *_proposal_key(proposal), f"{proposal.run_count} runs"


INITIAL_STATUS_TEXT = "unknown/-, no date"
"""The status of a registered account without any conclusive run."""


def simplify_changes(changes: Iterable[ConclusionChange]) -> list[ConclusionChange]:
    """Return one change per conclusion, without changes of details only.

    With another rule, the same gap may begin in another run. Its removal and its addition become
    one change.
    """
    changes_by_subject: dict[tuple[str, str, str, str], list[ConclusionChange]] = defaultdict(list)
    for change in changes:
        key = (change.kind, change.association, change.channel, change.subject)
        changes_by_subject[key].append(change)
    paired = [change for group in changes_by_subject.values() for change in _pair_changes(group)]
    return [
        change
        for change in paired
        if _get_effective_text(change, change.before) != _get_effective_text(change, change.after)
    ]


def _get_effective_text(change: ConclusionChange, text: str | None) -> str | None:
    """Return the text of a conclusion; an initial status is the same as none."""
    return None if change.kind == "account_status" and text == INITIAL_STATUS_TEXT else text


def _pair_changes(changes: Sequence[ConclusionChange]) -> list[ConclusionChange]:
    """Pair removals and additions with the same subject: open gaps with open gaps."""
    removed = sorted((change for change in changes if change.after is None), key=_is_still_open)
    added = sorted((change for change in changes if change.before is None), key=_is_still_open)
    modified = [
        change for change in changes if change.before is not None and change.after is not None
    ]
    pair_count = min(len(removed), len(added))
    first_removed, first_added = len(removed) - pair_count, len(added) - pair_count
    pairs = zip(removed[first_removed:], added[first_added:], strict=True)
    merged = [replace(old, after=new.after) for old, new in pairs]
    return [*modified, *merged, *removed[:first_removed], *added[:first_added]]


def _is_still_open(change: ConclusionChange) -> bool:
    return not (change.before or change.after or "").startswith("closed")


def build_column_translators(translator: Translator) -> Mapping[str, Callable[[str], str]]:
    """Return the functions that translate the columns of a change for a terminal."""
    return {
        "kind": partial(translator.term, "conclusion"),
        "subject": partial(_translate_subject, translator),
        "before": partial(_translate_conclusion, translator),
        "after": partial(_translate_conclusion, translator),
    }


def _translate_subject(translator: Translator, subject: str) -> str:
    """Return the key of an account; for a gap, its title and the key."""
    code, _, key = subject.partition(" ")
    return translator.join_list(filter(None, (translator.gap_title(code, voice=Voice.LABEL), key)))


def _translate_conclusion(translator: Translator, conclusion: str) -> str:
    """Translate a status or gap state, which consists of codes, dates and a number of runs."""
    return translator.join_list(
        _translate_part(translator, part)
        for part in re.split("/|, ", conclusion)
        if part not in {"-", "no date"}
    )


def _translate_part(translator: Translator, part: str) -> str:
    if runs := re.fullmatch(r"(\d+) runs", part):
        return translator.translate_plural("{n} check", "{n} checks", int(runs[1]))
    if re.match(r"\d{4}-\d\d", part):
        return translator.format_date(part)
    for group in ("account_status", "gap_state", "cause"):
        if (term := translator.term(group, part)) != part:
            return term
    return part


def summarize_changes(changes: Iterable[ConclusionChange], translator: Translator) -> list[str]:
    """Return how many gaps of each code open or close, and how many other conclusions change."""
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    other_counts: Counter[str] = Counter()
    for change in changes:
        if change.kind != "gap":
            other_counts[change.kind] += 1
            continue
        code = change.subject.partition(" ")[0]
        was_open, is_open = _is_open(change.before), _is_open(change.after)
        if is_open and not was_open:
            opened[code] += 1
        elif was_open and not is_open:
            closed[code] += 1
    gap_lines = [
        translator.format_pair(
            translator.gap_title(code, voice=Voice.LABEL),
            translator.join_list(_format_gap_counts(translator, opened[code], closed[code])),
        )
        for code in sorted(opened | closed)
    ]
    other_lines = [
        translator.format_pair(
            translator.term("conclusions", kind), translator.format_number(count)
        )
        for kind, count in sorted(other_counts.items())
    ]
    return [*gap_lines, *other_lines]


def _is_open(gap_text: str | None) -> bool:
    return (gap_text or "").startswith("open")


def _format_gap_counts(translator: Translator, opened: int, closed: int) -> list[str]:
    return [
        translator.translate_plural("{n} more problem", "{n} more problems", opened),
        translator.translate_plural("{n} fewer problem", "{n} fewer problems", closed),
    ]


def warn_about_mass_losses(
    changes: Iterable[ConclusionChange], translator: Translator
) -> list[str]:
    """Return warnings if so many accounts become gone for one reason that a probe may be wrong.

    A run has canaries for that. A rebuild replays current probes on old pages and has none.
    """
    lost = Counter(
        (change.channel, (change.after or "").partition(",")[0])
        for change in changes
        if change.kind == "account_status"
        and _is_gone(change.after)
        and not _is_gone(change.before)
    )
    return [
        translator.translate_plural(
            "warning: {n} account on {channel} changes to: {finding}; check it, "
            "the error may be ours",
            "warning: {n} accounts on {channel} change to: {finding}; check some of them, "
            "the error may be ours",
            count,
            channel=channel,
            finding=_translate_conclusion(translator, status_text),
        )
        for (channel, status_text), count in sorted(lost.items())
        if count >= MIN_CHANGED_ACCOUNTS
    ]


def _is_gone(status_text: str | None) -> bool:
    return (status_text or "").startswith("gone")
