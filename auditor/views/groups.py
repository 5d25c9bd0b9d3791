"""Groups of associations by region or tag, with their coverage and what changed since a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Any

from auditor.config.schema import Config
from auditor.evaluation.summary import COVERAGE_STATES, build_coverage
from auditor.views.calls import BROKEN_FACET
from storage.models.audit import AuditRun
from storage.models.summaries import ALL_FACET, AssociationSummary
from storage.store import Store

MIN_GROUP_SIZE = 5
"""The figures of a smaller group say more about one member than about the group."""
MAX_COMPARED_GROUPS = 400
"""How many groups of a kind a page compares. If there are more, it compares the largest."""

CountByFacet = Mapping[str, int]
"""How many associations have each facet."""


NEED_FACETS = (BROKEN_FACET, "kind:silent", "any:unknown", "kind:improve", "kind:no_account")
"""What a table of groups counts: problems by kind, and what could not be checked."""


@dataclass(frozen=True, slots=True)
class GroupNeeds:
    """A region or tag: how many associations it has, and how many need help by `NEED_FACETS`.

    `most_urgent` are some of those of which something is broken.
    """

    name: str
    association_count: int
    counts: tuple[int, ...]
    most_urgent: tuple[AssociationSummary, ...] = ()

    @property
    def broken_count(self) -> int:
        """Return of how many associations something is broken."""
        return self.counts[0]

    @property
    def shade(self) -> int:
        """Return the shade of a tile: 0 if nothing is broken, up to 3 for a third and more."""
        if not self.broken_count:
            return 0
        return min(3, 1 + 6 * self.broken_count // self.association_count)


def load_group_needs(store: Store, sizes: Mapping[str, int]) -> list[GroupNeeds]:
    """Return the groups of which most associations have something broken first, then the next.

    `sizes` maps the facet of a group (`region:…`, `tag:…`) to its number of associations.
    """
    counts = store.counts.get_facet_counts_by_group(sizes, NEED_FACETS)
    groups = []
    for facet, size in sizes.items():
        numbers = tuple(counts[facet].get(name, 0) for name in NEED_FACETS)
        groups.append(GroupNeeds(facet.partition(":")[2], size, numbers))
    return sorted(groups, key=lambda group: (*(-count for count in group.counts), group.name))


def load_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun | None
) -> list[dict[str, Any]]:
    """Return the groups with their current coverage, those first that changed most since a run.

    `sizes` maps the facet of a group (`region:…`, `tag:…`) to its number of associations.
    """
    names = sorted(sizes, key=lambda name: -sizes[name])[:MAX_COMPARED_GROUPS]
    facets = [ALL_FACET, *map(":".join, product(config.channels, COVERAGE_STATES))]
    current = store.counts.get_facet_counts_by_group(names, facets)
    if compared_run is None or compared_run.id is None:
        return build_groups(current, {}, None, config)
    counts = store.counts.get_run_facet_counts([compared_run.id], names, facets)
    before = {group: group_counts for (_, group), group_counts in counts.items()}
    return build_groups(current, before, compared_run.day, config)


def build_groups(
    current: Mapping[str, CountByFacet],
    before: Mapping[str, CountByFacet],
    since: date | None,
    config: Config,
) -> list[dict[str, Any]]:
    """Return the groups sorted by change, largest first, then by name. Pure.

    `current` and `before` map the facet of a group (`region:…`) to its counts by facet. A group has
    its coverage and the changed channels, largest change first and optional channels last.
    `total_change` is the sum of the changes in percentage points without sign. Optional channels do
    not count.
    """
    groups = []
    for facet, counts in current.items():
        coverage = list(build_coverage(counts, config))
        old_coverage = build_coverage(before[facet], config) if since and facet in before else ()
        changes: list[dict[str, Any]] = [
            {
                "channel": new.channel,
                "before": old,
                "current": new,
                "since": since,
                "percentage_points": new.low - old.low,
            }
            for old, new in zip(old_coverage, coverage, strict=False)
            if old.low != new.low
        ]
        changes.sort(
            key=lambda item: (item["current"].is_optional, -abs(item["percentage_points"]))
        )
        group = {
            "name": facet.partition(":")[2],
            "size": counts.get(ALL_FACET, 0),
            "coverage": coverage,
            "coverage_changes": changes,
            "total_change": sum(
                abs(change["percentage_points"])
                for change in changes
                if not change["current"].is_optional
            ),
        }
        groups.append(group)
    return sorted(groups, key=lambda group: (-group["total_change"], group["name"]))


def find_change_period(store: Store, since: date) -> tuple[date, datetime, date | None]:
    """Return the first day of listed changes since a day, its start, and the day of the first run.

    The first run changes nothing: there is nothing to compare with. Its day is None unless the
    period begins later because of it.
    """
    first_run_day = None
    first_run = store.runs.get_first_evaluated()
    if first_run is not None and since <= first_run.started_at.date():
        first_run_day = first_run.started_at.date()
        since = first_run_day + timedelta(days=1)
    return since, datetime.combine(since, time(), UTC), first_run_day
