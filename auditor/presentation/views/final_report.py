"""The final report of a project: what changed from its first to its last day, and what was done."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any, get_args

from auditor.conclusions.association_view import ANSWER_VALIDITY
from auditor.conclusions.examples import CONSENT_FACET
from auditor.conclusions.network_view import load_past_view
from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.conclusions.summary import STATUS_GROUPS, build_channel_figures, summarize_channel
from auditor.config.schema import Config
from auditor.core.errors import InputError
from auditor.core.reference.gap_catalogue import find_gap_kind
from auditor.presentation.views.dashboard import (
    build_coverage_trends,
    fill_missing_days,
    find_usual_distance,
)
from auditor.presentation.views.survey import build_survey
from auditor.presentation.views.workshops import build_workshop_result
from auditor.registry.history import RegistrySnapshot, registry_at
from auditor.rules.score import SCORE_VERSION
from storage.models.audit import Association, AuditRun, GapKind
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, AssociationSummary, ListedGap
from storage.read_model.gap_search import GapChangeKind
from storage.store import Store
from storage.tables.mappers import RegionFilter

READ_ROWS, LISTED_ROWS = 500, 100
"""How many changes are read for the lists of the report, and how long one of a channel is."""
MAX_COMPARED = 100
"""How many associations may join or leave. Each is evaluated again, so that no change is theirs."""
MAX_READ_CHANGES = 500
"""How many changes of the registry are read to find them."""

CHANGE_KINDS = ("added", "broken", "opened", "closed")
"""Accounts that were added or broke, and other problems that opened or closed."""
Membership = tuple[list[Association], list[Association]]
"""The associations that joined, and those that left."""


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """The first and last day of a report, and the checks at both ends.

    The first check is the newest one until the first day, or the first one after it.
    """

    first_day: date
    last_day: date
    first_run: AuditRun
    last_run: AuditRun
    runs: Sequence[AuditRun]

    @property
    def first_changes_day(self) -> date:
        """Return the day after the first check, whose problems are no change."""
        return self.first_run.day + timedelta(days=1)

    @property
    def end_day(self) -> date:
        """Return the day after the last one."""
        return self.last_day + timedelta(days=1)


def start_day(day: date) -> datetime:
    """Return the beginning of a day (UTC)."""
    return datetime.combine(day, time(), UTC)


def find_period(store: Store, first_day: date, last_day: date, today: date) -> ReportPeriod:
    """Return the period of a report, until today. Raises InputError if it has no check."""
    name = f"{first_day} to {last_day}"
    if first_day > last_day:
        raise InputError(name, "the first day is after the last one", "the days in their order")
    last_day = min(last_day, today)
    runs = [run for run in store.runs.list_evaluated() if run.day <= last_day]
    if not runs or runs[-1].day < first_day:
        raise InputError(name, "there is no check in this period", "other days")
    earlier = [run for run in runs if run.day <= first_day]
    first_run = earlier[-1] if earlier else runs[0]
    shown = [run for run in runs if run.day >= first_run.day]
    return ReportPeriod(first_day, last_day, first_run, runs[-1], shown)


def build_final_report(
    store: Store,
    config: Config,
    period: ReportPeriod,
    tag: str = "",
    *,
    regions: RegionFilter = None,
) -> dict[str, Any]:
    """Return what the template of the final report shows, of the network or of those with a tag.

    Contacts and workshops are those of `regions`. `is_comparable` is False if too many
    associations joined or left, or if one was erased.
    """
    refresh_summaries(store, config, max_stale=MAX_STALE_WHILE_READING)
    group = f"tag:{tag}" if tag else NETWORK_GROUP
    membership = _find_membership_changes(store, period, tag)
    joined, left = membership or ([], [])
    changes = _count_changes(store, group, period, [association.id for association in joined])
    list_options: dict[str, Any] = {
        "facets": [group] if tag else [],
        "excluded_ids": {association.id for association in (*joined, *left)},
        "changes": changes,
    }
    latest_run = store.runs.get_latest_evaluated() or period.last_run
    members: dict[str, Any] = {"regions": regions, "group": group}
    days = (start_day(period.first_day), start_day(period.end_day))
    contacts = store.follow_ups.list_contacts(*days, limit=LISTED_ROWS, **members)
    associations = store.registry.get_associations(row.association for row in contacts)
    return {
        "period": period,
        "tag": tag,
        "channels": _compare_channels(
            store, config, period, group, membership=membership, changes=changes
        ),
        "is_comparable": membership is not None,
        "joined": joined,
        "left": left,
        "lists": {
            change: _load_list(store, period, change, **list_options)
            for change in get_args(GapChangeKind)
        },
        "contacts": [(contact, associations[contact.association]) for contact in contacts],
        "contact_counts": store.follow_ups.count_contacts(*days, **members),
        "workshops": [
            (workshop, build_workshop_result(store, workshop, **members))
            for workshop in store.workshops.list_workshops(
                since=period.first_day, until=period.last_day, limit=READ_ROWS, **members
            )
        ],
        "survey": build_survey(store, config, latest_run.day, group),
        "survey_day": latest_run.day,
        "examples": _list_consenting(store, latest_run, list_options["facets"]),
        "missing_days": _list_missing_days(period),
        "unreliable": [
            (run.day, run.unreliable_channels) for run in period.runs if run.unreliable_channels
        ],
        "rules_version": SCORE_VERSION,
    }


def _compare_channels(
    store: Store,
    config: Config,
    period: ReportPeriod,
    group: str,
    *,
    membership: Membership | None,
    changes: Mapping[tuple[str, str], int],
) -> list[dict[str, Any]]:
    """Return the coverage of each channel at both ends, `before` and `after`, with its trend.

    `cohort_before` and `cohort_after` are the associations that took part on both days and whose
    account was seen; None if they are unknown. The other numbers are those of `_count_changes`.
    """
    ends = (period.first_run, period.last_run)
    counts = store.counts.get_run_facet_counts([run.id for run in ends], [group])
    before, after = (
        build_channel_figures(counts.get((run.id, group), {ALL_FACET: 0}), config) for run in ends
    )
    joined, left = membership or ([], [])
    joined_seen = _count_seen(store, config, joined, period.last_run)
    left_seen = _count_seen(store, config, left, period.first_run)
    trends = build_coverage_trends(store, config, period.runs, group=group)
    channels: list[dict[str, Any]] = []
    for old, new in zip(before, after, strict=True):
        if not old.is_shown and not new.is_shown:
            continue
        name = new.channel
        cohort = (old.confirmed_count - left_seen[name], new.confirmed_count - joined_seen[name])
        channels.append(
            {
                "before": old,
                "after": new,
                "cohort_before": None if membership is None else cohort[0],
                "cohort_after": None if membership is None else cohort[1],
                "trend": trends[name],
                **{kind: changes[kind, name] for kind in CHANGE_KINDS},
            }
        )
    return channels


def _list_consenting(
    store: Store, latest_run: AuditRun, facets: Sequence[str]
) -> list[AssociationSummary]:
    """Return the associations that agree now to be an example, also if summaries are stale."""
    agreed = store.search.list_summaries(
        {*facets, CONSENT_FACET}, sort="name", limit=LISTED_ROWS
    ).rows
    valid_since = latest_run.started_at - ANSWER_VALIDITY
    consenting = store.survey_answers.find_associations(
        [row.id for row in agreed], "example", "yes", valid_since
    )
    return [row for row in agreed if row.id in consenting]


def _list_missing_days(period: ReportPeriod) -> list[date]:
    """Return the days on which the usual check is missing, also those after the last one."""
    missing = [day for day, run in fill_missing_days(period.runs) if run is None]
    usual_distance = timedelta(days=find_usual_distance(period.runs))
    day = period.last_run.day + usual_distance
    while day <= period.last_day:
        missing.append(day)
        day += usual_distance
    return missing


def _count_changes(
    store: Store, group: str, period: ReportPeriod, joined_ids: Collection[str]
) -> Counter[tuple[str, str]]:
    """Return how many accounts were added or broke, and how many other problems opened or closed.

    The key is one of `CHANGE_KINDS` and the channel. Associations that joined do not count; the
    counts of the group no longer have those that left.
    """
    totals = Counter[tuple[str, str, str]]()
    days = store.counts.count_gap_changes(period.first_changes_day, group)
    for (day, change), gap_counts in days.items():
        if day <= period.last_day:
            for (code, channel), count in gap_counts.items():
                totals[change, code, channel] += count
    if joined_ids:
        start, end = start_day(period.first_changes_day), start_day(period.end_day)
        totals.subtract(store.gap_search.count_changes_of(joined_ids, start, end))
    counts = Counter[tuple[str, str]]()
    for (change, code, channel), count in totals.items():
        kind = find_gap_kind(code, channel)
        if change == "closed" and kind is GapKind.NO_ACCOUNT:
            counts["added", channel] += count
        elif change == "opened" and kind is GapKind.BROKEN:
            counts["broken", channel] += count
        else:
            counts[change, channel] += count
    return counts


def _load_list(
    store: Store,
    period: ReportPeriod,
    change: GapChangeKind,
    *,
    facets: Sequence[str],
    excluded_ids: Collection[str],
    changes: Mapping[tuple[str, str], int],
) -> dict[str, tuple[list[ListedGap], bool]]:
    """Return the problems that opened or closed by channel, and whether all of them are there."""
    rows = store.gap_search.list_gap_changes(
        start_day(period.first_changes_day),
        change,
        until=start_day(period.end_day),
        facets=facets,
        limit=READ_ROWS,
    )
    by_channel: dict[str, list[ListedGap]] = defaultdict(list)
    for row in rows:
        if row.association.id not in excluded_ids:
            by_channel[row.gap.channel].append(row)
    kinds = ("broken", "opened") if change == "opened" else ("added", "closed")
    lists = {}
    for channel in sorted(by_channel):
        shown = by_channel[channel][:LISTED_ROWS]
        lists[channel] = shown, sum(changes[kind, channel] for kind in kinds) <= len(shown)
    return lists


def _find_membership_changes(store: Store, period: ReportPeriod, tag: str) -> Membership | None:
    """Return the associations that were followed, with the tag, at one end only.

    Those that joined are as they were at the last check, and those that left as at the first one.
    Return None if they may be too many, or if an association was erased since the first check.
    """
    since = period.first_run.as_of
    changes = store.audit_log.group_membership_changes(since, tag, limit=MAX_READ_CHANGES)
    read = list(chain.from_iterable(changes.values()))
    if len(read) == MAX_READ_CHANGES or any(entry.kind == "erased" for entry in read):
        return None
    joined, left = [], []
    for id_, entries in changes.items():
        entry = store.registry.get_association_entry(id_)
        if entry is None:
            continue
        current = RegistrySnapshot(entry.association, entry.withdrawn_at is None, ())
        then, now = (
            registry_at(current, entries, run.as_of) for run in (period.first_run, period.last_run)
        )
        was_member, is_member = (
            snapshot.is_listed and tag in {"", *snapshot.association.tags}
            for snapshot in (then, now)
        )
        if is_member and not was_member:
            joined.append(now.association)
        elif was_member and not is_member:
            left.append(then.association)
    return (joined, left) if max(len(joined), len(left)) <= MAX_COMPARED else None


def _count_seen(
    store: Store, config: Config, associations: Sequence[Association], run: AuditRun
) -> Mapping[str, int]:
    """Return how many of these associations had an account that was seen, by channel."""
    seen = Counter[str]()
    for association in associations:
        view = load_past_view(store, config, association, run.as_of)
        seen.update(
            channel
            for channel in config.channels
            if summarize_channel(view, channel).status in STATUS_GROUPS["seen"]
        )
    return seen
