"""A generated national register with everything that pages show, from accounts to facet counts.

`AUDITOR_BENCH_ASSOCIATIONS` sets the number of associations (250,000). `AUDITOR_BENCH_FOLDER` keeps
the register for the next benchmark. `AUDITOR_BENCH_DATABASE` is the URL of another database.
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
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import COVERAGE_STATES
from auditor.config.schema import StorageSettings, find_packaged_config, load_config
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.places import REGIONS
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from storage.conclusions import Conclusions
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
from storage.models.run_report import RunReport
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.models.users import ChangeOrigin, FollowUpKind, ReplyKind
from storage.tables.communication import FollowUp, Reply, ReportLink
from tests.support.stored import add_reply

ASSOCIATION_COUNT = int(os.environ.get("AUDITOR_BENCH_ASSOCIATIONS", "250000"))
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
RUN_COUNT = 365
LAST_RUN_AT = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
FIRST_RUN_AT = LAST_RUN_AT - timedelta(days=RUN_COUNT - 1)
RUNS_WITH_COUNTS = 60
"""Runs with facet counts of every group, as many as a chart shows."""
BATCH_SIZE = 5000
WATCHED_COUNT = 200
"""Associations checked in each of the last thirty runs; the others in the last run only."""
TOKEN = "a-token-of-the-bench"
"""The token that opens the report of the first association."""

CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
TAGS = [f"tag-{n}" for n in range(400)]
WEIGHTS = (30, 20, 8, 40, 2)
NAMES = (  # noqa: SIM905
    "نور أمل شباب تنمية نساء أطلس ريف واحة بحر جبل Espoir Avenir Femmes Jeunes Culture Sport Eau"
).split()
ADDRESSES = {
    "website": "https://{}.example.ma/",
    "facebook": "https://www.facebook.com/{}",
    "twitter": "https://x.com/{}",
    "linkedin": "https://www.linkedin.com/company/{}",
    "youtube": "https://www.youtube.com/@{}",
}
OTHER_GAPS = ("channel_stale", "name_mismatch", "channel_no_backlink")
"""Gaps that a present account may have."""
PAGE = (
    "<html><title>Association</title><body>"
    f"{'<p>Des ateliers et des caravanes.</p>' * 400}</body></html>"
)


@contextmanager
def open_register(folder):
    """Yield an application with the register and fresh summaries. A kept register is reused."""
    register_folder = Path(os.environ.get("AUDITOR_BENCH_FOLDER", folder))
    storage = {"folder": register_folder, "url": os.environ.get("AUDITOR_BENCH_DATABASE", "")}
    config = load_config(find_packaged_config(), {})
    web = config.web.model_copy(update={"public_url": "https://reports.example.org"})
    changes = {"storage": StorageSettings.model_validate(storage), "web": web}
    with App.open(config.model_copy(update=changes)) as app:
        if app.store.registry.get_association(get_association_id(ASSOCIATION_COUNT - 1)) is None:
            measure_step("imported", lambda: fill_register(app))
        if app.store.summaries.list_stale(1) or not app.store.counts.get_facet_counts():
            measure_step("summarised", lambda: refresh_summaries(app.store, app.config))
        yield app


def measure_step(action, work):
    """Print the time and the peak memory of a step over all associations."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    rate = (
        f"{ASSOCIATION_COUNT / seconds:.0f}/s, {cpu:.0f} s CPU, {get_peak_memory():.0f} MB at most"
    )
    print_figure(f"{ASSOCIATION_COUNT} associations were {action} in {seconds:.0f} s ({rate})")


def get_peak_memory():
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_figure(figure):
    """Print a measurement."""
    print(figure, flush=True)


def get_association_id(number):
    """Return the id of an association."""
    return f"MA-{number:06}"


def fill_register(app):
    """Store all associations in batches."""
    random_source, store = random.Random(7), app.store
    runs = [_record_run(store, FIRST_RUN_AT + timedelta(days=day)) for day in range(RUN_COUNT)]
    body = app.body_store.put(PAGE.encode())
    entries = (build_association(random_source, number) for number in range(ASSOCIATION_COUNT))
    while batch := list(islice(entries, BATCH_SIZE)):
        states_by_id = {entry.id: states for entry, states in batch}
        rows = [row for entry, states in batch for row in _build_accounts(entry.id, states)]
        origin = ChangeOrigin("Amina", "import")
        store.registry.save_registry(
            [entry for entry, _ in batch],
            rows,
            FIRST_RUN_AT - timedelta(days=1),
            origin=origin,
            is_complete=False,
        )
        stored = store.conclusions.load_association_data(states_by_id)
        _save_conclusions(store, stored, states_by_id, random_source)
        _record_observations(store, stored["accounts"], states_by_id, runs, body)
        _record_communication(store, stored["associations"], random_source)
    _save_facet_counts(store, runs[-RUNS_WITH_COUNTS:])


def _record_run(store, started_at):
    run = store.runs.begin_or_resume(started_at.date(), started_at)
    counts = {
        "present": 3 * ASSOCIATION_COUNT // 2,
        "absent": ASSOCIATION_COUNT // 3,
        "unknown": ASSOCIATION_COUNT,
        "accounts": 3 * ASSOCIATION_COUNT,
    }
    return store.runs.finish(
        run,
        AuditRunState.DONE,
        started_at + timedelta(hours=5),
        report=RunReport.model_validate(counts),
    )


def build_association(random_source, number):
    """Return a random association, and its coverage state by channel."""
    states = dict(zip(CHANNELS, random_source.choices(COVERAGE_STATES, WEIGHTS, k=5), strict=True))
    association = Association(
        id=get_association_id(number),
        name=f"Association {random_source.choice(NAMES)} {random_source.choice(NAMES)} {number}",
        name_ar=f"جمعية {random_source.choice(NAMES)} {random_source.choice(NAMES)}",
        region=random_source.choice(list(REGIONS.values()))[random_source.choice(("ar", "fr"))],
        city=f"City {random_source.randint(1, 1500)}",
        language=random_source.choice(("ar", "fr")),
        tags=tuple(random_source.sample(TAGS, random_source.randint(0, 3))),
        none_by_choice=tuple(channel for channel in CHANNELS if states[channel] == "by_choice"),
    )
    return AssociationEntry(
        association, Contact(f"ma{number:06}@example.org", "+212 600 00 00 00")
    ), states


def _build_accounts(association, states):
    for channel, state in states.items():
        if state in {"confirmed", "unknown", "gone"}:
            url = ADDRESSES[channel].format(association.replace("-", "").lower())
            yield AccountRow(association, url, identify.identify_link(url, channel), channel)


def _save_conclusions(store, stored, states_by_id, random_source):
    """Store statuses, gaps and proposals as runs would have left them."""
    store.conclusions.save(
        Conclusions(
            statuses=[
                _build_status(row, states_by_id[row.association][row.channel])
                for row in stored["accounts"]
            ],
            gaps=[
                gap
                for name, states in states_by_id.items()
                for gap in _build_gaps(name, states, random_source)
            ],
            proposals=[
                _build_proposal(name) for name in states_by_id if random_source.random() < 0.05
            ],
        )
    )


def _build_finding(row, state):
    if state == "confirmed":
        activity = Activity(NOW - timedelta(days=len(row.typed_text)), "feed")
        facts = {"https": True, "viewport": True, "rhythm_days": 7}
        name, url = f"Association {row.association}", row.identity.canonical
        return Finding(Presence.PRESENT, None, 200, url, name, last_activity=activity, facts=facts)
    if state == "gone":
        return Finding(Presence.ABSENT, Reason.NOT_FOUND, 404)
    return Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, 200)


def _build_status(row, state):
    finding = _build_finding(row, state)
    is_decided = finding.presence is not Presence.UNKNOWN
    return AccountStatus(
        row.id,
        state={"confirmed": AccountState.PRESENT, "gone": AccountState.GONE}.get(
            state, AccountState.UNKNOWN
        ),
        reason=finding.reason if is_decided else None,
        since=FIRST_RUN_AT if is_decided else None,
        checked_at=LAST_RUN_AT,
        decided_at=LAST_RUN_AT if is_decided else None,
        latest_presence=finding.presence,
        latest_reason=finding.reason,
        last_known_finding=finding if is_decided else None,
        last_activity=finding.last_activity,
    )


def _build_gaps(name, states, random_source):
    """Yield the gaps of the states, some others, and a closed gap for half of the associations."""
    codes = {"missing": "channel_missing", "gone": "channel_dead"}
    for channel, state in states.items():
        code = codes.get(state) or (
            random_source.choice(OTHER_GAPS) if random_source.random() < 0.1 else None
        )
        if (channel, code) == ("website", "channel_missing"):
            code = "no_website"
        if code:
            opened_at = LAST_RUN_AT - timedelta(days=random_source.randint(0, RUN_COUNT - 1))
            yield Gap(name, channel, code, _get_severity(code, channel), opened_at, 3, opened_at)
    if random_source.random() < 0.5:
        closed_at = LAST_RUN_AT - timedelta(days=random_source.randint(0, 89))
        old_opened_at = closed_at - timedelta(days=30)
        yield Gap(
            name,
            "website",
            "website_down",
            _get_severity("website_down"),
            old_opened_at,
            3,
            old_opened_at,
            closed_at,
        )


def _get_severity(code, channel="website"):
    return load_gap_catalogue()[code].get_severity(channel)


def _build_proposal(name):
    account_key = f"{name.lower()}-found"
    link = FoundLink(
        "instagram",
        account_key,
        f"https://www.instagram.com/{account_key}/",
        "anchor",
        "https://example.org/",
    )
    return Proposal(name, link, FIRST_RUN_AT, LAST_RUN_AT, 9)


def _record_observations(store, rows, states_by_id, runs, body):
    """Store observations of all accounts in the last run, and of a few accounts in thirty runs."""
    watched_accounts = [
        row for row in rows if int(row.association.removeprefix("MA-")) < WATCHED_COUNT
    ]
    for run in runs[-30:]:
        accounts = rows if run is runs[-1] else watched_accounts
        store.observations.record(
            [
                _build_observation(row, states_by_id[row.association][row.channel], run, body)
                for row in accounts
            ]
        )


def _build_observation(row, state, run, body):
    finding, observed_at = _build_finding(row, state), run.started_at + timedelta(minutes=9)
    url, html = row.identity.canonical, {"content-type": "text/html; charset=utf-8"}
    evidence = Evidence(
        url,
        finding.status,
        url,
        finding.reason,
        body,
        html,
        elapsed_seconds=0.4,
        fetched_at=observed_at,
    )
    return Observation(row.id, run.id, observed_at, finding, (evidence,))


def _record_communication(store, associations, random_source):
    """Store report links, replies, decisions and follow-ups."""
    ids = [association.id for association in associations]
    for years in (2, 1, 0):
        created_at = NOW - timedelta(days=90 + 365 * years)
        store.report_links.add_all(
            ReportLink(
                association=name,
                token_hash=_hash_token(name, years),
                created_at=created_at,
                created_by="Amina",
                expires_at=created_at + timedelta(days=365),
            )
            for name in ids
        )
    for name in ids:
        if random_source.random() < 0.02:
            reply_fields = {"channel": "youtube", "code": "channel_missing", "value": "2026-12-24"}
            add_reply(
                store,
                Reply(
                    association=name,
                    kind=ReplyKind.PROMISED,
                    submitted_at=NOW,
                    text="نعم",
                    **reply_fields,
                ),
            )
        if random_source.random() < 0.01:
            due = (NOW + timedelta(days=random_source.randint(-60, 60))).date()
            store.follow_ups.add(
                FollowUp(
                    association=name,
                    kind=FollowUpKind.PROMISED,
                    author="Amina",
                    occurred_at=NOW,
                    text="un site",
                    due_date=due,
                )
            )
            decision_fields = (DecisionKind.WAIVE, "Amina", "sans objet", NOW)
            store.decisions.add(Decision(name, "youtube", *decision_fields, code="channel_missing"))


def _hash_token(name, years):
    token = TOKEN if (name, years) == (get_association_id(0), 0) else f"{name} {years}"
    return hashlib.sha256(token.encode()).hexdigest()


def _save_facet_counts(store, runs):
    """Store facet counts of each group, which grow from run to run."""
    kinds = [f"{channel}:{state}" for channel in CHANNELS for state in COVERAGE_STATES]
    places = [f"region:{code}" for code in REGIONS]
    sizes = {NETWORK_GROUP: ASSOCIATION_COUNT, **dict.fromkeys(places, ASSOCIATION_COUNT // 12)}
    sizes |= {f"tag:{tag}": 3 * ASSOCIATION_COUNT // 800 for tag in TAGS}
    parts = [weight / 100 for _ in CHANNELS for weight in WEIGHTS]
    for number, run in enumerate(runs):
        growth = 0.8 + 0.2 * number / len(runs)
        counts = {
            cohort: {
                ALL_FACET: size,
                **{
                    kind: int(size * part * growth) for kind, part in zip(kinds, parts, strict=True)
                },
            }
            for cohort, size in sizes.items()
        }
        store.conclusions.save(Conclusions(facet_counts={run.id: counts}))
