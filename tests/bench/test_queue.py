"""The time to add a job to the cluster queue and to fetch it, by the number of waiting jobs.

The last rows show what the auditor avoids: many jobs that wait for one lock.
"""

import time

import psycopg
import pytest

from auditor.cluster import job_queue
from auditor.cluster.job_queue import Job
from auditor.runs.plan import MAX_BATCH_ACCOUNTS
from storage.runs.plan import PlanBatch
from tests.support import cluster

pytestmark = pytest.mark.bench
FETCH_COUNT = 100
FETCH_JOB_SQL = "SELECT id FROM procrastinate_fetch_job_v2(NULL, %s)"


def build_batch_jobs(count):
    return [
        Job(1, PlanBatch(2, 2 * number, 2 * number + 1, MAX_BATCH_ACCOUNTS))
        for number in range(count)
    ]


def build_chain_job(links):
    """Return the single job of a large host, waiting or running."""
    return [Job(1, PlanBatch(1, 7, 7, links))]


async def measure_enqueue(url, queued_jobs):
    """Return the milliseconds per job to add it to the queue."""
    async with job_queue.open_job_queue(url) as queue:
        await queue.create_tables()
        started_at = time.monotonic()
        await queue.enqueue(queued_jobs)
        return (time.monotonic() - started_at) / len(queued_jobs) * 1000


def measure_fetch(url, is_first_running=False):
    """Return the milliseconds per job to fetch and finish it.

    With `is_first_running` another worker runs the first job meanwhile.
    """
    dsn = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ANALYZE procrastinate_jobs")
        worker = connection.execute(
            "INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id"
        ).fetchone()[0]
        if is_first_running:
            connection.execute(FETCH_JOB_SQL, (worker,))
        started_at = time.monotonic()
        for _ in range(FETCH_COUNT):
            job = connection.execute(FETCH_JOB_SQL, (worker,)).fetchone()[0]
            connection.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', true)", (job,))
        return (time.monotonic() - started_at) / FETCH_COUNT * 1000


class JobWithLock(Job):
    """A job that waits until the previous one of its host has finished."""

    place = "one host"

    @property
    def name(self):
        return str(self.batch.first_bucket)


def build_locked_jobs(count):
    """Return jobs of one host that wait for each other, which a chain avoids."""
    return [
        JobWithLock(1, PlanBatch(1, number, number, MAX_BATCH_ACCOUNTS)) for number in range(count)
    ]


async def test_time_of_queue_operations():
    measurements = []
    with cluster.served() as server:
        for label, queued_jobs, is_first_running in (
            ("200 batches", build_batch_jobs(200), False),
            ("2,000 batches", build_batch_jobs(2_000), False),
            ("10,000 batches", build_batch_jobs(10_000), False),
            (
                "a chain of 20,000 links before 2,000",
                [*build_chain_job(20_000), *build_batch_jobs(2_000)],
                True,
            ),
            (
                "100 jobs with one lock before 2,000",
                [*build_locked_jobs(100), *build_batch_jobs(2_000)],
                True,
            ),
            (
                "2,000 jobs with one lock before 2,000",
                [*build_locked_jobs(2_000), *build_batch_jobs(2_000)],
                True,
            ),
        ):
            url = cluster.database(server)
            measurements.append(
                (
                    label,
                    await measure_enqueue(url, queued_jobs),
                    measure_fetch(url, is_first_running),
                )
            )
    print()
    for label, enqueue_ms, fetch_ms in measurements:
        print(f"{label:>38}: {enqueue_ms:6.2f} ms to add, {fetch_ms:6.2f} ms to fetch and finish")
