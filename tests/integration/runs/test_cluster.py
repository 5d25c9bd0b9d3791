"""A run on many machines has the same results as on one, whatever fails."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from auditor.checking import checker
from auditor.cli import main
from auditor.cluster import coordinator, get_worker_cluster, job_queue
from auditor.cluster.job_queue import Job
from auditor.cluster.worker import ClusterWorker
from auditor.conclusions import reevaluate
from auditor.conclusions.network_view import build_network_overview
from auditor.config.schema import ScheduleSettings
from auditor.core.errors import ConfigError
from auditor.presentation.reports.html import render_site_pages
from auditor.runs import run as run_module
from auditor.runs.diagnostics import metrics
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from storage.errors import StoreError
from storage.models.audit import AuditRunState
from storage.runs.plan import PlanBatch, PlanPosition
from tests.support import cluster
from tests.support.mini_network import START, configured, link, night_of, opened, register
from tests.support.web_server import logged_in_client
from tests.unit.auditor.checking import test_circuit_breaker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("postgresql"),
    pytest.mark.usefixtures("simple_probe"),
]


def register_network(app):
    names = [f"a{number:02}" for number in range(30)]
    rows = [link(name, channel, name) for channel in ("website", "facebook") for name in names]
    register(app, *rows)
    app.web.answers = {
        rows[1].typed_text: "gone",
        rows[2].typed_text: FetchError(Reason.TIMEOUT, "silence"),
        rows[3].typed_text: [FetchError(Reason.TIMEOUT, "silence"), "alive"],
        rows[31].typed_text: "gone",
        rows[32].typed_text: "wall",
        rows[4].typed_text: "linked",
    }


def list_observations(app):
    rows = {row.id: row.typed_text for row in app.store.registry.list_accounts()}
    days = {run.id: run.day for run in app.store.runs.list_all()}
    return sorted(
        (
            days[observation.run_id],
            rows[observation.account_id],
            observation.observed_at,
            str(observation.finding),
        )
        for observation in app.store.observations.list_observations()
    )


def run(app, now, **options):
    """Execute a run on the machines of its configuration."""
    return run_module.execute_run(app, now, cluster=get_worker_cluster(app.config), **options)


@pytest.mark.fault("F48")
async def test_cluster_renders_the_same_bytes_as_one_machine(database, tmp_path):
    (tmp_path / "there").mkdir()
    single_app = opened(tmp_path)
    cluster_app = cluster.open_cluster_app(tmp_path / "there", database)
    single_app.web = cluster.TimelessWeb()
    for app in (single_app, cluster_app):
        register_network(app)
    async with cluster.run_local_workers(cluster_app, 2, clock=lambda: START, timer=lambda: 0.0):
        for day in (0, 1):
            reports = [
                (await run(app, night_of(day), timer=lambda: 0.0)).report.to_json()
                for app in (single_app, cluster_app)
            ]
            assert reports[0] == reports[1]
    assert reports[0]["state"] == "done"
    assert list_observations(cluster_app) == list_observations(single_app)
    sites = []
    for app in (single_app, cluster_app):
        overview = build_network_overview(app.store, app.config, night_of(2))
        sites.append(dict(render_site_pages(overview, app.config)))
    assert sites[0] == sites[1]
    assert reevaluate.reevaluate(cluster_app, dry_run=True).changes == []
    await cluster.close_apps(single_app, cluster_app)


async def test_worker_without_shared_folder_ends_and_its_job_is_requeued(database, tmp_path):
    (tmp_path / "there").mkdir()
    cluster_app = cluster.open_cluster_app(tmp_path, database)
    foreign_app = cluster.open_cluster_app(tmp_path / "there", database)
    register_network(cluster_app)
    foreign_worker = asyncio.create_task(
        ClusterWorker(foreign_app, asyncio.Event(), lambda: START).run()
    )
    run_task = asyncio.create_task(run(cluster_app, START))
    with pytest.raises(ConfigError, match="not the data folder of the coordinator"):
        await foreign_worker
    async with cluster.run_local_workers(cluster_app, clock=lambda: START):
        assert (await run_task).state is AuditRunState.DONE
    assert len(list_observations(cluster_app)) == 60
    await cluster.close_apps(cluster_app, foreign_app)


async def test_run_without_a_worker_says_so_once(database, tmp_path, monkeypatch):
    events, is_reported = [], asyncio.Event()

    def record_warning(event, *_, **__):
        events.append(event)
        is_reported.set()

    monkeypatch.setattr(coordinator, "MAX_WAIT_FOR_WORKER", 0.0)
    monkeypatch.setattr(coordinator, "logger", SimpleNamespace(warning=record_warning))
    cluster_app = cluster.open_cluster_app(tmp_path, database)
    register_network(cluster_app)
    run_task = asyncio.create_task(run(cluster_app, START))
    await is_reported.wait()
    async with cluster.run_local_workers(cluster_app, clock=lambda: START):
        assert (await run_task).state is AuditRunState.DONE
    assert events == ["no_worker"]
    await cluster.close_apps(cluster_app)


async def test_deadline_stops_all_workers(database, tmp_path):
    """Some of a platform's thirty accounts are checked. The others come first in the next run."""
    config = configured().model_copy(
        update={"schedule": ScheduleSettings(time_limit_hours=1 / 3600)}
    )
    cluster_app = cluster.open_cluster_app(tmp_path, database, config)
    register_network(cluster_app)
    cluster_app.slow = 0.2
    async with cluster.run_local_workers(cluster_app, clock=lambda: START):
        run_result = await run(cluster_app, START)
    not_reached = run_result.report.not_reached
    assert run_result.state is AuditRunState.DONE
    assert 0 < not_reached == 60 - len(list_observations(cluster_app))
    assert cluster_app.store.cluster_runs.get(run_result.id) is None
    await cluster.close_apps(cluster_app)


async def test_circuit_breaker_is_passed_to_the_next_job(database, tmp_path, monkeypatch):
    """Three refusals open the circuit breaker, whichever worker gets them."""
    monkeypatch.setattr("auditor.cluster.worker.MAX_BATCH_ACCOUNTS", 2)
    monkeypatch.setattr(checker, "create_probe", test_circuit_breaker.steps)
    cluster_app = cluster.open_cluster_app(tmp_path, database, configured(("linkedin",)))
    rows = test_circuit_breaker.build_accounts(20)
    register(cluster_app, *rows)
    cluster_app.web.answers = {row.typed_text: Page("", 999, {"server": "x"}, b"x") for row in rows}
    async with cluster.run_local_workers(cluster_app, 2, clock=lambda: START):
        run_result = await run(cluster_app, START)
    assert run_result.report.to_json()["opened_circuits"]["linkedin"]["skipped"] == 17
    assert run_result.report.requests == 3
    assert sum(len(web.asked) for web in cluster_app.webs) == 3
    await cluster.close_apps(cluster_app)


async def test_storage_failure_in_a_job_fails_the_run(database, tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.cluster.job_queue.RETRY_DELAY_SECONDS", 0)
    cluster_app = cluster.open_cluster_app(tmp_path, database)
    register_network(cluster_app)

    def fail(*_):
        raise StoreError("the archive", "no space left on device")

    monkeypatch.setattr("storage.files.body_store.BodyWriter._write_staged", fail)
    async with cluster.run_local_workers(cluster_app, clock=lambda: START):
        with pytest.raises(StoreError, match="no space left on device"):
            await run(cluster_app, START)
    assert cluster_app.store.runs.get_latest().state is AuditRunState.INCOMPLETE
    await cluster.close_apps(cluster_app)


@pytest.mark.fault("F52")
async def test_only_one_job_of_a_large_host_waits_at_a_time(database):
    """So the next job is found as quickly as without the host."""
    job = Job(1, PlanBatch(1, 9999, 9999, 20_000))
    async with job_queue.open_job_queue(database) as jobs:
        await jobs.create_tables()
        await jobs.enqueue([job])
        for position in range(3):
            after = PlanPosition(1, 9999, 0, position)
            await jobs.enqueue_remainder(replace(job, after_position=after))
        assert (await jobs.load_status(60)).waiting_jobs == 1


@pytest.mark.fault("F49")
async def test_worker_that_dies_after_enqueuing_the_rest_blocks_no_job(database):
    """The rest has all remaining accounts.

    The stalled job is finished, and other jobs are requeued.
    """
    first, rest = (
        Job(1, PlanBatch(2, 7, 7, 500), after_position=position)
        for position in (None, PlanPosition(2, 7, 0, 9))
    )
    async with job_queue.open_job_queue(database) as jobs:
        await jobs.create_tables()
        await jobs.enqueue([first, Job(1, PlanBatch(2, 8, 8, 1))])
        manager = jobs._app.job_manager
        dead_worker = await manager.register_worker()
        fetched_jobs = [
            await manager.fetch_job(queues=[job_queue.QUEUE_NAME], worker_id=dead_worker)
            for _ in range(2)
        ]
        assert all(fetched_jobs)
        await jobs.enqueue_remainder(rest)
        assert await jobs.requeue_stalled(0) == 2
        waiting = [
            await manager.fetch_job(queues=[job_queue.QUEUE_NAME], worker_id=dead_worker)
            for _ in range(3)
        ]
    remaining_jobs = sorted(
        (Job.from_json(job.task_kwargs) for job in waiting if job),
        key=lambda job: job.batch.first_bucket,
    )
    assert remaining_jobs == [rest, Job(1, PlanBatch(2, 8, 8, 1))]


async def test_queue_and_workers_are_shown(database, tmp_path, capsys, monkeypatch):
    """The page of runs, the metrics and the command line show waiting jobs and missing workers."""
    cluster_app = cluster.open_cluster_app(tmp_path, database)
    assert await cluster.load_queue_status(cluster_app) is None
    async with job_queue.open_job_queue(database) as jobs:
        await jobs.create_tables()
        await jobs.enqueue(Job(1, PlanBatch(2, number, number, 1)) for number in range(3))
    worker_cluster = get_worker_cluster(cluster_app.config)
    collector = metrics.MetricsCollector(cluster_app, START, None, worker_cluster)
    metrics_text = (await asyncio.to_thread(metrics.render_metrics, collector)).decode()
    assert 'auditor_cluster_jobs{state="todo"} 3.0' in metrics_text
    assert "auditor_cluster_active_workers 0.0" in metrics_text
    with logged_in_client(cluster_app, START, cluster=worker_cluster) as client:
        page = client.get("/en/runs").text
    assert "Jobs are queued and no worker is running." in page
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        f'[storage]\nurl = "{database}"\n[cluster]\nenabled = true\n'
    )
    assert await asyncio.to_thread(main.main, ["status", "--json"]) == 0
    # the command runs an event loop of its own
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["cluster"]["jobs"] | {"failed": 0, "todo": 3} == item["cluster"]["jobs"]
    doctor_arguments = ["--lang", "en", "doctor", "--offline"]
    assert await asyncio.to_thread(main.main, doctor_arguments) in (0, 3)
    assert "no worker is running" in capsys.readouterr().out
    await cluster.close_apps(cluster_app)
