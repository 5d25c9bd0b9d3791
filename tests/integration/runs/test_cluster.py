"""A run on many machines has the same results as on one, whatever fails."""

import asyncio
import itertools
import json
import re
import shutil
import time

import pytest

from auditor.checking import checker
from auditor.cli import main
from auditor.cluster import get_worker_cluster, job_queue
from auditor.cluster.health import load_queue_health
from auditor.cluster.job_queue import Job
from auditor.cluster.worker import ClusterWorker
from auditor.config.schema import ClusterSettings, ScheduleSettings
from auditor.core.errors import ConfigError
from auditor.diagnostics import metrics
from auditor.evaluation import reevaluate
from auditor.evaluation.network_view import build_network_overview
from auditor.reports.html import render_site_pages
from auditor.runs import run as runs_run
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from storage.errors import StoreError
from storage.models.audit import AuditRunState
from storage.models.users import Role
from storage.runs.plan import PlanBatch, PlanPosition
from tests.support import cluster
from tests.support.mini_network import START, configured, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client
from tests.unit.auditor.checking import test_circuit_breaker

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    for module in (checker, reevaluate):
        monkeypatch.setattr(module, "probe_steps_for", steps)


def network(app):
    rows = [link(f"a{number:02}", "website", f"a{number:02}") for number in range(30)]
    rows += [link(f"a{number:02}", "facebook", f"a{number:02}") for number in range(30)]
    register(app, *rows)
    app.web.answers = {
        rows[1].typed_text: "gone",
        rows[2].typed_text: FetchError(Reason.TIMEOUT, "silence"),
        rows[3].typed_text: [FetchError(Reason.TIMEOUT, "silence"), "alive"],
        rows[31].typed_text: "gone",
        rows[32].typed_text: "wall",
        rows[4].typed_text: "linked",
    }


def looks(app):
    rows = {row.id: row.typed_text for row in app.store.list_accounts()}
    days = {night.id: night.day for night in app.store.list_runs()}
    return sorted(
        (days[look.run_id], rows[look.account_id], look.observed_at, str(look.finding))
        for look in app.store.list_observations()
    )


def run(app, now, **options):
    """Execute a run on the machines of its configuration."""
    return runs_run.execute_run(app, now, cluster=get_worker_cluster(app.config), **options)


async def nights(app, count=3):
    return [await run(app, night_of(day), timer=lambda: 0.0) for day in range(count)]


@pytest.mark.fault("F48")
async def test_cluster_renders_the_same_bytes_as_one_machine(database, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    one, many = opened(here, configured()), cluster.far(there, database)
    one.web = cluster.Frozen()
    for app in (one, many):
        network(app)
    alone = await nights(one)
    for key in here.glob("receipts.*"):
        shutil.copy(key, there)
    async with cluster.at_work(many, 2, clock=lambda: START, timer=lambda: 0.0):
        together = await nights(many)
    assert [night.state for night in together] == [AuditRunState.DONE] * 3
    assert looks(many) == looks(one)
    assert [night.receipt for night in together] == [night.receipt for night in alone]
    told = [
        dict(
            render_site_pages(
                build_network_overview(app.store, app.config, night_of(3)), app.config
            )
        )
        for app in (one, many)
    ]
    assert told[0] == told[1]
    assert reevaluate.reevaluate(many, dry_run=True).changes == []
    one.store.close()
    many.store.close()


async def test_worker_without_shared_folder_ends_and_its_job_is_requeued(database, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    many, stranger = cluster.far(here, database), cluster.far(there, database)
    network(many)
    lost = asyncio.create_task(ClusterWorker(stranger, asyncio.Event(), lambda: START).run())
    night = asyncio.create_task(run(many, START))
    with pytest.raises(ConfigError, match="not the data folder of the coordinator"):
        await lost
    async with cluster.at_work(many, clock=lambda: START):
        assert (await night).state is AuditRunState.DONE
    assert len(looks(many)) == 60
    many.store.close()
    stranger.store.close()


async def test_deadline_stops_all_workers(database, tmp_path):
    """Some of a platform's thirty accounts are checked. The others come first in the next run."""
    config = configured().model_copy(
        update={"schedule": ScheduleSettings(time_limit_hours=1 / 3600)}
    )
    many = cluster.far(tmp_path, database, config)
    network(many)
    many.slow = 0.2
    async with cluster.at_work(many, clock=lambda: START):
        first = await run(many, START)
    left = first.receipt["not_reached"]
    assert first.state is AuditRunState.DONE
    assert 0 < left == 60 - len(looks(many))
    assert many.store.get_queue_snapshot().job_counts == {}
    assert many.store.get_cluster_run(first.id) is None
    many.store.close()


async def test_circuit_breaker_is_passed_to_the_next_job(database, tmp_path, monkeypatch):
    """Three refusals open the circuit breaker, whichever worker gets them."""
    monkeypatch.setattr("auditor.cluster.worker.MAX_BATCH_ACCOUNTS", 2)
    monkeypatch.setattr(checker, "probe_steps_for", test_circuit_breaker.steps)
    many = cluster.far(tmp_path, database, configured(("linkedin",)))
    rows = test_circuit_breaker.build_accounts(20)
    register(many, *rows)
    many.web.answers = {row.typed_text: Page("", 999, {"server": "x"}, b"x") for row in rows}
    async with cluster.at_work(many, 2, clock=lambda: START):
        done = await run(many, START)
    assert done.receipt["opened_circuits"]["linkedin"]["skipped"] == 17
    assert done.receipt["requests"] == 3
    assert sum(len(web.asked) for web in many.webs) == 3
    many.store.close()


async def test_storage_failure_in_a_job_fails_the_run(database, tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.cluster.job_queue.RETRY_DELAY_SECONDS", 0)
    many = cluster.far(tmp_path, database)
    network(many)

    def full(*_):
        raise StoreError("the archive", "no space left on device")

    monkeypatch.setattr("storage.files.body_store.BodyWriter.stage", full)
    async with cluster.at_work(many, clock=lambda: START):
        with pytest.raises(StoreError, match="no space left on device"):
            await run(many, START)
    assert many.store.get_latest_run().state is AuditRunState.INCOMPLETE
    many.store.close()


async def seconds_of_a_job(database, links):
    """Return how long a job of a small host waits while one large host has `links` links."""
    parcels = [Job(1, PlanBatch(2, number, number + 1, 200)) for number in range(0, 800, 2)]
    done, asked, over = [], itertools.count(200, 200), asyncio.Event()
    async with job_queue.open_job_queue(database) as jobs:
        await jobs.create_tables()
        await jobs.enqueue(
            [*parcels, Job(1, PlanBatch(1, 9999, 9999, links))] if links else parcels
        )

        async def work(job):
            done.append(job)
            if job.is_single_host and next(asked) < links:
                await jobs.enqueue_remainder(job)
            if sum(not one.is_single_host for one in done) == len(parcels):
                over.set()

        began = time.monotonic()
        working = asyncio.create_task(jobs.run_worker(work, ClusterSettings(concurrent_jobs=4), 1))
        await over.wait()
        spent = time.monotonic() - began
        working.cancel()
        await asyncio.wait([working])
    return spent / len(done)


@pytest.mark.fault("F52")
async def test_20000_links_on_one_host_do_not_slow_the_queue(postgresql):
    """Only one job of the host waits at a time, so the next job is found as quickly as without it."""
    alone, beside = [
        await seconds_of_a_job(cluster.database(postgresql), links) for links in (0, 20_000)
    ]
    assert beside < 4 * alone


@pytest.mark.fault("F49")
async def test_worker_that_dies_after_enqueuing_the_rest_blocks_no_job(database):
    """The rest has all remaining accounts. The stalled job is finished, and other jobs are requeued."""
    first, rest = (
        Job(1, PlanBatch(2, 7, 7, 500), after_position=after)
        for after in (None, PlanPosition(2, 7, 0, 9))
    )
    async with job_queue.open_job_queue(database) as jobs:
        await jobs.create_tables()
        await jobs.enqueue([first, Job(1, PlanBatch(2, 8, 8, 1))])
        manager = jobs._app.job_manager
        dead = await manager.register_worker()
        taken = [
            await manager.fetch_job(queues=[job_queue.QUEUE_NAME], worker_id=dead) for _ in range(2)
        ]
        assert all(taken)
        await jobs.enqueue_remainder(rest)
        assert await jobs.requeue_stalled(0) == 2
        waiting = [
            await manager.fetch_job(queues=[job_queue.QUEUE_NAME], worker_id=dead) for _ in range(3)
        ]
    left = sorted(
        (Job.from_dict(one.task_kwargs) for one in waiting if one),
        key=lambda job: job.batch.first_bucket,
    )
    assert left == [rest, Job(1, PlanBatch(2, 8, 8, 1))]


def told(client, language):
    answer = client.get(f"/{language}/runs")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


async def test_queue_and_workers_are_shown(database, tmp_path, capsys, monkeypatch):
    """The page of runs, the metrics and the command line show waiting jobs and missing workers."""
    many = cluster.far(tmp_path, database)
    assert load_queue_health(many.store, many.config) is None
    async with job_queue.open_job_queue(database) as jobs:
        await jobs.create_tables()
        await jobs.enqueue(Job(1, PlanBatch(2, number, number, 1)) for number in range(3))
    seen = load_queue_health(many.store, many.config)
    assert (
        seen.waiting_jobs,
        seen.running_jobs,
        seen.stalled_jobs,
        seen.active_workers,
        seen.has_no_workers,
    ) == (3, 0, 0, 0, True)
    written = metrics.render_metrics(metrics.MetricsCollector(many, START)).decode()
    assert 'auditor_cluster_jobs{state="todo"} 3.0' in written
    assert "auditor_cluster_active_workers 0.0" in written
    with logged_in_client(many, START, name="Reader", role=Role.READER) as client:
        shown = told(client, "en")
    assert "Jobs are queued and no worker is running." in shown
    assert "Queued jobs 3" in shown
    done = asyncio.Event()

    async def work(_):
        await done.wait()

    async with job_queue.open_job_queue(database) as jobs:
        working = asyncio.create_task(jobs.run_worker(work, ClusterSettings(concurrent_jobs=2), 0))
        while load_queue_health(many.store, many.config).running_jobs < 2:  # noqa: ASYNC110 - what another process would see
            await asyncio.sleep(0.05)
        with logged_in_client(many, START, name="Other", role=Role.READER) as client:
            shown = [told(client, language) for language in ("en", "fr", "ar")]
        done.set()
        working.cancel()
        await asyncio.wait([working])
    assert "Active workers 1" in shown[0]
    assert "jobs: 2" in shown[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        f'[storage]\nurl = "{database}"\n[cluster]\nenabled = true\n'
    )
    assert main.main(["status", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["cluster"]["jobs"]["failed"] == 0
    assert main.main(["--lang", "en", "doctor", "--offline"]) in (0, 3)
    assert "no worker is running" in capsys.readouterr().out
    many.store.close()
