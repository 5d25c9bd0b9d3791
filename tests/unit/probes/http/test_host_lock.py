"""Several processes and one host: whoever asks takes the turn, and whoever cannot have it asks nothing."""

import pytest

from auditor.checking.checker import AccountChecker
from probes.http.host_state import HostLockError
from probes.links import identify
from probes.models.finding import Account
from tests.support.hostile_server.fetching import Clock, fetcher, outcome, told
from tests.support.hostile_server.server import Hostile, answer


class Shared:
    """Turns that others have had before, and that are written down."""

    def __init__(self, rest=0.0, broken=False):
        self.told = []
        self.left = rest
        self.broken = broken

    async def take(self, host):
        if self.broken:
            raise HostLockError("the database went away")
        self.told.append(("take", host))
        return self.left

    async def give(self, host, rest):
        self.told.append(("give", host, rest))

    async def rest(self, host, seconds):
        self.told.append(("rest", host, seconds))


@pytest.fixture
def clock():
    return Clock()


async def test_a_request_is_made_within_a_turn_and_rests_from_the_others_too(clock):
    turns = Shared(rest=7.0)
    async with Hostile() as server, fetcher(clock, turns=turns, host_delay=2) as fetch:
        assert told(await outcome(fetch, server.url("ok"))) == "200"
    assert turns.told[0] == ("take", server.hosts[0])
    assert turns.told[1][:2] == ("give", server.hosts[0])
    assert turns.told[1][2] == pytest.approx(2, abs=0.5)
    assert clock.sleeps[0] == 7


async def test_a_request_that_fails_gives_its_turn_back(clock):
    turns = Shared()
    async with Hostile() as server, fetcher(clock, turns=turns) as fetch:
        assert told(await outcome(fetch, server.url("reset"))) == "network/reset"
    assert [step[0] for step in turns.told] == ["take", "give"]


async def test_the_others_hear_of_a_retry_after(clock):
    turns = Shared()
    busy = answer(b"", "429 Too Many Requests", b"Retry-After: 30\r\n")
    async with (
        Hostile(lambda *_: busy) as server,
        fetcher(clock, turns=turns, host_delay=1) as fetch,
    ):
        await outcome(fetch, server.url("ok"))
    rests = [step for step in turns.told if step[0] == "rest"]
    assert rests[0][1] == server.hosts[0]
    assert rests[0][2] == pytest.approx(30, abs=1)


async def test_without_a_turn_nothing_is_asked_and_no_account_is_told_to_have_crashed():
    async with Hostile() as server, fetcher(turns=Shared(broken=True)) as fetch:
        site = identify.identify_link(server.url("ok"))
        with pytest.raises(HostLockError):
            await AccountChecker(fetch, None).check(Account("amal", server.url("ok"), site))
        assert not server.seen
