"""Coverage: the network's figure on each channel, as an interval beside the survey's. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.rules.context import Case
from probes.models.account import Kind
from storage.models.audit import State

STATES = ("confirmed", "unknown", "gone", "missing", "by_choice")
"""What an association may count as on a channel."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The network's figure on one channel: percent confirmed, and how far the unknown ones could take it.

    `survey` is what people said when asked, in percent: of associations as they see themselves, not as
    they are observed.
    """

    channel: str
    associations: int
    confirmed: int
    unknown: int
    gone: int
    missing: int
    by_choice: int
    survey: float | None = None

    @property
    def low(self) -> float:
        """Percent of the associations with a confirmed account."""
        return percent(self.confirmed, self.associations)

    @property
    def high(self) -> float:
        """Percent of them if every account that could not be told were there."""
        return percent(self.confirmed + self.unknown, self.associations)


def coverage(seen: Iterable[AssociationView], config: Config) -> Iterator[Coverage]:
    """The network's figures, channel by channel in the config's order."""
    sums: Counter[str] = Counter()
    for view in seen:
        sums.update(f"{channel}:{covered(view, channel)}" for channel in config.channels)
    return counted(sums, config)


def counted(sums: Mapping[str, int], config: Config) -> Iterator[Coverage]:
    """The same figures, where it is known how many associations count as what: `channel:state`."""
    for channel in config.channels:
        kinds = {state: sums.get(f"{channel}:{state}", 0) for state in STATES}
        yield Coverage(channel, sum(kinds.values()), **kinds, survey=config.survey.figures.get(channel))


def covered(view: AssociationView, channel: str) -> str:
    """What one association counts as: its best account decides, none at all is missing or a choice."""
    states = {one.state for one in view.on(channel) if _counts(one.kind, one.key)}
    return _best(states, chosen=channel in view.none_by_choice, moved=channel in view.moved)


def stands(known: Case, channel: str) -> str:
    """The same of a case: what its view would count as."""
    links = ((held.row.identity, held.standing.state) for held in known.on(channel))
    states = {state for link, state in links if _counts(link.kind, link.key)}
    return _best(states, chosen=channel in known.none_by_choice, moved=channel in known.moved)


def _best(states: Collection[State], *, chosen: bool, moved: bool) -> str:
    if State.PRESENT in states:
        return "confirmed"
    if chosen:
        return "by_choice"
    return "unknown" if State.UNKNOWN in states or moved else "gone" if states else "missing"


def _counts(kind: Kind, key: str | None) -> bool:
    """Whether a cell may mean an account: what cannot be read, or only followed, is no channel missing."""
    return kind in {Kind.SHORT, Kind.INVALID} or key is not None


def percent(part: int, whole: int) -> float:
    """The percent that a part is, to one place after the point; 0 of nobody."""
    return round(100 * part / whole, 1) if whole else 0.0
