"""The queue of a cluster has a limited number of jobs, and a job is repeated a few times."""

import asyncio
import time
from types import SimpleNamespace

import procrastinate
import pytest
from procrastinate import jobs
from procrastinate.testing import InMemoryConnector

from auditor.cluster.coordinator import ClusterCoordinator
from auditor.cluster.job_queue import MAX_ATTEMPTS, Job, JobQueue, JobRetryStrategy
from auditor.config.schema import ClusterSettings
from auditor.runs.state import RunDeadline
from storage.errors import StoreError
from storage.runs.plan import PlanBatch


@pytest.mark.parametrize(("step", "is_retried"), [(-1, True), (0, False), (1, False)])
def test_job_whose_database_fails_is_started_a_few_times(step, is_retried):
    """`attempts` are those before the current one."""
    job = jobs.Job(
        id=1,
        queue="q",
        lock=None,
        queueing_lock=None,
        task_name="t",
        attempts=MAX_ATTEMPTS + step - 1,
    )
    decision = JobRetryStrategy().get_retry_decision(exception=StoreError("x"), job=job)
    assert (decision is not None) is is_retried


class FullQueue:
    """A queue whose jobs are never taken. It ends the run as soon as nothing more is added."""

    def __init__(self, deadline):
        self.jobs, self.deadline = [], deadline

    async def enqueue(self, jobs_to_add):
        self.jobs.extend(jobs_to_add)

    async def read(self):
        return SimpleNamespace(waiting_jobs=len(self.jobs), running_jobs=0)


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_queue_has_a_limited_number_of_jobs(monkeypatch, step):
    batches = list(range(10 + step))
    deadline = RunDeadline(time.monotonic)
    queue = FullQueue(deadline)
    frontier = SimpleNamespace(
        list_batches=lambda **_: batches, planned_count=1, audit_run=SimpleNamespace(id=1)
    )
    cluster = SimpleNamespace(max_queued_jobs=10)
    app = SimpleNamespace(config=SimpleNamespace(cluster=cluster))
    coordinator = ClusterCoordinator(
        app, frontier, deadline, api_budgets={}, on_progress=lambda _: None
    )
    coordinator._job_queue = queue

    async def stop(_seconds):
        deadline.stop_event.set()

    async def nothing(*_):
        pass

    for name, replacement in {
        "_read_queue": queue.read,
        "_build_job": lambda batch, *, second_pass: batch,
        "_retry_store_call": nothing,
        "_drain_queue": nothing,
    }.items():
        monkeypatch.setattr(coordinator, name, replacement)
    monkeypatch.setattr(RunDeadline, "sleep", lambda self, seconds: stop(seconds))
    await coordinator.check_pass()
    assert queue.jobs == batches[:10]


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_worker_has_a_limited_number_of_jobs_at_once(step):
    count = 3 + step
    started, may_end = asyncio.Semaphore(0), asyncio.Event()

    async def handle_job(_job):
        started.release()
        await may_end.wait()

    app = procrastinate.App(connector=InMemoryConnector())
    async with app.open_async():
        queue = JobQueue(app)
        await queue.enqueue([Job(1, PlanBatch(2, n, n, 1)) for n in range(count)])
        settings = ClusterSettings(concurrent_jobs=3)
        worker = asyncio.create_task(queue.run_worker(handle_job, settings, 1))
        for _ in range(min(count, 3)):
            await started.acquire()
        waiting = [job for job in app.connector.jobs.values() if job["status"] == "todo"]
        may_end.set()
        for _ in range(max(0, step)):
            await started.acquire()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert len(waiting) == max(0, step)
