"""Compares the read model with the same data computed from the views."""

from collections import Counter
from dataclasses import replace

from auditor.evaluation.network_view import build_network_overview, iter_association_views
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import build_facets, build_summary
from auditor.views.dashboard import load_network_figures
from probes.models.finding import Presence

UNCOUNTED_PREFIXES = ("region:", "city:", "tag:")
GROUP_PREFIXES = ("region:", "tag:")


def list_all_summaries(app, **filters):
    """Return the rows of all pages of a list."""
    cursor, rows = None, []
    while True:
        page = app.store.list_summaries(cursor=cursor, limit=7, **filters)
        rows += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return rows


def read_tables(app, now):
    """Return the stored summaries, the counts by group, and the visible gaps."""
    refresh_summaries(app.store, app.config)
    groups = [
        "",
        *app.store.get_facet_counts("", "region:"),
        *app.store.get_facet_counts("", "tag:"),
    ]
    gaps = app.store.list_visible_gaps(limit=100_000).rows
    return (
        {summary.id: summary for summary in list_all_summaries(app)},
        {group: app.store.get_facet_counts(group) for group in groups},
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
    """Return the names of the figures on which the dashboard and the network overview differ."""
    figures = load_network_figures(app.store, app.config, now)
    overview = build_network_overview(app.store, app.config, now)
    pairs = {
        "run": (figures.latest_run, overview.run),
        "since": (figures.since, overview.since),
        "associations": (figures.association_count, len(overview.associations)),
        "coverage": (figures.coverage, overview.coverage),
        "unchecked": (dict(figures.unknown_counts), dict(overview.unknown_counts)),
        "opened": (figures.opened.count, len(overview.opened_gaps)),
        "closed": (figures.closed.count, len(overview.closed_gaps)),
        "unknown": (
            figures.count_observations(Presence.UNKNOWN),
            overview.count_accounts(Presence.UNKNOWN),
        ),
        "observations": (figures.count_observations(), sum(overview.counts.values())),
    }
    return [name for name, (figure, expected) in pairs.items() if figure != expected]
