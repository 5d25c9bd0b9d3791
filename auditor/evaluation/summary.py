"""One association as a list shows it, told from its view, and all by which lists find it. Pure.

Nothing is judged here: what a view does not say, a summary does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.coverage import covered
from auditor.reference.regions import code_of
from auditor.registry.columns import bare
from probes.models.finding import Presence, Scalar
from probes.text.normalize import folded
from storage.models.audit import SEVERITIES, Association, Gap
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
