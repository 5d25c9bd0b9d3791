"""The health check, the scheduler heartbeat and the metrics."""

import asyncio
import re
from contextlib import closing
from datetime import datetime, timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from auditor.app import App
from auditor.cli.serve import format_server_url, open_web_socket, run_server
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import Config, WebSettings, find_packaged_config, load_config
from auditor.core.errors import ConfigError
from auditor.runs.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.scheduling import MAX_SILENCE_SECONDS, SchedulerJob
from auditor.web.app import create_app
from storage.errors import StoreError
from tests.support import sample_network
from tests.support.web_server import logged_in_client

TOKEN = "a-token-of-a-monitor"
OUTSIDE = {"host": "reports.example.org"}
INSIDE = {"host": "presence.intern.example", "x-forwarded-for": "203.0.113.9"}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The sample network."""
    app = sample_network.played(tmp_path_factory.mktemp("network"))
    refresh_summaries(app.store, app.config)
    yield app
    app.store.close()


@pytest.fixture
def app(played):
    """The sample network with an allowed host, a public address and a metrics token."""
    settings = {
        "public_url": "https://reports.example.org",
        "allowed_hosts": ["presence.intern.example"],
    }
    web = WebSettings.model_validate({**settings, "metrics_token": TOKEN})
    return App(played.config.model_copy(update={"web": web}), played.store, played.body_store)


def figures(text):
    """Return the metrics by name and labels; raises if the text is not in Prometheus format."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_healthz_answers_ok_under_any_host_name(app):
    with logged_in_client(app, sample_network.NOW) as client:
        for headers in ({}, OUTSIDE, INSIDE, {"host": "10.1.2.3:8321"}, {"host": ""}):
            response = client.get("/healthz", headers=headers)
            assert (response.status_code, response.text) == (200, "ok\n"), headers
        assert client.head("/healthz").status_code == 200


def test_healthz_returns_503_if_the_database_cannot_be_read(app, monkeypatch):
    def unreadable():
        raise StoreError("auditor.db", "disk I/O error")

    monkeypatch.setattr(app.store.runs, "get_latest", unreadable)
    with logged_in_client(app, sample_network.NOW) as client:
        response = client.get("/healthz")
    assert (response.status_code, response.text) == (503, "database\n")


@pytest.mark.parametrize("replacement", [b"", None], ids=["replaced", "moved"])
def test_healthz_returns_503_if_the_database_file_is_another_one(tmp_path, replacement):
    """The pages went on to read and write the moved file."""
    with App.open(Config.model_validate({"storage": {"folder": tmp_path}})) as app:
        file = tmp_path / "auditor.db"
        file.rename(tmp_path / "moved.db")
        if replacement is not None:
            file.write_bytes(replacement)
        with logged_in_client(app, sample_network.NOW) as client:
            response = client.get("/healthz")
            assert (response.status_code, response.text) == (503, "database\n")
            file.unlink(missing_ok=True)
            (tmp_path / "moved.db").rename(file)
            assert client.get("/healthz").status_code == 200


class Watch:
    """A monotonic clock that a test sets."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


async def test_scheduler_is_dead_after_a_long_silence_unless_a_job_runs(app):
    clock = Watch()
    job = SchedulerJob(app, None, lambda: sample_network.NOW, clock)
    clock.seconds += MAX_SILENCE_SECONDS - 1
    assert job.is_alive
    clock.seconds += 1
    assert not job.is_alive
    async with job._run_lock:
        assert job.is_alive


async def test_healthz_returns_503_if_the_scheduler_stopped(app):
    clock = Watch()
    scheduler = SchedulerJob(app, None, lambda: sample_network.NOW, clock)
    clock.seconds += MAX_SILENCE_SECONDS
    messages = []

    async def send(message):
        messages.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    head = {
        "type": "http",
        "method": "GET",
        "path": "/healthz",
        "http_version": "1.1",
        "scheme": "http",
        "query_string": b"",
    }
    scope = {
        **head,
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    await create_app(app, lambda: sample_network.NOW, scheduler)(scope, receive, send)
    assert (messages[0]["status"], messages[1]["body"]) == (503, b"schedule\n")


async def test_serve_updates_the_heartbeat(app):
    stop = asyncio.Event()
    with open_web_socket(WebSettings(port=0)) as at:
        serving = asyncio.create_task(
            run_server(app, lambda: sample_network.NOW + timedelta(hours=9), sock=at, stop=stop)
        )
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{format_server_url(at)}healthz")).text == "ok\n"
            metrics = figures((await client.get(f"{format_server_url(at)}metrics")).text)
        assert metrics[("auditor_scheduler_alive",)] == 1
        stop.set()
        await asyncio.wait_for(serving, 10)


def test_metrics_match_the_run_report_and_the_network(app):
    metrics = figures(render_metrics(MetricsCollector(app, sample_network.NOW)).decode())
    done = app.store.runs.get_latest()
    assert metrics[("auditor_run_state", ("state", "done"))] == 1
    assert metrics[("auditor_run_state", ("state", "skipped"))] == 0
    assert metrics[("auditor_last_finished_run_info", ("day", done.day.isoformat()))] == 1
    assert (
        metrics[("auditor_last_finished_run_age_seconds",)]
        == (sample_network.NOW - done.finished_at).total_seconds()
    )
    counted = {
        (dict(key[1:])["channel"], dict(key[1:])["presence"]): n
        for key, n in metrics.items()
        if key[0] == "auditor_run_accounts"
    }
    assert sum(counted.values()) == done.report.accounts
    assert counted["facebook", "present"] == done.report.channels["facebook"]["present"]
    assert metrics[("auditor_associations",)] == len(sample_network.PEOPLE)
    open_gaps = {
        dict(key[1:])["kind"]: n for key, n in metrics.items() if key[0] == "auditor_gaps_open"
    }
    assert sum(open_gaps.values()) == app.store.gap_search.list_visible_gaps().count
    for kind, count in open_gaps.items():
        assert count == app.store.gap_search.list_visible_gaps(kind=kind).count
    assert metrics[("auditor_run_gaps_opened",)] == done.report.opened_gaps
    assert metrics[("auditor_run_requests",)] == done.report.requests
    assert metrics[("auditor_run_retries",)] == 0
    assert metrics[("auditor_unsent_messages",)] == 0
    assert metrics[("auditor_stale_summaries",)] == 0
    assert metrics[("auditor_database_schema",)] >= 1
    assert metrics[("auditor_database_bytes",)] > 50_000
    assert metrics[("process_resident_memory_bytes",)] > 10_000_000
    assert ("auditor_scheduler_alive",) not in metrics


def test_every_metric_has_help_text_and_a_unit(app):
    families = list(
        text_string_to_metric_families(
            render_metrics(MetricsCollector(app, sample_network.NOW)).decode()
        )
    )
    assert all(family.documentation and family.type != "unknown" for family in families)
    assert all(re.fullmatch(r"(auditor|process)_[a-z_]+", family.name) for family in families)


def test_metrics_exist_before_the_first_run(tmp_path):
    config = load_config(find_packaged_config(), {"AUDITOR_STORAGE__FOLDER": str(tmp_path)})
    with App.open(config) as empty:
        metrics = figures(render_metrics(MetricsCollector(empty, sample_network.NOW)).decode())
        assert metrics[("auditor_disk_free_bytes",)] > 0
    assert metrics[("auditor_associations",)] == 0
    assert not any(name[0] == "auditor_last_finished_run_age_seconds" for name in metrics)
    assert sum(n for name, n in metrics.items() if name[0] == "auditor_run_state") == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        (INSIDE, 401),
        ({**INSIDE, "authorization": f"Bearer {TOKEN}"}, 200),
        ({**INSIDE, "authorization": f"Bearer {TOKEN}x"}, 401),
        ({**INSIDE, "authorization": "Bearer"}, 401),
        ({**INSIDE, "authorization": "Bearer é"}, 401),
        (OUTSIDE, 404),
        ({**OUTSIDE, "authorization": f"Bearer {TOKEN}"}, 404),
        ({"host": "nobody.example", "authorization": f"Bearer {TOKEN}"}, 403),
        ({"x-forwarded-for": "203.0.113.9"}, 403),
    ],
)
def test_metrics_need_loopback_or_token_and_are_not_on_the_public_host(app, headers, status):
    headers = {name: value.encode() for name, value in headers.items()}
    with logged_in_client(app, sample_network.NOW) as client:
        response = client.get("/metrics", headers=headers)
    assert response.status_code == status
    assert (b"auditor_associations" in response.content) is (status == 200)


def test_metrics_without_a_configured_token_are_loopback_only(app):
    web = app.config.web.model_copy(update={"metrics_token": None})
    closed = App(app.config.model_copy(update={"web": web}), app.store, app.body_store)
    with logged_in_client(closed, sample_network.NOW) as client:
        for credentials in ("Bearer", "Bearer None", ""):
            assert (
                client.get("/metrics", headers={**INSIDE, "authorization": credentials}).status_code
                == 401
            )


def test_metrics_token_is_read_from_a_file_and_must_be_long(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    file = tmp_path / "config.toml"
    file.write_text('[web]\nmetrics_token_file = "token"\n')
    assert load_config(file, {}).web.metrics_token.get_secret_value() == TOKEN
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(ConfigError, match="fewer than 16 characters"):
        load_config(file, {})


def test_failed_messages_are_counted_until_one_is_delivered(tmp_path):
    config = load_config(find_packaged_config(), {"AUDITOR_STORAGE__FOLDER": str(tmp_path)})
    with closing(App.open(config)) as app:
        now = datetime.fromisoformat("2026-11-25T05:00:00Z")
        amina = ("amina@example.org", "digest", "2026-11-25", "refused")
        salma = ("salma@example.org", "digest", "2026-11-25", "refused")
        app.store.messages.record_failure(*amina, now)
        app.store.messages.record_failure(*amina, now + timedelta(days=1))
        app.store.messages.record_failure(*salma, now)
        assert app.store.messages.count_failures(now) == 2
        assert app.store.messages.count_failures(now + timedelta(hours=1)) == 1
        app.store.messages.clear_failure("amina@example.org", "digest")
        app.store.messages.clear_failure("amina@example.org", "digest")
        assert app.store.messages.count_failures(now) == 1
        app.store.messages.record_failure(*amina, now + timedelta(days=31))
        assert app.store.messages.count_failures(now) == 1
