"""The speedup of two workers over one, on sites that take 0.3 s to answer.

As in a real run, the web is the bottleneck: each worker requests ten hosts at once. The test shows
that workers do not block each other through the queue, host locks or the database. It does not
depend on the number of cores.
"""

import contextlib
import signal
import statistics

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from tests.support import cluster

pytestmark = pytest.mark.bench
SITES, CONCURRENCY, RESPONSE_SECONDS, ROUNDS = 120, 10, 0.3, 3


def measure_run_seconds(server, folder, count):
    """Return the seconds from the first request to the end of the last one, and their number."""
    url = cluster.database(server)
    names = [f"site{number:03}.ma/" for number in range(SITES)]
    with cluster.Sites(seconds=RESPONSE_SECONDS) as web, contextlib.ExitStack() as stack:
        folder.mkdir()
        cluster.registered(folder, url, web, names, jobs=4, at_once=CONCURRENCY)
        start_auditor = stack.enter_context(cluster.open_commands(folder))
        leader = start_auditor("run", "--json")  # creates the queue
        workers = [start_auditor("worker") for _ in range(count)]
        for worker in workers:
            stack.callback(worker.communicate, timeout=60)
            stack.callback(worker.send_signal, signal.SIGTERM)
        _, err = leader.communicate(timeout=600)
        assert leader.returncode == 0, err
        with App.open(load_config(folder / "config.toml", {})) as app:
            assert app.store.runs.get_latest().report.present == SITES
        site_requests = [request for request in web.asked if request[0].startswith("site")]
    first_start = min(started_at for _, _, started_at, _ in site_requests)
    last_end = max(ended_at for _, _, _, ended_at in site_requests)
    return last_end - first_start, len(site_requests)


def test_speedup_of_two_workers(tmp_path):
    with cluster.served() as server:
        results = [
            (count, *measure_run_seconds(server, tmp_path / f"{round_number}-{count}", count))
            for round_number in range(ROUNDS)
            for count in (1, 2)
        ]
    one_worker, two_workers = (
        statistics.median(seconds for workers, seconds, _ in results if workers == count)
        for count in (1, 2)
    )
    requests_per_second = statistics.median(
        request_count / seconds for count, seconds, request_count in results if count == 1
    )
    print(
        f"\n{SITES} sites, {RESPONSE_SECONDS} s per request, {CONCURRENCY} at once:"
        f" {requests_per_second:.0f} requests/s by one worker"
    )
    print(
        f"one worker {one_worker:.1f} s, two {two_workers:.1f} s:"
        f" {one_worker / two_workers:.2f} times as fast (medians of {ROUNDS})"
    )
