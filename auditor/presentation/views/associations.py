"""The grid of associations, the page of one, and the strips of the newest checks that both show.

The grid is built from stored summaries: no association is evaluated for it. The page of an
association reads only rows of that association.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from operator import attrgetter, itemgetter
from typing import Any

from auditor.conclusions.association_view import AssociationView, is_waiver_of
from auditor.conclusions.replies import select_completed_steps
from auditor.conclusions.run_results import index_by_account
from auditor.conclusions.summary import AssociationFilter, find_account_status, summarize_channel
from auditor.config.schema import Config
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.presentation.reports.text import list_recently_closed_gaps
from auditor.presentation.views.json_items import build_decision_items
from auditor.rules.account_status import iter_status_outlooks
from auditor.rules.engine import is_gap_open
from probes.links.channel_registry import is_optional_channel
from probes.models.finding import Presence
from storage.models.audit import (
    EMPTY_CONTACT,
    GAP_KINDS,
    AccountPresence,
    AuditRun,
    Decision,
    Gap,
    GapKind,
)
from storage.models.summaries import AssociationSummary, ChannelStatus, ChannelSummary, OpenGap
from storage.store import Store
from storage.tables.communication import FollowUp, Reply

Strips = dict[tuple[str, str], tuple[str, ...]]
"""The state in each run, the oldest first, by association and channel.

It is "present", "absent", "unknown", or "" if nothing was checked. A channel that is present and
does not work, such as a parked website, is "absent".
"""


def load_grid_rows(
    store: Store,
    summaries: Sequence[AssociationSummary],
    channels: Sequence[str],
    association_filter: AssociationFilter,
    can_manage: Callable[[AssociationSummary], bool],
) -> list[dict[str, Any]]:
    """Return the rows of a page of associations, with a cell for each of these channels.

    `other_cells` are channels without a column on which the association has an account. `problem`
    is the first one that the filter is about: of its channel, type and code. `contact` is None if
    the user may not see it.
    """
    broken_since: dict[tuple[str, str], date] = {}
    for summary in summaries:
        broken_since |= find_broken_days(summary.id, summary.gaps, summary.channels)
    ids = [summary.id for summary in summaries]
    strips, account_ids = load_check_history(store, ids, broken_since)
    managed_ids = [summary.id for summary in summaries if can_manage(summary)]
    contacts = dict.fromkeys(managed_ids, EMPTY_CONTACT) | store.registry.get_contacts(managed_ids)
    kind = association_filter.gap_kind
    rows = []
    for summary in summaries:
        problem = None
        for gap in summary.gaps:
            if (
                association_filter.channel in ("", gap.channel)
                and association_filter.gap in ("", gap.code)
                and kind in ("", get_gap_kind(gap))
            ):
                problem = gap
                break
        others = [channel for channel in summary.channels if channel not in channels]
        cells, other_cells = (
            [_build_cell(summary, channel, broken_since, account_ids, strips) for channel in names]
            for names in (channels, others)
        )
        other_cells = [cell for cell in other_cells if cell.has_account]
        statuses = {cell.status for cell in (*cells, *other_cells)}
        contact = contacts.get(summary.id)
        row = {
            "summary": summary,
            "cells": cells,
            "other_cells": other_cells,
            "problem": problem,
            "other_problem_count": len(summary.gaps) - (problem is not None),
            "is_checked": summary.is_checked and ChannelStatus.NOT_CHECKED not in statuses,
            "contact": contact,
        }
        rows.append(row)
    return rows


def find_broken_days(
    association: str, gaps: Iterable[Gap | OpenGap], channels: Mapping[str, ChannelSummary]
) -> dict[tuple[str, str], date]:
    """Return since when each broken channel is so: the first day of its oldest open problem."""
    days: dict[tuple[str, str], date] = {}
    for gap in gaps:
        summary, key = channels.get(gap.channel), (association, gap.channel)
        is_broken = summary and summary.status is ChannelStatus.BROKEN
        if is_broken and gap.first_seen and get_gap_kind(gap) is GapKind.BROKEN:
            days[key] = min(gap.first_seen.date(), days.get(key, date.max))
    return days


@dataclass(frozen=True, slots=True)
class GridCell:
    """An association on a channel.

    `reason` is why it could not be checked, and `account_id` the account that was checked last.
    """

    channel: str
    status: ChannelStatus
    last_activity: date | None
    broken_since: date | None
    reason: str | None
    account_id: int | None
    strip: tuple[str, ...]

    @property
    def has_account(self) -> bool:
        """Return True if the association has an account there."""
        return self.status not in {ChannelStatus.NONE, ChannelStatus.BY_CHOICE}


def _build_cell(
    summary: AssociationSummary,
    channel: str,
    broken_since: Mapping[tuple[str, str], date],
    account_ids: Mapping[tuple[str, str], int],
    strips: Strips,
) -> GridCell:
    channel_summary, key = summary.channels.get(channel), (summary.id, channel)
    # A channel without a summary was configured after the summary was made.
    status = channel_summary.status if channel_summary else ChannelStatus.NOT_CHECKED
    reasons = [reason for name, reason in summary.unchecked if name == channel and reason]
    return GridCell(
        channel,
        status,
        channel_summary.last_activity if channel_summary else None,
        broken_since.get(key),
        reasons[0] if reasons and status is ChannelStatus.UNKNOWN else None,
        account_ids.get(key),
        strips.get(key, ()),
    )


def select_grid_channels(channels: Iterable[str], filtered_channel: str) -> list[str]:
    """Return the channels with a column: those that every association is expected to have.

    The filtered channel always has a column. Other optional channels share one.
    """
    return [
        channel
        for channel in channels
        if not is_optional_channel(channel) or channel == filtered_channel
    ]


STATES_BY_WEIGHT = ("present", "unknown", "absent", "")
"""If an association has several accounts on a channel, the first of these states is shown."""


def load_check_history(
    store: Store,
    associations: Collection[str],
    broken_since: Mapping[tuple[str, str], date],
    run_count: int = 14,  # how many runs a strip shows
) -> tuple[Strips, dict[tuple[str, str], int]]:
    """Return the strips of several associations in the newest evaluated runs, with two queries.

    The second value is the account that was checked last, by association and channel.
    """
    runs = store.runs.list_evaluated(run_count)
    run_ids = list(filter(None, map(attrgetter("id"), runs)))
    presences = store.observations.list_presences(associations, run_ids)
    account_ids = {
        (association, channel): account_id
        for association, channel, account_id, *_ in sorted(presences, key=itemgetter(3))
    }
    return build_strips(runs, presences, broken_since), account_ids


def build_strips(
    runs: Sequence[AuditRun],
    presences: Iterable[AccountPresence],
    broken_since: Mapping[tuple[str, str], date],
) -> Strips:
    """Return the strip of each association and channel that has a result in these runs.

    `broken_since` has the days since which channels are broken (see `find_broken_days`).
    """
    results = defaultdict[tuple[str, str], dict[int, str]](dict)
    run_by_id = {run.id: run for run in runs}
    for association, channel, _, run_id, presence in presences:
        run, key = run_by_id[run_id], (association, channel)
        state = Presence.UNKNOWN if channel in run.unreliable_channels else presence
        if state is Presence.PRESENT and run.day >= broken_since.get(key, date.max):
            state = Presence.ABSENT
        states = results[key]
        if STATES_BY_WEIGHT.index(state) < STATES_BY_WEIGHT.index(states.get(run_id, "")):
            states[run_id] = state
    return {
        key: tuple(states.get(run_id, "") for run_id in run_by_id)
        for key, states in results.items()
    }


MAX_EVENTS = 60
"""How many events are listed at most."""
NEWEST_EVENTS = 10
"""How many events are shown at once. The others are folded."""

AssociationEvent = tuple[datetime, str, Gap | Decision | Reply | FollowUp]
"""When something happened to an association, what, and its subject.

It is "opened" or "closed" for a gap, "decided" or "withdrawn" for a decision, "replied" for a reply
and "contacted" for a follow-up.
"""


def build_association_detail(
    store: Store,
    view: AssociationView,
    config: Config,
    now: datetime,
    *,
    include_private: bool = True,
) -> dict[str, Any]:
    """Return what the template of an association's page shows.

    Replies and follow-ups are left out unless `include_private` is true.

    `gap_groups` are the open problems by kind, each with the numbers of the steps that the
    association has ticked and of the first one that it has not. `waived_gaps` are open gaps that a
    decision hides, each with the newest such decision. `decisions` are items as `auditor decide
    list --json` prints them, newest first; only those that count.
    """
    association_id = view.association.id
    decisions = list(store.decisions.list_decisions(association=association_id))
    channels, decision_items = build_channel_details(store, view, config, decisions, now)
    replies: Sequence[Reply] = ()
    follow_ups: Sequence[FollowUp] = ()
    if include_private:
        replies = list(store.replies.list_replies(association_id))
        follow_ups = store.follow_ups.list_follow_ups(association_id)
    events = list_events(view, decisions, replies, follow_ups)
    completed_steps = store.completed_steps.list_completed_steps(association_id)
    problems: dict[GapKind, list[dict[str, Any]]] = defaultdict(list)
    for gap in view.gaps:
        completed = select_completed_steps(gap, completed_steps)
        next_step = next(step for step in count(1) if step not in completed)
        problem = {"gap": gap, "completed_steps": completed, "next_step": next_step}
        problems[get_gap_kind(gap)].append(problem)
    waived_gaps = []
    for gap in filter(is_gap_open, view.waived_gaps):
        waivers = (decision for decision in reversed(view.decisions) if is_waiver_of(decision, gap))
        waived_gaps.append((gap, next(waivers)))
    unchecked = [item.channel for item in view.unchecked if item.code != "channel_waived"]
    return {
        "view": view,
        "channels": channels,
        "gap_groups": [(kind, problems[kind]) for kind in GAP_KINDS if kind in problems],
        "recently_closed_gaps": list_recently_closed_gaps(view, now),
        "waived_gaps": waived_gaps,
        "unchecked_channels": list(dict.fromkeys(unchecked)),
        "decisions": decision_items[::-1],
        "newest_events": events[:NEWEST_EVENTS],
        "older_events": events[NEWEST_EVENTS:MAX_EVENTS],
        "hidden_event_count": len(events[MAX_EVENTS:]),
        "pending_replies": [reply for reply in replies if reply.outcome is None],
    }


def build_channel_details(
    store: Store,
    view: AssociationView,
    config: Config,
    decisions: Sequence[Decision],
    now: datetime,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the channels of an association, and the items of the decisions that count.

    They are the channels that every association should have, and those with an account. `strip` is
    that of `Strips`, and `decisions` are about the channel as a whole. The `outlooks` of an
    account are the status changes that further runs may confirm, or would need to.
    """
    association_id = view.association.id
    channel_names = dict.fromkeys([*config.channels, *map(attrgetter("channel"), view.accounts)])
    summaries = {channel: summarize_channel(view, channel) for channel in channel_names}
    broken_since = find_broken_days(association_id, view.gaps, summaries)
    strips, _ = load_check_history(store, [association_id], broken_since)
    statuses = index_by_account(store.statuses.list_account_statuses(association_id))
    accounts = store.registry.list_accounts(association_id, include_withdrawn=True)
    account_by_id = {account.id: account for account in accounts}
    items: list[dict[str, Any]] = []
    items_by_account = defaultdict[int | None, list[dict[str, Any]]](list)
    all_items = build_decision_items(decisions, account_by_id, statuses, now)
    for decision, item in zip(decisions, all_items, strict=True):
        if item["in_force"] or item["state"] == "overridden":
            items.append(item)
            items_by_account[decision.account_id].append(item)
    channels = []
    for channel, channel_summary in summaries.items():
        account_views = view.accounts_on(channel)
        if not account_views and is_optional_channel(channel):
            continue
        account_details = []
        for account in account_views:
            status = statuses.get(account.account_id)
            detail = {
                "account": account,
                "status": find_account_status(view, account),
                "gaps": [  # about the account, or the channel as a whole
                    gap
                    for gap in view.gaps
                    if gap.channel == channel and gap.subject in {"", account.key, account.typed}
                ],
                "decisions": items_by_account[account.account_id],
                "outlooks": list(iter_status_outlooks(status, config.confirm)) if status else [],
            }
            account_details.append(detail)
        channel_detail = {
            "channel": channel,
            "summary": channel_summary,
            "strip": strips.get((association_id, channel), ()),
            "accounts": account_details,
            "decisions": [item for item in items_by_account[None] if item["channel"] == channel],
        }
        channels.append(channel_detail)
    return channels, items


def list_events(
    view: AssociationView,
    decisions: Sequence[Decision],
    replies: Sequence[Reply],
    follow_ups: Sequence[FollowUp],
) -> list[AssociationEvent]:
    """Return what happened to an association, newest first. Waived gaps are left out."""
    # Those that opened, then those that closed.
    changes = sorted(view.iter_gap_changes(), key=itemgetter(0), reverse=True)
    events: list[AssociationEvent] = [
        (changed_at, change, gap) for change, changed_at, gap in changes
    ]
    events += [(decision.decided_at, "decided", decision) for decision in decisions]
    for decision in decisions:
        if decision.withdrawal:
            events.append((decision.withdrawal.withdrawn_at, "withdrawn", decision))
    events += [(reply.submitted_at, "replied", reply) for reply in replies]
    events += [(entry.occurred_at, "contacted", entry) for entry in follow_ups]
    return sorted(events, key=itemgetter(0), reverse=True)
