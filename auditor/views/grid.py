"""The grid of associations and channels: a row for each association, a cell for each channel.

Rows are built from stored summaries and the strips of their newest checks. No association is
evaluated for a page.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from operator import attrgetter

from auditor.core.phone_numbers import build_whatsapp_url
from auditor.evaluation.summary import AssociationFilter
from auditor.reference.gap_catalogue import get_gap_kind
from auditor.views.history import CheckHistory, load_check_history
from probes.links.channel_registry import is_optional_channel
from probes.models.finding import Reason
from storage.models.audit import EMPTY_CONTACT, Contact, GapKind
from storage.models.summaries import AssociationSummary, ChannelStatus, OpenGap
from storage.store import Store

STATUSES_WITHOUT_ACCOUNT = frozenset({ChannelStatus.NONE, ChannelStatus.BY_CHOICE})


@dataclass(frozen=True, slots=True)
class GridCell:
    """An association on a channel.

    `broken_since` is the day of the oldest open problem because of which the channel is broken.
    `reason` is why it could not be checked. `account_id` is an account with evidence for that.
    """

    channel: str
    status: ChannelStatus
    last_activity: date | None = None
    broken_since: date | None = None
    reason: Reason | None = None
    account_id: int | None = None
    strip: tuple[str, ...] = ()

    @property
    def has_account(self) -> bool:
        """Return True if an account is known."""
        return self.status not in STATUSES_WITHOUT_ACCOUNT


@dataclass(frozen=True, slots=True)
class GridRow:
    """An association with its cells, the problem to show, and what a user may do.

    `other_cells` are channels without a column on which the association has an account. `problem`
    is None without an open problem that matches the filter. `contact` is None if the user may not
    see it.
    """

    summary: AssociationSummary
    cells: tuple[GridCell, ...]
    other_cells: tuple[GridCell, ...]
    problem: OpenGap | None
    contact: Contact | None = None

    @property
    def whatsapp_url(self) -> str | None:
        """Return the address of a chat, or None without a number for WhatsApp."""
        return build_whatsapp_url(self.contact.phone) if self.contact else None

    @property
    def other_problem_count(self) -> int:
        """Return how many open problems are not shown."""
        return len(self.summary.gaps) - (self.problem is not None)

    @property
    def is_checked(self) -> bool:
        """Return False if the association or one of its accounts has not been checked yet."""
        statuses = map(attrgetter("status"), (*self.cells, *self.other_cells))
        return self.summary.is_checked and ChannelStatus.NOT_CHECKED not in statuses


def load_grid_rows(
    store: Store,
    summaries: Sequence[AssociationSummary],
    channels: Sequence[str],
    association_filter: AssociationFilter,
    can_manage: Callable[[AssociationSummary], bool],
) -> list[GridRow]:
    """Return the rows of a page of associations, with a cell for each of these channels."""
    history = load_check_history(store, list(map(attrgetter("id"), summaries)))
    managed_ids = list(map(attrgetter("id"), filter(can_manage, summaries)))
    contacts = dict.fromkeys(managed_ids, EMPTY_CONTACT) | store.registry.get_contacts(managed_ids)
    rows = []
    for summary in summaries:
        contact = contacts.get(summary.id)
        rows.append(build_grid_row(summary, channels, association_filter, history, contact))
    return rows


def build_grid_row(
    summary: AssociationSummary,
    channels: Sequence[str],
    association_filter: AssociationFilter,
    history: CheckHistory,
    contact: Contact | None = None,
) -> GridRow:
    """Return the row of an association. Pure."""
    cells = [_build_cell(summary, channel, history) for channel in channels]
    other_cells = []
    for channel in summary.channels:
        cell = _build_cell(summary, channel, history)
        if cell.has_account and channel not in channels:
            other_cells.append(cell)
    problem = find_shown_problem(summary.gaps, association_filter)
    return GridRow(summary, tuple(cells), tuple(other_cells), problem, contact)


def _build_cell(summary: AssociationSummary, channel: str, history: CheckHistory) -> GridCell:
    channel_summary = summary.channels.get(channel)
    if channel_summary is None:  # the channel was configured after the summary was made
        return GridCell(channel, ChannelStatus.NOT_CHECKED)
    return GridCell(
        channel,
        channel_summary.status,
        last_activity=channel_summary.last_activity,
        broken_since=_find_broken_since(summary.gaps, channel),
        reason=_find_reason(summary, channel),
        account_id=history.account_ids.get((summary.id, channel)),
        strip=history.get_strip(summary.id, channel),
    )


def _find_broken_since(gaps: Iterable[OpenGap], channel: str) -> date | None:
    oldest = None
    for gap in gaps:
        if gap.channel == channel and gap.opened_at and get_gap_kind(gap) is GapKind.BROKEN:
            day = gap.opened_at.date()
            oldest = min(day, oldest or day)
    return oldest


def _find_reason(summary: AssociationSummary, channel: str) -> Reason | None:
    """Return why a channel could not be checked, or None if its status is known."""
    if summary.channels[channel].status is ChannelStatus.UNKNOWN:
        for name, reason in summary.unchecked:
            if name == channel and reason:
                return reason
    return None


def find_shown_problem(
    gaps: Iterable[OpenGap], association_filter: AssociationFilter
) -> OpenGap | None:
    """Return the first problem that the filter is about: of its channel, type and code."""
    return next(filter(partial(_is_gap_of_filter, association_filter), gaps), None)


def _is_gap_of_filter(association_filter: AssociationFilter, gap: OpenGap) -> bool:
    if association_filter.channel not in ("", gap.channel):
        return False
    if association_filter.gap not in ("", gap.code):
        return False
    return association_filter.gap_kind in ("", get_gap_kind(gap))


def select_grid_channels(channels: Iterable[str], filtered_channel: str) -> list[str]:
    """Return the channels with a column: those that every association is expected to have.

    The filtered channel always has a column. Other optional channels share one.
    """
    return [
        channel
        for channel in channels
        if not is_optional_channel(channel) or channel == filtered_channel
    ]
