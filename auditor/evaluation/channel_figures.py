"""Figures of each channel as cards show them: how many associations have which status. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.summary import build_facets, build_summary, to_percent
from probes.links.channel_registry import is_optional_channel
from storage.models.summaries import ChannelStatus

BAR_STATUSES = (
    ChannelStatus.PRESENT,
    ChannelStatus.SILENT,
    ChannelStatus.UNKNOWN,
    ChannelStatus.BROKEN,
)
"""The statuses that a bar shows, from its start. The rest of the bar is empty."""


@dataclass(frozen=True, slots=True)
class BarSegment:
    """A part of a bar: where it begins and how long it is, in percent."""

    status: ChannelStatus
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """Numbers of associations on one channel by status; the sum is the size of the network.

    `reasons` are why the channel could not be checked, the most frequent first; an association
    with several accounts may count in several. `survey` is the percentage in the survey.
    """

    channel: str
    counts: Mapping[ChannelStatus, int]
    reasons: tuple[tuple[str, int], ...] = ()
    survey: float | None = None

    @property
    def association_count(self) -> int:
        """Return the number of all associations."""
        return sum(self.counts.values())

    @property
    def is_optional(self) -> bool:
        """Return True for a channel that no association is expected to have."""
        return is_optional_channel(self.channel)

    @property
    def is_shown(self) -> bool:
        """Return False for an optional channel on which no association has an account."""
        without = self.counts[ChannelStatus.NONE] + self.counts[ChannelStatus.BY_CHOICE]
        return not self.is_optional or without < self.association_count

    @property
    def segments(self) -> list[BarSegment]:
        """Return the parts of the bar that are not empty."""
        segments, start = [], 0.0
        for status in BAR_STATUSES:
            width = to_percent(self.counts[status], self.association_count)
            if width:
                segments.append(BarSegment(status, round(start, 1), width))
            start += width
        return segments


def build_channel_figures(counts: Mapping[str, int], config: Config) -> list[ChannelFigures]:
    """Return the figures of each channel in the order of the configuration.

    `counts` are the counts of the facets of a group.
    """
    figures = []
    for channel in config.channels:
        statuses = {status: counts.get(f"status:{channel}:{status}", 0) for status in ChannelStatus}
        reasons = _list_reasons(counts, f"unchecked:{channel}:")
        survey = config.survey.figures.get(channel)
        figures.append(ChannelFigures(channel, statuses, reasons, survey))
    return figures


def _list_reasons(counts: Mapping[str, int], prefix: str) -> tuple[tuple[str, int], ...]:
    reasons = [
        (facet.removeprefix(prefix), count)
        for facet, count in counts.items()
        if facet.startswith(prefix)
    ]
    return tuple(sorted(reasons, key=lambda reason: (-reason[1], reason[0])))


def compute_channel_figures(
    views: Iterable[AssociationView], config: Config
) -> list[ChannelFigures]:
    """Return the figures of each channel from the views of all associations."""
    counts: Counter[str] = Counter()
    for view in views:
        counts.update(build_facets(build_summary(view, config.channels)))
    return build_channel_figures(counts, config)
