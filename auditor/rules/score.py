"""The presence score: fixed points, what is unknown never punished, mending never lowering it. Pure.

A point is good, bad, unknown or waived. The states are read from standings, which keep the last decided
word, so a night that is blocked moves the score in no direction. Weights are policy: changing one, or
what a point looks at, raises VERSION, and scores of different versions are not compared.

Unknown is what we could not see. What nobody can see because of a trouble that is told of (a site out of
reach, a link to no account, a private or a personal page) is known, and not earned: were it left out, the
mending would bring it in, and a mended account could be worth less than a broken one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from auditor.reference.gap_catalogue import catalogue
from auditor.rules.account_status import BY_A_PERSON, Bands, days_between
from auditor.rules.checks.reachability import TROUBLE_DAYS
from auditor.rules.context import NO_ACCOUNT, Case, Held
from auditor.rules.link_reciprocity import site_leads
from auditor.rules.name_matching import account_named, site_named
from probes.links import identify
from probes.models.finding import ACCOUNTS, Kind, Reason
from storage.models.audit import State

VERSION = 3


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
    case = _as_met(case)
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
        return Point.UNKNOWN if channel in case.moved else Point.BAD
    return _best(map(_stands, registered))


def _stands(held: Held) -> Point:
    """Whether one account is there; a person's or a group's, in a page's place, is one where it was seen."""
    unseen = Point.BAD if _is_personal(held) else Point.UNKNOWN
    return {State.PRESENT: Point.GOOD, State.GONE: Point.BAD}.get(held.standing.state, unseen)


def _website(case: Case, bands: Bands) -> dict[str, Point]:
    sites = [
        site
        for site in case.on("website")
        if site.standing.state is not State.GONE and site.row.identity.kind is not Kind.NONE
    ]
    facts = {"https": "https", "contact": "contact", "mobile": "viewport"}
    states = {
        f"website.{item}": _best(_truth(site.seen.facts.get(fact) if site.seen else None) for site in sites)
        for item, fact in facts.items()
    }
    fresh = _best(_lively(site, bands, case.began, ("active", "slow", "inactive")) for site in sites)
    named = _best(_truth(site_named(site, case)) for site in sites)
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
        states[f"{channel}.active"] = _best(_active(held, bands, case.began) for held in accounts)
        states[f"{channel}.linked"] = _best(_linked(case, held) for held in accounts)
        states[f"{channel}.named"] = _best(_named(held, case) for held in accounts)
    return states


def _active(held: Held, bands: Bands, now: datetime) -> Point:
    """Whether the public sees an account's publications; a closed or personal one's count if seen."""
    told = _lively(held, bands, now, ("active", "slow"))
    shut = _is_private(held) or _is_personal(held)
    return Point.BAD if told is Point.UNKNOWN and shut else told


def _named(held: Held, case: Case) -> Point:
    """Whether an account bears the association's name; a closed one that shows none does not."""
    nameless = held.seen is not None and not held.seen.name
    return Point.BAD if nameless and _is_private(held) else _truth(account_named(held, case))


def _is_private(held: Held) -> bool:
    return held.seen is not None and held.seen.reason is Reason.PRIVATE


def _is_personal(held: Held) -> bool:
    return held.row.identity.kind in {Kind.PERSON, Kind.GROUP}


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


def _as_met(case: Case) -> Case:
    """The case as its visitors meet it, and as it will be once its registry is in order.

    Who cannot be reached, and a link to no account, count as lost; who has moved is judged where it is
    now; and a dead link on a site tells nothing of the accounts that live.
    """
    met = tuple(_moved(_lost(held, case)) for held in case.accounts)
    living = [held for held in met if held.standing.state is not State.GONE]
    gone = [held for held in met if held.standing.state is State.GONE]
    return replace(case, accounts=tuple(_without_dead_links(held, gone, living) for held in met))


def _lost(held: Held, case: Case) -> Held:
    if held.row.identity.kind not in NO_ACCOUNT and not _is_shut(held, case):
        return held
    return replace(held, standing=replace(held.standing, state=State.GONE))


def _is_shut(held: Held, case: Case) -> bool:
    """Whether a site is confirmed to be out of its visitors' reach, or to warn them off."""
    trouble, doubt = held.standing.trouble, held.standing.doubt
    if held.row.channel != "website" or (trouble is None and doubt is None):
        return False
    if ("website", held.subject) in case.unwell:
        return True
    if trouble is None:
        return False
    is_tls = trouble.cause.partition("/")[0] == Reason.TLS
    enough = catalogue()["website_insecure" if is_tls else "website_down"].confirm_nights
    return trouble.nights >= enough and days_between(trouble.since, trouble.last) >= TROUBLE_DAYS


def _moved(held: Held) -> Held:
    """An account under the name it has now: its old one earns nothing that the new one will not."""
    seen = held.seen
    if seen is None or not (seen.reason is Reason.RENAMED or "moved_to" in seen.facts):
        return held
    named = identify.identify(seen.final_url or "")
    if named.channel != held.row.channel or named.key is None or named.kind not in ACCOUNTS:
        return held
    row, old = replace(held.row, identity=named), {held.row.identity.key}
    return replace(held, row=row, aliases=(held.aliases - old) | {named.key})


def _without_dead_links(site: Held, gone: Sequence[Held], living: Sequence[Held]) -> Held:
    known = site.standing.known
    if site.row.channel != "website" or known is None or not gone:
        return site
    kept = tuple(
        link
        for link in known.links
        if any(one.names(link) for one in living) or not any(one.names(link) for one in gone)
    )
    return replace(site, standing=replace(site.standing, known=replace(known, links=kept)))


def _truth(value: object) -> Point:
    if value is None:
        return Point.UNKNOWN
    return Point.GOOD if value else Point.BAD


def _best(states: Iterable[Point]) -> Point:
    """The best of several accounts' states: one good one is enough."""
    kinds = set(states)
    return next((point for point in (Point.GOOD, Point.UNKNOWN, Point.BAD) if point in kinds), Point.UNKNOWN)
