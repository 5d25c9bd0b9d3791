"""A wrong clock prevents a run, and a run dated in the future is shown and can be discarded."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select
from sqlmodel.sql.sqltypes import UTCDateTime

from auditor import diagnostics
from auditor.app import App
from auditor.checking import checker
from auditor.checking.clock import is_dated_in_future
from auditor.cli import audit, main
from auditor.config.schema import BackupSettings, ChannelSettings, Config, StorageSettings
from auditor.core.errors import ClockError
from auditor.diagnostics import network
from auditor.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.diagnostics.network import NetworkAnswers
from auditor.evaluation import reevaluate, replay
from auditor.evaluation.network_view import load_association_view
from auditor.retention import backups
from auditor.run_reports.chain import verify_report_chain
from auditor.run_reports.signing import read_known_public_keys
from auditor.runs import pipeline
from auditor.runs.future_runs import discard_future_runs, find_future_runs
from auditor.runs.run import execute_run
from auditor.scheduling import SchedulerJob
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from storage.errors import LaterRunDoneError
from storage.models.audit import Association, AuditRunState, Decision, DecisionKind
from storage.store import Store
from storage.tables import communication, runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.communication import ReportLink
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
from tests.support.read_model_consistency import read_tables, recount_from_views
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
    with store._database.begin_read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(table.select())))
            for table in METADATA.sorted_tables
            if table.name != "stale_summary"
        }


def list_times(store):
    """Return every stored time, except those that runs store."""
    with store._database.begin_read() as connection:
        return [
            moment
            for table in METADATA.sorted_tables
            for column in table.c
            if isinstance(column.type, UTCDateTime)
            for moment in connection.execute(select(column)).scalars()
            if moment is not None
        ]


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


async def store_history(app):
    """Store a run, one at a false date, and changes of users before, during and after it."""
    await execute_run(app, START)
    decision = Decision(
        "nour", "facebook", DecisionKind.NONE_BY_CHOICE, "Amina", "she said so", FALSE
    )
    app.store.decisions.add(replace(decision, expires_at=FALSE + timedelta(days=90)))
    app.store.report_links.add(
        ReportLink(
            association="nour",
            token_hash="0" * 64,
            created_at=FALSE,
            created_by="Amina",
            expires_at=FALSE + timedelta(days=90),
        )
    )
    app.web.answers |= {NOUR.typed_text: FetchError(Reason.NETWORK), AMAL.typed_text: "gone"}
    await execute_run(app, FALSE + timedelta(hours=1))
    app.web.answers = {NOBODY: "gone"}
    register(app, NOUR, AMAL, link("rif", "website", "rif"), now=night_of(1))
    return night_of(1) + timedelta(hours=9)


async def test_future_run_prevents_runs_and_error_has_a_remedy(app):
    now = await store_history(app)
    with pytest.raises(
        LaterRunDoneError, match=r"dated in the future; try: `auditor run --discard-future`"
    ):
        await execute_run(app, now)


@pytest.mark.fault("F41")
async def test_future_run_is_removed_with_its_conclusions(app):
    now = await store_history(app)
    result = discard_future_runs(app, now)
    assert result.days == ((FALSE + timedelta(hours=1)).date(),)
    assert [run.day for run in app.store.runs.list_all()] == [START.date()]
    assert not find_future_runs(app.store, now)
    assert {observation.run_id for observation in app.store.observations.list_observations()} == {
        app.store.runs.get_latest().id
    }
    assert reevaluate.reevaluate(app, dry_run=True).changes == []
    assert read_tables(app, now) == recount_from_views(app, now)
    assert max(list_times(app.store)) < now + timedelta(days=91)
    assert (await execute_run(app, now)).state is AuditRunState.DONE
    assert {
        link.fault
        for link in verify_report_chain(
            app.store.runs.list_all(), read_known_public_keys(app.config.storage.folder)
        )
    } == {None}
    assert reevaluate.reevaluate(app, dry_run=True).changes == []
    assert read_tables(app, now) == recount_from_views(app, now)


@pytest.mark.fault("F41")
async def test_changes_of_users_are_kept_and_get_the_current_date(app):
    now = await store_history(app)
    soon = now + timedelta(minutes=1)
    assert app.store.future_changes.count(soon) > 0
    discard_future_runs(app, now)
    assert app.store.future_changes.count(soon) == 0
    (decision,) = app.store.decisions.list_decisions()
    assert timedelta() <= decision.decided_at - now < timedelta(seconds=1)
    assert decision.expires_at - decision.decided_at == timedelta(days=90)
    (report_link,) = app.store.report_links.list_recent(now)
    assert report_link.expires_at - report_link.created_at == timedelta(days=90)
    assert {item.id for item in app.store.registry.list_associations()} == {"amal", "nour", "rif"}
    await execute_run(app, now + timedelta(days=1))
    assert load_association_view(app.store, app.config, "rif").accounts[0].checked_at, (
        "no run counts it"
    )
    assert "facebook" in load_association_view(app.store, app.config, "nour").none_by_choice


async def test_discarding_creates_a_backup_first(app, tmp_path):
    now = await store_history(app)
    result = discard_future_runs(app, now)
    assert result.backup == backups.list_backups(tmp_path / "backups")[0].file
    with Store.open(f"sqlite:///{result.backup}") as copy:
        assert len(list(copy.runs.list_all())) == 2
        assert len(list(copy.observations.list_observations())) == 4


@pytest.mark.fault("F41")
async def test_interrupted_discarding_can_be_repeated(app, monkeypatch):
    now = await store_history(app)

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(app.store.future_changes, "discard_runs", kill)
        with pytest.raises(KeyboardInterrupt):
            discard_future_runs(app, now)
    assert len(find_future_runs(app.store, now)) == 1
    assert discard_future_runs(app, now + timedelta(minutes=1)).days
    assert reevaluate.reevaluate(app, dry_run=True).changes == []


async def test_discarding_without_future_dates_changes_nothing(app, tmp_path):
    await execute_run(app, START)
    tables_before = dump_tables(app.store)
    assert discard_future_runs(app, START + timedelta(hours=9)).backup is None
    assert dump_tables(app.store) == tables_before
    assert backups.list_backups(tmp_path / "backups") == []


async def test_scheduler_logs_that_no_run_can_start(app, caplog):
    now = await store_history(app)

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
    assert (
        "dated in the future, so no other run can begin; try: `auditor run --discard-future`" in err
    )
    assert auditor("status", "--max-age", "26")[0] == 4


@pytest.mark.fault("F41")
def test_doctor_reports_a_failure(auditor):
    code, out, _ = auditor("doctor", "--offline", "--json")
    results = {item["check"]: item for item in json.loads(out)["items"]}
    assert (code, results["last check"]["state"]) == (3, "fail")
    assert "`auditor run --discard-future`" in results["last check"]["detail"]


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


def test_discard_future_checks_the_clock_first(auditor, folder, monkeypatch):
    async def skip_run(app, _step):
        return app.store.runs.get_latest()

    monkeypatch.setattr(audit, "_execute_run", skip_run)
    monkeypatch.setattr(network, "check_network", lambda *_: NetworkAnswers())
    code, _, err = auditor("run", "--discard-future")
    assert (code, "no host gave a date" in err) == (4, True)
    monkeypatch.setattr(
        network, "check_network", lambda *_: NetworkAnswers(clock_skew=timedelta(hours=-3))
    )
    code, _, err = auditor("run", "--discard-future")
    assert (code, "3.0 hours behind" in err) == (4, True)
    assert not (folder / "backups").exists()
    monkeypatch.setattr(
        network, "check_network", lambda *_: NetworkAnswers(clock_skew=timedelta(seconds=1))
    )
    code, _, err = auditor("run", "--discard-future")
    assert code == 0
    assert "Removed the runs dated in the future" in err
    assert len(list((folder / "backups").glob("*.db"))) == 1
    assert auditor("status")[0] == 0
    assert "Nothing is dated in the future" in auditor("run", "--discard-future")[2]


def test_run_is_dated_in_the_future_from_one_hour_ahead(app):
    run = app.store.runs.begin_or_resume(START.date(), START)
    assert not is_dated_in_future(run, START - timedelta(hours=1))
    assert is_dated_in_future(run, START - timedelta(hours=1, seconds=1))
