"""Checking an association on request: rarely, one at a time, and nothing is stored."""

import threading
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.runs.check_now import RECHECK_INTERVAL, RecheckRefusedError, RecheckService
from auditor.runs.run import execute_run
from probes.models.finding import Presence
from storage.models.audit import AuditRunState, Decision, DecisionKind
from storage.models.run_report import RunReport
from tests.support.mini_network import START, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

NOW = night_of(1) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
async def app(tmp_path):
    small_app = opened(tmp_path)
    register(small_app, NOUR, SITE, link("amal", "facebook", "amal"))
    await execute_run(small_app, night_of(0))
    small_app.web.asked.clear()
    yield small_app
    small_app.store.close()


def test_recheck_requests_only_its_accounts_and_stores_no_observation(app):
    app.web.answers = {NOUR.typed_text: "gone"}
    stored_before = (
        list(app.store.observations.list_observations()),
        list(app.store.statuses.list_account_statuses()),
    )
    recheck = RecheckService().recheck_association(app, "nour", NOW)
    assert sorted(app.web.asked) == sorted([NOUR.typed_text, SITE.typed_text])
    assert [account.finding.presence for account in recheck.accounts] == [
        Presence.ABSENT,
        Presence.PRESENT,
    ]
    assert (
        list(app.store.observations.list_observations()),
        list(app.store.statuses.list_account_statuses()),
    ) == stored_before


def test_association_is_rechecked_again_after_ten_minutes(app):
    service = RecheckService()
    recheck = service.recheck_association(app, "nour", NOW)
    with pytest.raises(RecheckRefusedError) as refused:
        service.recheck_association(app, "nour", NOW + RECHECK_INTERVAL - timedelta(seconds=1))
    assert str(refused.value) == "recently_checked"
    assert service.recheck_association(app, "amal", NOW + timedelta(minutes=1))
    assert service.find_recent("nour", NOW + timedelta(minutes=2)) is recheck
    assert service.find_recent("nour", NOW + RECHECK_INTERVAL) is None
    assert service.recheck_association(app, "nour", NOW + RECHECK_INTERVAL)


@pytest.mark.fault("F34")
def test_one_recheck_at_a_time(app, monkeypatch):
    service, inside, may_continue = RecheckService(), threading.Event(), threading.Event()
    list_accounts = app.store.registry.list_accounts

    def slow_list_accounts(*args, **kwargs):
        inside.set()
        may_continue.wait()
        return list_accounts(*args, **kwargs)

    monkeypatch.setattr(app.store.registry, "list_accounts", slow_list_accounts)
    first = threading.Thread(target=service.recheck_association, args=(app, "nour", NOW))
    first.start()
    inside.wait()
    try:
        with pytest.raises(RecheckRefusedError) as refused:
            service.recheck_association(app, "amal", NOW)
    finally:
        may_continue.set()
        first.join()
    assert str(refused.value) == "busy"


def test_running_run_prevents_a_recheck_and_killed_one_does_not(app):
    app.store.runs.begin_or_resume(NOW.date(), NOW)
    app.locked = True
    with pytest.raises(RecheckRefusedError) as refused:
        RecheckService().recheck_association(app, "nour", NOW)
    assert str(refused.value) == "run_in_progress"
    app.locked = False
    assert RecheckService().recheck_association(app, "nour", NOW)


def test_open_circuit_breaker_applies_to_a_recheck(app):
    run = app.store.runs.begin_or_resume(NOW.date(), NOW)
    document = {
        "opened_circuits": {
            "facebook": {"reason": "login_wall", "skipped": 1, "first_account_id": 1}
        }
    }
    app.store.runs.finish(run, AuditRunState.DONE, NOW, report=RunReport.model_validate(document))
    recheck = RecheckService().recheck_association(app, "nour", NOW)
    assert app.web.asked == [SITE.typed_text]
    assert recheck.accounts[0].finding.reason == "login_wall"


def test_disowned_account_is_not_rechecked(app):
    row = next(
        row for row in app.store.registry.list_accounts() if row.typed_text == NOUR.typed_text
    )
    decision = Decision(
        "nour", "facebook", DecisionKind.DISOWN, "Amina", "namesake", START, account_id=row.id
    )
    app.store.decisions.add(decision)
    RecheckService().recheck_association(app, "nour", NOW)
    assert app.web.asked == [SITE.typed_text]


def test_page_shows_recheck_and_says_that_it_changes_nothing(app):
    app.web.answers = {NOUR.typed_text: "gone"}
    with logged_in_client(app, NOW) as client:
        response = client.post("/en/associations/nour/checks")
        assert (response.status_code, response.headers["location"]) == (
            303,
            "/en/associations/nour#check",
        )
        page = client.get("/en/associations/nour").text
        assert "The status changes only after tonight’s check" in page
        assert "page not found" in page
        location = client.post("/en/associations/nour/checks").headers["location"]
        assert location == "/en/associations/nour?check_refused=recently_checked#check"
        assert "Checked a few minutes ago" in client.get(location).text
        assert client.post("/en/associations/nobody/checks").status_code == 404
