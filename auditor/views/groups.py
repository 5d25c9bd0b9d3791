"""Groups of associations by region or tag, with their coverage and what changed since a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import product

from auditor.config.schema import Config
from auditor.evaluation.summary import COVERAGE_STATES, Coverage, build_coverage
from storage.models.audit import AuditRun
from storage.models.summaries import ALL_FACET
from storage.store import Store

MIN_GROUP_SIZE = 5
"""The figures of a smaller group say more about one member than about the group."""
MAX_COMPARED_GROUPS = 400
"""How many groups of a kind a page compares. If there are more, it compares the largest."""

CountByFacet = Mapping[str, int]
"""How many associations have each facet."""


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """The coverage of one channel in two runs."""

    before: Coverage
    current: Coverage
    since: date

    @property
    def channel(self) -> str:
        """Return the channel of both figures."""
        return self.current.channel

    @property
    def percentage_points(self) -> float:
        """Return the change of the confirmed share in percentage points."""
        return self.current.low - self.before.low


@dataclass(frozen=True, slots=True)
class Group:
    """A group of associations, its coverage, and the changed channels, largest change first."""

    name: str
    size: int
    coverage: tuple[Coverage, ...]
    coverage_changes: tuple[CoverageChange, ...] = ()

    @property
    def total_change(self) -> float:
        """Return the sum of the changes in percentage points without sign.

        Optional channels do not count.
        """
        return sum(
            abs(change.percentage_points)
            for change in self.coverage_changes
            if not change.current.is_optional
        )


def load_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun | None
) -> list[Group]:
    """Return the groups with their current coverage, those first that changed most since a run.

    `sizes` maps the facet of a group (`region:…`, `tag:…`) to its number of associations.
    """
    names = _pick_largest_groups(sizes)
    facets = list_coverage_facets(config)
    before = _load_previous_counts(store, compared_run, names, facets) if compared_run else {}
    current = store.counts.get_facet_counts_by_group(names, facets)
    return build_groups(current, before, compared_run.day if compared_run else None, config)


def _pick_largest_groups(sizes: Mapping[str, int]) -> list[str]:
    return sorted(sizes, key=lambda name: -sizes[name])[:MAX_COMPARED_GROUPS]


def _load_previous_counts(
    store: Store, compared_run: AuditRun, names: list[str], facets: list[str]
) -> Mapping[str, CountByFacet]:
    """Return the counts of each group as they were in a run."""
    assert compared_run.id is not None
    counts = store.counts.get_run_facet_counts([compared_run.id], names, facets)
    return {group: group_counts for (_, group), group_counts in counts.items()}


def build_groups(
    current: Mapping[str, CountByFacet],
    before: Mapping[str, CountByFacet],
    since: date | None,
    config: Config,
) -> list[Group]:
    """Return the groups sorted by change, largest first, then by name. Pure.

    `current` and `before` map the facet of a group (`region:…`) to its counts by facet.
    """
    groups = (
        _build_group(group_facet, counts, before.get(group_facet, {}), since, config)
        for group_facet, counts in current.items()
    )
    return sorted(groups, key=lambda group: (-group.total_change, group.name))


def _build_group(
    facet: str, current: CountByFacet, before: CountByFacet, since: date | None, config: Config
) -> Group:
    coverage = tuple(build_coverage(current, config))
    changes: list[CoverageChange] = []
    if since and before:
        changes = find_coverage_changes(build_coverage(before, config), coverage, since)
    return Group(facet.partition(":")[2], current.get(ALL_FACET, 0), coverage, tuple(changes))


def find_coverage_changes(
    before: Iterable[Coverage], current: Iterable[Coverage], since: date
) -> list[CoverageChange]:
    """Return the channels whose confirmed share changed, largest change first.

    Optional channels come last.
    """
    changes = (CoverageChange(old, new, since) for old, new in zip(before, current, strict=True))
    return sorted(
        (change for change in changes if change.percentage_points),
        key=lambda change: (change.current.is_optional, -abs(change.percentage_points)),
    )


def list_coverage_facets(config: Config) -> list[str]:
    """Return the facets whose counts give the coverage of a group."""
    facets = (f"{channel}:{state}" for channel, state in product(config.channels, COVERAGE_STATES))
    return [ALL_FACET, *facets]
