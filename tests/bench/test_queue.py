"""What the queue costs: to fill it, and to find a job in it, by how many wait and behind what.

The last rows are what the auditor avoids: a line of jobs behind one lock.
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
FOUND = 100
FIND = "SELECT id FROM procrastinate_fetch_job_v2(NULL, %s)"


def parcels(count):
    return [
        Job(1, PlanBatch(2, 2 * number, 2 * number + 1, MAX_BATCH_ACCOUNTS))
        for number in range(count)
    ]


def chain(links):
    """The one job of a large host that waits or is under way."""
    return [Job(1, PlanBatch(1, 7, 7, links))]


async def filled(url, several):
    """Milliseconds a job, to put it into the queue."""
    async with job_queue.open_job_queue(url) as jobs:
        await jobs.create_tables()
        began = time.monotonic()
        await jobs.enqueue(several)
        return (time.monotonic() - began) / len(several) * 1000


def found(url, held=False):
    """Milliseconds a job, to find it and to be done with it; with the first one under way if it is `held`."""
    address = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address, autocommit=True) as there:
        there.execute("ANALYZE procrastinate_jobs")
        worker = there.execute(
            "INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id"
        ).fetchone()[0]
        if held:
            there.execute(FIND, (worker,))
        began = time.monotonic()
        for _ in range(FOUND):
            job = there.execute(FIND, (worker,)).fetchone()[0]
            there.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', true)", (job,))
        return (time.monotonic() - began) / FOUND * 1000


class Same(Job):
    """A job that another of its kind has to be over for."""

    place = "one host"

    @property
    def name(self):
        return str(self.batch.first_bucket)


def line(count):
    """Jobs of one host that wait behind each other, which is what a chain avoids."""

    return [Same(1, PlanBatch(1, number, number, MAX_BATCH_ACCOUNTS)) for number in range(count)]


async def test_what_a_job_costs():
    told = []
    with cluster.served() as server:
        for what, several, held in (
            ("200 parcels", parcels(200), False),
            ("2,000 parcels", parcels(2_000), False),
            ("10,000 parcels", parcels(10_000), False),
            ("a chain of 20,000 links before 2,000", [*chain(20_000), *parcels(2_000)], True),
            ("a line of 100 jobs before 2,000", [*line(100), *parcels(2_000)], True),
            ("a line of 2,000 jobs before 2,000", [*line(2_000), *parcels(2_000)], True),
        ):
            url = cluster.database(server)
            told.append((what, await filled(url, several), found(url, held)))
    print()
    for what, put, find in told:
        print(f"{what:>38}: {put:6.2f} ms to put, {find:6.2f} ms to find and end")
