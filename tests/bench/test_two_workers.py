"""How much sooner two workers are done than one, on sites that take 0.3 s to answer.

What waits here is the web, as at night: each worker asks ten hosts at once. It shows that workers do not hold
each other up, by the queue, the turns with hosts or the database; not how many cores a machine has.
"""

import contextlib
import signal
import statistics

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from tests.support import cluster

pytestmark = pytest.mark.bench
SITES, AT_ONCE, SECONDS, ROUNDS = 120, 10, 0.3, 3


def seconds_of_a_night(server, folder, count):
    """From the first account's request to the last one's end, by the web that was asked."""
    url = cluster.database(server)
    names = [f"site{number:03}.ma/" for number in range(SITES)]
    with cluster.Sites(seconds=SECONDS) as web, contextlib.ExitStack() as stack:
        folder.mkdir()
        cluster.registered(folder, url, web, names, jobs=4, at_once=AT_ONCE)
        leader = cluster.begun(folder, "run", "--json")  # it makes the queue
        workers = [cluster.begun(folder, "worker") for _ in range(count)]
        for one in workers:
            stack.callback(one.communicate, timeout=60)
            stack.callback(one.send_signal, signal.SIGTERM)
        _, err = leader.communicate(timeout=600)
        assert leader.returncode == 0, err
        with App.open(load_config(folder / "config.toml", {})) as app:
            assert app.store.get_latest_run().receipt["present"] == SITES
        asked = [one for one in web.asked if one[0].startswith("site")]
    return max(one[3] for one in asked) - min(one[2] for one in asked), len(asked)


def test_two_workers_are_done_nearly_twice_as_soon_as_one(tmp_path):
    with cluster.served() as server:
        told = [
            (count, *seconds_of_a_night(server, tmp_path / f"{turn}-{count}", count))
            for turn in range(ROUNDS)
            for count in (1, 2)
        ]
    one, two = (statistics.median(one[1] for one in told if one[0] == count) for count in (1, 2))
    rate = statistics.median(asked / seconds for count, seconds, asked in told if count == 1)
    print(
        f"\n{SITES} sites, {SECONDS} s a request, {AT_ONCE} at once: {rate:.0f} requests/s by one worker"
    )
    print(
        f"one worker {one:.1f} s, two {two:.1f} s: {one / two:.2f} times as fast (medians of {ROUNDS})"
    )
