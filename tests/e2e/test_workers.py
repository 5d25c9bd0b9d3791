"""Tests of workers as real processes with a real PostgreSQL and a web that records requests."""

import contextlib
import signal
from collections import Counter
from functools import partial

import pytest

from auditor.app import App
from auditor.cluster import get_worker_cluster
from auditor.config.schema import load_config
from storage.models.audit import AuditRunState
from tests.support import cluster
from tests.support.process_groups import kill_group, open_auditors, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
CRAWL_DELAY = 0.1


@pytest.fixture
def start_auditor(tmp_path):
    """Return a function that starts the auditor. It ends with the test at the latest."""
    with open_auditors() as start:
        yield partial(start, tmp_path)


@contextlib.contextmanager
def run_workers(start_auditor, count):
    """Start workers. At the end, stop those that still run."""
    workers = [start_auditor("worker") for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
                _, err = worker.communicate(timeout=60)
                assert (worker.returncode, "Traceback" in err) == (0, False), err


def assert_each_account_is_checked_once(app):
    observations = app.store.observations.list_observations(run_id=app.store.runs.get_latest().id)
    checked = [observation.account_id for observation in observations]
    assert sorted(checked) == sorted(row.id for row in app.store.registry.list_accounts())


NAMES = [
    *(f"site{number:03}.ma/" for number in range(40)),
    *(f"moved{number:02}.ma/" for number in range(20)),
    *(f"large.ma/{number}" for number in range(10)),
]


@pytest.mark.fault("F49", "F50")
def test_killed_worker_loses_no_account_and_hosts_get_one_request_at_a_time(
    database, tmp_path, start_auditor
):
    """Twenty sites redirect to one host. Workers request it one at a time, with the crawl delay."""
    with cluster.SlowSites() as web:
        cluster.create_cluster_network(tmp_path, database, web, NAMES, host_delay=CRAWL_DELAY)
        with (
            run_workers(start_auditor, 3) as workers,
            App.open(load_config(tmp_path / "config.toml", {})) as app,
        ):
            leader = start_auditor("run", "--json")
            wait_until(lambda: len(web.requests) > 40)
            kill_group(workers[0])
            _, err = leader.communicate(timeout=120)
            assert leader.returncode == 0, err
            audit_run = app.store.runs.get_latest()
            assert audit_run.state is AuditRunState.DONE
            assert_each_account_is_checked_once(app)
            assert audit_run.report.present == len(NAMES)
            queue = get_worker_cluster(app.config).load_queue_status()
            assert (queue.waiting_jobs, queue.running_jobs, queue.failed_jobs) == (0, 0, 0)
    assert len(web.list_requests_by_host()["shared.ma"]) >= 20
    for host in web.list_requests_by_host():
        assert min(web.list_pauses(host), default=CRAWL_DELAY) >= CRAWL_DELAY * 0.9, host


def test_killed_leader_is_restarted_and_resumes_run(database, tmp_path, start_auditor):
    """The first worker is stopped during the run. The other worker takes its accounts."""
    with cluster.SlowSites() as web:
        cluster.create_cluster_network(tmp_path, database, web, NAMES[:40])
        with (
            run_workers(start_auditor, 2) as workers,
            App.open(load_config(tmp_path / "config.toml", {})) as app,
        ):
            leader = start_auditor("run")
            wait_until(lambda: sum(host.startswith("site") for host, *_ in web.requests) > 20)
            workers[0].send_signal(signal.SIGTERM)
            workers[0].communicate(timeout=60)
            assert workers[0].returncode == 0
            kill_group(leader)
            assert app.store.runs.get_latest().state is AuditRunState.RUNNING
            second_leader = start_auditor("run", "--json")
            _, err = second_leader.communicate(timeout=120)
            assert second_leader.returncode == 0, err
            assert_each_account_is_checked_once(app)
            home_page_counts = Counter(
                host for host, path, *_ in web.requests if path == "/" and host.startswith("site")
            )
            assert max(home_page_counts.values()) <= 2
