"""Wikidata and the web archive are asked politely and seldom, and their silence means nothing."""

import asyncio
import json
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from auditor.checking import checker
from auditor.config.schema import WitnessSettings
from auditor.demo.model import FakeResponse, text_response
from auditor.diagnostics import network
from auditor.evaluation import reevaluate as reevaluate_module
from auditor.evaluation import replay
from auditor.evaluation.network_view import load_association_view
from auditor.reports.text import format_association_report
from auditor.runs.account_worker import RunDeadline
from auditor.runs.run import execute_run
from auditor.runs.witnesses import MAX_FAILURES_IN_ROW, WitnessInquiry
from probes.http.fetcher import Fetcher, FetchOptions
from probes.http.host_state import MAX_CRAWL_DELAY_SECONDS
from probes.models.finding import Reason
from probes.models.http import Page
from probes.models.witness import WitnessSource
from probes.witnesses import build_wikidata_request
from storage.errors import StoreError
from storage.models.audit import AccountState, AccountStatus, AuditRunState, Decision, DecisionKind
from tests.support.mini_network import (
    PROFILE,
    START,
    Readers,
    Small,
    link,
    night_of,
    opened,
    register,
    steps,
)
from tests.support.witness_server import ARCHIVE_HOST, SPARQL_HOST, ServedWitnesses, serve_witnesses

NOW = datetime.now(UTC)  # OpenSSL compares certificates with the system clock
SITE, PAGE = link("nour", "website", "nour"), link("nour", "facebook", "nour")
ITEM = "Q4242"
SLOW = FakeResponse(200, b"[]", "application/json", delay_seconds=30)


def count_run(app, started_at):
    """Return a run that has begun."""
    return app.store.runs.begin_or_resume(started_at.date(), started_at)


def configure(app, **settings):
    both = {"wikidata": True, "web_archive": True, "requests_per_minute": 24}
    config = app.config.model_copy(update={"witnesses": WitnessSettings(**both | settings)})
    return Small(config, app.store, app.body_store, app.web, data_folder=app.data_folder)


@pytest.fixture
def app(tmp_path):
    small_app = opened(tmp_path)
    register(small_app, SITE, PAGE)
    yield configure(small_app)
    small_app.store.close()


@pytest.fixture
async def ask(app, tmp_path):
    """Return a function that asks the witnesses in a run: `await ask(served, started_at)`."""

    async def execute(served, started_at=START, *, small=app, stop=None, **fetch):
        async with serve_witnesses(served, tmp_path, NOW) as settings:
            options = FetchOptions(**{"max_retries": 0} | settings | fetch)
            async with Fetcher(options, started_at) as fetcher:
                deadline = RunDeadline(time.monotonic, None, stop or asyncio.Event())
                run = count_run(small, started_at)
                await WitnessInquiry(small, run, fetcher, Readers(), deadline).execute()
        return list_answers(small)

    return execute


def list_answers(app):
    channels = {row.id: row.channel for row in app.store.registry.list_accounts()}
    return {
        (channels[record.account_id], record.source.value): record
        for record in app.store.witnesses.list_witness_records("nour")
    }


async def test_both_witnesses_are_asked_and_their_answers_stored(app, ask):
    served = ServedWitnesses(
        {"https://nour.example/": [(ITEM, "P2002", "NourMaroc", "2024-03-01T00:00:00Z")]},
        {"https://nour.example/": ["20150203040506", "20251111000000"]},
    )
    answers = await ask(served)
    assert [
        statement.link.key for statement in answers["website", "wikidata"].answer.statements
    ] == ["nourmaroc"]
    archive = answers["website", "web_archive"].answer
    assert archive.first_capture.captured_at.year == 2015
    assert archive.latest_capture.captured_at.year == 2025
    assert answers["facebook", "web_archive"].answer.first_capture is None
    assert answers["facebook", "web_archive"].answer.failure is None
    assert {record.asked_at for record in answers.values()} == {START}


async def test_requests_name_the_auditor(ask):
    served = ServedWitnesses()
    await ask(served)
    agents = {request.headers["user-agent"] for request in served.requests}
    assert all(agent.startswith("presence-auditor/") for agent in agents)


async def test_robots_txt_of_a_witness_is_obeyed(ask):
    served = ServedWitnesses(
        robots={SPARQL_HOST: "User-agent: *\nDisallow: /api\n", ARCHIVE_HOST: "User-agent: *\n"}
    )
    answers = await ask(served)
    assert answers["website", "wikidata"].answer.failure is Reason.ROBOTS
    assert answers["website", "web_archive"].answer.failure is None
    assert not served.list_requests(SPARQL_HOST)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (text_response("slow down", 429), Reason.RATE_LIMITED),
        (text_response("maintenance", 503), Reason.SERVER_ERROR),
        (text_response("", 200), Reason.UNREADABLE),
        (text_response("<html>busy</html>", 200), Reason.UNREADABLE),
        (SLOW, Reason.TIMEOUT),
    ],
    ids=["429", "503", "empty", "malformed", "slow"],
)
async def test_refusal_keeps_the_earlier_answer(app, ask, response, reason):
    known = ServedWitnesses(captures={"https://nour.example/": ["20150203040506"]})
    await ask(known)
    silent = ServedWitnesses(refusals={SPARQL_HOST: response, ARCHIVE_HOST: response})
    answers = await ask(silent, START + timedelta(days=100), timeout=0.2)
    assert {record.answer.failure for record in answers.values()} == {reason}
    view = load_association_view(app.store, app.config, "nour")
    [site] = view.accounts_on("website")
    assert site.first_capture.captured_at.year == 2015


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_account_is_asked_about_once_in_ninety_days(app, ask, step):
    """Dates count: the later run starts earlier in the day."""
    later = START + timedelta(days=WitnessSettings().recheck_days + step, minutes=-20)
    for started_at, request_count in ((START, 3), (later, 0 if step < 0 else 3)):
        served = ServedWitnesses()
        await ask(served, started_at)
        assert len(served.list_requests(ARCHIVE_HOST)) == request_count


async def test_request_without_an_answer_is_repeated_after_a_week(app, ask):
    for day, request_count in ((0, 1), (1, 0), (6, 0), (7, 1)):
        served = ServedWitnesses(refusals={SPARQL_HOST: text_response("", 503)})
        await ask(served, START + timedelta(days=day))
        assert len(served.list_requests(SPARQL_HOST)) == request_count, day
    records = list(app.store.witnesses.list_witness_records("nour"))
    assert len([r for r in records if r.source is WitnessSource.WIKIDATA]) == 1


async def test_run_asks_about_a_limited_number_of_accounts_and_the_next_continues(app, ask):
    small = configure(app, wikidata=False, accounts_per_run=1)
    first = await ask(ServedWitnesses(), START, small=small)
    resumed = await ask(ServedWitnesses(), START, small=small)
    second = await ask(ServedWitnesses(), START + timedelta(days=1), small=small)
    assert [len(first), len(resumed), len(second)] == [1, 1, 2]


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_run_asks_each_witness_about_accounts_up_to_the_limit(app, ask, step):
    """The archive is asked about the website and the page of the association."""
    limit = 2
    register(app, SITE, PAGE, *[link("nour", "twitter", "nour")] * (step > 0))
    small = configure(app, wikidata=False, accounts_per_run=limit if step >= 0 else limit - 1)
    answers = await ask(ServedWitnesses(), small=small)
    assert len(answers) == (limit if step >= 0 else limit - 1)


@pytest.mark.parametrize("requests_per_minute", [2, 11, 12, 13, 24])
async def test_requests_to_a_witness_have_a_delay(app, ask, monkeypatch, requests_per_minute):
    delays = set()
    monkeypatch.setattr(
        Fetcher, "slow_down_host", lambda _fetcher, _url, seconds: delays.add(seconds)
    )
    await ask(ServedWitnesses(), small=configure(app, requests_per_minute=requests_per_minute))
    assert delays == {60 / requests_per_minute}
    assert max(delays) <= MAX_CRAWL_DELAY_SECONDS


async def test_silent_witness_is_left_alone_for_the_rest_of_the_run(app, ask):
    register(app, *(link(f"a{number}", "website", f"a{number}") for number in range(6)))
    served = ServedWitnesses(refusals={SPARQL_HOST: text_response("", 503)})
    await ask(served)
    assert len(served.list_requests(SPARQL_HOST)) == 3
    assert len(served.list_requests(ARCHIVE_HOST)) > 6  # the other witness is still asked


async def test_stopped_run_asks_nothing_more(ask):
    stop = asyncio.Event()
    stop.set()
    served = ServedWitnesses()
    assert await ask(served, stop=stop) == {}
    assert not served.requests


async def test_disowned_account_is_not_asked_about(app, ask):
    page_id = next(
        row.id for row in app.store.registry.list_accounts() if row.channel == "facebook"
    )
    app.store.decisions.add(
        Decision(
            "nour",
            "facebook",
            DecisionKind.DISOWN,
            "Amina",
            "a namesake",
            START - timedelta(days=1),
            account_id=page_id,
        )
    )
    assert ("facebook", "web_archive") not in await ask(ServedWitnesses())


async def test_endpoint_in_a_private_network_is_refused_in_one_line(app, ask, caplog):
    small = configure(app, wikidata_endpoint="http://127.0.0.1:9/sparql")
    served = ServedWitnesses()
    answers = await ask(served, small=small)
    assert {source for _, source in answers} == {"web_archive"}
    assert [record.event for record in caplog.records] == ["witness_failed"]


async def test_doctor_asks_the_witnesses_that_are_on(app, tmp_path):
    served = ServedWitnesses(robots={SPARQL_HOST: "User-agent: *\nDisallow: /\n"})
    async with serve_witnesses(served, tmp_path, NOW) as settings:
        config = app.config.model_copy(update={"channels": {}, "fetch": FetchOptions(**settings)})
        answers = (await network.query_network(config, NOW)).witness_answers
    assert answers[WitnessSource.WIKIDATA].reason is Reason.ROBOTS
    assert answers[WitnessSource.WEB_ARCHIVE].status == 200


async def test_copy_of_a_lost_site_is_from_before_its_loss(app, ask):
    lost_at = datetime(2026, 2, 1, tzinfo=UTC)
    site_id = next(row.id for row in app.store.registry.list_accounts() if row.channel == "website")
    app.store.conclusions.save([AccountStatus(site_id, AccountState.GONE, since=lost_at)])
    stamps = ["20150203040506", "20260110000000", "20260225000000"]
    await ask(ServedWitnesses(captures={"https://nour.example/": stamps}))
    [site] = load_association_view(app.store, app.config, "nour").accounts_on("website")
    assert site.rescue_copy.captured_at == datetime(2026, 1, 10, tzinfo=UTC)
    view = load_association_view(app.store, app.config, "nour")
    report = format_association_report(view, START, "en").splitlines()
    copy_url = "https://web.archive.org/web/20260110000000/https://nour.example/"
    assert f"    Newest archived copy: 10 January 2026 · {copy_url}" in report


async def test_failing_storage_does_not_fail_the_run(app, ask, monkeypatch, caplog):
    def fail(*_):
        raise StoreError("cannot write", "disk full")

    monkeypatch.setattr(type(app.store.witnesses), "save_witness_record", fail)
    assert await ask(ServedWitnesses()) == {}
    assert {record.event for record in caplog.records} == {"witness_failed"}


SITE_URL = SITE.typed_text
ENDPOINT = WitnessSettings().wikidata_endpoint


def build_sparql_page(*values):
    """Return the answer of Wikidata that names these YouTube channels."""
    rows = [
        {
            "item": {"value": f"http://www.wikidata.org/entity/{ITEM}"},
            "property": {"value": "http://www.wikidata.org/prop/statement/P2397"},
            "value": {"value": value},
        }
        for value in values
    ]
    return Page("", 200, body=json.dumps({"results": {"bindings": rows}}).encode())


CHANNEL = "UC" + "n" * 22


@pytest.fixture
def small(app, monkeypatch):
    """Return an auditor that asks Wikidata alone, in whole runs with a fake web."""
    monkeypatch.setattr(checker, "create_probe", steps)
    auditor = configure(app, web_archive=False)
    auditor.web.answers[build_wikidata_request(SITE_URL, ENDPOINT).url] = build_sparql_page(CHANNEL)
    return auditor


async def test_named_account_becomes_a_proposal_in_the_same_run(small):
    run = await execute_run(small, START)
    assert run.state is AuditRunState.DONE
    view = load_association_view(small.store, small.config, "nour")
    [(proposal, statement)] = view.wikidata_proposals
    assert (proposal.link.key, statement.item_id) == (CHANNEL, ITEM)
    assert not view.site_proposals


async def test_word_of_wikidata_opens_no_gap_and_changes_no_status(small):
    small.web.answers[build_wikidata_request(SITE_URL, ENDPOINT).url] = build_sparql_page()
    await execute_run(small, START)
    before = load_association_view(small.store, small.config, "nour")
    small.web.answers[build_wikidata_request(SITE_URL, ENDPOINT).url] = build_sparql_page(CHANNEL)
    for day in (91, 92, 93):
        await execute_run(small, night_of(day))
    after = load_association_view(small.store, small.config, "nour")
    assert after.proposals
    assert [gap.code for gap in after.gaps] == [gap.code for gap in before.gaps]
    assert after.score == before.score
    assert [row.state for row in after.accounts] == [row.state for row in before.accounts]
    assert len(list(small.store.registry.list_accounts())) == 2


async def test_link_of_the_own_site_replaces_the_word_of_wikidata(small):
    handle = build_sparql_page(CHANNEL)
    small.web.answers[build_wikidata_request(SITE_URL, ENDPOINT).url] = handle
    await execute_run(small, START)
    small.web.answers[SITE_URL] = "linked"
    await execute_run(small, night_of(1))
    view = load_association_view(small.store, small.config, "nour")
    assert [proposal.link for proposal in view.site_proposals] == [PROFILE]


async def test_registered_account_is_shown_with_its_witness(small):
    youtube = link("nour", "youtube", "nour")
    identity = youtube.identity.__class__(
        "youtube", youtube.identity.kind, CHANNEL, f"https://www.youtube.com/channel/{CHANNEL}"
    )
    row = youtube.__class__("nour", CHANNEL, identity, "youtube")
    register(small, SITE, PAGE, row)
    await execute_run(small, START)
    view = load_association_view(small.store, small.config, "nour")
    [account] = view.accounts_on("youtube")
    assert [statement.item_id for statement in account.wikidata_statements] == [ITEM]
    assert not view.proposals


async def test_rebuild_gives_the_same_proposals(small, monkeypatch):
    monkeypatch.setattr(replay, "create_probe", steps)
    await execute_run(small, START)
    wikidata_url = build_wikidata_request(SITE_URL, ENDPOINT).url
    small.web.answers[wikidata_url] = build_sparql_page(CHANNEL, "UC" + "m" * 22)
    await execute_run(small, night_of(1))
    await execute_run(small, night_of(95))
    assert len(list(small.store.conclusions.list_proposals())) == 2
    assert not reevaluate_module.reevaluate(small, dry_run=True).changes


async def test_witnesses_are_off_by_default(app, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    small = configure(app, wikidata=False, web_archive=False)
    await execute_run(small, START)
    assert sorted(small.web.asked) == sorted([SITE_URL, PAGE.typed_text])


async def test_crash_while_asking_does_not_fail_the_run(small, caplog):
    small.web.answers[build_wikidata_request(SITE_URL, ENDPOINT).url] = ZeroDivisionError("a bug")
    with caplog.at_level(logging.CRITICAL):
        run = await execute_run(small, START)
    assert run.state is AuditRunState.DONE


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_witness_is_asked_until_it_is_silent_a_few_times(app, ask, step):
    count = MAX_FAILURES_IN_ROW + step
    others = [link(f"a{number}", "website", f"a{number}") for number in range(count)]
    register(app, *others)
    served = ServedWitnesses(refusals={SPARQL_HOST: text_response("", 503)})
    await ask(served)
    rows = app.store.registry.list_accounts()
    assert sum(row.channel == "website" for row in rows) == count
    assert len(served.list_requests(SPARQL_HOST)) == min(count, MAX_FAILURES_IN_ROW)
