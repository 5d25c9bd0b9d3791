"""What the tables of reading say, and the same told anew from the views: the two may never differ."""

from collections import Counter
from dataclasses import replace

from auditor.evaluation.network_view import build_network_overview, iter_association_views
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import build_facets, build_summary
from auditor.views.dashboard import load_network_figures
from probes.models.finding import Presence


def everything(app, **asked):
    """Every page of a list, one after another."""
    after, rows = None, []
    while True:
        page = app.store.list_summaries(cursor=after, limit=7, **asked)
        rows += page.rows
        after = page.next_cursor
        if after is None:
            return rows


def tabled(app, now):
    """What the tables say: the summaries, the sums by cohort, and the gaps that faces show."""
    refresh_summaries(app.store, app.config)
    cohorts = [
        "",
        *app.store.get_facet_counts("", "region:"),
        *app.store.get_facet_counts("", "tag:"),
    ]
    gaps = app.store.list_visible_gaps(limit=100_000).rows
    return (
        {row.id: row for row in everything(app)},
        {cohort: app.store.get_facet_counts(cohort) for cohort in cohorts},
        sorted((replace(row.gap, id=None) for row in gaps), key=repr),
    )


def recounted(app, now):
    """The same, told from the views alone."""
    seen = list(iter_association_views(app.store, app.config, now))
    told = {view.association.id: build_summary(view, app.config.channels) for view in seen}
    sums = {"": Counter()}
    for one in told.values():
        found = {**build_facets(one), "all": 1}
        within = {f: n for f, n in found.items() if not f.startswith(("region:", "city:", "tag:"))}
        sums[""].update(found)
        for cohort in found:
            if cohort.startswith(("region:", "tag:")):
                sums.setdefault(cohort, Counter()).update(within)
    gaps = sorted((replace(gap, id=None) for view in seen for gap in view.gaps), key=repr)
    return told, {cohort: dict(counts) for cohort, counts in sums.items()}, gaps


def apart(app, now):
    """What the first page says otherwise than the Overview, by name."""
    page, seen = (
        load_network_figures(app.store, app.config, now),
        build_network_overview(app.store, app.config, now),
    )
    pairs = {
        "night": (page.latest_run, seen.run),
        "since": (page.since, seen.since),
        "associations": (page.association_count, len(seen.associations)),
        "coverage": (page.coverage, seen.coverage),
        "untold": (dict(page.unknown_counts), dict(seen.unknown_counts)),
        "opened": (page.opened.count, len(seen.opened_gaps)),
        "closed": (page.closed.count, len(seen.closed_gaps)),
        "unknown": (
            page.count_observations(Presence.UNKNOWN),
            seen.count_accounts(Presence.UNKNOWN),
        ),
        "looks": (page.count_observations(), sum(seen.counts.values())),
    }
    return [name for name, (one, other) in pairs.items() if one != other]
