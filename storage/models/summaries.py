"""The data of lists: an association as a list shows it, and pages of associations and gaps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from probes.models.finding import FactValue
from storage.models.audit import Gap, choose_name

T = TypeVar("T")
S = TypeVar("S")

SummarySort = Literal["urgency", "name", "changed"]
"""Most urgent first; by name; most recently changed first."""

GapSort = Literal["kind", "newest"]

NETWORK_GROUP = ""
"""The group of all associations. Other groups are named by their facet: `region:…` and `tag:…`."""

CHANGE_GROUP_PREFIX = "changes:"
"""Prefix of a group name for the daily counts of gaps that opened and closed in it."""

WORD_FACET_PREFIX = "word:"
"""Prefix of the facets of words. They are not counted, because there are too many."""

ALL_FACET = "all"
"""The facet that every association has. Its count is the size of the group."""

WATCH_FACET = "to_watch"
"""The facet of associations of which something may be broken, and nothing is so far."""

TITLE_PARAMS = frozenset({"expired_on"})
"""The parameters of gaps that titles use. Summaries leave out all others."""


@dataclass(frozen=True, slots=True)
class SummaryVersion:
    """The inputs of summaries: the configuration, the auditor's version, and the newest run."""

    evaluation_version: str
    run_started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenGap:
    """An open gap as a list shows it, with the parameters of its title."""

    code: str
    channel: str
    severity: str
    first_seen: datetime | None = None
    params: Mapping[str, FactValue] = field(default_factory=dict)


class ChannelStatus(StrEnum):
    """The state of an association on a channel as lists show it."""

    PRESENT = "present"
    SILENT = "silent"
    """The account is there, but an open gap says that nothing is published."""
    ATTESTED = "attested"
    """The account could not be checked, or was missing; a person says that it is there."""
    UNKNOWN = "unknown"
    """The account could not be checked."""
    BROKEN = "broken"
    """The account is gone, or an open gap says that it does not work."""
    NONE = "none"
    """No account is known."""
    BY_CHOICE = "by_choice"
    """The association chose to have none."""
    NOT_CHECKED = "not_checked"
    """There is an account, and no run has reached it yet."""


@dataclass(frozen=True, slots=True)
class ChannelSummary:
    """An association on one channel, and the date of the newest publication of its best account."""

    status: ChannelStatus
    last_activity: date | None = None


@dataclass(frozen=True, slots=True)
class AssociationSummary:
    """An association as a list shows it.

    `gaps` are the visible ones in the order of lists, and `watched` may become gaps. `unchecked`
    has the channel and reason of each account whose newest check was inconclusive. `answers` to the
    survey are by question; that to who runs the channels may be the registry's. `changed_at` is
    when a gap last opened or closed. `is_checked` is False before the first run that looks at the
    association.
    """

    id: str
    name: str
    name_ar: str | None = None
    name_fr: str | None = None
    region: str | None = None
    city: str | None = None
    language: str = "ar"
    tags: tuple[str, ...] = ()
    level: str = "no_data"
    channels: Mapping[str, ChannelSummary] = field(default_factory=dict)
    gaps: tuple[OpenGap, ...] = ()
    watched: tuple[OpenGap, ...] = ()
    proposal_count: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)
    is_officer_registered: bool = False
    unchecked: tuple[tuple[str, str | None], ...] = ()
    changed_at: datetime | None = None
    is_checked: bool = True

    def display_name(self, language: str) -> str:
        """Return the name in a language, or `name` if there is none."""
        return choose_name(language, self.name, self.name_ar, self.name_fr)


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """A summary to be stored, with everything by which it is found, sorted and counted.

    `facets` maps each facet to its weight in the counts. A lower `urgency` is more urgent.
    `sort_name` and `search_terms` are normalized. `reportable_gap_ranks` maps the id of each gap
    that is or was open and is not waived to its rank (`compute_gap_rank`);
    `visible_gap_ids` are those that lists show. `gap_change_counts` counts them by
    `opened:<day>:<code>@<channel>`, `closed:…`, `open:<kind>`, and if it is known who runs the
    channels, `fixed:<day of opening>:<who>:<yes or no>`. `valid_until` is the first
    day on which the summary may change although no row has changed; None if never.
    """

    summary: AssociationSummary
    facets: Mapping[str, int]
    urgency: int
    sort_name: str
    search_terms: tuple[str, ...]
    reportable_gap_ranks: Mapping[int, int] = field(default_factory=dict)
    visible_gap_ids: frozenset[int] = frozenset()
    gap_change_counts: Mapping[str, int] = field(default_factory=dict)
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class ListedGap:
    """A gap with its association."""

    gap: Gap
    association: AssociationSummary


@dataclass(frozen=True, slots=True)
class ResultPage(Generic[T]):
    """A page of a list. `next_cursor` is None on the last page.

    `count` is the number of all rows, or a lower bound if it is not `is_exact`.
    """

    rows: tuple[T, ...]
    next_cursor: str | None
    count: int
    is_exact: bool = True

    def convert_rows(self, convert: Callable[[T], S]) -> "ResultPage[S]":
        """Return the page with other rows."""
        return ResultPage(
            tuple(map(convert, self.rows)), self.next_cursor, self.count, self.is_exact
        )
