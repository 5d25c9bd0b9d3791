"""Tests of circuit breakers: when they open, what they skip, and how the next run starts."""

import itertools
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
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, present_finding
from storage.models.audit import AccountRow, AccountState
from tests.support.mini_network import START, configured, interrupt_run, night_of, opened, register

LINK = "https://www.linkedin.com/company/amal"
DENIED = Page("", 999, {"server": "x"}, b"x")
LIMITED = Page("", 429, {"server": "x"}, b"x")
SHELL = Page("", 200, {}, b"<title>Facebook</title>")
WALL = Page("", 200, {}, b"<title>Log in to Facebook</title>wall")
AUTHWALL = Page("https://www.linkedin.com/authwall", 200, {}, b"x")


@pytest.fixture
def app(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", steps)
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
    urls = [f"https://{host}/amal-{number:02}" for number in range(count)]
    identities = map(identify.identify_link, urls)
    return [
        AccountRow(f"a{url[-2:]}", url, identity, identity.channel)
        for url, identity in zip(urls, identities, strict=True)
    ]


async def run_day(app, day):
    app.web.asked = []
    return await execute_run(app, night_of(day))


def list_results(app, run):
    findings = [item.finding for item in app.store.observations.list_observations(run_id=run.id)]
    return [(finding.presence, finding.reason) for finding in findings]


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
async def test_three_refusals_in_a_row_open_the_circuit(app, response, reason):
    rows = build_accounts(20)
    register(app, *rows)
    app.web.answers = {row.typed_text: response for row in rows}
    app.web.once = set(app.web.answers)
    run = await run_day(app, 0)
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


@pytest.mark.parametrize(
    ("host", "responses"),
    [
        ("www.facebook.com", [SHELL, WALL, Page("", 404, {}, b"x"), Page("", 500, {}, b"x")]),
        ("www.linkedin.com/company", ["alive", DENIED, DENIED]),
    ],
    ids=["pages for members only", "other pages between refusals"],
)
async def test_other_pages_are_no_refusals_in_a_row(app, host, responses):
    rows = build_accounts(12, host)
    register(app, *rows)
    answers = zip(rows, itertools.cycle(responses), strict=False)
    app.web.answers = {row.typed_text: answer for row, answer in answers}
    run = await run_day(app, 0)
    assert len(set(app.web.asked)) == 12
    assert "opened_circuits" not in run.report.to_json()


async def test_refusals_of_one_platform_do_not_affect_others(app):
    linkedin, facebook = build_accounts(9), build_accounts(9, "www.facebook.com")
    websites = build_accounts(9, "amal.example")
    register(app, *linkedin, *facebook, *websites)
    app.web.answers = {row.typed_text: DENIED for row in [*linkedin, *websites]}
    await run_day(app, 0)
    assert len(app.web.asked) == 3 + 9 + 9


async def test_skipped_accounts_come_first_in_the_next_run(app):
    rows = build_accounts(8)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    requested_urls = []
    for day in range(4):
        await run_day(app, day)
        requested_urls += app.web.asked
    urls = [row.typed_text for row in rows]
    assert requested_urls == (urls * 2)[:12]


@pytest.mark.slow
async def test_open_circuit_changes_no_status_and_makes_no_channel_unreliable(app):
    rows = build_accounts(40)
    register(app, *rows)
    await run_day(app, 0)
    statuses_before = get_status_values(app)
    gaps_before = get_gap_values(app)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    for day in range(1, 9):
        run = await run_day(app, day)
        assert run.unreliable_channels == ()
        assert run.report.to_json()["opened_circuits"]["linkedin"]["skipped"] == 37
    assert (get_status_values(app), get_gap_values(app)) == (statuses_before, gaps_before)
    assert {state for state, _ in statuses_before.values()} == {AccountState.PRESENT}
    assert reevaluate.reevaluate(app).changes == []


def get_gap_values(app):
    return {(gap.code, gap.opened_at) for gap in app.store.conclusions.list_gaps()}


def get_status_values(app):
    return {
        status.account_id: (status.state, status.decided_at)
        for status in app.store.statuses.list_account_statuses()
    }


async def test_open_circuit_has_no_second_pass(app):
    rows = build_accounts(6)
    register(app, *rows)
    app.web.answers = {row.typed_text: LIMITED for row in rows}
    run = await run_day(app, 0)
    assert app.web.asked == [row.typed_text for row in rows[:3]]
    assert list_results(app, run) == [(Presence.UNKNOWN, Reason.RATE_LIMITED)] * 6


async def test_refused_canaries_leave_one_account_to_try(app, monkeypatch):
    canary_urls = [f"https://www.linkedin.com/company/known-{number}" for number in range(5)]
    canaries = [
        Canary(Account("", url, identify.identify_link(url)), exists=True) for url in canary_urls
    ]
    monkeypatch.setattr(
        runs_run, "build_canaries", lambda channel, *_: canaries if channel == "linkedin" else []
    )
    rows = build_accounts(9)
    register(app, *rows)
    app.web.answers = dict.fromkeys([*canary_urls, *(row.typed_text for row in rows)], DENIED)
    await run_day(app, 0)
    assert [url for url in app.web.asked if url not in canary_urls] == [rows[0].typed_text]
    app.web.answers = dict.fromkeys(canary_urls, DENIED)
    await run_day(app, 1)
    assert len(app.web.asked) == 5 + 9


async def test_resumed_run_keeps_the_circuit_open(app):
    rows, slow = build_accounts(9), build_accounts(3, "amal.example")
    register(app, *rows, *slow)
    app.web.answers = {row.typed_text: DENIED for row in rows} | {
        row.typed_text: "hang" for row in slow
    }
    await interrupt_run(app, START, 9)
    app.web.answers = {}
    added_later = build_accounts(11)[9:]
    register(app, *rows, *slow, *added_later, now=START - timedelta(minutes=1))
    run = await run_day(app, 0)
    assert not any("linkedin" in url for url in app.web.asked)
    assert run.report.to_json()["opened_circuits"]["linkedin"] == {
        "reason": "blocked",
        "skipped": 8,
        "first_account_id": find_account_id(app, rows[3].typed_text),
    }


@pytest.mark.parametrize(
    ("outcomes", "refusals"),
    [
        ([DENIED, FetchError(Reason.TIMEOUT)] * 2, 2),
        ([DENIED, FetchError(Reason.NETWORK, "host is down")] * 2, 2),
        ([Page("https://bit.ly/x", 403)] * 5, 0),
    ],
    ids=["timeout", "host is down", "host of a short link"],
)
def test_missing_response_and_response_of_another_host_do_not_count(outcomes, refusals):
    circuit_breaker = CircuitBreaker("linkedin", 3)
    circuit_breaker.record_exchanges(
        HttpExchange(PageRequest(getattr(outcome, "url", "") or LINK), outcome)
        for outcome in outcomes
    )
    assert (circuit_breaker.refusals, circuit_breaker.opened_reason) == (refusals, None)
