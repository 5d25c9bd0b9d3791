"""Circuit breakers: a platform that refuses is not requested again; skipped accounts come first."""

import asyncio
import logging
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.checking.canaries import Canary
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.evaluation import reevaluate
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
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)
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


def pages(count, host="www.linkedin.com/company"):
    """Return the accounts of as many associations on one platform, in their order."""
    typed = [f"https://{host}/amal-{number:02}" for number in range(count)]
    found = [identify.identify_link(one) for one in typed]
    return [
        AccountRow(f"a{number:02}", one, identity, identity.channel)
        for number, (one, identity) in enumerate(zip(typed, found, strict=True))
    ]


def asked(app):
    return list(dict.fromkeys(app.web.asked))


async def tonight(app, day, caplog):
    app.web.asked = []
    with caplog.at_level(logging.CRITICAL):
        return await execute_run(app, night_of(day))


def seen(app, done):
    looks = app.store.list_observations(run_id=done.id)
    return [(look.finding.presence, look.finding.reason) for look in looks]


@pytest.mark.parametrize(
    ("answer", "reason"),
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
async def test_three_refusals_in_a_row_open_the_circuit(app, caplog, answer, reason):
    rows = pages(20)
    register(app, *rows)
    app.web.answers = {row.typed_text: answer for row in rows}
    app.web.once = set(app.web.answers)
    done = await tonight(app, 0, caplog)
    assert app.web.asked == [row.typed_text for row in rows[:3]]
    assert seen(app, done)[3:] == [(Presence.UNKNOWN, reason)] * 17
    assert done.receipt["unknown"] == 20
    third = next(
        row.id for row in app.store.list_accounts() if row.typed_text == rows[3].typed_text
    )
    assert done.receipt["opened_circuits"] == {
        "linkedin": {"reason": reason, "skipped": 17, "first_account_id": third}
    }


async def test_number_of_refusals_is_configurable(app, caplog):
    fetch = app.config.fetch.model_copy(update={"platform_breaker_failures": 7})
    app.config = app.config.model_copy(update={"fetch": fetch})
    rows = pages(20)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    await tonight(app, 0, caplog)
    assert len(app.web.asked) == 7


async def test_page_for_members_only_is_not_a_refusal(app, caplog):
    rows = pages(12, "www.facebook.com")
    register(app, *rows)
    kinds = [SHELL, WALL, Page("", 404, {}, b"x"), Page("", 500, {}, b"x")]
    app.web.answers = {row.typed_text: kinds[at % 4] for at, row in enumerate(rows)}
    done = await tonight(app, 0, caplog)
    assert len(asked(app)) == 12
    assert "opened_circuits" not in done.receipt


async def test_any_page_resets_the_count(app, caplog):
    rows = pages(12)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for at, row in enumerate(rows) if at % 3}
    done = await tonight(app, 0, caplog)
    assert len(app.web.asked) == 12
    assert "opened_circuits" not in done.receipt


async def test_refusals_of_one_platform_do_not_affect_others(app, caplog):
    linked, others = pages(9), pages(9, "www.facebook.com")
    sites = pages(9, "amal.example")
    register(app, *linked, *others, *sites)
    app.web.answers = {row.typed_text: DENIED for row in [*linked, *sites]}
    await tonight(app, 0, caplog)
    assert len(app.web.asked) == 3 + 9 + 9


async def test_skipped_accounts_come_first_in_the_next_run(app, caplog):
    rows = pages(8)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    order = []
    for day in range(4):
        await tonight(app, day, caplog)
        order += app.web.asked
    expected = [row.typed_text for row in rows]
    assert order == (expected * 2)[:12]


async def test_order_is_normal_after_a_run_without_refusals(app, caplog):
    rows = pages(8)
    register(app, *rows)
    app.web.answers = {row.typed_text: DENIED for row in rows}
    await tonight(app, 0, caplog)
    app.web.answers = {}
    await tonight(app, 1, caplog)
    assert app.web.asked == [row.typed_text for row in [*rows[3:], *rows[:3]]]
    await tonight(app, 2, caplog)
    assert app.web.asked == [row.typed_text for row in rows]


async def test_open_circuit_changes_no_status_and_makes_no_channel_unreliable(app, caplog):
    rows = pages(40)
    register(app, *rows)
    await tonight(app, 0, caplog)
    before = {
        one.account_id: (one.state, one.decided_at) for one in app.store.list_account_statuses()
    }
    opened_before = {(gap.code, gap.opened_at) for gap in app.store.list_gaps()}
    app.web.answers = {row.typed_text: DENIED for row in rows}
    for day in range(1, 9):
        done = await tonight(app, day, caplog)
        assert done.unreliable_channels == ()
        assert done.receipt["opened_circuits"]["linkedin"]["skipped"] == 37
    assert {
        one.account_id: (one.state, one.decided_at) for one in app.store.list_account_statuses()
    } == before
    assert all(one.state is AccountState.PRESENT for one in app.store.list_account_statuses())
    assert {(gap.code, gap.opened_at) for gap in app.store.list_gaps()} == opened_before
    assert reevaluate.reevaluate(app).changes == []


async def test_open_circuit_has_no_second_pass(app, caplog):
    rows = pages(6)
    register(app, *rows)
    app.web.answers = {row.typed_text: LIMITED for row in rows}
    done = await tonight(app, 0, caplog)
    assert app.web.asked == [row.typed_text for row in rows[:3]]
    assert seen(app, done) == [(Presence.UNKNOWN, Reason.RATE_LIMITED)] * 6


async def test_link_without_account_is_reported_despite_an_open_circuit(app, caplog):
    rows = pages(4)
    button = "https://www.linkedin.com/shareArticle?url=x"
    row = AccountRow("share", button, identify.identify_link(button), "linkedin")
    assert CircuitBreaker("linkedin", 3, opened_reason=Reason.BLOCKED).skip_if_open(row) is None
    assert (
        CircuitBreaker("linkedin", 3, opened_reason=Reason.BLOCKED).skip_if_open(rows[0])
        is not None
    )


def canaried(monkeypatch, *typed):
    told = [Canary(Account("", one, identify.identify_link(one)), exists=True) for one in typed]
    monkeypatch.setattr(
        runs_run,
        "build_canaries",
        lambda channel, *_: [one for one in told if one.channel == channel],
    )


async def test_refused_canaries_leave_one_account_to_try(app, monkeypatch, caplog):
    known = [f"https://www.linkedin.com/company/known-{number}" for number in range(5)]
    canaried(monkeypatch, *known)
    rows = pages(9)
    register(app, *rows)
    app.web.answers = dict.fromkeys([*known, *(row.typed_text for row in rows)], DENIED)
    await tonight(app, 0, caplog)
    assert [typed for typed in app.web.asked if typed not in known] == [rows[0].typed_text]
    app.web.answers = dict.fromkeys(known, DENIED)
    await tonight(app, 1, caplog)
    assert len(app.web.asked) == 5 + 9


async def test_resumed_run_keeps_the_circuit_open(app, caplog):
    rows, slow = pages(9), pages(3, "amal.example")
    register(app, *rows, *slow)
    app.web.answers = {row.typed_text: DENIED for row in rows} | {
        row.typed_text: "hang" for row in slow
    }
    nine = asyncio.Event()
    with caplog.at_level(logging.CRITICAL):
        going = asyncio.create_task(
            execute_run(app, START, on_progress=lambda done, _: done == 9 and nine.set())
        )
        await nine.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    app.web.answers = {}
    late = pages(11)[9:]
    register(app, *rows, *slow, *late, now=START - timedelta(minutes=1))
    done = await tonight(app, 0, caplog)
    assert [typed for typed in app.web.asked if "linkedin" in typed] == []
    fourth = next(
        row.id for row in app.store.list_accounts() if row.typed_text == rows[3].typed_text
    )
    assert done.receipt["opened_circuits"]["linkedin"] == {
        "reason": "blocked",
        "skipped": 8,
        "first_account_id": fourth,
    }


@pytest.mark.parametrize(
    "answer", [FetchError(Reason.TIMEOUT), FetchError(Reason.NETWORK, "host is down")]
)
def test_missing_response_is_neither_refusal_nor_response(answer):
    refused = HttpExchange(PageRequest("https://www.linkedin.com/company/amal"), DENIED)
    silent = HttpExchange(PageRequest("https://www.linkedin.com/company/amal"), answer)
    patience = CircuitBreaker("linkedin", 3)
    patience.record_exchanges([refused, silent, refused, silent])
    assert (patience.refusals, patience.opened_reason) == (2, None)


def test_host_of_a_short_link_does_not_count_for_its_platform():
    short = HttpExchange(PageRequest("https://bit.ly/x"), Page("https://bit.ly/x", 403))
    patience = CircuitBreaker("linkedin", 3)
    patience.record_exchanges([short] * 5)
    assert patience.refusals == 0


def test_account_without_an_id_can_be_skipped():
    row = AccountRow("amal", "x", Identity("linkedin", LinkKind.PAGE, "company/x"), "linkedin")
    patience = CircuitBreaker("linkedin", 1, opened_reason=Reason.BLOCKED)
    assert patience.skip_if_open(row) is not None
    assert patience.to_dict()["skipped"] == 1
