"""The check log with its run reports."""

import json
import re
from datetime import timedelta

import pytest

from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState
from storage.models.users import Role
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import logged_in_client, read_page


@lived
async def app(network):
    register(network, link("nour", "facebook", "nour"), link("amal", "website", "amal"))
    for run in (0, 1, 3):
        await execute_run(network, night_of(run))


NOW = night_of(4)


def get_text(client, path="/en/runs"):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", read_page(client.get(path))))


READER = {"name": "Reader", "role": Role.READER}


@pytest.mark.smoke
def test_check_log_and_the_page_of_a_run_show_its_figures_and_its_report(app):
    with logged_in_client(app, NOW, **READER) as client:
        log = get_text(client)
        first, second, last = (get_text(client, f"/en/runs/2026-03-0{day}") for day in (1, 2, 4))
    assert log.index("4 March 2026") < log.index("1 March 2026")
    missed = "There was no check the day before."
    counts = [text.count(missed) for text in (log, second, last)]
    assert counts == [1, 0, 1]
    assert all("Fingerprint" in text for text in (first, second, last))
    assert "Accounts 2" in last
    assert app.store.runs.get_latest().report.compute_hash() in last


def test_run_report_can_be_downloaded(app, client):
    run = app.store.runs.get_latest()
    response = client.get(f"/en/runs/{run.day}.json")
    name = f'attachment; filename="run-report-{run.day}.json"'
    assert response.headers["content-disposition"] == name
    assert json.loads(response.text) == run.report.to_json()
    for day in ("2026-03-03", "yesterday", "2026-03-03.json", "yesterday.json"):
        assert client.get(f"/en/runs/{day}").status_code == 404


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
