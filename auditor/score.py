"""The presence score: fixed points, what is unknown never punished, mending never lowering it. Pure.

A point is good, bad, unknown or waived. The states are read from standings, which keep the last decided
word, so a night that is blocked moves the score in no direction. Weights are policy: changing one, or
what a point looks at, raises VERSION, and scores of different versions are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auditor.case import Case, Held
from auditor.ladder import site_leads
from auditor.naming import account_named, site_named
from auditor.standing import BY_A_PERSON, Bands
from probes.model import Kind
from storage.model import State

VERSION = 2


class Point(StrEnum):
    """What is known of one item."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    WAIVED = "waived"


WEIGHTS: Mapping[str, int] = {
    "website.responds": 14,
    "website.https": 6,
    "website.fresh": 6,
    "website.contact": 5,
    "website.mobile": 4,
    "website.identity": 3,
    "website.links_channels": 2,
    "facebook.exists": 15,  # Facebook has 30 of 100: it is where the public is
    "facebook.active": 9,
    "facebook.named": 3,
    "facebook.linked": 3,
    "youtube.exists": 6,
    "youtube.active": 4,
    "youtube.named": 1,
    "youtube.linked": 1,
    "linkedin.exists": 6,
    "linkedin.active": 4,
    "linkedin.named": 1,
    "linkedin.linked": 1,
    "twitter.exists": 3,
    "twitter.active": 2,
    "twitter.named": 1,
}
LEVELS = ((85, "complete"), (55, "good"), (25, "basic"), (0, "start"))
MIN_KNOWN = 50
"""With fewer points known than this no score is shown: it would be a guess about an association."""

States = Mapping[str, Point]


@dataclass(frozen=True, slots=True)
class Score:
    """`percent` is earned of known, None where too little is known; [low, high] is how far it could go."""

    earned: int
    known: int
    percent: int | None
    level: str
    low: int
    high: int
    version: int = VERSION


def parent(item: str) -> str:
    """The item without which this one cannot be: a site that is not there has no https."""
    channel = item.partition(".")[0]
    return "website.responds" if channel == "website" else f"{channel}.exists"


def effective(states: States) -> dict[str, Point]:
    """Every item's state: that of its parent where the parent is bad or waived."""
    whole = {}
    for item in WEIGHTS:
        above = states.get(parent(item), Point.UNKNOWN)
        own = states.get(item, Point.UNKNOWN)
        whole[item] = above if above in (Point.BAD, Point.WAIVED) else own
    return whole


def score(states: States) -> Score:
    """The score of these states."""
    whole = effective(states)
    points = {point: sum(w for item, w in WEIGHTS.items() if whole[item] is point) for point in Point}
    earned, known = points[Point.GOOD], points[Point.GOOD] + points[Point.BAD]
    total = known + points[Point.UNKNOWN]
    if not total:
        return Score(0, 0, None, "no_data", 0, 0)
    low, high = _percent(earned, total), _percent(earned + points[Point.UNKNOWN], total)
    if known < MIN_KNOWN:
        return Score(earned, known, None, "no_data", low, high)
    percent = _percent(earned, known)
    level = next(name for least, name in LEVELS if percent >= least)
    return Score(earned, known, percent, level, low, high)


def _percent(part: int, whole: int) -> int:
    return (200 * part + whole) // (2 * whole)


def points(case: Case, bands: Bands) -> dict[str, Point]:
    """What is known of each item in a case."""
    states: dict[str, Point] = {}
    for channel in ("website", "facebook", "youtube", "linkedin", "twitter"):
        first = "responds" if channel == "website" else "exists"
        states[f"{channel}.{first}"] = _exists(case, channel)
    return states | _website(case, bands) | _platforms(case, bands)


def _exists(case: Case, channel: str) -> Point:
    if channel in case.none_by_choice:
        return Point.WAIVED
    registered = [held for held in case.on(channel) if held.row.identity.kind is not Kind.NONE]
    if not registered:
        proposed = any(
            proposal.link.channel == channel and case.knows(proposal.link) is False
            for proposal in case.proposals
        )
        return Point.UNKNOWN if proposed or channel in case.moved else Point.BAD
    states = {held.standing.state for held in registered}
    if State.PRESENT in states:
        return Point.GOOD
    return Point.BAD if states == {State.GONE} else Point.UNKNOWN


def _website(case: Case, bands: Bands) -> dict[str, Point]:
    seen = list(case.on("website"))
    facts = {"https": "https", "contact": "contact", "mobile": "viewport"}
    states = {
        f"website.{item}": _best(_truth(held.seen.facts.get(fact)) for held in seen if held.seen)
        for item, fact in facts.items()
    }
    fresh = _best(_lively(held, bands, case.now, ("active", "slow", "inactive")) for held in seen)
    named = _best(_truth(site_named(held, case)) for held in seen)
    return states | {
        "website.fresh": fresh,
        "website.identity": named,
        "website.links_channels": _links_channels(case),
    }


def _links_channels(case: Case) -> Point:
    return _best(
        _linked(case, held) for held in case.accounts if held.row.channel != "website" and _lives(held)
    )


def _lives(held: Held) -> bool:
    """Whether an account can have merits of its own: a lost one has none, whoever leads to it."""
    return held.is_account and held.standing.state is not State.GONE


def _platforms(case: Case, bands: Bands) -> dict[str, Point]:
    states = {}
    for channel in ("facebook", "youtube", "linkedin", "twitter"):
        accounts = [held for held in case.on(channel) if _lives(held)]
        states[f"{channel}.active"] = _best(
            _lively(held, bands, case.now, ("active", "slow")) for held in accounts
        )
        states[f"{channel}.linked"] = _best(_linked(case, held) for held in accounts)
        states[f"{channel}.named"] = _best(_truth(account_named(held, case)) for held in accounts)
    return states


def _lively(held: Held, bands: Bands, now: datetime, good: tuple[str, ...]) -> Point:
    band = bands.band(held.standing, now)
    if band in good:
        return Point.GOOD
    newest = held.standing.last_activity  # an old date that a person told us is not held against them
    told = newest is not None and newest.source == BY_A_PERSON
    return Point.UNKNOWN if band == "unknown" or told else Point.BAD


def _linked(case: Case, held: Held) -> Point:
    """Whether the association's site leads to an account; without a site nothing does."""
    sites = case.on("website")
    if all(site.standing.state is State.GONE or site.row.identity.kind is Kind.NONE for site in sites):
        return Point.BAD
    return _truth(site_leads(held, case))


def _truth(value: object) -> Point:
    if value is None:
        return Point.UNKNOWN
    return Point.GOOD if value else Point.BAD


def _best(states: Iterable[Point]) -> Point:
    """The best of several accounts' states: one good one is enough."""
    kinds = set(states)
    return next((point for point in (Point.GOOD, Point.UNKNOWN, Point.BAD) if point in kinds), Point.UNKNOWN)
