"""A wrong clock prevents a run, and a run dated in the future is shown everywhere."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from auditor.app import App
from auditor.checking import checker
from auditor.checking.clock import is_dated_in_future
from auditor.cli import main
from auditor.conclusions import replay
from auditor.config.schema import BackupSettings, ChannelSettings, Config, StorageSettings
from auditor.core.errors import ClockError
from auditor.runs import diagnostics, pipeline
from auditor.runs.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.run import execute_run
from auditor.runs.scheduling import SchedulerJob
from probes.models.http import Page
from storage.errors import LaterRunDoneError
from storage.models.audit import Association, AuditRunState
from storage.store import Store
from storage.tables import communication, runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.core import METADATA
from tests.support.mini_network import (
    RULES,
    START,
    configured,
    link,
    night_of,
    opened,
    register,
    steps,
)
from tests.support.web_server import logged_in_client

CANARIES = ("https://one.example/", "https://two.example/", "https://three.example/")
NOUR, AMAL = link("nour", "website", "nour"), link("amal", "facebook", "amal")
NOBODY = "https://nobody.example/"
AHEAD = timedelta(days=3650)
FALSE = START + AHEAD
"""When the clock was wrong."""


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", steps)


@pytest.fixture
def app(tmp_path):
    overrides = {
        "storage": StorageSettings(folder=tmp_path),
        "backup": BackupSettings(folder=tmp_path / "backups", after_run=False),
    }
    config = configured()
    website = ChannelSettings(canaries=CANARIES, impossible_account=NOBODY)
    config = config.model_copy(
        update={**overrides, "channels": {**config.channels, "website": website}}
    )
    small_app = opened(tmp_path, config)
    small_app.web.answers = {NOBODY: "gone"}
    register(small_app, NOUR, AMAL)
    yield small_app
    small_app.store.close()


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
@pytest.mark.parametrize("ahead", [AHEAD, timedelta(hours=2), -timedelta(hours=2), -AHEAD])
async def test_no_run_starts_when_canaries_contradict_the_clock(app, caplog, ahead):
    set_web_time(app, START - ahead)
    tables_before = dump_tables(app.store)
    with pytest.raises(ClockError, match="cannot begin the audit run: this machine's clock is"):
        await pipeline.run_audit_pipeline(app, START)
    assert dump_tables(app.store) == tables_before
    assert set(app.web.asked) == {*CANARIES, NOBODY}, "an account was asked"
    assert "no run started" in caplog.text


@pytest.mark.parametrize("ahead", [timedelta(minutes=50), timedelta(), -timedelta(minutes=50)])
async def test_run_starts_when_the_clock_is_nearly_right(app, ahead):
    set_web_time(app, START - ahead)
    assert (await execute_run(app, START)).state is AuditRunState.DONE


async def test_interrupted_run_is_unchanged_when_the_clock_is_wrong(app):
    app.store.runs.begin_or_resume(START.date(), START)
    run_before = app.store.runs.get(START.date())
    set_web_time(app, START)
    with pytest.raises(ClockError):
        await execute_run(app, START + timedelta(hours=5))
    assert app.store.runs.get(START.date()) == run_before


async def store_future_run(app):
    """Store a run, and one at a false date. Return the time of the next run."""
    await execute_run(app, START)
    await execute_run(app, FALSE + timedelta(hours=1))
    return night_of(1)


async def test_future_run_prevents_runs_and_error_names_clock_and_restore(app):
    now = await store_future_run(app)
    with pytest.raises(LaterRunDoneError, match=r"dated in the future; .*clock.*`auditor restore`"):
        await execute_run(app, now)


async def test_scheduler_logs_that_no_run_can_start(app, caplog):
    now = await store_future_run(app)

    async def fail(*_, **__):
        raise AssertionError("a run was begun")

    await SchedulerJob(app, fail, lambda: now.replace(hour=1)).run_if_due()
    assert "no run can begin: the run for 2036-02-27 is dated in the future" in caplog.text


# --- where it is shown


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with a database whose newest run is dated in the future."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    (tmp_path / "config.toml").write_text(
        "[channels.website]\n[backup]\nafter_run = false\n", encoding="utf-8"
    )
    now = datetime.now(UTC)
    with Store.open(f"sqlite:///{tmp_path}/data/auditor.db") as store:
        store.registry.save_registry([Association("nour", "Nour")], [], now - timedelta(days=9))
        for began in (now - timedelta(days=2), now + AHEAD):
            run = store.runs.begin_or_resume(began.date(), began)
            store.runs.finish(run, AuditRunState.DONE, began)
    return tmp_path


@pytest.fixture
def auditor(folder, capsys):
    def run_command(*args):
        code = main.main(list(args))
        written = capsys.readouterr()
        return code, written.out, written.err

    return run_command


@pytest.mark.fault("F41")
def test_status_exits_with_an_error(auditor):
    code, out, err = auditor("status", "--json")
    (item,) = json.loads(out)["items"]
    assert (code, item["dated_in_future"], item["age_hours"]) == (4, True, None)
    assert "dated in the future, so no other run can begin; try: a check of this" in err
    assert auditor("status", "--max-age", "26")[0] == 4


@pytest.mark.fault("F41")
def test_doctor_reports_a_failure(auditor):
    code, out, _ = auditor("doctor", "--offline", "--json")
    results = {item["check"]: item for item in json.loads(out)["items"]}
    assert (code, results["last check"]["state"]) == (3, "fail")
    assert "`auditor restore FILE`" in results["last check"]["detail"]


def test_doctor_names_a_backup_dated_in_the_future(folder, auditor):
    later = datetime.now(UTC) + AHEAD
    (folder / "backups").mkdir()
    (folder / "backups" / f"auditor-{later:%Y%m%dT%H%M%SZ}.db").write_bytes(b"")
    details = [
        result.detail
        for result in diagnostics.run_diagnostics(None, datetime.now(UTC))
        if result.check == "backups"
    ]
    assert ["future" in detail for detail in details] == [True, False]
    assert details[1].startswith("none")


@pytest.mark.fault("F41")
def test_health_and_age_metric_show_the_future_run(folder):
    config = Config(
        storage=StorageSettings(folder=folder / "data"),
        rules=RULES,
        backup=BackupSettings(after_run=False),
    )
    now = datetime.now(UTC)
    with App.open(config) as app:
        with logged_in_client(app, now) as client:
            response = client.get("/healthz")
        text = render_metrics(MetricsCollector(app, now)).decode()
    figures = {
        metric.name: metric.samples[0].value
        for metric in text_string_to_metric_families(text)
        if metric.samples
    }
    assert (response.status_code, response.text) == (503, "clock\n")
    assert figures["auditor_run_dated_in_future"] == 1
    assert figures["auditor_last_finished_run_age_seconds"] == pytest.approx(2 * 86400, abs=60)


def test_run_is_dated_in_the_future_from_one_hour_ahead(app):
    run = app.store.runs.begin_or_resume(START.date(), START)
    assert not is_dated_in_future(run, START - timedelta(hours=1))
    assert is_dated_in_future(run, START - timedelta(hours=1, seconds=1))
