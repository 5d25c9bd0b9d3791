"""A generated national register with everything that pages show, from accounts to facet counts.

`AUDITOR_BENCH_ASSOCIATIONS` sets the number of associations (250,000). `AUDITOR_BENCH_FOLDER` keeps
the register for the next benchmark. `AUDITOR_BENCH_DATABASE` is the URL of another database.
"""

import hashlib
import os
import random
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auditor.app import App
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import StorageSettings, find_packaged_config, load_config
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.places import REGIONS
from auditor.core.reference.survey import load_questions
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from storage.communication.workshops import Workshop
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
    SurveyAnswer,
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
STATES = ("present", "unknown", "broken", "none", "by_choice")
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
    """Print the time of a step over all associations."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    print(f"{ASSOCIATION_COUNT} associations were {action}: {seconds:.0f} s, {cpu:.0f} s of CPU")


def get_association_id(number):
    """Return the id of an association."""
    return f"MA-{number:06}"


def fill_register(app):
    """Store all associations in batches."""
    random_source, store = random.Random(7), app.store
    runs = [_record_run(store, FIRST_RUN_AT + timedelta(days=day)) for day in range(RUN_COUNT)]
    body = app.body_store.put(PAGE.encode())
    for start in range(0, ASSOCIATION_COUNT, BATCH_SIZE):
        numbers = range(start, min(start + BATCH_SIZE, ASSOCIATION_COUNT))
        batch = [build_association(random_source, number) for number in numbers]
        states_by_id = {entry.id: states for entry, states in batch}
        store.registry.save_registry(
            [entry for entry, _ in batch],
            [row for entry, states in batch for row in _build_accounts(entry.id, states)],
            FIRST_RUN_AT - timedelta(days=1),
            origin=ChangeOrigin("Amina", "import"),
            is_complete=False,
        )
        accounts = store.conclusions.load_association_data(states_by_id)["accounts"]
        _save_conclusions(store, accounts, states_by_id, random_source)
        _record_observations(store, accounts, states_by_id, runs, body)
        _record_communication(store, states_by_id, random_source)
    _save_facet_counts(store, runs[-RUNS_WITH_COUNTS:])


def _record_run(store, started_at):
    run = store.runs.begin_or_resume(started_at.date(), started_at)
    counts = {
        "present": 3 * ASSOCIATION_COUNT // 2,
        "absent": ASSOCIATION_COUNT // 3,
        "unknown": ASSOCIATION_COUNT,
        "accounts": 3 * ASSOCIATION_COUNT,
    }
    report, end = RunReport.model_validate(counts), started_at + timedelta(hours=5)
    return store.runs.finish(run, AuditRunState.DONE, end, report=report)


def build_association(random_source, number):
    """Return a random association, and its status by channel."""
    states = dict(zip(CHANNELS, random_source.choices(STATES, WEIGHTS, k=5), strict=True))
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
        if state in {"present", "unknown", "broken"}:
            url = ADDRESSES[channel].format(association.replace("-", "").lower())
            yield AccountRow(association, url, identify.identify_link(url, channel), channel)


def _save_conclusions(store, accounts, states_by_id, random_source):
    """Store statuses, gaps and proposals as runs would have left them."""
    statuses = [_build_status(row, states_by_id[row.association][row.channel]) for row in accounts]
    gaps = [
        gap
        for name, states in states_by_id.items()
        for gap in _build_gaps(name, states, random_source)
    ]
    proposals = []
    for name in states_by_id:
        if random_source.random() < 0.05:
            url = f"https://www.instagram.com/{name.lower()}/"
            link = FoundLink("instagram", name.lower(), url, "anchor", "https://example.org/")
            proposals.append(Proposal(name, link, FIRST_RUN_AT, LAST_RUN_AT, 9))
    store.conclusions.save(Conclusions(statuses=statuses, gaps=gaps, proposals=proposals))


def _build_finding(row, state):
    if state == "present":
        activity = Activity(NOW - timedelta(days=len(row.typed_text)), "feed")
        facts = {"https": True, "viewport": True, "rhythm_days": 7}
        name, url = f"Association {row.association}", row.identity.canonical
        return Finding(Presence.PRESENT, None, 200, url, name, last_activity=activity, facts=facts)
    if state == "broken":
        return Finding(Presence.ABSENT, Reason.NOT_FOUND, 404)
    return Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, 200)


def _build_status(row, state):
    finding = _build_finding(row, state)
    is_decided = finding.presence is not Presence.UNKNOWN
    return AccountStatus(
        row.id,
        state={"present": AccountState.PRESENT, "broken": AccountState.GONE}.get(
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
    codes, catalogue = {"none": "channel_missing", "broken": "channel_dead"}, load_gap_catalogue()
    for channel, state in states.items():
        code = codes.get(state) or (
            random_source.choice(OTHER_GAPS) if random_source.random() < 0.1 else None
        )
        if (channel, code) == ("website", "channel_missing"):
            code = "no_website"
        if code:
            opened_at = LAST_RUN_AT - timedelta(days=random_source.randint(0, RUN_COUNT - 1))
            severity = catalogue[code].get_severity(channel)
            yield Gap(name, channel, code, severity, opened_at, 3, opened_at)
    if random_source.random() < 0.5:
        closed_at = LAST_RUN_AT - timedelta(days=random_source.randint(0, 89))
        opened_at = closed_at - timedelta(days=30)
        severity = catalogue["website_down"].get_severity("website")
        times = {"opened_at": opened_at, "closed_at": closed_at}
        yield Gap(name, "website", "website_down", severity, opened_at, 3, **times)


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
    finding, url = _build_finding(row, state), row.identity.canonical
    observed_at, html = run.started_at + timedelta(minutes=9), {"content-type": "text/html"}
    response = (url, finding.status, url, finding.reason, body, html)
    evidence = Evidence(*response, elapsed_seconds=0.4, fetched_at=observed_at)
    return Observation(row.id, run.id, observed_at, finding, (evidence,))


def _record_communication(store, ids, random_source):
    """Store report links, replies, decisions and follow-ups."""
    for years in (2, 1, 0):
        created_at = NOW - timedelta(days=90 + 365 * years)
        times = {"created_at": created_at, "expires_at": created_at + timedelta(days=365)}
        tokens = {name: f"{name} {years}" for name in ids}
        if years == 0 and get_association_id(0) in ids:
            tokens[get_association_id(0)] = TOKEN
        store.report_links.add_all(
            ReportLink(
                association=name,
                token_hash=hashlib.sha256(token.encode()).hexdigest(),
                created_by="Amina",
                **times,
            )
            for name, token in tokens.items()
        )
    answers = {code: list(question.answers) for code, question in load_questions().items()}
    store.survey_answers.add_all(
        [
            SurveyAnswer(
                association=name,
                question=question,
                answer=random_source.choice(values),
                answered_at=NOW - timedelta(days=random_source.randint(0, 300)),
            )
            for name in ids
            if random_source.random() < 0.2
            for question, values in answers.items()
        ]
    )
    day = (LAST_RUN_AT - timedelta(days=100)).date()
    workshop = Workshop(day, "YouTube", "youtube", "channel_missing")
    names = sorted(ids)
    store.workshops.invite(names[:20], workshop, "Amina", NOW - timedelta(days=110))
    store.workshops.save_attendance(workshop, names[:10], [], "Amina", NOW - timedelta(days=100))
    for name in ids:
        if random_source.random() < 0.02:
            fields = {"channel": "youtube", "code": "channel_missing", "value": "2026-12-24"}
            promised = {"kind": ReplyKind.PROMISED, "submitted_at": NOW, "text": "نعم"}
            add_reply(store, Reply(association=name, **promised, **fields))
        if random_source.random() < 0.01:
            due = (NOW + timedelta(days=random_source.randint(-60, 60))).date()
            fields = {"kind": FollowUpKind.PROMISED, "author": "Amina", "text": "un site"}
            store.follow_ups.add(
                FollowUp(association=name, occurred_at=NOW, due_date=due, **fields)
            )
            fields = (DecisionKind.WAIVE, "Amina", "sans objet", NOW)
            store.decisions.add(Decision(name, "youtube", *fields, code="channel_missing"))


def _save_facet_counts(store, runs):
    """Store facet counts of each group, which grow from run to run."""
    kinds = [f"status:{channel}:{state}" for channel in CHANNELS for state in STATES]
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
