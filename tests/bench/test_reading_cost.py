"""What each query of a page costs over 250,000 associations: milliseconds, the best of three.

    python -m pytest tests/bench/test_reading_cost.py -m bench -s

`AUDITOR_BENCH_ASSOCIATIONS` fills fewer.
"""

import os
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from auditor.summary import asked, facets, spoken, urgency, words
from probes.model import Reason
from storage.model import SEVERITIES, Association, Gap
from storage.store import Store
from storage.summary import Listing, OpenGap, Summary

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
MANY = int(os.environ.get("AUDITOR_BENCH_ASSOCIATIONS", "250000"))
CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
REGIONS = [f"Region {n}" for n in range(12)]
TAGS = [f"tag-{n}" for n in range(200)]
STATES = ("confirmed", "unknown", "gone", "missing", "by_choice")
WEIGHTS = (30, 20, 8, 40, 2)
LEVELS = ("complete", "good", "basic", "start", "no_data")
NAMES = "نور أمل شباب تنمية نساء أطلس ريف واحة بحر جبل Espoir Avenir Femmes Jeunes Culture Sport Eau".split()  # noqa: SIM905
CODES = {
    "channel_missing": "high", "channel_dead": "urgent", "website_down": "urgent",
    "channel_dormant": "medium", "mobile_unfriendly": "low", "site_unlinked": "low",
    "name_differs": "info", "no_contact": "medium",
}  # fmt: skip


def person(dice, number):
    """One invented association with up to five open gaps."""
    states = dict(zip(CHANNELS, dice.choices(STATES, WEIGHTS, k=5), strict=True))
    codes = dice.sample(sorted(CODES), dice.randint(0, 5))
    opened = NOW - timedelta(days=dice.randint(0, 400))
    gaps = [OpenGap(code, dice.choice(CHANNELS), CODES[code], opened) for code in codes]
    gaps.sort(key=lambda gap: SEVERITIES.index(gap.severity))
    low = max(0, 100 - 15 * len(gaps) - dice.randint(0, 20))
    return Summary(
        id=f"MA-{number:06}",
        name=f"Association {dice.choice(NAMES)} {dice.choice(NAMES)} {number}",
        name_ar=f"جمعية {dice.choice(NAMES)} {dice.choice(NAMES)}",
        region=dice.choice(REGIONS),
        city=f"City {dice.randint(1, 1500)}",
        tags=tuple(dice.sample(TAGS, dice.randint(0, 3))),
        level=LEVELS[len(gaps) // 2],
        percent=low,
        low=low,
        states=states,
        gaps=tuple(gaps),
        untold=tuple((c, Reason.LOGIN_WALL) for c, state in states.items() if state == "unknown"),
        changed_at=opened if gaps else None,
    )


def fill(store):
    """Everybody, in parts: the registry's rows, their gaps, and what is told of them."""
    dice = random.Random(7)
    people = [person(dice, number) for number in range(MANY)]
    store.save_registry([Association(one.id, one.name, region=one.region) for one in people], [], NOW)
    store.rebase("bench")
    for start in range(0, MANY, 5000):
        some = people[start : start + 5000]
        store.put_derived(gaps=[gap for one in some for gap in rows(one)])
        held = store.holdings([one.id for one in some])
        ids = {}
        for gap in held.gaps:
            ids.setdefault(gap.association, []).append(gap)
        store.put_summaries(
            [listed(one, ids.get(one.id, [])) for one in some], store.stale(len(some)), "bench"
        )


def rows(one):
    """The gaps of one, and a closed one for every second."""
    for gap in one.gaps:
        yield Gap(one.id, gap.channel, gap.code, gap.severity, gap.opened_at, 3, gap.opened_at)
    if one.low % 2:
        was = NOW - timedelta(days=90)
        yield Gap(
            one.id, "website", "website_down", "urgent", was, 3, was, was + timedelta(days=one.low % 90)
        )


def listed(one, gaps):
    return Listing(
        summary=one,
        facets=facets(one),
        urgency=urgency(one.gaps),
        sorted=" ".join(spoken(one.name)),
        words=tuple(sorted(words(one))),
        told={gap.id: SEVERITIES.index(gap.severity) for gap in gaps},
        shown=frozenset(gap.id for gap in gaps if gap.closed_at is None),
    )


def deep(store, **how):
    """Where the twentieth page of a list begins."""
    after = None
    for _ in range(20):
        after = store.summaries(after=after, **how).next
    return after


def queries(store):
    """Every query of every page, by what it asks."""
    lists = {
        "everybody": {},
        "a region": {"facets": ["region:Region 3"]},
        "a tag": {"facets": ["tag:tag-7"]},
        "two large facets": {"facets": ["youtube:missing", "region:Region 3"]},
        "a level, at the far end of the order": {"facets": ["level:complete"]},
        "two facets that exclude each other": {"facets": ["level:complete", "worst:urgent"]},
        "a rare gap in a region": {"facets": ["gap:channel_dead@youtube", "region:Region 3"]},
        "a city": {"facets": ["city:City 77"]},
        "a word most have": {"search": asked("جمعية")},
        "a beginning most have": {"search": asked("a")},
        "three words": {"search": asked("association نور espoir")},
        "one's number": {"search": asked("123456")},
        "a word and a facet": {"search": asked("امل"), "facets": ["youtube:missing"]},
        "nobody": {"facets": ["tag:nobody's"], "search": asked("zz")},
    }
    for name, how in lists.items():
        for sort in ("urgency", "name", "changed"):
            yield f"list of {name} by {sort}", lambda how=how, sort=sort: store.summaries(sort=sort, **how)
    for sort in ("urgency", "name", "changed"):
        after = deep(store, facets=["region:Region 3"], sort=sort)
        how = {"facets": ["region:Region 3"], "sort": sort, "after": after}
        yield f"page 21 of a region by {sort}", lambda how=how: store.summaries(**how)
    chosen = {
        "all": {}, "of a code": {"code": "channel_missing"}, "of a channel": {"channel": "youtube"},
        "of both": {"code": "channel_dead", "channel": "youtube"}, "urgent": {"severity": "urgent"},
        "of a region": {"region": "Region 3"},
        "of a code in a region": {"code": "no_contact", "region": "Region 3"},
        "in no region": {"region": "Nowhere"}, "low of a channel": {"severity": "low", "channel": "website"},
        "low in a region": {"severity": "low", "region": "Region 3"},
    }  # fmt: skip
    for name, how in chosen.items():
        yield f"gaps {name}", lambda how=how: store.told_gaps(**how)
    for which in ("opened", "closed"):
        for days in (1, 30, 500):
            since = NOW - timedelta(days=days)
            yield f"{which} for {days} days", lambda which=which, since=since: store.changes(since, which)
    yield "the network's tally", store.tally
    yield "a region's tally", lambda: store.tally("region:Region 3")
    kinds = [f"{channel}:{state}" for channel in CHANNELS for state in STATES]
    yield "the tags", lambda: store.tallies(store.cohorts("tag"), [*kinds, "all"])
    yield "nothing stale", lambda: (store.rebase("bench"), store.stale(500))
    yield "one association", lambda: store.holdings(["MA-000077"])


def tell(figure):
    print(figure)  # noqa: T201  # a bench tells its figures


def milliseconds(ask):
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


@pytest.mark.bench
def test_every_query_of_a_page_leaves_room_for_the_page(tmp_path):
    url = os.environ.get("AUDITOR_BENCH_DATABASE", f"sqlite:///{tmp_path}/auditor.db")
    with Store.open(url) as store:
        if not store.tally():
            began = time.perf_counter()
            fill(store)
            tell(f"\n{MANY} associations were put in {time.perf_counter() - began:.0f} s")
        told = {name: milliseconds(ask) for name, ask in queries(store)}
    for name, cost in sorted(told.items(), key=lambda pair: -pair[1]):
        tell(f"{cost:8.1f} ms  {name}")
    assert max(told.values()) < 100
