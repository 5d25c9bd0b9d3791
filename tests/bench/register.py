"""An invented national register, with all that pages read: accounts, looks, gaps, letters, figures.

`AUDITOR_BENCH_ASSOCIATIONS` makes another number than 250,000 of them; `AUDITOR_BENCH_FOLDER` keeps the
register for the next bench, as an address in `AUDITOR_BENCH_DATABASE` makes it there.
"""

import hashlib
import os
import random
import resource
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from auditor.app import App
from auditor.config.schema import StorageSettings, find_packaged_config, load_config
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import COVERAGE_STATES
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.reference.regions import REGIONS
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    AssociationEntry,
    AuditRunState,
    Contact,
    Decision,
    DecisionKind,
    Evidence,
    Gap,
    Observation,
    Proposal,
)
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.models.users import ChangeOrigin, FollowUp, FollowUpKind, Reply, ReplyKind, ReportLink

MANY = int(os.environ.get("AUDITOR_BENCH_ASSOCIATIONS", "250000"))
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
NIGHTS = 365
LAST = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
FIRST = LAST - timedelta(days=NIGHTS - 1)
FIGURED = 60
"""Nights that have figures of every cohort, as many as a line shows."""
PART = 5000
WATCHED = 200
"""Associations that were looked at in each of the last thirty nights; the others in the last alone."""
TOKEN = "a-token-of-the-bench"
"""Opens the report of the first association."""

CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
TAGS = [f"tag-{n}" for n in range(400)]
WEIGHTS = (30, 20, 8, 40, 2)
NAMES = "نور أمل شباب تنمية نساء أطلس ريف واحة بحر جبل Espoir Avenir Femmes Jeunes Culture Sport Eau".split()  # noqa: SIM905
ADDRESSES = {
    "website": "https://{}.example.ma/",
    "facebook": "https://www.facebook.com/{}",
    "twitter": "https://x.com/{}",
    "linkedin": "https://www.linkedin.com/company/{}",
    "youtube": "https://www.youtube.com/@{}",
}
ELSE = ("channel_stale", "name_mismatch", "channel_no_backlink", "channel_incomplete")
"""Gaps that an account may have that is there."""
PAGE = f"<html><title>Association</title><body>{'<p>Des ateliers et des caravanes.</p>' * 400}</body></html>"


@contextmanager
def register(folder):
    """The register, filled unless it was kept, its summaries fresh."""
    kept = Path(os.environ.get("AUDITOR_BENCH_FOLDER", folder))
    at = {"folder": kept, "url": os.environ.get("AUDITOR_BENCH_DATABASE", "")}
    config = load_config(find_packaged_config(), {})
    web = config.web.model_copy(update={"public_url": "https://reports.example.org"})
    changed = {"storage": StorageSettings.model_validate(at), "web": web}
    with App.open(config.model_copy(update=changed)) as app:
        if app.store.get_association(named(MANY - 1)) is None:
            timed("put in", lambda: fill(app))
        if app.store.list_stale_summaries(1) or not app.store.get_facet_counts():
            timed("summed up", lambda: refresh_summaries(app.store, app.config))
        yield app


def timed(what, work):
    """Tell how long a work on everybody takes, and the memory it took at most."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    seconds, worked = time.perf_counter() - began, time.process_time() - busy
    rate = f"{MANY / seconds:.0f}/s, {worked:.0f} s CPU, {memory():.0f} MB at most"
    tell(f"{MANY} associations were {what} in {seconds:.0f} s ({rate})")


def memory():
    """The most that this process ever took, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(figure):
    """Print what was measured."""
    print(figure, flush=True)  # a bench tells its figures


def named(number):
    """The id of an association."""
    return f"MA-{number:06}"


def fill(app):
    """Everybody, in parts."""
    dice, store = random.Random(7), app.store
    nights = [_night(store, FIRST + timedelta(days=day)) for day in range(NIGHTS)]
    body = app.body_store.put(PAGE.encode())
    people = (person(dice, number) for number in range(MANY))
    while some := list(islice(people, PART)):
        told = {about.id: states for about, states in some}
        rows = [row for about, states in some for row in _rows(about.id, states)]
        by = ChangeOrigin("Amina", "import")
        store.save_registry(
            [about for about, _ in some],
            rows,
            FIRST - timedelta(days=1),
            origin=by,
            is_complete=False,
        )
        held = store.load_association_data(told)
        _conclude(store, held, told, dice)
        _look(store, held.accounts, told, nights, body)
        _talk(store, held.associations, dice)
    _figures(store, nights[-FIGURED:])


def _night(store, began):
    night = store.begin_run(began.date(), began)
    counts = {"present": 3 * MANY // 2, "absent": MANY // 3, "unknown": MANY, "accounts": 3 * MANY}
    return store.finish_run(night, AuditRunState.DONE, began + timedelta(hours=5), receipt=counts)


def person(dice, number):
    """One association, and what it has on each channel."""
    states = dict(zip(CHANNELS, dice.choices(COVERAGE_STATES, WEIGHTS, k=5), strict=True))
    about = Association(
        id=named(number),
        name=f"Association {dice.choice(NAMES)} {dice.choice(NAMES)} {number}",
        name_ar=f"جمعية {dice.choice(NAMES)} {dice.choice(NAMES)}",
        region=dice.choice(list(REGIONS.values()))[dice.choice(("ar", "fr"))],
        city=f"City {dice.randint(1, 1500)}",
        language=dice.choice(("ar", "fr")),
        tags=tuple(dice.sample(TAGS, dice.randint(0, 3))),
        none_by_choice=tuple(channel for channel in CHANNELS if states[channel] == "by_choice"),
    )
    return AssociationEntry(
        about, Contact(f"ma{number:06}@example.org", "+212 600 00 00 00")
    ), states


def _rows(association, states):
    for channel, state in states.items():
        if state in {"confirmed", "unknown", "gone"}:
            url = ADDRESSES[channel].format(association.replace("-", "").lower())
            yield AccountRow(association, url, identify.identify_link(url, channel), channel)


def _conclude(store, held, told, dice):
    """What the nights made of these."""
    store.save_conclusions(
        statuses=[_standing(row, told[row.association][row.channel]) for row in held.accounts],
        gaps=[gap for name, states in told.items() for gap in _gaps(name, states, dice)],
        proposals=[_found(name) for name in told if dice.random() < 0.05],
    )


def _finding(row, state):
    if state == "confirmed":
        seen = Activity(NOW - timedelta(days=len(row.typed)), "feed")
        facts = {"https": True, "viewport": True, "rhythm_days": 7}
        name, url = f"Association {row.association}", row.identity.canonical
        return Finding(
            Presence.PRESENT, None, 200, url, name, last_activity=seen, followers=120, facts=facts
        )
    if state == "gone":
        return Finding(Presence.ABSENT, Reason.NOT_FOUND, 404)
    return Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, 200)


def _standing(row, state):
    seen = _finding(row, state)
    decided = seen.presence is not Presence.UNKNOWN
    return AccountStatus(
        row.id,
        state={"confirmed": AccountState.PRESENT, "gone": AccountState.GONE}.get(
            state, AccountState.UNKNOWN
        ),
        reason=seen.reason if decided else None,
        since=FIRST if decided else None,
        checked_at=LAST,
        decided_at=LAST if decided else None,
        latest_presence=seen.presence,
        latest_reason=seen.reason,
        last_known_finding=seen if decided else None,
        last_activity=seen.last_activity,
    )


def _gaps(name, states, dice):
    """What is missing, what is gone, what else is amiss, and a closed one for every second."""
    codes = {"missing": "channel_missing", "gone": "channel_dead"}
    for channel, state in states.items():
        code = codes.get(state) or (dice.choice(ELSE) if dice.random() < 0.1 else None)
        if (channel, code) == ("website", "channel_missing"):
            code = "no_website"
        if code:
            opened = LAST - timedelta(days=dice.randint(0, NIGHTS - 1))
            yield Gap(name, channel, code, _severity(code, channel), opened, 3, opened)
    if dice.random() < 0.5:
        closed = LAST - timedelta(days=dice.randint(0, 89))
        was = closed - timedelta(days=30)
        yield Gap(name, "website", "website_down", _severity("website_down"), was, 3, was, closed)


def _severity(code, channel="website"):
    return load_gap_catalogue()[code].get_severity(channel)


def _found(name):
    key = f"{name.lower()}-found"
    link = FoundLink(
        "instagram", key, f"https://www.instagram.com/{key}/", "anchor", "https://example.org/"
    )
    return Proposal(name, link, FIRST, LAST, 9)


def _look(store, rows, told, nights, body):
    """The last night's looks at everybody, and those of thirty nights at a few."""
    few = [row for row in rows if int(row.association.removeprefix("MA-")) < WATCHED]
    for night in nights[-30:]:
        some = rows if night is nights[-1] else few
        store.record_observations(
            [_observation(row, told[row.association][row.channel], night, body) for row in some]
        )


def _observation(row, state, night, body):
    seen, at = _finding(row, state), night.started_at + timedelta(minutes=9)
    url, html = row.identity.canonical, {"content-type": "text/html; charset=utf-8"}
    piece = Evidence(
        url, seen.status, url, seen.reason, body, html, elapsed_seconds=0.4, fetched_at=at
    )
    return Observation(row.id, night.id, at, seen, (piece,))


def _talk(store, people, dice):
    """Letters, replies, words and follow-ups."""
    names = [one.id for one in people]
    for years in (2, 1, 0):
        made = NOW - timedelta(days=90 + 365 * years)
        store.add_report_links(
            ReportLink(name, _hash(name, years), made, "Amina", made + timedelta(days=365))
            for name in names
        )
    for name in names:
        if dice.random() < 0.02:
            about = {"channel": "youtube", "code": "channel_missing", "value": "2026-12-24"}
            store.add_reply(Reply(name, ReplyKind.PROMISED, NOW, text="نعم", **about))
        if dice.random() < 0.01:
            due = (NOW + timedelta(days=dice.randint(-60, 60))).date()
            store.add_follow_up(FollowUp(name, FollowUpKind.PROMISED, "Amina", NOW, "un site", due))
            word = (DecisionKind.WAIVE, "Amina", "sans objet", NOW)
            store.add_decision(Decision(name, "youtube", *word, code="channel_missing"))


def _hash(name, years):
    token = TOKEN if (name, years) == (named(0), 0) else f"{name} {years}"
    return hashlib.sha256(token.encode()).hexdigest()


def _figures(store, nights):
    """What was counted of each cohort, as if it had grown by and by."""
    kinds = [f"{channel}:{state}" for channel in CHANNELS for state in COVERAGE_STATES]
    places = [f"region:{code}" for code in REGIONS]
    sizes = {NETWORK_GROUP: MANY, **dict.fromkeys(places, MANY // 12)}
    sizes |= {f"tag:{tag}": 3 * MANY // 800 for tag in TAGS}
    parts = [weight / 100 for _ in CHANNELS for weight in WEIGHTS]
    for number, night in enumerate(nights):
        grown = 0.8 + 0.2 * number / len(nights)
        told = {
            cohort: {
                ALL_FACET: size,
                **{kind: int(size * part * grown) for kind, part in zip(kinds, parts, strict=True)},
            }
            for cohort, size in sizes.items()
        }
        store.save_conclusions(facet_counts={night.id: told})
