"""A workshop and whether it helped: of those who had the problem on its day, how many fixed it."""

from datetime import date, timedelta
from typing import Any

from auditor.conclusions.summary import to_percent
from auditor.core.statistics import compute_difference_interval
from auditor.presentation.views.survey import MIN_COMPARED
from storage.communication.workshops import FixedCounts, Workshop
from storage.store import Store
from storage.tables.mappers import RegionFilter

PERIODS = (30, 90)
"""After how many days it is counted who fixed the problem."""


def build_workshop_result(
    store: Store, workshop: Workshop, *, regions: RegionFilter = None, group: str = ""
) -> list[dict[str, Any]]:
    """Return the result after each of the `PERIODS` that is over; empty without a problem.

    It has the `counts` of those who came (`attended`), were invited and did not come (`absent`) and
    were not invited (`others`), and how those who came compare with the other two: `difference` is
    None if one side is too small. `group` is the facet of a tag.
    """
    run = store.runs.get_latest_evaluated()
    last_day = run.day if run else date.min
    if workshop.code is None:
        return []
    periods = [days for days in PERIODS if workshop.day + timedelta(days=days) <= last_day]
    results = []
    all_counts = (
        store.workshops.count_fixed(workshop, periods, regions=regions, group=group)
        if periods
        else ()
    )
    for days, counts in zip(periods, all_counts, strict=True):
        comparisons = [(name, _compare(counts, name)) for name in ("absent", "others")]
        results.append({"days": days, "counts": counts, "comparisons": comparisons})
    return results


def _compare(counts: FixedCounts, other: str) -> dict[str, float] | None:
    """Return the difference and its interval in percentage points."""
    (total, fixed), (other_total, other_fixed) = counts["attended"], counts[other]
    if min(total, other_total) < MIN_COMPARED:
        return None
    interval = compute_difference_interval(fixed, total, other_fixed, other_total)
    low, high = (round(100 * end) for end in interval)
    difference = to_percent(fixed, total) - to_percent(other_fixed, other_total)
    return {"difference": round(difference), "low": low, "high": high}
