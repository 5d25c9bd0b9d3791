"""Runs ask registries when domains expire: requests, gaps, re-evaluation."""

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from pydantic import TypeAdapter

from auditor.checking import checker
from auditor.conclusions import reevaluate, replay
from auditor.config.schema import DomainExpirySettings
from auditor.rules.context import find_domain_expiry
from auditor.rules.engine import AnyRule, is_gap_open
from auditor.runs import account_worker as domain_checks
from auditor.runs.account_worker import list_due_domains
from auditor.runs.run import execute_run
from probes.models.finding import Identity, LinkKind, Reason
from probes.models.http import FetchError, Page
from storage.models.audit import AccountRow, Decision, DecisionKind
from tests.support.mini_network import START, configured, night_of, opened, register, steps

SERVICE = "https://rdap.publicinterestregistry.org/rdap/domain/"
RULES = TypeAdapter(tuple[AnyRule, ...]).validate_python(
    [{"code": "website_domain_expiring", "check": "domain_expires", "channels": ["website"]}]
)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    monkeypatch.setattr(replay, "create_probe", steps)


@pytest.fixture
def app(tmp_path):
    small_app = opened(tmp_path, configured(("website",)).model_copy(update={"rules": RULES}))
    yield small_app
    small_app.store.close()


def site(host, association="nour"):
    url = f"https://{host}/"
    return AccountRow(
        association, url, Identity("website", LinkKind.PAGE, host, url, url), "website"
    )


def record(days_left, *, start=START, name="nour.org", **fields):
    """Return a registry's answer: the domain expires so many days after a run."""
    day = start + timedelta(days=days_left)
    events = [{"eventAction": "expiration", "eventDate": day.isoformat()}]
    content = {"objectClassName": "domain", "ldhName": name, "events": events, **fields}
    return Page("", 200, body=json.dumps(content).encode())


def list_asked(app):
    asked = [url for url in app.web.asked if "rdap" in url]
    app.web.asked.clear()
    return asked


def get_gap(app):
    """Return severity and params of the open gap, or None."""
    stored_gaps = filter(is_gap_open, app.store.conclusions.list_gaps())
    gaps = [gap for gap in stored_gaps if gap.code == "website_domain_expiring"]
    return (gaps[0].severity, dict(gaps[0].params)) if gaps else None


def assert_rebuild_changes_nothing(app):
    assert reevaluate.reevaluate(app, dry_run=True).changes == []


async def test_each_domain_is_asked_for_once_a_week(app):
    register(
        app,
        site("nour.org"),
        site("blog.nour.org", "amal"),
        site("nour.ma"),
        site("nour.org.ma", "amal"),
        site("nour.wordpress.com"),
        site("nour.blogspot.com"),
    )
    app.web.answers[f"{SERVICE}nour.org"] = record(300)
    await execute_run(app, night_of(0))
    assert list_asked(app) == [f"{SERVICE}nour.org"]
    for day in range(1, 7):
        await execute_run(app, night_of(day))
    assert list_asked(app) == []
    await execute_run(app, night_of(7))
    assert list_asked(app) == [f"{SERVICE}nour.org"]
    assert [len(app.store.domain_checks.list_domain_checks(name)) for name in ("nour", "amal")] == [
        2,
        2,
    ]


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_registry_is_asked_again_after_the_set_days(app, step):
    days = 5
    settings = {"domain_expiry": DomainExpirySettings(check_every_days=days)}
    app.config = app.config.model_copy(update=settings)
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(300)
    await execute_run(app, night_of(0))
    assert list_asked(app) == [f"{SERVICE}nour.org"]
    await execute_run(app, night_of(days + step))
    assert list_asked(app) == [f"{SERVICE}nour.org"] * (step >= 0)


async def test_no_registry_is_asked_if_the_check_is_disabled(app):
    settings = {"domain_expiry": DomainExpirySettings(enabled=False)}
    app.config = app.config.model_copy(update=settings)
    register(app, site("nour.org"))
    await execute_run(app, night_of(0))
    assert list_asked(app) == []


@pytest.mark.slow
async def test_gap_of_an_answer_that_became_too_old_is_rebuilt(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(65)
    await execute_run(app, night_of(0))
    settings = {"domain_expiry": DomainExpirySettings(enabled=False)}
    app.config = app.config.model_copy(update=settings)
    for day in range(1, 40):
        await execute_run(app, night_of(day))
    assert get_gap(app)[0] == "medium"
    assert_rebuild_changes_nothing(app)


@pytest.mark.parametrize(
    ("days_left", "severity"),
    [(61, None), (60, "medium"), (31, "medium"), (30, "high"), (8, "high"), (7, "urgent")],
)
async def test_severity_grows_as_the_expiry_approaches(app, days_left, severity):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(days_left)
    await execute_run(app, night_of(0))
    gap = get_gap(app)
    assert (gap[0] if gap else None) == severity
    assert_rebuild_changes_nothing(app)


async def test_gap_closes_when_the_domain_is_renewed(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(20)
    await execute_run(app, night_of(0))
    assert get_gap(app)[1]["expires_on"] == "2026-03-21"
    app.web.answers[f"{SERVICE}nour.org"] = record(385)
    await execute_run(app, night_of(7))
    assert get_gap(app) is None
    assert_rebuild_changes_nothing(app)


async def test_registry_that_no_longer_knows_the_domain_closes_no_gap(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(20)
    await execute_run(app, night_of(0))
    app.web.answers[f"{SERVICE}nour.org"] = Page("", 404)
    await execute_run(app, night_of(7))
    app.web.answers[f"{SERVICE}nour.org"] = FetchError(Reason.TIMEOUT)
    await execute_run(app, night_of(14))
    assert get_gap(app)[1]["expires_on"] == "2026-03-21", "it is not renewed"
    assert_rebuild_changes_nothing(app)


async def test_expired_domain_of_a_living_site_is_urgent(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(-3)
    await execute_run(app, night_of(0))
    assert get_gap(app) == (
        "urgent",
        {
            "url": "https://nour.org/",
            "domain": "nour.org",
            "expired_on": "2026-02-26",
            "site": "https://nour.org/",
            "registry_on": "2026-03-01",
        },
    )


async def test_registry_is_asked_again_when_the_stated_day_has_passed(app):
    register(app, site("nour.org"))
    address = f"{SERVICE}nour.org"
    app.web.answers[address] = record(2)
    await execute_run(app, night_of(0))
    await execute_run(app, night_of(2))
    assert list_asked(app) == [address]
    app.web.answers[address] = FetchError(Reason.TIMEOUT)
    await execute_run(app, night_of(3))
    assert "expired_on" not in get_gap(app)[1], "it may be renewed"
    app.web.answers[address] = record(2)
    await execute_run(app, night_of(4))
    assert get_gap(app)[1]["expired_on"] == "2026-03-03"
    await execute_run(app, night_of(5))
    assert list_asked(app) == [address, address]
    assert_rebuild_changes_nothing(app)


async def test_resumed_run_does_not_repeat_a_failed_request_after_the_stated_day(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(2)
    await execute_run(app, night_of(0))
    app.web.answers[f"{SERVICE}nour.org"] = FetchError(Reason.TIMEOUT)
    run = await execute_run(app, night_of(3))
    assert list_due_domains(app, run) == {}


async def test_domain_with_a_new_account_comes_before_older_checks(app):
    register(app, site("amal.org", "amal"))
    app.web.answers[f"{SERVICE}amal.org"] = record(300)
    await execute_run(app, night_of(0))
    register(app, site("amal.org", "amal"), site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(300)
    run = await execute_run(app, night_of(1))
    register(app, site("amal.org", "amal"), site("nour.org"), site("blog.nour.org", "soleil"))
    next_run = replace(run, id=run.id + 1, started_at=night_of(9))
    due_domains = list(list_due_domains(app, next_run))
    assert due_domains == ["nour.org", "amal.org"]


async def test_lost_domain_is_urgent_whatever_its_date(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(300, status=["redemption period"])
    await execute_run(app, night_of(0))
    severity, params = get_gap(app)
    assert (severity, params["domain_status"]) == ("urgent", "redemption_period")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Page("", 404), Reason.NOT_FOUND),
        (Page("", 429), Reason.RATE_LIMITED),
        (FetchError(Reason.TIMEOUT), Reason.TIMEOUT),
        (Page("", 200, body=b"<html>"), Reason.UNREADABLE),
        (ZeroDivisionError("a bug"), Reason.CRASHED),
    ],
)
async def test_registry_without_an_answer_is_no_gap(app, answer, reason):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = answer
    await execute_run(app, night_of(0))
    (check,) = app.store.domain_checks.list_domain_checks("nour")
    assert (check.reason, check.expires_on, get_gap(app)) == (reason, None, None)


async def test_registry_that_refuses_is_asked_no_more_in_this_run(app):
    register(app, site("nour.org"), site("amal.org", "amal"))
    app.web.answers |= {f"{SERVICE}{name}.org": Page("", 429) for name in ("nour", "amal")}
    await execute_run(app, night_of(0))
    assert len(list_asked(app)) == 1
    await execute_run(app, night_of(1))
    assert len(list_asked(app)) == 1


async def test_resumed_run_leaves_out_a_registry_that_refused(app):
    register(app, site("nour.org"), site("amal.org", "amal"), site("soleil.com", "soleil"))
    app.web.answers |= {f"{SERVICE}{name}.org": Page("", 429) for name in ("nour", "amal")}
    run = await execute_run(app, night_of(0))
    assert list_due_domains(app, run) == {}
    next_run = replace(run, id=run.id + 1, started_at=night_of(1))
    assert {"nour.org", "amal.org"} <= list_due_domains(app, next_run).keys()


@pytest.mark.parametrize(
    ("answer", "days_of_requests"),
    [
        (Page("", 503), [0, 1, 2, 3, 4, 5, 6, 7]),
        (FetchError(Reason.TIMEOUT), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Page("", 429), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Page("", 403), [0, 7]),
        (Page("", 404), [0, 7]),
        (Page("", 200, body=b"<html>"), [0, 7]),
    ],
)
async def test_only_a_transient_failure_is_repeated_before_a_week(app, answer, days_of_requests):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = answer
    requests_by_day = {}
    for day in range(8):
        await execute_run(app, night_of(day))
        requests_by_day[day] = len(list_asked(app))
    assert requests_by_day == {day: int(day in days_of_requests) for day in range(8)}


async def test_failed_request_keeps_the_last_answer_for_four_weeks(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(40)
    await execute_run(app, night_of(0))
    app.web.answers[f"{SERVICE}nour.org"] = FetchError(Reason.TIMEOUT)
    await execute_run(app, night_of(12))
    assert get_gap(app)[0] == "high"
    await execute_run(app, night_of(45))
    severity, params = get_gap(app)  # it may be renewed: nothing is said about the present
    assert (severity, params.get("expires_on"), params.get("expired_on")) == (
        "high",
        "2026-04-10",
        None,
    )
    assert_rebuild_changes_nothing(app)


async def test_corrected_link_forgets_the_old_domain(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(20)
    await execute_run(app, night_of(0))
    app.store.registry.save_registry(
        [app.store.registry.get_association("nour")],
        [site("nour.ma")],
        night_of(0) + timedelta(hours=9),
    )
    await execute_run(app, night_of(1))
    assert get_gap(app) is None


async def test_stated_date_counts_until_it_has_passed(app):
    register(app, site("nour.ma"))
    await execute_run(app, night_of(0))
    (row,) = app.store.registry.list_accounts("nour")
    day = (START + timedelta(days=9)).date()
    app.store.decisions.add(
        Decision(
            "nour",
            "website",
            DecisionKind.DOMAIN_EXPIRES,
            "Amina",
            "called",
            night_of(0) + timedelta(hours=8),
            expires_at=datetime.combine(day, time(23, 59, 59), UTC),
            account_id=row.id,
            value=day.isoformat(),
        )
    )
    await execute_run(app, night_of(1))
    assert get_gap(app) == (
        "high",
        {
            "url": "https://nour.ma/",
            "domain": "nour.ma",
            "expires_on": day.isoformat(),
            "stated_on": "2026-03-01",
        },
    )
    await execute_run(app, night_of(9))
    assert get_gap(app)[0] == "urgent"
    await execute_run(app, night_of(10))
    assert get_gap(app) is None
    assert list_asked(app) == []
    assert_rebuild_changes_nothing(app)


async def test_registry_s_answer_counts_more_than_a_stated_date(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = record(300)
    await execute_run(app, night_of(0))
    (row,) = app.store.registry.list_accounts("nour")
    decision = Decision(
        "nour",
        "website",
        DecisionKind.DOMAIN_EXPIRES,
        "Amina",
        "called",
        night_of(0) + timedelta(hours=8),
        account_id=row.id,
        value="2026-03-05",
    )
    app.store.decisions.add(replace(decision, expires_at=night_of(5)))
    await execute_run(app, night_of(1))
    assert get_gap(app) is None


async def test_unregistered_domain_counts_more_than_a_stated_date(app):
    register(app, site("nour.org"))
    app.web.answers[f"{SERVICE}nour.org"] = Page("", 404)
    await execute_run(app, night_of(0))
    (row,) = app.store.registry.list_accounts("nour")
    checks = {check.account_id: check for _, check in list_checks(app) if check is not None}
    decision = Decision(
        "nour",
        "website",
        DecisionKind.DOMAIN_EXPIRES,
        "Amina",
        "called",
        night_of(0),
        account_id=row.id,
        value="2027-03-05",
    )
    expiry = find_domain_expiry(row, checks, {row.id: decision}, night_of(1))
    assert (expiry.source, expiry.cause) == ("registry", "not_registered")


def list_checks(app):
    return app.store.domain_checks.list_accounts_with_domain_check("website")


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_run_asks_for_a_limited_number_of_domains(app, monkeypatch, step):
    """With 3 domains: to register 2,000 takes seconds."""
    monkeypatch.setattr(domain_checks, "MAX_DOMAINS_PER_RUN", 3)
    register(app, *(site(f"nour{number}.org") for number in range(3 + step)))
    run = app.store.runs.begin_or_resume(START.date(), START)
    assert len(list_due_domains(app, run)) == min(3, 3 + step)
