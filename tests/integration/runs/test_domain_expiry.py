"""Runs ask registries when domains expire: requests, gaps, re-evaluation."""

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from pydantic import TypeAdapter

from auditor.conclusions import reevaluate
from auditor.rules.context import find_domain_expiry
from auditor.rules.engine import AnyRule, is_gap_open
from auditor.runs.run import execute_run
from probes.models.finding import Identity, LinkKind, Reason
from probes.models.http import FetchError, Page
from storage.models.audit import AccountRow, Decision, DecisionKind
from tests.support.mini_network import START, configured, night_of, register

SERVICE = "https://rdap.publicinterestregistry.org/rdap/domain/"
NOUR = f"{SERVICE}nour.org"
RULES = TypeAdapter(tuple[AnyRule, ...]).validate_python(
    [{"code": "website_domain_expiring", "check": "domain_expires", "channels": ["website"]}]
)


@pytest.fixture
def app(app):
    app.config = configured(("website",)).model_copy(update={"rules": RULES})
    return app


@pytest.fixture
def check_nour(app):
    """Return a function that runs the audit of one site: `await check_nour(day, answer)`."""

    async def run(day, answer=None):
        if answer is not None:
            app.web.answers[NOUR] = answer
        await execute_run(app, night_of(day))

    register(app, site("nour.org"))
    return run


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
    gaps = list(filter(is_gap_open, app.store.conclusions.list_gaps()))
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
    app.web.answers[NOUR] = record(300)
    await execute_run(app, night_of(0))
    assert list_asked(app) == [NOUR]
    for day in range(1, 7):
        await execute_run(app, night_of(day))
    assert list_asked(app) == []
    await execute_run(app, night_of(7))
    assert list_asked(app) == [NOUR]
    for name in ("nour", "amal"):
        assert len(app.store.domain_checks.list_domain_checks(name)) == 2


@pytest.mark.smoke
async def test_gap_opens_as_the_expiry_approaches(app, check_nour):
    await check_nour(0, record(61))
    assert get_gap(app) is None
    await check_nour(7, record(61))
    assert get_gap(app)[0] == "medium"
    assert_rebuild_changes_nothing(app)


async def test_registry_that_no_longer_knows_the_domain_closes_no_gap(app, check_nour):
    await check_nour(0, record(20))
    await check_nour(7, Page("", 404))
    await check_nour(14, FetchError(Reason.TIMEOUT))
    assert get_gap(app)[1]["expires_on"] == "2026-03-21", "it is not renewed"
    assert_rebuild_changes_nothing(app)


async def test_expired_domain_of_a_living_site_is_urgent(app, check_nour):
    await check_nour(0, record(-3))
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


async def test_registry_is_asked_again_when_the_stated_day_has_passed(app, check_nour):
    await check_nour(0, record(2))
    await check_nour(2)
    assert list_asked(app) == [NOUR]
    await check_nour(3, FetchError(Reason.TIMEOUT))
    assert "expired_on" not in get_gap(app)[1], "it may be renewed"
    await check_nour(4, record(2))
    assert get_gap(app)[1]["expired_on"] == "2026-03-03"
    await check_nour(5)
    assert list_asked(app) == [NOUR, NOUR]
    assert_rebuild_changes_nothing(app)


async def test_lost_domain_is_urgent_whatever_its_date(app, check_nour):
    await check_nour(0, record(300, status=["redemption period"]))
    severity, params = get_gap(app)
    assert (severity, params["domain_status"]) == ("urgent", "redemption_period")


async def test_registry_that_refuses_is_asked_no_more_in_this_run(app):
    register(app, site("nour.org"), site("amal.org", "amal"))
    app.web.answers |= {f"{SERVICE}{name}.org": Page("", 429) for name in ("nour", "amal")}
    await execute_run(app, night_of(0))
    assert len(list_asked(app)) == 1
    await execute_run(app, night_of(1))
    assert len(list_asked(app)) == 1


@pytest.mark.parametrize(
    ("answer", "days_of_requests"),
    [
        (Page("", 503), [0, 1, 2, 3, 4, 5, 6, 7]),
        (FetchError(Reason.TIMEOUT), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Page("", 404), [0, 7]),
        (Page("", 200, body=b"<html>"), [0, 7]),
    ],
)
async def test_only_a_transient_failure_is_repeated_before_a_week(
    app, check_nour, answer, days_of_requests
):
    asked = {}
    for day in range(8):
        await check_nour(day, answer)
        asked[day] = list_asked(app)
    assert [day for day in asked if asked[day]] == days_of_requests


async def test_failed_request_keeps_the_last_answer_for_four_weeks(app, check_nour):
    await check_nour(0, record(40))
    await check_nour(12, FetchError(Reason.TIMEOUT))
    assert get_gap(app)[0] == "high"
    await check_nour(45)
    severity, params = get_gap(app)  # it may be renewed: nothing is said about the present
    assert (severity, params.get("expires_on"), params.get("expired_on")) == (
        "high",
        "2026-04-10",
        None,
    )
    assert_rebuild_changes_nothing(app)


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


@pytest.mark.parametrize(
    ("answer", "cause"), [(record(300), ""), (Page("", 404), "not_registered")]
)
async def test_registry_s_answer_counts_more_than_a_stated_date(app, check_nour, answer, cause):
    await check_nour(0, answer)
    (row,) = app.store.registry.list_accounts("nour")
    stored = app.store.domain_checks.list_accounts_with_domain_check("website")
    checks = {check.account_id: check for _, check in stored}
    kind = DecisionKind.DOMAIN_EXPIRES
    decision = Decision(
        "nour", "website", kind, "Amina", "", night_of(0), account_id=row.id, value="2026-03-05"
    )
    expiry = find_domain_expiry(row, checks, {row.id: decision}, night_of(1))
    assert (expiry.source, expiry.cause) == ("registry", cause)
