"""The conclusions of a night: which channels were blind, and every standing, proposal and gap after it.

The coverage of a night, counted while it is concluded or rebuilt: by cohort, channel and state.

Makes the summaries anew that something made stale; who reads them calls it first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import auditor
from auditor.checking.canaries import (
    Canary,
    RunChange,
    find_failed_canaries,
    find_unreliable_channels,
)
from auditor.config.schema import Config
from auditor.evaluation.association_view import build_association_view, find_next_change_date
from auditor.evaluation.summary import (
    build_summary_record,
    find_groups,
    get_coverage_state_in_context,
    select_lasting_params,
)
from auditor.receipts import receipt
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.registry import diff
from auditor.rules import engine, score
from auditor.rules.association import (
    DISOWNING_DECISION_KINDS,
    AccountOwners,
    AssociationState,
    EvaluationPolicy,
    EvaluationTime,
    build_rule_context,
    collect_linked_keys,
    evaluate_association,
    find_account_owners,
)
from probes.log import EventLogger
from probes.models.finding import EARLIEST_DATETIME, LATEST_DATETIME, Finding
from storage.batching import split_into_batches
from storage.files.spool import Spool
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AuditRun,
    AuditRunState,
    CheckTimes,
    Decision,
    Gap,
    Observation,
    Proposal,
)
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, SummaryRecord, SummaryVersion
from storage.models.users import AuditLogEntry
from storage.read_model.association_data import AssociationData
from storage.store import Store

CANARY_WARNINGS_KEY = "canary_warnings"
"""Where a receipt keeps what the canaries of an interrupted session said against a channel."""

ASSOCIATION_BATCH_SIZE = 500
"""So many associations are held in memory together; each alone takes 5 ms of queries (measured 2026-11)."""

Row = TypeVar("Row", AccountRow, Proposal, Gap, Decision)
Noun = TypeVar("Noun")


class ResultSink(Protocol[Noun]):
    """What conclusions are added to: a list, or a file where they may be many."""

    def extend(self, batch: Iterable[Noun], /) -> None:
        """Add these."""
        ...

    def __iter__(self) -> Iterator[Noun]: ...


@dataclass(slots=True)
class Conclusions:
    """What is to be kept: only what changed.

    `checked` are the moments of standings of which nothing else changed; of `steady` ones also what the look
    itself told of the newest publication did, which no list tells; `running` gaps and `seen` proposals were
    met again, and lists tell of them as before.
    """

    statuses: ResultSink[AccountStatus] = field(default_factory=list)
    gaps: ResultSink[Gap] = field(default_factory=list)
    proposals: ResultSink[Proposal] = field(default_factory=list)
    check_times: ResultSink[CheckTimes] = field(default_factory=list)
    unlisted_statuses: ResultSink[AccountStatus] = field(default_factory=list)
    continuing_gaps: ResultSink[Gap] = field(default_factory=list)
    continuing_proposals: ResultSink[Proposal] = field(default_factory=list)

    def add_changes(self, before: AssociationState, after: AssociationState) -> None:
        """Take what a night changed in one dossier."""
        self._add_statuses(before, after)
        self._add_gaps(before, after)
        known = {row.id: row for row in before.proposals}
        found = [row for row in after.proposals if row != known.get(row.id)]
        self.proposals.extend(row for row in found if row.id not in known)
        self.continuing_proposals.extend(row for row in found if row.id in known)

    def _add_statuses(self, before: AssociationState, after: AssociationState) -> None:
        for account, new in after.statuses.items():
            old = before.statuses.get(account)
            if old is new:
                continue
            if old and _get_status_values(old) == _get_status_values(new):
                self.check_times.extend((new.check_times,))
            elif old and _has_only_activity_changed(old, new):
                self.unlisted_statuses.extend((new,))
            else:
                self.statuses.extend((new,))

    def _add_gaps(self, before: AssociationState, after: AssociationState) -> None:
        old = {row.id: row for row in before.gaps}
        changed = [row for row in after.gaps if row != old.get(row.id)]
        running = {
            row.id for row in changed if row.id in old and _is_listed_alike(old[row.id], row)
        }
        self.gaps.extend(row for row in changed if row.id not in running)
        self.continuing_gaps.extend(row for row in changed if row.id in running)


_get_status_values = attrgetter(
    *(one.name for one in fields(AccountStatus) if one.name not in CheckTimes._fields)
)
"""What a standing says, but for when that was last looked at."""


def _has_only_activity_changed(old: AccountStatus, new: AccountStatus) -> bool:
    """Whether only the look's own word of a publication is another: "6 months ago" moves on each night."""
    then, now = old.last_known_finding, new.last_known_finding
    if not (then and now and then.last_activity and now.last_activity):
        return False
    return _get_status_values(old) == _get_status_values(
        replace(new, last_known_finding=replace(now, last_activity=then.last_activity))
    )


_get_listed_gap_values = attrgetter(
    "channel", "subject", "code", "severity", "first_seen", "opened_at", "closed_at"
)


def _is_listed_alike(old: Gap, new: Gap) -> bool:
    """Whether lists tell of a gap as before: of its evidence and its nights they know nothing."""
    return _get_listed_gap_values(old) == _get_listed_gap_values(new) and select_lasting_params(
        old.params
    ) == select_lasting_params(new.params)


def evaluate_run(
    store: Store, config: Config, run: AuditRun, unreliable_channels: Iterable[str]
) -> None:
    """Conclude a night whose accounts have all been looked at, in one transaction, unless that is done.

    One association is judged after the other, and what changes waits in files until everybody's is told: so
    memory does not grow with a register, and nobody waits for the database while they are judged.
    """
    if run.id is not None and store.is_run_evaluated(run.id):
        return
    figures, tonight = (
        CoverageCounter(config.channels),
        build_evaluation_time(run, unreliable_channels),
    )
    with ExitStack() as files:
        spools: list[Spool[Any]] = [files.enter_context(Spool()) for _ in fields(Conclusions)]
        derived = Conclusions(*spools)
        for before, looks, owners in _iter_association_states(store, run):
            after = evaluate_association(
                before, looks, tonight, build_evaluation_policy(config), owners
            )
            derived.add_changes(before, after)
            figures.add_association(after, tonight)
        told = {run.id: figures.counts_by_group} if run.id is not None else {}
        store.save_conclusions(
            derived.statuses,
            derived.gaps,
            derived.proposals,
            told,
            check_times=derived.check_times,
            unchanged_statuses=derived.unlisted_statuses,
            continued_gaps=derived.continuing_gaps,
            known_proposals=derived.continuing_proposals,
        )


def _iter_association_states(
    store: Store, run: AuditRun
) -> Iterator[tuple[AssociationState, dict[int, Observation], AccountOwners]]:
    """Each association the sheet listed when the night began, as it told of it then.

    With it come what the night saw of it, and who else registers the accounts that it has or leads to.
    """
    began, lines = run.started_at, store.group_changes_by_association(run.started_at)
    words = [word for word in store.list_decisions() if word.kind in DISOWNING_DECISION_KINDS]
    for some in split_into_batches(store.list_associations(include_withdrawn=True)):
        held = store.load_association_data([one.id for one in some], include_closed_gaps=False)
        rows = [row.id for row in held.accounts if row.id is not None]
        seen = (
            {look.account_id: look for look in store.list_findings_of_accounts(run.id, rows)}
            if run.id
            else {}
        )
        told = [
            replace(
                one,
                accounts=tuple(
                    diff.undo_link_changes(one.accounts, lines.get(one.association.id, ()), began)
                ),
            )
            for one in assemble_association_states(
                _select_listed_associations(some, held, lines, began), held
            )
        ]
        looks = {
            one.association.id: {
                row.id: seen[row.id] for row in one.accounts if row.id and row.id in seen
            }
            for one in told
        }
        keys = {
            key
            for one in told
            for key in collect_linked_keys(one, looks[one.association.id].values())
        }
        owners = find_account_owners(
            diff.iter_links_at(store.find_accounts_by_key(keys), lines, began), began, words
        )
        yield from ((one, looks[one.association.id], owners) for one in told)


def _select_listed_associations(
    batch: Iterable[Association],
    association_data: AssociationData,
    registry_changes: Mapping[str, Sequence[AuditLogEntry]],
    run_started_at: datetime,
) -> list[Association]:
    """Those of some associations that the sheet listed when the night began, as it told of them."""
    now = {association.id for association in association_data.associations}
    then = (
        diff.registry_at(
            diff.RegistrySnapshot(about, about.id in now, ()),
            registry_changes.get(about.id, ()),
            run_started_at,
        )
        for about in batch
    )
    return [one.association for one in then if one.is_listed]


def load_account_owners(
    store: Store, now: datetime, run_started_at: datetime | None = None
) -> AccountOwners:
    """Who registers each account at a moment, as far as people's words let them."""
    return find_account_owners(
        store.list_accounts(include_withdrawn=True), now, store.list_decisions(), run_started_at
    )


def build_evaluation_policy(config: Config) -> EvaluationPolicy:
    """By what a configuration judges."""
    return EvaluationPolicy(
        config.confirm, config.rules, load_gap_catalogue(), frozenset(config.channels)
    )


def build_evaluation_time(run: AuditRun, unreliable_channels: Iterable[str]) -> EvaluationTime:
    """A night as the judge sees it. It is judged as of its beginning, so that a rebuild judges the same."""
    return EvaluationTime(run.started_at, run.started_at, frozenset(unreliable_channels))


def get_current_evaluation_time(latest_run: AuditRun | None) -> EvaluationTime:
    """Return the time of what is known now: as of the latest evaluated run, with every change since.

    Every stored change counts, whatever its date. After the clock is set back, a change made before that
    is dated in the future, and lists and pages would otherwise differ. Before the first run no decision
    has ended yet, because a decision ends with a run.
    """
    started_at = latest_run.started_at if latest_run else EARLIEST_DATETIME
    return EvaluationTime(started_at, LATEST_DATETIME)


def assemble_association_states(
    associations: Iterable[Association], association_data: AssociationData
) -> Iterator[AssociationState]:
    """A dossier for each association from what is held of several."""
    accounts, proposals = (
        _group_by_association(association_data.accounts),
        _group_by_association(association_data.proposals),
    )
    gaps, decisions = (
        _group_by_association(association_data.gaps),
        _group_by_association(association_data.decisions),
    )
    standings = {standing.account_id: standing for standing in association_data.statuses}
    for association in associations:
        rows = accounts.get(association.id, ())
        yield AssociationState(
            association=association,
            accounts=tuple(rows),
            statuses={
                row.id: standings[row.id]
                for row in rows
                if row.id is not None and row.id in standings
            },
            proposals=tuple(proposals.get(association.id, ())),
            gaps=tuple(gaps.get(association.id, ())),
            decisions=tuple(decisions.get(association.id, ())),
        )


def _group_by_association(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.association, []).append(row)
    return groups


def save_run_facts(
    store: Store,
    run: AuditRun,
    canary_readings: Sequence[tuple[Canary, Finding]],
    facts: Mapping[str, object] = MappingProxyType({}),
) -> AuditRun:
    """The night with these facts in its receipt, and what its canaries say against a channel.

    The latter holds for every look of the night, also when it is gone on with and they read right by then.
    """
    held = run.receipt.get(CANARY_WARNINGS_KEY)
    told = find_failed_canaries(canary_readings) | (held if isinstance(held, dict) else {})
    return _save_open_receipt(
        store,
        run,
        {
            **receipt.select_carried_fields(run),
            **facts,
            **({CANARY_WARNINGS_KEY: told} if told else {}),
        },
    )


def _save_open_receipt(
    store: Store,
    run: AuditRun,
    receipt_fields: Mapping[str, object],
    unreliable_channels: Iterable[str] = (),
) -> AuditRun:
    """Write the receipt of a night that goes on."""
    known = sorted({*run.unreliable_channels, *unreliable_channels})
    store.finish_run(
        run,
        AuditRunState.INCOMPLETE,
        run.started_at,
        unreliable_channels=known,
        receipt=receipt_fields,
    )
    return store.begin_run(run.day, run.started_at)


def save_unreliable_channels(
    store: Store, config: Config, run: AuditRun, canary_readings: Sequence[tuple[Canary, Finding]]
) -> tuple[AuditRun, Mapping[str, str]]:
    """The night with its blind channels kept, and each of them with its reason.

    They are told from the standings before the night, so they are kept before anything is concluded: a
    night that dies in between concludes the same when it is gone on with.
    """
    kept = run.receipt.get("unreliable_channels")
    if isinstance(kept, dict):
        return run, kept
    held = run.receipt.get(CANARY_WARNINGS_KEY)
    before = held if isinstance(held, dict) else {}
    blind = find_unreliable_channels(
        canary_readings, _iter_run_changes(store, run), config.channels, before
    )
    return _save_open_receipt(store, run, {**run.receipt, "unreliable_channels": blind}, blind), blind


def _iter_run_changes(store: Store, run: AuditRun) -> Iterator[RunChange]:
    """What the night saw of each account that is listed, beside what was held of it before."""
    for found in split_into_batches(
        store.list_findings_of_run(run.id) if run.id is not None else ()
    ):
        ids = [account for account, _ in found]
        channels, before = store.get_account_channels(ids), store.get_account_statuses(ids)
        for account, finding in found:
            if account in channels:
                yield RunChange(
                    channels[account], before.get(account) or AccountStatus(account), finding
                )


class CoverageCounter:
    """What was counted, by cohort and facet. Pure."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = tuple(channels)
        self.counts_by_group: dict[str, Counter[str]] = defaultdict(
            Counter, {NETWORK_GROUP: Counter({ALL_FACET: 0})}
        )

    def add_association(
        self, association_state: AssociationState, evaluation_time: EvaluationTime
    ) -> None:
        """Count an association as it stands after a night."""
        known, about = (
            build_rule_context(association_state, evaluation_time, {}),
            association_state.association,
        )
        facets = [
            ALL_FACET,
            *(
                f"{channel}:{get_coverage_state_in_context(known, channel)}"
                for channel in self._channels
            ),
        ]
        for cohort in {NETWORK_GROUP, *find_groups(about.region, about.tags)}:
            self.counts_by_group[cohort].update(facets)


events = EventLogger(__name__)

SUMMARY_FORMAT_VERSION = 5
"""Another one with every change of what a summary tells, or of how it is found."""

NO_OWNERS: AccountOwners = {}
"""Who else registers an account shows on the ladder of links alone, of which a summary tells nothing."""

MAX_REFRESH_ATTEMPTS = 3

MAX_STALE_WHILE_READING = 200
"""Stale summaries that the reader of a page waits for: half a second (measured 2026-11)."""


def refresh_summaries(
    store: Store,
    config: Config,
    *,
    max_stale: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Make every stale summary anew and say how many there were; with none this is two small queries.

    After a night those are stale of which something changed or turns with it, and all of them where the
    configuration or the auditor is another. All that is stored by then counts, by whatever clock.
    Where there are more than `most`, none is made: who waits for a page shows the old ones, and whoever
    made so many stale, or `auditor serve` within a minute, makes them anew. Once it is `over`, it ends.
    """
    made = 0
    for _ in range(MAX_REFRESH_ATTEMPTS):
        night = store.get_latest_evaluated_run()
        basis = compute_summary_version(config, night)
        store.update_summary_version(basis)
        if max_stale is not None and len(store.list_stale_summaries(max_stale + 1)) > max_stale:
            return made
        moment = get_current_evaluation_time(night)
        while marks := store.list_stale_summaries(ASSOCIATION_BATCH_SIZE):
            if not store.save_summaries(
                _build_summary_records(store, config, marks, moment), marks, basis
            ):
                break
            made += len(marks)
            if should_stop():
                return made
        else:
            return made
    said = "the summaries are being made by another configuration at the same time"
    events.warning("summaries_contended", said)
    return made


def compute_summary_version(config: Config, run: AuditRun | None) -> SummaryVersion:
    """By what summaries are made: what is audited and how it is judged, which auditor, as of which night."""
    judged = (
        SUMMARY_FORMAT_VERSION,
        score.SCORE_VERSION,
        engine.RULES_VERSION,
        _compute_catalogue_digest(),
        list(config.channels),
        config.activity,
    )
    return SummaryVersion(
        f"{auditor.__version__} {_compute_short_digest(judged)}", run.started_at if run else None
    )


@cache
def _compute_catalogue_digest() -> str:
    """The catalogue's digest, the same in each process: sets are sorted, whose order is another in each."""
    return _compute_short_digest(
        json.dumps(asdict(load_gap_catalogue()), sort_keys=True, default=sorted)
    )


def _compute_short_digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _build_summary_records(
    store: Store, config: Config, stale_marks: Mapping[str, str], evaluation_time: EvaluationTime
) -> Iterator[SummaryRecord]:
    held = store.load_association_data(stale_marks)
    for dossier in assemble_association_states(held.associations, held):
        seen = build_association_view(dossier, config, evaluation_time, NO_OWNERS)
        yield build_summary_record(
            seen,
            config.channels,
            find_next_change_date(seen, config.activity, evaluation_time.run_started_at),
        )
