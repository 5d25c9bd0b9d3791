"""The check log with its run reports."""

import json
import re
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.runs.run import execute_run
from auditor.web.routes import runs
from storage.models.audit import AuditRunState
from storage.models.users import Role
from tests.support.mini_network import START, link, lived, night_of, register, steps
from tests.support.web_server import logged_in_client


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@lived
async def app(network):
    register(network, link("nour", "facebook", "nour"), link("amal", "website", "amal"))
    for run in (0, 1, 3):
        await execute_run(network, night_of(run))


NOW = night_of(4)


def get_text(client, path="/en/runs"):
    response = client.get(path)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text))


def test_check_log_has_a_line_for_each_run(app):
    with logged_in_client(app, NOW, name="Reader", role=Role.READER) as client:
        text = get_text(client)
    assert text.index("4 March 2026") < text.index("1 March 2026")
    assert text.count("There was no check the day before.") == 1


def test_page_of_a_run_shows_its_figures_and_its_report(app):
    with logged_in_client(app, NOW, name="Reader", role=Role.READER) as client:
        first, second, last = (get_text(client, f"/en/runs/2026-03-0{day}") for day in (1, 2, 4))
        assert client.get("/en/runs/2026-03-03").status_code == 404
        assert client.get("/en/runs/yesterday").status_code == 404
    assert all("Fingerprint" in text for text in (first, second, last))
    assert "There was no check" not in second
    assert "There was no check the day before." in last
    assert "Accounts 2" in last
    assert app.store.runs.get_latest().report.compute_hash() in last


def test_run_report_can_be_downloaded(app):
    run = app.store.runs.get_latest()
    with logged_in_client(app, NOW) as client:
        response = client.get(f"/en/runs/{run.day}.json")
        assert client.get("/en/runs/2026-03-03.json").status_code == 404
        assert client.get("/en/runs/yesterday.json").status_code == 404
    assert (
        response.headers["content-disposition"]
        == f'attachment; filename="run-report-{run.day}.json"'
    )
    assert json.loads(response.text) == run.report.to_json()


def test_check_log_is_paged(app, monkeypatch):
    monkeypatch.setattr(runs, "RUNS_PAGE_SIZE", 2)
    with logged_in_client(app, NOW) as client:
        first_page = client.get("/en/runs").text
        (next_url,) = re.findall(r'href="(/en/runs\?before=[^"]+)" rel="next"', first_page)
        text = get_text(client, next_url)
    assert first_page.count('href="/en/runs/2026-') == 2
    assert "1 March 2026" in text


@pytest.mark.fault("F40")
def test_delayed_run_is_on_the_dashboard(app):
    app.store.runs.begin_or_resume(NOW.date(), NOW)
    with logged_in_client(app, NOW + timedelta(hours=25)) as client:
        text = get_text(client, "/en/")
    assert (
        "The check of 6 March 2026 has not started: the one of 5 March 2026 has not finished."
        in text
    )
    assert app.store.runs.get_latest().state is AuditRunState.RUNNING


async def test_accounts_not_reached_are_on_the_dashboard(app):
    report = app.store.runs.get_latest().report.with_values(not_reached=7)
    run = app.store.runs.begin_or_resume(NOW.date(), NOW)
    app.store.runs.finish(run, AuditRunState.DONE, NOW, report=report)
    with logged_in_client(app, NOW + timedelta(hours=1)) as client:
        assert "7 accounts left over; they come first in the next check." in get_text(
            client, "/en/"
        )


def test_check_log_needs_a_login(app):
    assert START < NOW
    with logged_in_client(app, NOW) as client:
        client.cookies.clear()
        assert client.get("/en/runs").status_code == 401
