"""Rebuilds every status, gap and proposal from observations, stored evidence and decisions.

`replay.py` replays the runs of each association, `conclusion_changes.py` compares the result with
what is stored. A rebuild of an unchanged history with unchanged probes and rules changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from auditor.app import App
from auditor.evaluation.conclusion_changes import ConclusionChange, find_changes
from auditor.evaluation.replay import RunReplay
from auditor.evaluation.run_results import CoverageCounter
from auditor.rules.association_state import AssociationState
from storage.conclusions import Conclusions
from storage.models.audit import AuditRun, Gap
from storage.store import Store

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReevaluationResult:
    """Numbers of runs, replayed and recorded observations, and the changes."""

    run_count: int
    replayed_count: int
    recorded_count: int
    changes: list[ConclusionChange]


def reevaluate(
    context: App,
    *,
    dry_run: bool = False,
    progress: ProgressCallback | None = None,
    before: datetime | None = None,
) -> ReevaluationResult:
    """Rebuild every conclusion and return the changes; with `dry_run` store nothing.

    With `before`, runs that began at that moment or later are left out.
    """
    store, config = context.store, context.config
    runs = [run for run in store.runs.list_evaluated() if not before or run.started_at < before]
    counters: dict[int, CoverageCounter] = {}
    if not dry_run:
        for run_id in find_recountable_runs(store, runs):
            counters[run_id] = CoverageCounter(config.channels)
    replay = RunReplay(
        store, config, runs, body_storage=context.body_store, coverage_counters=counters
    )
    associations = list(store.registry.list_associations(include_withdrawn=True))
    rebuilt = Conclusions()
    for number, association in enumerate(associations, start=1):
        state = replay.rebuild_association(association)
        rebuilt.statuses.extend(state.statuses.values())
        rebuilt.gaps.extend(_restore_profile_gaps(context, state, replay.channels_without_profile))
        rebuilt.proposals.extend(state.proposals)
        if progress:
            progress(number, len(associations))
    changes = find_changes(store, rebuilt)
    if not dry_run:
        rebuilt.facet_counts = {
            run_id: counter.counts_by_group for run_id, counter in counters.items()
        }
        store.conclusions.replace(rebuilt)
    return ReevaluationResult(len(runs), replay.replayed_count, replay.recorded_count, changes)


def _restore_profile_gaps(
    context: App, state: AssociationState, channels: set[str]
) -> Iterable[Gap]:
    """Return the gaps of a state, with the stored ones that only an erased profile could prove.

    `channels` are those on which a profile was erased.
    """
    codes = {rule.code for rule in context.config.rules if rule.reads_profile}

    def is_unprovable(gap: Gap) -> bool:
        return gap.channel in channels and gap.code in codes

    if not channels:
        return state.gaps
    stored_gaps = filter(is_unprovable, context.store.conclusions.list_gaps(state.association.id))
    provable_gaps = [gap for gap in state.gaps if not is_unprovable(gap)]
    return [*provable_gaps, *(replace(gap, id=None) for gap in stored_gaps)]


def find_recountable_runs(store: Store, runs: Iterable[AuditRun]) -> Iterator[int]:
    """Yield the ids of the runs whose coverage can be counted again: those after the last erasure.

    The coverage of earlier runs includes erased associations and stays as it is.
    """
    last_erasure = store.erasure.get_last_erasure_time()
    for run in runs:
        if run.id is not None and (last_erasure is None or run.started_at > last_erasure):
            yield run.id
