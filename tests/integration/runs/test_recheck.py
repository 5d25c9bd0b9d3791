"""Checking an association on request: rarely, one at a time, and nothing is stored."""

from datetime import timedelta

import pytest

from auditor.runs.check_now import RECHECK_INTERVAL, RecheckRefusedError, RecheckService
from auditor.runs.run import execute_run
from probes.models.finding import Presence
from storage.models.audit import AuditRunState
from storage.models.run_report import RunReport
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import logged_in_client

NOW = night_of(1) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@lived
async def app(network):
    register(network, NOUR, SITE, link("amal", "facebook", "amal"))
    await execute_run(network, night_of(0))


@pytest.mark.smoke
def test_recheck_requests_only_its_accounts_and_stores_no_observation(app):
    app.web.answers = {NOUR.typed_text: "gone"}
    recheck = RecheckService().recheck_association(app, "nour", NOW)
    assert sorted(app.web.asked) == sorted([NOUR.typed_text, SITE.typed_text])
    presences = [account.finding.presence for account in recheck.accounts]
    assert presences == [Presence.ABSENT, Presence.PRESENT]
    observations = list(app.store.observations.list_observations())
    assert {item.finding.presence for item in observations} == {Presence.PRESENT}
    assert len(observations) == 3


def test_association_is_rechecked_again_after_ten_minutes(app):
    service = RecheckService()
    recheck = service.recheck_association(app, "nour", NOW)
    with pytest.raises(RecheckRefusedError, match="recently_checked"):
        service.recheck_association(app, "nour", NOW + RECHECK_INTERVAL - timedelta(seconds=1))
    assert service.recheck_association(app, "amal", NOW + timedelta(minutes=1))
    assert service.find_recent("nour", NOW + timedelta(minutes=2)) is recheck
    assert service.find_recent("nour", NOW + RECHECK_INTERVAL) is None
    assert service.recheck_association(app, "nour", NOW + RECHECK_INTERVAL)


@pytest.mark.fault("F34")
def test_one_recheck_at_a_time(app, monkeypatch):
    service, list_accounts = RecheckService(), app.store.registry.list_accounts

    def try_another(*args):
        with pytest.raises(RecheckRefusedError, match="busy"):
            service.recheck_association(app, "amal", NOW)
        return list_accounts(*args)

    monkeypatch.setattr(app.store.registry, "list_accounts", try_another)
    assert service.recheck_association(app, "nour", NOW)
    monkeypatch.undo()
    assert service.recheck_association(app, "amal", NOW)


def test_running_run_prevents_a_recheck_and_killed_one_does_not(app):
    app.store.runs.begin_or_resume(NOW.date(), NOW)
    app.locked = True
    with pytest.raises(RecheckRefusedError, match="run_in_progress"):
        RecheckService().recheck_association(app, "nour", NOW)
    app.locked = False
    assert RecheckService().recheck_association(app, "nour", NOW)


def test_open_circuit_breaker_applies_to_a_recheck(app):
    run = app.store.runs.begin_or_resume(NOW.date(), NOW)
    opened_circuit = {"reason": "login_wall", "skipped": 1, "first_account_id": 1}
    report = RunReport.model_validate({"opened_circuits": {"facebook": opened_circuit}})
    app.store.runs.finish(run, AuditRunState.DONE, NOW, report=report)
    recheck = RecheckService().recheck_association(app, "nour", NOW)
    assert app.web.asked == [SITE.typed_text]
    assert recheck.accounts[0].finding.reason == "login_wall"


def test_page_shows_recheck_and_says_that_it_changes_nothing(app):
    app.web.answers = {NOUR.typed_text: "gone"}
    with logged_in_client(app, NOW) as client:
        checked = client.post("/en/associations/nour/checks")
        assert checked.status_code == 303
        page = client.get(checked.headers["location"]).text
        assert "The status changes only after tonight’s check" in page
        assert "page not found" in page
        refused = client.post("/en/associations/nour/checks").headers["location"]
        assert "Checked a few minutes ago" in client.get(refused).text
        assert client.post("/en/associations/nobody/checks").status_code == 404
