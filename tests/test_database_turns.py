"""Turns with hosts on a real PostgreSQL: what becomes of them where a worker or its connection dies."""

import cluster
import psycopg
import pytest

from storage.engine import address_of
from storage.store import Store
from storage.turns import LEFT_ASKED, DatabaseTurns

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
HOST = "large.example"


@pytest.fixture(scope="module")
def server():
    with cluster.served() as running:
        yield running


@pytest.fixture
def url(server):
    made = cluster.database(server)
    Store.open(made).close()
    return made


async def cut(url):
    """End every other connection to the database, as its machine would that goes away."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as ours:
        await ours.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_turn_that_is_given_back_leaves_the_rest_to_the_next_one(url):
    async with DatabaseTurns(address_of(url)) as one, DatabaseTurns(address_of(url)) as other:
        assert await one.take(HOST) == 0
        await one.give(HOST, 60)
        assert 50 < await other.take(HOST) <= 60


async def test_whose_turn_was_lost_does_not_end_that_of_the_one_who_has_it_now(url):
    async with DatabaseTurns(address_of(url)) as lost:
        await lost.take(HOST)
        await cut(url)
        async with DatabaseTurns(address_of(url)) as mine:
            await mine.take(HOST)
            await lost.give(HOST, 0)
        async with DatabaseTurns(address_of(url)) as third:  # `mine` died asking: its mark still says so
            assert 0 < await third.take(HOST) <= LEFT_ASKED
