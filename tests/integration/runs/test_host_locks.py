"""Host locks on a real PostgreSQL when a worker or its connection dies."""

import asyncio

import psycopg
import pytest

from auditor.cluster import host_lock
from auditor.cluster.host_lock import ORPHANED_LOCK_DELAY_SECONDS, DatabaseHostLock
from storage.store import Store
from tests.support import cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
HOST = "large.example"


@pytest.fixture(autouse=True)
def _tables(database):
    Store.open(database).close()


async def close_connections(database):
    """Close every other connection to the database, as a machine that fails would."""
    psycopg_url = database.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(psycopg_url, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_released_lock_passes_the_crawl_delay_on(database):
    async with DatabaseHostLock(database) as first, DatabaseHostLock(database) as second:
        assert await first.acquire(HOST) == 0
        await first.release(HOST, 60)
        assert 50 < await second.acquire(HOST) <= 60


async def test_after_database_restart_a_locked_host_stays_locked(postgresql, database):
    async with DatabaseHostLock(database) as first, DatabaseHostLock(database) as second:
        await first.acquire(HOST)
        waiting = asyncio.create_task(second.acquire(HOST))
        await asyncio.sleep(0)
        await asyncio.to_thread(cluster.restart_postgresql, postgresql)
        delay = await waiting
        assert ORPHANED_LOCK_DELAY_SECONDS - 4 < delay <= ORPHANED_LOCK_DELAY_SECONDS


async def test_lock_that_is_lost_while_it_is_taken_is_requested_again(database, monkeypatch):
    """The connection breaks between the lock and the mark, and another worker is quicker."""
    async with DatabaseHostLock(database) as slow, DatabaseHostLock(database) as quick:
        execute_scalar, cuts = slow._execute_scalar, []

        async def cut_before_the_mark(query, *values):
            if query == host_lock.MARK_BUSY_QUERY and not cuts:
                cuts.append(await close_connections(database))
                await quick.acquire(HOST)
            return await execute_scalar(query, *values)

        monkeypatch.setattr(slow, "_execute_scalar", cut_before_the_mark)
        waiting = asyncio.create_task(slow.acquire(HOST))
        completed, _ = await asyncio.wait([waiting], timeout=3)
        assert not completed
        await quick.release(HOST, 0)
        assert await waiting <= ORPHANED_LOCK_DELAY_SECONDS


async def test_lost_lock_does_not_release_that_of_its_new_holder(database):
    async with DatabaseHostLock(database) as lost:
        await lost.acquire(HOST)
        await close_connections(database)
        async with DatabaseHostLock(database) as new:
            await new.acquire(HOST)
            await lost.release(HOST, 0)
        async with DatabaseHostLock(
            database
        ) as third:  # `new` lost its connection, and its mark remains
            assert 0 < await third.acquire(HOST) <= ORPHANED_LOCK_DELAY_SECONDS
