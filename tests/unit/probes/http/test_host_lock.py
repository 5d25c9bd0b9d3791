"""Host locks: several processes send requests to one host in turn."""

import pytest

from auditor.checking.checker import AccountChecker
from probes.http.host_state import HostLockError
from probes.links import identify
from probes.models.finding import Account
from tests.support.hostile_server.fetching import (
    Clock,
    create_fetcher,
    describe_outcome,
    fetch_outcome,
)
from tests.support.hostile_server.server import Hostile, answer

pytestmark = pytest.mark.slow  # sockets


class FakeHostLock:
    """Records the calls. `remaining_delay` is what another process has left of its delay."""

    def __init__(self, remaining_delay=0.0, is_broken=False):
        self.calls = []
        self.remaining_delay = remaining_delay
        self.is_broken = is_broken

    async def acquire(self, host):
        if self.is_broken:
            raise HostLockError("the database connection is closed")
        self.calls.append(("acquire", host))
        return self.remaining_delay

    async def release(self, host, crawl_delay):
        self.calls.append(("release", host, crawl_delay))

    async def extend_delay(self, host, seconds):
        self.calls.append(("extend_delay", host, seconds))


@pytest.fixture
def clock():
    return Clock()


async def test_request_waits_for_the_lock_and_passes_on_its_delay(clock):
    lock = FakeHostLock(remaining_delay=7.0)
    async with Hostile() as server, create_fetcher(clock, host_lock=lock, host_delay=2) as fetcher:
        assert describe_outcome(await fetch_outcome(fetcher, server.url("ok"))) == "200"
    assert lock.calls[0] == ("acquire", server.hosts[0])
    assert lock.calls[1][:2] == ("release", server.hosts[0])
    assert lock.calls[1][2] == pytest.approx(2, abs=0.5)
    assert clock.sleeps[0] == 7


async def test_failed_request_releases_the_lock(clock):
    lock = FakeHostLock()
    async with Hostile() as server, create_fetcher(clock, host_lock=lock) as fetcher:
        outcome = await fetch_outcome(fetcher, server.url("reset"))
    assert describe_outcome(outcome) == "network/reset"
    assert [call[0] for call in lock.calls] == ["acquire", "release"]


async def test_retry_after_is_shared_with_other_processes(clock):
    lock = FakeHostLock()
    busy = answer(b"", "429 Too Many Requests", b"Retry-After: 30\r\n")
    async with (
        Hostile(lambda *_: busy) as server,
        create_fetcher(clock, host_lock=lock, host_delay=1) as fetcher,
    ):
        await fetch_outcome(fetcher, server.url("ok"))
    delays = [call for call in lock.calls if call[0] == "extend_delay"]
    assert delays[0][1] == server.hosts[0]
    assert delays[0][2] == pytest.approx(30, abs=1)


async def test_broken_lock_sends_no_request_and_ends_the_run():
    async with Hostile() as server, create_fetcher(host_lock=FakeHostLock(is_broken=True)) as fetch:
        site = identify.identify_link(server.url("ok"))
        with pytest.raises(HostLockError):
            await AccountChecker(fetch, None).check(Account("amal", server.url("ok"), site))
        assert not server.seen
