"""The grid of associations and channels: a row for each association, a cell for each channel.

Rows are built from stored summaries and the strips of their newest checks. No association is
evaluated for a page.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from auditor.core.phone_numbers import build_whatsapp_url
from auditor.evaluation.summary import AssociationFilter
from auditor.reference.gap_catalogue import get_gap_kind
from auditor.views.history import CheckHistory, load_check_history
from probes.links.channel_registry import is_optional_channel
from storage.models.audit import EMPTY_CONTACT, GapKind
from storage.models.summaries import AssociationSummary, ChannelStatus
from storage.store import Store

STATUSES_WITHOUT_ACCOUNT = frozenset({ChannelStatus.NONE, ChannelStatus.BY_CHOICE})


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
    history = load_check_history(store, [summary.id for summary in summaries])
    managed_ids = [summary.id for summary in summaries if can_manage(summary)]
    contacts = dict.fromkeys(managed_ids, EMPTY_CONTACT) | store.registry.get_contacts(managed_ids)
    kind = association_filter.gap_kind
    rows = []
    for summary in summaries:
        problem = None
        for gap in reversed(summary.gaps):
            if (
                association_filter.channel in ("", gap.channel)
                and association_filter.gap in ("", gap.code)
                and kind in ("", get_gap_kind(gap))
            ):
                problem = gap
        others = [channel for channel in summary.channels if channel not in channels]
        cells = [_build_cell(summary, channel, history) for channel in channels]
        other_cells = [_build_cell(summary, channel, history) for channel in others]
        other_cells = [cell for cell in other_cells if cell["has_account"]]
        statuses = {cell["status"] for cell in (*cells, *other_cells)}
        contact = contacts.get(summary.id)
        row = {
            "summary": summary,
            "cells": cells,
            "other_cells": other_cells,
            "problem": problem,
            "other_problem_count": len(summary.gaps) - (problem is not None),
            "is_checked": summary.is_checked and ChannelStatus.NOT_CHECKED not in statuses,
            "contact": contact,
            "whatsapp_url": build_whatsapp_url(contact.phone) if contact else None,
        }
        rows.append(row)
    return rows


def _build_cell(summary: AssociationSummary, channel: str, history: CheckHistory) -> dict[str, Any]:
    """Return an association on a channel.

    `broken_since` is the day of the oldest open problem because of which the channel is broken.
    `reason` is why it could not be checked. `account_id` is an account with evidence for that.
    """
    channel_summary = summary.channels.get(channel)
    # A channel without a summary was configured after the summary was made.
    status = channel_summary.status if channel_summary else ChannelStatus.NOT_CHECKED
    broken_days = [
        gap.opened_at.date()
        for gap in summary.gaps
        if gap.channel == channel and gap.opened_at and get_gap_kind(gap) is GapKind.BROKEN
    ]
    reasons = [reason for name, reason in summary.unchecked if name == channel and reason]
    return {
        "channel": channel,
        "status": status,
        "has_account": status not in STATUSES_WITHOUT_ACCOUNT,
        "last_activity": channel_summary.last_activity if channel_summary else None,
        "broken_since": min(broken_days, default=None),
        "reason": reasons[0] if reasons and status is ChannelStatus.UNKNOWN else None,
        "account_id": history.account_ids.get((summary.id, channel)),
        "strip": history.get_strip(summary.id, channel),
    }


def select_grid_channels(channels: Iterable[str], filtered_channel: str) -> list[str]:
    """Return the channels with a column: those that every association is expected to have.

    The filtered channel always has a column. Other optional channels share one.
    """
    return [
        channel
        for channel in channels
        if not is_optional_channel(channel) or channel == filtered_channel
    ]
