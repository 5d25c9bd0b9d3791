"""The nouns of reading at scale: an association as a list shows it, and pages of such rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from probes.models.finding import FactValue, Reason
from storage.models.audit import Gap

SummarySort = Literal["urgency", "name", "changed"]
GapSort = Literal["severity", "newest"]
"""Who is to be called first; by name; whose gaps opened or closed last first."""

NETWORK_GROUP = ""
"""The cohort of everybody; the others are called as their facet is: `region:…` and `tag:…`."""

CHANGE_GROUP_PREFIX = "changes:"
"""Before a cohort's name: the sums of what opened and closed in it, day by day."""

ALL_FACET = "all"
"""The facet of which a tally is the size of the cohort."""


VOLATILE_GAP_PARAMS = frozenset({"checked_at", "age"})
"""What a gap tells of the newest look and of no change: no title speaks of it, so a summary leaves it out."""


@dataclass(frozen=True, slots=True)
class SummaryVersion:
    """By what summaries are made: `judged` names the configuration and the auditor, `began` the night."""

    evaluation_version: str
    run_started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenGap:
    """An open gap as a list tells it: what its title needs."""

    code: str
    channel: str
    severity: str
    opened_at: datetime | None = None
    subject: str = ""
    params: Mapping[str, FactValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssociationSummary:
    """One association as a list shows it: what its view says, and nothing that is judged anew.

    `states` tells by channel confirmed, unknown, gone, missing or by_choice; `gaps` are the visible ones, the
    gravest first; `untold` has the channel and reason of each account whose newest look told nothing;
    `changed_at` is when the newest of its gaps opened or closed. `percent` is None where too little is known.
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
    score_percent: int | None = None
    score_low: int = 0
    score_high: int = 0
    channel_states: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[OpenGap, ...] = ()
    proposal_count: int = 0
    unchecked: tuple[tuple[str, Reason | None], ...] = ()
    changed_at: datetime | None = None

    def display_name(self, language: str) -> str:
        """The name in a language, or the one we have."""
        return {"ar": self.name_ar, "fr": self.name_fr}.get(language) or self.name


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """A summary on its way into the store, with all by which it is found, sorted and counted.

    `facets` are the short strings that find it, each with how much it counts in the tallies. `urgency` is
    less where somebody is to be called sooner; `sorted` is the name as it is sorted and `words` what it is
    searched by, both folded. `told` gives for each gap that is or was open, and not waived, how grave it is
    (0 is the gravest); `shown` are those of them that faces show. `moves` counts them by when they opened and
    closed, and of what kind they are: `opened:<day>:<code>@<channel>`; the open ones by `open:<severity>`.
    `until` is the day from whose night on the same rows may tell otherwise; None: never.
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
class SummaryPage:
    """A page of associations. `next` goes on behind it, None at the end.

    There are `count` of them in all, or more than that where it is not `exact`.
    """

    rows: tuple[AssociationSummary, ...]
    next_cursor: str | None
    count: int
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class ListedGap:
    """A gap with the association it is told of."""

    gap: Gap
    association: AssociationSummary


@dataclass(frozen=True, slots=True)
class GapPage:
    """A page of gaps, as `SummaryPage` is one of associations."""

    rows: tuple[ListedGap, ...]
    next_cursor: str | None
    count: int
    is_exact: bool = True
