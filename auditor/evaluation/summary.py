"""One association as a list shows it, told from its view, and all by which lists find it. Pure.

Nothing is judged here: what a view does not say, a summary does not know.

Coverage: the network's figure on each channel, as an interval beside the survey's. Pure.

Which associations somebody asks for: the filters that every list, export and pack has in common. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.reference.regions import code_of
from auditor.registry.columns import bare
from auditor.rules.context import Case
from probes.models.finding import Kind, Presence, Scalar
from probes.text.language import folded
from storage.models.audit import SEVERITIES, Association, Gap, State
from storage.models.summaries import PASSING, Listing, OpenGap, Summary

ARTICLE = "ال"


def listing(view: AssociationView, channels: Iterable[str], until: date | None = None) -> Listing:
    """What the store keeps of a view, for these audited channels, and until when it holds."""
    told = summary(view, channels)
    return Listing(
        summary=told,
        facets=facets(told),
        urgency=urgency(told.gaps),
        sorted=" ".join(spoken(told.name)),
        words=tuple(sorted(words(told))),
        told={gap.id: SEVERITIES.index(gap.severity) for gap in _told(view) if gap.id is not None},
        shown=frozenset(gap.id for gap in view.gaps if gap.id is not None),
        moves=Counter([*_moves(_told(view)), *(f"open:{gap.severity}" for gap in view.gaps)]),
        until=until,
    )


def _moves(gaps: Iterable[Gap]) -> Iterator[str]:
    """What opened and what closed, each with its day and kind."""
    for gap in gaps:
        for which, at in (("opened", gap.opened_at), ("closed", gap.closed_at)):
            if at:
                yield f"{which}:{at.date()}:{gap.code}@{gap.channel}"


def summary(view: AssociationView, channels: Iterable[str]) -> Summary:
    """The view in short."""
    about, score = view.association, view.score
    return Summary(
        id=about.id,
        name=about.name,
        name_ar=about.name_ar,
        name_fr=about.name_fr,
        region=about.region,
        city=about.city,
        language=about.language,
        tags=about.tags,
        level=score.level,
        percent=score.percent,
        low=score.low,
        high=score.high,
        states={channel: covered(view, channel) for channel in channels},
        gaps=tuple(map(_open, view.gaps)),
        proposals=len(view.proposals),
        untold=tuple(
            (one.channel, one.latest_reason) for one in view.accounts if one.latest is Presence.UNKNOWN
        ),
        changed_at=max(_moments(_told(view)), default=None),
    )


def _open(gap: Gap) -> OpenGap:
    return OpenGap(gap.code, gap.channel, gap.severity, gap.opened_at, gap.subject, lasting(gap.params))


def lasting(params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """What a gap tells that a later look alone does not change."""
    return {name: value for name, value in params.items() if name not in PASSING}


def _told(view: AssociationView) -> list[Gap]:
    """The gaps that are or were open, without those a person waived."""
    return [gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived]


def _moments(gaps: Iterable[Gap]) -> Iterator[datetime]:
    for gap in gaps:
        yield from (at for at in (gap.opened_at, gap.closed_at) if at)


def facets(told: Summary) -> dict[str, int]:
    """The short strings that find an association, each with how much it counts in a tally."""
    found = Counter(_places(told))
    found.update(f"{channel}:{state}" for channel, state in told.states.items())
    found.update({f"any:{state}" for state in told.states.values()})
    found.update(f"untold:{channel}:{reason or ''}" for channel, reason in told.untold)
    found.update({facet for gap in told.gaps for facet in _gap_facets(gap)})
    if told.proposals:
        found["proposals"] = told.proposals
    if told.gaps:
        found.update({f"worst:{told.gaps[0].severity}": 1, "gaps": len(told.gaps)})
    else:
        found["none"] = 1
    return dict(found)


def _places(told: Summary) -> Iterator[str]:
    yield f"level:{told.level}"
    yield from cohorts(told.region, told.tags)
    if told.city:
        yield f"city:{told.city}"


def cohorts(region: str | None, tags: Iterable[str]) -> set[str]:
    """The groups an association belongs to, besides the network."""
    return {*([f"region:{place(region)}"] if region else []), *(f"tag:{tag}" for tag in tags)}


def place(region: str) -> str:
    """What a region is found by: the code of one of the twelve, however it is spelt, or what was typed."""
    return code_of(region) or region


def _gap_facets(gap: OpenGap) -> tuple[str, str, str]:
    return f"gap:{gap.code}", f"gap:{gap.code}@{gap.channel}", f"on:{gap.channel}"


def urgency(gaps: Iterable[Gap | OpenGap]) -> int:
    """Less for who is to be called sooner: by the number of urgent gaps, then of high ones, and so on."""
    counts = Counter(gap.severity for gap in gaps)
    place = 0
    for severity in SEVERITIES:
        place = place * 100 + 99 - min(counts[severity], 99)
    return place


def words(told: Summary | Association) -> set[str]:
    """What it is searched by: the words of its names, id and city, Arabic ones also without their article."""
    names = (told.id, told.name, told.name_ar, told.name_fr, told.city)
    found = {word for name in names if name for word in spoken(name)}
    return found | {_pith(word) for word in found}


def asked(text: str) -> set[str]:
    """The words of a search: each must begin one of an association's."""
    return {_pith(word) for word in spoken(text)}


def spoken(text: str) -> list[str]:
    """The words of a text as they are compared: without case, accents, vowel marks, variants of letters."""
    return bare(folded(text)).split()


def _pith(word: str) -> str:
    rest = word.removeprefix(ARTICLE)
    return rest if len(rest) > 1 else word


def is_named(told: Summary | Association, searched: Iterable[str]) -> bool:
    """Whether every word of a search begins one of the association's."""
    own = words(told)
    return all(any(word.startswith(one) for word in own) for one in searched)


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


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is asked of an association; an empty text asks nothing.

    `gap` is the code of an open gap. `state` is what the association counts as on `channel`, or on any one
    where none is named; without a state, `channel` asks for an open gap on it. `q` are beginnings of
    words of its names, its id or its city.
    """

    region: str = ""
    tag: str = ""
    level: str = ""
    gap: str = ""
    channel: str = ""
    state: str = ""
    q: str = ""

    def of(self, seen: Iterable[AssociationView], channels: Iterable[str]) -> Iterator[AssociationView]:
        """Those of the associations that are asked for."""
        audited = list(channels)
        return (view for view in seen if self.takes(summary(view, audited)))

    def takes(self, told: Summary) -> bool:
        """Whether an association is asked for."""
        return self.facets <= facets(told).keys() and is_named(told, self.words)

    @property
    def facets(self) -> frozenset[str]:
        """What an association must be found by, as lists of the store ask for it."""
        return frozenset(self._facets())

    @property
    def words(self) -> set[str]:
        """The words of a search, folded; each must begin one of an association's."""
        return asked(self.q)

    def _facets(self) -> Iterator[str]:
        named = {"region": self.region and place(self.region), "tag": self.tag, "level": self.level}
        yield from (f"{name}:{value}" for name, value in named.items() if value)
        if self.state:
            yield f"{self.channel or 'any'}:{self.state}"
        elif self.channel:
            yield f"gap:{self.gap}@{self.channel}" if self.gap else f"on:{self.channel}"
        if self.gap and (self.state or not self.channel):
            yield f"gap:{self.gap}"
