"""Turns with hosts on a real PostgreSQL: what becomes of them where a worker or its connection dies."""

import asyncio

import psycopg
import pytest

from storage.database.engine import address_of
from storage.runs import cluster as runs_cluster
from storage.runs.cluster import LEFT_ASKED, DatabaseTurns
from storage.store import Store
from tests.support import cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
HOST = "large.example"


@pytest.fixture(autouse=True)
def _tables(database):
    Store.open(database).close()


async def cut(database):
    """End every other connection to the database, as its machine would that goes away."""
    plain = database.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as ours:
        await ours.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_turn_that_is_given_back_leaves_the_rest_to_the_next_one(database):
    async with DatabaseTurns(address_of(database)) as one, DatabaseTurns(address_of(database)) as other:
        assert await one.take(HOST) == 0
        await one.give(HOST, 60)
        assert 50 < await other.take(HOST) <= 60


async def test_after_a_restart_of_the_database_a_host_that_may_still_be_asked_is_left_alone(
    postgresql, database
):
    async with DatabaseTurns(address_of(database)) as one, DatabaseTurns(address_of(database)) as other:
        await one.take(HOST)
        waiting = asyncio.create_task(other.take(HOST))
        await asyncio.sleep(0)
        await asyncio.to_thread(cluster.restarted, postgresql)
        held = await waiting
        assert LEFT_ASKED - 4 < held <= LEFT_ASKED


async def test_a_turn_that_is_lost_while_it_begins_is_waited_for_again(database, monkeypatch):
    """The connection breaks between the lock and the mark, and another worker is quicker."""
    async with DatabaseTurns(address_of(database)) as late, DatabaseTurns(address_of(database)) as quick:
        asked, cuts = late._asked, []

        async def cut_before_the_mark(query, *values):
            if query == runs_cluster.BEGIN and not cuts:
                cuts.append(await cut(database))
                await quick.take(HOST)
            return await asked(query, *values)

        monkeypatch.setattr(late, "_asked", cut_before_the_mark)
        waiting = asyncio.create_task(late.take(HOST))
        done, _ = await asyncio.wait([waiting], timeout=3)
        assert not done
        await quick.give(HOST, 0)
        assert await waiting <= LEFT_ASKED


async def test_whose_turn_was_lost_does_not_end_that_of_the_one_who_has_it_now(database):
    async with DatabaseTurns(address_of(database)) as lost:
        await lost.take(HOST)
        await cut(database)
        async with DatabaseTurns(address_of(database)) as mine:
            await mine.take(HOST)
            await lost.give(HOST, 0)
        async with DatabaseTurns(address_of(database)) as third:  # `mine` died asking: its mark still says so
            assert 0 < await third.take(HOST) <= LEFT_ASKED
