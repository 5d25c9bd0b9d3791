"""The queue of a cluster has a limited number of jobs, and a job is repeated a few times."""

import asyncio

import procrastinate
import pytest
from procrastinate import jobs
from procrastinate.testing import InMemoryConnector

from auditor.cluster.job_queue import MAX_ATTEMPTS, Job, JobQueue, JobRetryStrategy
from auditor.config.schema import ClusterSettings
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
