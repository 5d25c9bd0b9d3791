"""The network at a point in time: views of its associations, figures, and changes of gaps.

The past is rebuilt from what was recorded until then. Also its open gaps, from the read model.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter

from auditor.conclusions.association_view import AssociationView, build_association_view
from auditor.conclusions.run_results import (
    ASSOCIATION_BATCH_SIZE,
    assemble_association_states,
    get_current_evaluation_time,
    refresh_summaries,
)
from auditor.conclusions.summary import AssociationFilter, ChannelFigures, compute_channel_figures
from auditor.config.schema import Config
from auditor.core.reference.gap_catalogue import get_gap_rank, load_gap_catalogue
from auditor.rules.association_state import (
    EvaluationTime,
    collect_account_keys,
    find_account_owners,
)
from auditor.rules.engine import get_sort_key
from probes.models.finding import Presence, Reason
from storage.database.connection import split_into_batches
from storage.models.audit import Association, AuditRun, AuditRunState, Gap
from storage.models.summaries import ListedGap
from storage.store import Store


@dataclass(frozen=True, slots=True)
class NetworkOverview:
    """The network at a point in time.

    `opened_gaps` and `closed_gaps` are those since `since`, by default the newest evaluated run.
    `unknown_counts` counts the accounts whose newest check is unknown, by channel and reason.
    """

    as_of: datetime
    since: datetime | None
    run: AuditRun | None
    counts: Mapping[tuple[str, Presence], int]
    associations: tuple[AssociationView, ...]
    channels: tuple[ChannelFigures, ...]
    opened_gaps: tuple[Gap, ...]
    closed_gaps: tuple[Gap, ...]
    unknown_counts: Mapping[tuple[str, Reason | None], int]

    def find_association(self, association_id: str) -> AssociationView | None:
        """Return the view of an association, or None."""
        views = (view for view in self.associations if view.association.id == association_id)
        return next(views, None)


def build_network_overview(
    store: Store, config: Config, as_of: datetime, *, since: datetime | None = None
) -> NetworkOverview:
    """Build the overview at a point in time, which may be in the past."""
    last_run = None
    last_finished_start = None
    for run in store.runs.list_all():
        if run.started_at <= as_of:
            last_run = run
            if run.state is AuditRunState.DONE:
                last_finished_start = run.started_at
    since = since or last_finished_start
    counts: Mapping[tuple[str, Presence], int] = {}
    if last_run:
        counts = store.observations.count_by_presence(last_run.id)
    views = tuple(iter_association_views(store, config, as_of))
    changed_gaps: dict[str, list[Gap]] = {"opened": [], "closed": []}
    unknown_counts: Counter[tuple[str, Reason | None]] = Counter()
    for view in views:
        unknown_counts.update(view.iter_unknown_checks())
        for change, changed_at, gap in view.iter_gap_changes():
            if since and changed_at >= since:
                changed_gaps[change].append(gap)
    return NetworkOverview(
        as_of=as_of,
        since=since,
        run=last_run,
        counts=counts,
        associations=views,
        channels=compute_channel_figures(views, config),
        opened_gaps=tuple(changed_gaps["opened"]),
        closed_gaps=tuple(changed_gaps["closed"]),
        unknown_counts=unknown_counts,
    )


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


def iter_association_views(
    store: Store,
    config: Config,
    as_of: datetime,
    association_filter: AssociationFilter | None = None,
) -> Iterator[AssociationView]:
    """Yield the views one at a time, for uses that need not hold a whole register in memory.

    With a filter, only the matching associations are loaded.
    """
    run = store.runs.get_latest_evaluated()
    if run is not None and run.started_at > as_of:
        views = _iter_past_views(store, config, as_of, store.registry.list_associations())
    else:
        views = _iter_current_views(
            store, config, run, _iter_association_ids(store, config, association_filter)
        )
    return association_filter.select_views(views, config.channels) if association_filter else views


def load_association_view(store: Store, config: Config, association: str) -> AssociationView | None:
    """Return the view of one association, or None if it is not listed. No other one is loaded."""
    run = store.runs.get_latest_evaluated()
    return next(_iter_current_views(store, config, run, [association]), None)


def _iter_association_ids(
    store: Store, config: Config, association_filter: AssociationFilter | None
) -> Iterator[str]:
    if association_filter is None or not (
        association_filter.facets or association_filter.search_words
    ):
        yield from map(attrgetter("id"), store.registry.list_associations())
        return
    refresh_summaries(store, config)
    last_id = ""
    while ids := store.search.list_association_ids(
        association_filter.facets,
        search_terms=association_filter.search_words,
        after_id=last_id,
        limit=ASSOCIATION_BATCH_SIZE,
    ):
        yield from ids
        last_id = ids[-1]


def _iter_current_views(
    store: Store, config: Config, latest_run: AuditRun | None, ids: Iterable[str]
) -> Iterator[AssociationView]:
    """Yield these associations after the latest evaluated run, read in batches."""
    evaluation_time = get_current_evaluation_time(latest_run)
    for batch_ids in split_into_batches(ids, ASSOCIATION_BATCH_SIZE):
        data = store.conclusions.load_association_data(batch_ids)
        states = list(assemble_association_states(data["associations"], data))
        keys = set().union(*map(collect_account_keys, states))
        accounts = store.registry.find_accounts_by_key(keys)
        decisions = store.decisions.get_decisions_of({account.association for account in accounts})
        owners = find_account_owners(
            accounts, evaluation_time.now, decisions, evaluation_time.run_started_at
        )
        for state in states:
            yield build_association_view(state, config, evaluation_time, owners)


def load_past_view(
    store: Store, config: Config, association: Association, as_of: datetime
) -> AssociationView:
    """Return the view of one association at a point in time."""
    return next(_iter_past_views(store, config, as_of, [association]))


def _iter_past_views(
    store: Store, config: Config, as_of: datetime, associations: Iterable[Association]
) -> Iterator[AssociationView]:
    """Yield these associations before a run, replayed from what was recorded."""
    # slow to load, and most views are current
    from auditor.conclusions.replay import RunReplay  # noqa: PLC0415

    runs = [run for run in store.runs.list_evaluated() if run.started_at <= as_of]
    evaluation_time = EvaluationTime(runs[-1].started_at if runs else as_of, as_of)
    replay = RunReplay(store, config, runs)
    for association in associations:
        state = replay.rebuild_association(association)
        owners = replay.find_owners(collect_account_keys(state), as_of)
        yield build_association_view(state, config, evaluation_time, owners)


def list_open_gaps(store: Store, config: Config) -> list[ListedGap]:
    """Return every open gap that no other gap hides: by kind and severity, then by association.

    The gaps of an association are in the order of its report. They are read from the read model, so
    no association is evaluated.
    """
    refresh_summaries(store, config)
    listed_gaps: list[ListedGap] = []
    cursor = None
    while True:
        page = store.gap_search.list_visible_gaps(cursor=cursor, limit=1000)
        listed_gaps += page.rows
        cursor = page.next_cursor
        if not cursor:
            break
    catalogue = load_gap_catalogue()

    def get_position(listed_gap: ListedGap) -> tuple[object, ...]:
        gap = listed_gap.gap
        return get_gap_rank(gap), gap.association, get_sort_key(gap, catalogue[gap.code])

    return sorted(listed_gaps, key=get_position)
