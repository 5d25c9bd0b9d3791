"""Compares the read model with the same data computed from the views."""

from collections import Counter
from dataclasses import replace

from auditor.conclusions.network_view import build_network_overview, iter_association_views
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import build_facets, build_summary, get_region_key
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.presentation.views.dashboard import build_dashboard
from probes.models.finding import Presence
from storage.models.audit import GapKind
from storage.read_model.consistency import compute_effective_time

UNCOUNTED_PREFIXES = ("region:", "city:", "tag:")
GROUP_PREFIXES = ("region:", "tag:")


def list_all_summaries(app, **filters):
    """Return the rows of all pages of a list."""
    cursor, rows = None, []
    while True:
        page = app.store.search.list_summaries(cursor=cursor, limit=7, **filters)
        rows += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return rows


def count_accounts(overview, presence):
    """Return how many accounts the newest run found with a presence."""
    return sum(count for (_, found), count in overview.counts.items() if found is presence)


def get_effective_time(store, now):
    """Return the time from which a change that is made now counts."""
    with store.begin_read() as connection:
        return compute_effective_time(connection, now)


def read_tables(app, now):
    """Return the stored summaries, the counts by group, and the visible gaps."""
    refresh_summaries(app.store, app.config)
    groups = [
        "",
        *app.store.counts.get_facet_counts("", "region:"),
        *app.store.counts.get_facet_counts("", "tag:"),
    ]
    gaps = app.store.gap_search.list_visible_gaps(limit=100_000).rows
    return (
        {summary.id: summary for summary in list_all_summaries(app)},
        {group: app.store.counts.get_facet_counts(group) for group in groups},
        sorted((replace(row.gap, id=None) for row in gaps), key=repr),
    )


def recount_from_views(app, now):
    """Return the same as `read_tables`, computed from the views."""
    views = list(iter_association_views(app.store, app.config, now))
    summaries = {view.association.id: build_summary(view, app.config.channels) for view in views}
    counts = {"": Counter()}
    for summary in summaries.values():
        facets = {**build_facets(summary), "all": 1}
        counts[""].update(facets)
        counted_in_groups = {
            facet: count
            for facet, count in facets.items()
            if not facet.startswith(UNCOUNTED_PREFIXES)
        }
        for group in facets:
            if group.startswith(GROUP_PREFIXES):
                counts.setdefault(group, Counter()).update(counted_in_groups)
    gaps = sorted((replace(gap, id=None) for view in views for gap in view.gaps), key=repr)
    return summaries, {group: dict(facets) for group, facets in counts.items()}, gaps


def list_dashboard_differences(app, now):
    """Return the names of the figures on which the Today page and the network overview differ."""
    dashboard = build_dashboard(app.store, app.config, now)
    overview = build_network_overview(app.store, app.config, now)
    views = overview.associations
    broken = [view for view in views if any(map(is_broken, view.gaps))]
    regions = {
        code: region.broken_count
        for code, region in dashboard["region_map"]["tiles"].items()
        if region.broken_count
    }
    pairs = {
        "run": (dashboard["latest_run"], overview.run),
        "associations": (dashboard["association_count"], len(views)),
        "channels": (dashboard["channels"], overview.channels),
        "calls": (dashboard["calls"]["broken_count"], len(broken)),
        "regions": (
            Counter(regions),
            Counter(get_region_key(view.association.region) for view in broken),
        ),
        "unknown": (dashboard["unknown_account_count"], count_accounts(overview, Presence.UNKNOWN)),
        "observations": (dashboard["checked_account_count"], sum(overview.counts.values())),
        "week": (count_week(dashboard["week"]), count_week_of_views(views, dashboard["week"])),
    }
    return [name for name, (figure, expected) in pairs.items() if figure != expected]


def is_broken(gap):
    """Return True if a gap means that something is broken."""
    return get_gap_kind(gap) is GapKind.BROKEN


def count_week(week):
    """Return the new problems, the missing accounts and the fixed problems of the week."""
    return week["opened_count"], week["no_account_count"], week["fixed_count"]


def count_week_of_views(views, week):
    """Return the same as `count_week`, computed from the views."""
    if week["first_day"] is None:
        return 0, 0, 0
    gaps = [gap for view in views for gap in view.all_gaps if gap not in view.waived_gaps]
    gaps = [gap for gap in gaps if gap.opened_at]
    opened = [gap for gap in gaps if gap.opened_at.date() >= week["first_day"]]
    missing = [gap for gap in opened if get_gap_kind(gap) is GapKind.NO_ACCOUNT]
    closed = [gap for gap in gaps if gap.closed_at and gap.closed_at.date() >= week["first_day"]]
    return len(opened) - len(missing), len(missing), len(closed)
