"""The page of the nights: each with its receipt, whether that is to be trusted, and the receipt as a file."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.receipts.receipt import hash_canonical_json
from auditor.receipts.signing import has_valid_signature
from auditor.runs.run import execute_run
from auditor.web.routes import runs
from storage.models.audit import AuditRunState
from storage.models.users import Role
from tests.support.mini_network import START, link, lived, night_of, register, steps
from tests.support.web_server import logged_in_client


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@lived
async def app(small):
    register(small, link("nour", "facebook", "nour"), link("amal", "website", "amal"))
    for night in (0, 1, 3):
        await execute_run(small, night_of(night))


NOW = night_of(4)


def told(client, path="/en/runs"):
    answer = client.get(path)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_check_log_shows_each_run_with_its_signature(app):
    with logged_in_client(app, NOW, name="Reader", role=Role.READER) as client:
        text = told(client)
    assert text.index("Check of 4 March 2026") < text.index("Check of 1 March 2026")
    assert text.count("valid signature") == 3
    assert (text.count("first in the chain"), text.count("follows the previous one")) == (1, 2)
    assert "There was no check the day before." in text
    assert "Accounts 2" in text
    assert hash_canonical_json(app.store.get_latest_run().receipt) in text


def test_run_report_can_be_downloaded(app):
    night = app.store.get_latest_run()
    with logged_in_client(app, NOW) as client:
        answer = client.get(f"/en/runs/{night.day}.json")
        assert client.get("/en/runs/2026-03-03.json").status_code == 404
        assert client.get("/en/runs/yesterday.json").status_code == 404
    assert (
        answer.headers["content-disposition"] == f'attachment; filename="run-report-{night.day}.json"'
    )
    assert json.loads(answer.text) == night.receipt
    assert has_valid_signature(json.loads(answer.text))


def test_tampered_receipt_is_reported(app):
    with closing(sqlite3.connect(app.data_folder / "auditor.db")) as raw:
        raw.execute(
            "UPDATE audit_run SET receipt = json_set(receipt, '$.present', 99) WHERE day = '2026-03-02'"
        )
        raw.commit()
    with logged_in_client(app, NOW) as client:
        text = told(client)
    assert text.count("This run report was changed after it was signed.") == 1


def test_check_log_is_paged_and_keeps_the_chain(app, monkeypatch):
    monkeypatch.setattr(runs, "RUNS_PAGE_SIZE", 2)
    with logged_in_client(app, NOW) as client:
        first = client.get("/en/runs").text
        (further,) = re.findall(r'href="(/en/runs\?before=[^"]+)" rel="next"', first)
        text = told(client, further)
    assert first.count("follows the previous one") == 2
    assert text.count("Check of") == 1
    assert "first in the chain" in text


@pytest.mark.fault("F40")
def test_delayed_run_is_on_the_dashboard(app):
    app.store.begin_run(NOW.date(), NOW)
    with logged_in_client(app, NOW + timedelta(hours=25)) as client:
        text = told(client, "/en/")
    assert "The check of 6 March 2026 has not started: the one of 5 March 2026 has not finished." in text
    assert app.store.get_latest_run().state is AuditRunState.RUNNING


async def test_accounts_not_reached_are_on_the_dashboard(app):
    receipt = {**app.store.get_latest_run().receipt, "not_reached": 7}
    night = app.store.begin_run(NOW.date(), NOW)
    app.store.finish_run(
        night, AuditRunState.DONE, NOW, receipt=app.open_signing_key().sign_receipt(receipt)
    )
    with logged_in_client(app, NOW + timedelta(hours=1)) as client:
        assert "7 accounts left over; they come first in the next check." in told(
            client, "/en/"
        )


def test_check_log_needs_a_login(app):
    assert START < NOW
    with logged_in_client(app, NOW) as client:
        client.cookies.clear()
        assert client.get("/en/runs").status_code == 401
