"""A wrong clock prevents a run, and a run dated in the future is shown everywhere."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.config.schema import ChannelSettings, load_config
from auditor.core.errors import ClockError
from auditor.runs import pipeline
from auditor.runs.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.run import execute_run
from probes.models.http import Page
from storage.models.audit import AuditRunState
from storage.tables import communication, runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.core import METADATA
from tests.support.channel_settings import disable_channels_except
from tests.support.mini_network import START, link, register
from tests.support.web_server import logged_in_client

CANARIES = ("https://one.example/", "https://two.example/", "https://three.example/")
NOUR, AMAL = link("nour", "website", "nour"), link("amal", "facebook", "amal")
NOBODY = "https://nobody.example/"
AHEAD = timedelta(days=3650)


@pytest.fixture
def app(app):
    website = ChannelSettings(canaries=CANARIES, impossible_account=NOBODY)
    channels = {**app.config.channels, "website": website}
    app.config = app.config.model_copy(update={"channels": channels})
    app.web.answers = {NOBODY: "gone"}
    register(app, NOUR, AMAL)
    return app


def set_web_time(app, moment):
    """Make every canary respond with this time as its date."""
    page = Page("", 200, {"date": format_datetime(moment, usegmt=True)}, b"alive")
    app.web.answers |= dict.fromkeys(CANARIES, page)


def dump_tables(store):
    """Return every row of every table, without the marks of stale summaries."""
    with store.begin_read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(table.select())))
            for table in METADATA.sorted_tables
            if table.name != "stale_summary"
        }


@pytest.mark.fault("F41")
@pytest.mark.parametrize("ahead", [AHEAD, -timedelta(hours=2)])
async def test_no_run_starts_when_canaries_contradict_the_clock(app, caplog, ahead):
    set_web_time(app, START - ahead)
    tables_before = dump_tables(app.store)
    with pytest.raises(ClockError, match="cannot begin the audit run: this machine's clock is"):
        await pipeline.run_audit_pipeline(app, START)
    assert dump_tables(app.store) == tables_before
    assert set(app.web.asked) == {*CANARIES, NOBODY}, "an account was asked"
    assert "no run started" in caplog.text


@pytest.mark.parametrize("ahead", [timedelta(minutes=50), -timedelta(minutes=50)])
async def test_run_starts_when_the_clock_is_nearly_right(app, ahead):
    set_web_time(app, START - ahead)
    assert (await execute_run(app, START)).state is AuditRunState.DONE


@pytest.mark.fault("F41")
def test_run_dated_in_the_future_is_shown_everywhere(tmp_path, monkeypatch, capsys):
    """By `status`, `doctor`, the health check and a metric."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(disable_channels_except("website"), encoding="utf-8")
    now = datetime.now(UTC)
    with App.open(load_config(tmp_path / "config.toml", {})) as app:
        for began in (now - timedelta(days=2), now + AHEAD):
            run = app.store.runs.begin_or_resume(began.date(), began)
            app.store.runs.finish(run, AuditRunState.DONE, began)
        with logged_in_client(app, now) as client:
            response = client.get("/healthz")
        metrics = render_metrics(MetricsCollector(app, now)).decode()
    assert (response.status_code, response.text) == (503, "clock\n")
    assert "auditor_run_dated_in_future 1.0" in metrics
    age = re.search(r"^auditor_last_finished_run_age_seconds (.+)$", metrics, re.MULTILINE)[1]
    assert float(age) == pytest.approx(2 * 86400, abs=60)
    assert main.main(["status", "--json"]) == 4
    out, err = capsys.readouterr()
    (item,) = json.loads(out)["items"]
    assert (item["dated_in_future"], item["age_hours"]) == (True, None)
    assert "dated in the future, so no other run can begin; try: a check of this" in err
    assert main.main(["doctor", "--offline", "--json"]) == 3
    results = {item["check"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    assert results["last check"]["state"] == "fail"
    assert "`auditor restore FILE`" in results["last check"]["detail"]
