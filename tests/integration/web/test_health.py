"""The health check, the scheduler heartbeat and the metrics."""

from datetime import timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from auditor.app import App
from auditor.config.schema import WebSettings
from auditor.runs.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.scheduling import MAX_SILENCE_SECONDS, SchedulerJob
from auditor.web.app import create_app
from tests.support import sample_network
from tests.support.web_server import NOW, logged_in_client, open_app, read_page

pytestmark = pytest.mark.slow  # playing the sample network takes seconds

TOKEN = "a-token-of-a-monitor"
OUTSIDE = {"host": "reports.example.org"}
INSIDE = {"host": "presence.intern.example", "x-forwarded-for": "203.0.113.9"}


@pytest.fixture
def app(sample_app):
    """The sample network with an allowed host, a public address and a metrics token."""
    settings = {
        "public_url": "https://reports.example.org",
        "allowed_hosts": ["presence.intern.example"],
    }
    web = WebSettings.model_validate({**settings, "metrics_token": TOKEN})
    config = sample_app.config.model_copy(update={"web": web})
    return App(config, sample_app.store, sample_app.body_store)


def test_healthz_answers_ok_under_any_host_name(app):
    with logged_in_client(app, sample_network.NOW) as client:
        for headers in ({}, OUTSIDE, INSIDE, {"host": "10.1.2.3:8321"}, {"host": ""}):
            response = client.get("/healthz", headers=headers)
            assert (response.status_code, response.text) == (200, "ok\n"), headers
        assert client.head("/healthz").status_code == 200


@pytest.mark.parametrize("is_replaced", [True, False])
def test_healthz_returns_503_if_the_database_file_is_another_one(tmp_path, is_replaced):
    """The pages went on to read and write the moved file."""
    file, moved = tmp_path / "auditor.db", tmp_path / "moved.db"
    with open_app(tmp_path) as app, logged_in_client(app) as client:
        file.rename(moved)
        if is_replaced:
            file.touch()
        read_page(client.get("/healthz"), "database\n", status=503)
        moved.replace(file)
        read_page(client.get("/healthz"), "ok\n")


async def test_scheduler_is_dead_after_a_long_silence_unless_a_job_runs(app):
    clock = [1000.0]
    job = SchedulerJob(app, None, lambda: sample_network.NOW, lambda: clock[0])
    web = create_app(app, lambda: sample_network.NOW, job)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web)) as client:
        for silence, answer in ((-1, (200, "ok\n")), (0, (503, "schedule\n"))):
            clock[0] = 1000.0 + MAX_SILENCE_SECONDS + silence
            response = await client.get("http://localhost/healthz")
            assert (response.status_code, response.text) == answer
    async with job._run_lock:
        assert job.is_alive


def test_metrics_match_the_run_report_and_the_network(app):
    text = render_metrics(MetricsCollector(app, sample_network.NOW)).decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    metrics = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    done, search = app.store.runs.get_latest(), app.store.gap_search
    kinds = [key[1] for key in metrics if key[0] == "auditor_gaps_open"]
    gap_counts = {kind: search.list_visible_gaps(kind=kind).count for kind in kinds}
    assert sum(gap_counts.values()) == search.list_visible_gaps().count
    expected = {
        ("auditor_run_state", "done"): 1,
        ("auditor_run_state", "skipped"): 0,
        ("auditor_last_finished_run_info", done.day.isoformat()): 1,
        ("auditor_last_finished_run_age_seconds",): (
            (sample_network.NOW - done.finished_at).total_seconds()
        ),
        **{
            ("auditor_run_accounts", channel, presence): done.report.channels[channel][presence]
            for channel, presence in (("facebook", "present"), ("website", "unknown"))
        },
        ("auditor_associations",): len(sample_network.PEOPLE),
        **{("auditor_gaps_open", kind): count for kind, count in gap_counts.items()},
        ("auditor_run_gaps_opened",): done.report.opened_gaps,
        ("auditor_run_requests",): done.report.requests,
        ("auditor_run_retries",): 0,
        ("auditor_unsent_messages",): 0,
        ("auditor_stale_summaries",): 0,
    }
    assert {key: metrics.get(key) for key in expected} == expected
    accounts = [count for key, count in metrics.items() if key[0] == "auditor_run_accounts"]
    assert sum(accounts) == done.report.accounts
    assert metrics["auditor_database_bytes",] > 50_000
    assert ("auditor_scheduler_alive",) not in metrics


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
            headers = {**INSIDE, "authorization": credentials}
            assert client.get("/metrics", headers=headers).status_code == 401


def test_failed_messages_are_counted_until_one_is_delivered(tmp_path):
    with open_app(tmp_path) as app:
        messages, failure = app.store.messages, ("digest", "2026-11-25", "refused")
        for days, address in enumerate(("amina@example.org", "amina@example.org", "salma@x.org")):
            messages.claim(address, *failure[:2], NOW + timedelta(days=days))
            messages.record_failure(address, *failure, NOW + timedelta(days=days))
        assert messages.count_failures(NOW) == 2
        messages.clear_failure("amina@example.org", "digest")
        assert messages.count_failures(NOW) == 1
