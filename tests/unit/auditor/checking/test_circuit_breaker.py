"""Tests of circuit breakers: when they open, what they skip, and how the next run starts."""

import asyncio
import logging
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.checking.canaries import Canary
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.conclusions import reevaluate, replay
from auditor.runs import run as runs_run
from auditor.runs.run import execute_run
from probes.links import identify
from probes.models.finding import Account, Finding, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, present_finding
from storage.models.audit import AccountRow, AccountState
from tests.support.mini_network import START, configured, night_of, opened, register

DENIED = Page("", 999, {"server": "x"}, b"x")
LIMITED = Page("", 429, {"server": "x"}, b"x")
SHELL = Page("", 200, {}, b"<title>Facebook</title>")
WALL = Page("", 200, {}, b"<title>Log in to Facebook</title>wall")
AUTHWALL = Page("https://www.linkedin.com/authwall", 200, {}, b"x")


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    monkeypatch.setattr(replay, "create_probe", steps)
    small = opened(tmp_path, configured(("website", "linkedin", "facebook")))
    yield small
    small.store.close()


def steps(account, keyed=()):
    """Run a probe for tests that only understands a plain page."""
    page = yield PageRequest(account.identity.canonical, is_registered_link=True)
    if page.status != 200 or page.url != account.identity.canonical or b"<title>" in page.body:
        reason = Reason.RATE_LIMITED if page.status == 429 else Reason.BLOCKED
        return Finding(Presence.UNKNOWN, reason, status=page.status)
    return present_finding(page)


def build_accounts(count, host="www.linkedin.com/company"):
    """Return accounts on one host, each of another association, in their order."""
    accounts = []
    for number in range(count):
        url = f"https://{host}/amal-{number:02}"
        identity = identify.identify_link(url)
        accounts.append(AccountRow(f"a{number:02}", url, identity, identity.channel))
    return accounts


async def run_day(app, day, caplog):
    app.web.asked = []
    with caplog.at_level(logging.CRITICAL):
        return await execute_run(app, night_of(day))


def list_results(app, run):
    observations = app.store.observations.list_observations(run_id=run.id)
    return [
        (observation.finding.presence, observation.finding.reason) for observation in observations
    ]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (DENIED, Reason.BLOCKED),
        (Page("", 403, {}, b"x"), Reason.BLOCKED),
        (LIMITED, Reason.RATE_LIMITED),
        (Page("", 401, {}, b"x"), Reason.LOGIN_WALL),
        (AUTHWALL, Reason.LOGIN_WALL),
        (Page("", 200, {}, b"<title>Security check</title>wall"), Reason.BLOCKED),
        (FetchError(Reason.LOGIN_WALL, "redirects", status=302), Reason.LOGIN_WALL),
    ],
)
async def test_three_refusals_in_a_row_open_the_circuit(app, caplog, response, reason):
    rows = build_accounts(20)
    register(app, *rows)
    app.web.answers = {row.typed_text: response for row in rows}
    app.web.once = set(app.web.answers)
    run = await run_day(app, 0, caplog)
    assert app.web.asked == [row.typed_text for row in rows[:3]]
    assert list_results(app, run)[3:] == [(Presence.UNKNOWN, reason)] * 17
    assert run.report.unknown == 20
    first_skipped_id = find_account_id(app, rows[3].typed_text)
    assert run.report.to_json()["opened_circuits"] == {
        "linkedin": {"reason": reason, "skipped": 17, "first_account_id": first_skipped_id}
    }


def find_account_id(app, url):
    return next(
        account.id for account in app.store.registry.list_accounts() if account.typed_text == url
    )


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_number_of_refusals_is_configurable(app, caplog, step):
    limit = 7
    fetch = app.config.fetch.model_copy(update={"platform_breaker_failures": limit})
    app.config = app.config.model_copy(update={"fetch": fetch})
    rows = build_accounts(20)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows[: limit + step]}
    await run_day(app, 0, caplog)
    assert len(app.web.asked) == (20 if step < 0 else limit)


async def test_page_for_members_only_is_not_a_refusal(app, caplog):
    rows = build_accounts(12, "www.facebook.com")
    register(app, *rows)
    responses = [SHELL, WALL, Page("", 404, {}, b"x"), Page("", 500, {}, b"x")]
    app.web.answers = {row.typed_text: responses[index % 4] for index, row in enumerate(rows)}
    run = await run_day(app, 0, caplog)
    assert len(set(app.web.asked)) == 12
    assert "opened_circuits" not in run.report.to_json()


async def test_any_page_resets_the_count(app, caplog):
    rows = build_accounts(12)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for index, row in enumerate(rows) if index % 3}
    run = await run_day(app, 0, caplog)
    assert len(app.web.asked) == 12
    assert "opened_circuits" not in run.report.to_json()


async def test_refusals_of_one_platform_do_not_affect_others(app, caplog):
    linkedin, facebook = build_accounts(9), build_accounts(9, "www.facebook.com")
    websites = build_accounts(9, "amal.example")
    register(app, *linkedin, *facebook, *websites)
    app.web.answers = {row.typed_text: DENIED for row in [*linkedin, *websites]}
    await run_day(app, 0, caplog)
    assert len(app.web.asked) == 3 + 9 + 9


async def test_skipped_accounts_come_first_in_the_next_run(app, caplog):
    rows = build_accounts(8)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    requested_urls = []
    for day in range(4):
        await run_day(app, day, caplog)
        requested_urls += app.web.asked
    urls = [row.typed_text for row in rows]
    assert requested_urls == (urls * 2)[:12]


async def test_order_is_normal_after_a_run_without_refusals(app, caplog):
    rows = build_accounts(8)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    await run_day(app, 0, caplog)
    app.web.answers = {}
    await run_day(app, 1, caplog)
    assert app.web.asked == [row.typed_text for row in [*rows[3:], *rows[:3]]]
    await run_day(app, 2, caplog)
    assert app.web.asked == [row.typed_text for row in rows]


async def test_open_circuit_changes_no_status_and_makes_no_channel_unreliable(app, caplog):
    rows = build_accounts(40)
    register(app, *rows)
    await run_day(app, 0, caplog)
    statuses_before = get_status_values(app)
    gaps_before = {(gap.code, gap.opened_at) for gap in app.store.conclusions.list_gaps()}
    app.web.answers = {row.typed_text: DENIED for row in rows}
    for day in range(1, 9):
        run = await run_day(app, day, caplog)
        assert run.unreliable_channels == ()
        assert run.report.to_json()["opened_circuits"]["linkedin"]["skipped"] == 37
    assert get_status_values(app) == statuses_before
    assert {state for state, _ in statuses_before.values()} == {AccountState.PRESENT}
    assert {(gap.code, gap.opened_at) for gap in app.store.conclusions.list_gaps()} == gaps_before
    assert reevaluate.reevaluate(app).changes == []


def get_status_values(app):
    return {
        status.account_id: (status.state, status.decided_at)
        for status in app.store.statuses.list_account_statuses()
    }


async def test_open_circuit_has_no_second_pass(app, caplog):
    rows = build_accounts(6)
    register(app, *rows)
    app.web.answers = {row.typed_text: LIMITED for row in rows}
    run = await run_day(app, 0, caplog)
    assert app.web.asked == [row.typed_text for row in rows[:3]]
    assert list_results(app, run) == [(Presence.UNKNOWN, Reason.RATE_LIMITED)] * 6


def test_link_without_account_is_reported_despite_an_open_circuit():
    share_url = "https://www.linkedin.com/shareArticle?url=x"
    share_link = AccountRow("share", share_url, identify.identify_link(share_url), "linkedin")
    [account] = build_accounts(1)
    circuit_breaker = CircuitBreaker("linkedin", 3, opened_reason=Reason.BLOCKED)
    assert circuit_breaker.skip_if_open(share_link) is None
    assert circuit_breaker.skip_if_open(account) is not None


def set_canaries(monkeypatch, urls):
    canaries = [Canary(Account("", url, identify.identify_link(url)), exists=True) for url in urls]
    monkeypatch.setattr(
        runs_run,
        "build_canaries",
        lambda channel, *_: [canary for canary in canaries if canary.channel == channel],
    )


async def test_refused_canaries_leave_one_account_to_try(app, monkeypatch, caplog):
    canary_urls = [f"https://www.linkedin.com/company/known-{number}" for number in range(5)]
    set_canaries(monkeypatch, canary_urls)
    rows = build_accounts(9)
    register(app, *rows)
    app.web.answers = dict.fromkeys([*canary_urls, *(row.typed_text for row in rows)], DENIED)
    await run_day(app, 0, caplog)
    requested_urls = [url for url in app.web.asked if url not in canary_urls]
    assert requested_urls == [rows[0].typed_text]
    app.web.answers = dict.fromkeys(canary_urls, DENIED)
    await run_day(app, 1, caplog)
    assert len(app.web.asked) == 5 + 9


async def test_resumed_run_keeps_the_circuit_open(app, caplog):
    rows, slow = build_accounts(9), build_accounts(3, "amal.example")
    register(app, *rows, *slow)
    app.web.answers = {row.typed_text: DENIED for row in rows} | {
        row.typed_text: "hang" for row in slow
    }
    nine_done = asyncio.Event()
    with caplog.at_level(logging.CRITICAL):
        run_task = asyncio.create_task(
            execute_run(app, START, on_progress=lambda count, _: count == 9 and nine_done.set())
        )
        await nine_done.wait()
        run_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run_task
    app.web.answers = {}
    added_later = build_accounts(11)[9:]
    register(app, *rows, *slow, *added_later, now=START - timedelta(minutes=1))
    run = await run_day(app, 0, caplog)
    assert not any("linkedin" in url for url in app.web.asked)
    assert run.report.to_json()["opened_circuits"]["linkedin"] == {
        "reason": "blocked",
        "skipped": 8,
        "first_account_id": find_account_id(app, rows[3].typed_text),
    }


@pytest.mark.parametrize(
    "fetch_error", [FetchError(Reason.TIMEOUT), FetchError(Reason.NETWORK, "host is down")]
)
def test_missing_response_is_neither_refusal_nor_response(fetch_error):
    refused = HttpExchange(PageRequest("https://www.linkedin.com/company/amal"), DENIED)
    silent = HttpExchange(PageRequest("https://www.linkedin.com/company/amal"), fetch_error)
    circuit_breaker = CircuitBreaker("linkedin", 3)
    circuit_breaker.record_exchanges([refused, silent, refused, silent])
    assert (circuit_breaker.refusals, circuit_breaker.opened_reason) == (2, None)


def test_host_of_a_short_link_does_not_count_for_its_platform():
    exchange = HttpExchange(PageRequest("https://bit.ly/x"), Page("https://bit.ly/x", 403))
    circuit_breaker = CircuitBreaker("linkedin", 3)
    circuit_breaker.record_exchanges([exchange] * 5)
    assert circuit_breaker.refusals == 0


def test_account_without_an_id_can_be_skipped():
    row = AccountRow("amal", "x", Identity("linkedin", LinkKind.PAGE, "company/x"), "linkedin")
    circuit_breaker = CircuitBreaker("linkedin", 1, opened_reason=Reason.BLOCKED)
    assert circuit_breaker.skip_if_open(row) is not None
    assert circuit_breaker.skipped_count == 1
