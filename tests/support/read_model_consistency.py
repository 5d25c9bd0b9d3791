"""What the tables of reading say, and the same told anew from the views: the two may never differ."""

from collections import Counter
from dataclasses import replace

from auditor.evaluation.network_view import overview, views
from auditor.evaluation.run_results import refresh
from auditor.evaluation.summary import facets, summary
from auditor.views.dashboard import front
from probes.models.finding import Presence


def everything(app, **asked):
    """Every page of a list, one after another."""
    after, rows = None, []
    while True:
        page = app.store.summaries(after=after, limit=7, **asked)
        rows += page.rows
        after = page.next
        if after is None:
            return rows


def tabled(app, now):
    """What the tables say: the summaries, the sums by cohort, and the gaps that faces show."""
    refresh(app.store, app.config)
    cohorts = ["", *app.store.tally("", "region:"), *app.store.tally("", "tag:")]
    gaps = app.store.told_gaps(limit=100_000).rows
    return (
        {row.id: row for row in everything(app)},
        {cohort: app.store.tally(cohort) for cohort in cohorts},
        sorted((replace(row.gap, id=None) for row in gaps), key=repr),
    )


def recounted(app, now):
    """The same, told from the views alone."""
    seen = list(views(app.store, app.config, now))
    told = {view.association.id: summary(view, app.config.channels) for view in seen}
    sums = {"": Counter()}
    for one in told.values():
        found = {**facets(one), "all": 1}
        within = {f: n for f, n in found.items() if not f.startswith(("region:", "city:", "tag:"))}
        sums[""].update(found)
        for cohort in found:
            if cohort.startswith(("region:", "tag:")):
                sums.setdefault(cohort, Counter()).update(within)
    gaps = sorted((replace(gap, id=None) for view in seen for gap in view.gaps), key=repr)
    return told, {cohort: dict(counts) for cohort, counts in sums.items()}, gaps


def apart(app, now):
    """What the first page says otherwise than the Overview, by name."""
    page, seen = front(app.store, app.config, now), overview(app.store, app.config, now)
    pairs = {
        "night": (page.night, seen.night),
        "since": (page.since, seen.since),
        "associations": (page.associations, len(seen.associations)),
        "coverage": (page.coverage, seen.coverage),
        "untold": (dict(page.untold), dict(seen.untold)),
        "opened": (page.opened.count, len(seen.opened)),
        "closed": (page.closed.count, len(seen.closed)),
        "unknown": (page.looks(Presence.UNKNOWN), seen.count(Presence.UNKNOWN)),
        "looks": (page.looks(), sum(seen.counts.values())),
    }
    return [name for name, (one, other) in pairs.items() if one != other]
