"""Skips the evaluation of runs in which nothing but counters and times can change. Pure.

A run with the same observations, registry and decisions as the run before may still change
something, because time passes: a publication becomes too old, a doubt is confirmed. Rules compare
times with limits, so with unchanged input each changes its match at most once. Therefore, if the
last of several such runs changes the same counters as the run before them, so do those in between.
`skip_unchanged_runs` evaluates only the last one. If it changes something else, a date has passed,
and only half of the runs are skipped. See docs/decisions/0047.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from auditor.rules.association_state import AssociationState
from storage.models.audit import AccountStatus, Gap, Proposal, Streak

MAX_SKIPPED_RUNS = 100
"""The most runs that are skipped at once."""


class StatusStep(NamedTuple):
    """The times of a status that a run changes, and the runs that it adds to the failures."""

    is_checked: bool
    is_decided: bool
    failures: int


class CountStep(NamedTuple):
    """The runs that a run adds to a gap or proposal, and whether it replaces its values."""

    runs: int
    has_new_values: bool


@dataclass(frozen=True, slots=True)
class CountingStep:
    """All that a run changed, if it changed only counters, times and the values of texts."""

    statuses: dict[int, StatusStep]
    gaps: tuple[CountStep, ...]
    proposals: tuple[CountStep, ...]


Row = TypeVar("Row", Gap, Proposal)
Evaluate = Callable[[int, AssociationState], AssociationState]
"""Evaluates the run with an index, given the state before it."""


class SkippedRuns(NamedTuple):
    """The number of skipped runs, the last of which was evaluated, and the state after it."""

    number: int
    state: AssociationState


def skip_unchanged_runs(
    before: AssociationState,
    after: AssociationState,
    runs: range,
    evaluate: Evaluate,
    list_facets: Callable[[int, AssociationState], Sequence[str]],
) -> SkippedRuns:
    """Skip the next runs, which have the same input as the one that led from `before` to `after`.

    `runs` are the indexes of that run and of the next ones. `list_facets` returns what the coverage
    of a run counts. The number of skipped runs is 0 if something changes in each of them.
    """
    step = find_counting_step(before, after)
    count = min(len(runs) - 1, MAX_SKIPPED_RUNS)
    while step is not None and count > 1:
        before_last = repeat_step(after, step, count - 1)
        after_last = evaluate(runs[count], before_last)
        has_same_step = find_counting_step(before_last, after_last) == step
        if has_same_step and list_facets(runs[0], after) == list_facets(runs[count], after_last):
            return SkippedRuns(count, after_last)
        count //= 2
    return SkippedRuns(0, after)


def find_counting_step(before: AssociationState, after: AssociationState) -> CountingStep | None:
    """Return what a run changed, or None if it changed more than counters and times."""
    if before.statuses.keys() != after.statuses.keys():
        return None
    statuses = {}
    for account_id, status in after.statuses.items():
        status_step = _find_status_step(before.statuses[account_id], status)
        if status_step is None:
            return None
        statuses[account_id] = status_step
    gaps = _find_steps(before.gaps, after.gaps, _find_gap_step)
    proposals = _find_steps(before.proposals, after.proposals, _find_proposal_step)
    if gaps is None or proposals is None:
        return None
    return CountingStep(statuses, gaps, proposals)


def repeat_step(state: AssociationState, step: CountingStep, runs: int) -> AssociationState:
    """Return the state after some more runs that each change the counters in the same way.

    Times and values stay; the next run replaces them.
    """
    statuses = dict(state.statuses)
    for account_id, status_step in step.statuses.items():
        streak = statuses[account_id].failure_streak
        if streak is not None and status_step.failures:
            streak = replace(streak, run_count=streak.run_count + runs * status_step.failures)
            statuses[account_id] = replace(statuses[account_id], failure_streak=streak)
    gaps = tuple(_repeat_counts(state.gaps, step.gaps, runs))
    proposals = tuple(_repeat_counts(state.proposals, step.proposals, runs))
    return replace(state, statuses=statuses, gaps=gaps, proposals=proposals)


def _repeat_counts(rows: Iterable[Row], steps: Iterable[CountStep], runs: int) -> Iterator[Row]:
    """Yield the gaps or proposals after some more runs."""
    for row, step in zip(rows, steps, strict=True):
        if step.runs:
            yield replace(row, run_count=row.run_count + runs * step.runs)
        else:
            yield row


def _find_status_step(old: AccountStatus, new: AccountStatus) -> StatusStep | None:
    failures = _count_new_failures(old.failure_streak, new.failure_streak)
    dated = replace(
        old, checked_at=new.checked_at, decided_at=new.decided_at, failure_streak=new.failure_streak
    )
    if failures is None or dated != new:
        return None
    return StatusStep(old.checked_at != new.checked_at, old.decided_at != new.decided_at, failures)


def _count_new_failures(old: Streak | None, new: Streak | None) -> int | None:
    """Return how many runs a streak has grown by, or None if it is another one."""
    if old is None and new is None:
        return 0
    if old is None or new is None or (old.cause, old.since) != (new.cause, new.since):
        return None
    return new.run_count - old.run_count


def _find_gap_step(old: Gap, new: Gap) -> CountStep | None:
    counted = replace(old, run_count=new.run_count, params=new.params, evidence=new.evidence)
    if counted != new:
        return None
    return CountStep(new.run_count - old.run_count, new.params is not old.params)


def _find_proposal_step(old: Proposal, new: Proposal) -> CountStep | None:
    counted = replace(old, run_count=new.run_count, last_seen=new.last_seen)
    if counted != new:
        return None
    return CountStep(new.run_count - old.run_count, new.last_seen != old.last_seen)


def _find_steps(
    old_rows: Sequence[Row],
    new_rows: Sequence[Row],
    find_step: Callable[[Row, Row], CountStep | None],
) -> tuple[CountStep, ...] | None:
    if len(old_rows) != len(new_rows):
        return None
    steps = []
    for old, new in zip(old_rows, new_rows, strict=True):
        step = find_step(old, new)
        if step is None:
            return None
        steps.append(step)
    return tuple(steps)
