"""Rebuilds every status, gap and proposal from observations, stored evidence and decisions.

`replay.py` replays the runs of each association, `conclusion_changes.py` compares the result with
what is stored. A rebuild of an unchanged history with unchanged probes and rules changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import filterfalse

from auditor.evaluation.conclusion_changes import ConclusionChange, find_changes
from auditor.evaluation.conclusions import Conclusions
from auditor.evaluation.replay import ReplayCounts, RunReplay
from auditor.evaluation.run_results import CoverageCounter
from auditor.protocols import EvaluationContext
from auditor.rules.association_state import AssociationState
from storage.models.audit import AuditRun, Gap
from storage.store import Store

ProgressCallback = Callable[[int, int], None]


@dataclass(slots=True)
class ReevaluationResult(ReplayCounts):
    """Numbers of runs and observations, and the changes."""

    run_count: int = 0
    changes: list[ConclusionChange] = field(default_factory=list)


def reevaluate(
    context: EvaluationContext, *, dry_run: bool = False, progress: ProgressCallback | None = None
) -> ReevaluationResult:
    """Rebuild every conclusion and return the changes; with `dry_run` store nothing."""
    runs = list(context.store.runs.list_evaluated())
    result = ReevaluationResult(run_count=len(runs))
    coverage_counters: dict[int, CoverageCounter] = {}
    coverage_by_run: dict[int, dict[str, Counter[str]]] = {}
    if not dry_run:
        for run_id in find_recountable_runs(context.store, runs):
            counter = CoverageCounter(context.config.channels)
            coverage_counters[run_id] = counter
            coverage_by_run[run_id] = counter.counts_by_group
    replay = RunReplay(
        context.store,
        context.config,
        runs,
        body_storage=context.body_store,
        counts=result,
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
    result.changes = find_changes(context.store, conclusions)
    if not dry_run:
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
    provable_gaps = filterfalse(is_unprovable, rebuilt.gaps)
    unprovable_gaps = [replace(gap, id=None) for gap in stored_gaps if is_unprovable(gap)]
    return replace(rebuilt, gaps=(*provable_gaps, *unprovable_gaps))


def find_recountable_runs(store: Store, runs: Iterable[AuditRun]) -> Iterator[int]:
    """Yield the ids of the runs whose coverage can be counted again: those after the last erasure.

    The coverage of earlier runs includes erased associations and stays as it is.
    """
    last_erasure = store.erasure.get_last_erasure_time()
    for run in runs:
        if run.id is not None and (last_erasure is None or run.started_at > last_erasure):
            yield run.id
