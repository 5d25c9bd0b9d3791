"""Tests of workers as real processes with a real PostgreSQL and a web that records requests."""

import contextlib
import signal
import time
from collections import Counter

import pytest

from auditor.app import App
from auditor.cluster import get_worker_cluster
from auditor.config.schema import load_config
from storage.models.audit import AuditRunState
from tests.support import cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
CRAWL_DELAY = 0.1


@contextlib.contextmanager
def run_sites(**options):
    with cluster.Sites(**options) as web:
        yield web


@pytest.fixture
def start_auditor(tmp_path):
    """Return a function that starts the auditor. It ends with the test at the latest."""
    with cluster.open_commands(tmp_path) as start:
        yield start


@contextlib.contextmanager
def run_workers(start_auditor, count):
    """Start workers. At the end, stop those that still run."""
    workers = [start_auditor("worker") for _ in range(count)]
    try:
        yield workers
    finally:
        running_workers = [worker for worker in workers if worker.poll() is None]
        for worker in running_workers:
            worker.send_signal(signal.SIGTERM)
        for worker in running_workers:
            _, err = worker.communicate(timeout=60)
            assert (worker.returncode, "Traceback" in err) == (0, False), err


def wait_until(condition, seconds=90):
    """Wait until `condition` returns a true value, and return it. Fails after some time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.05)
    return value


def open_app(folder):
    return App.open(load_config(folder / "config.toml", {}))


def list_checked_accounts(app):
    audit_run = app.store.runs.get_latest()
    if audit_run is None:
        return []
    observations = app.store.observations.list_observations(run_id=audit_run.id)
    return [observation.account_id for observation in observations]


NAMES = [
    *(f"site{number:03}.ma/" for number in range(60)),
    *(f"moved{number:02}.ma/" for number in range(20)),
    *(f"large.ma/{number}" for number in range(20)),
]


@pytest.mark.fault("F49", "F50")
def test_killed_worker_loses_no_account_and_hosts_get_one_request_at_a_time(
    database, tmp_path, start_auditor
):
    """Twenty sites redirect to one host. Workers request it one at a time, with the crawl delay."""
    with run_sites() as web:
        cluster.registered(tmp_path, database, web, NAMES, rest=CRAWL_DELAY)
        with run_workers(start_auditor, 3) as workers, open_app(tmp_path) as app:
            leader = start_auditor("run", "--json")
            wait_until(lambda: len(web.asked) > 40)
            cluster.killed(workers[0])
            _, err = leader.communicate(timeout=120)
            assert leader.returncode == 0, err
            audit_run = app.store.runs.get_latest()
            assert audit_run.state is AuditRunState.DONE
            assert sorted(list_checked_accounts(app)) == sorted(
                row.id for row in app.store.registry.list_accounts()
            )
            assert audit_run.report.present == len(NAMES)
            queue = get_worker_cluster(app.config).load_queue_status()
            assert (queue.waiting_jobs, queue.running_jobs, queue.failed_jobs) == (0, 0, 0)
    assert len(web.hosts()["shared.ma"]) >= 20
    for host in web.hosts():
        assert min(web.rests(host), default=CRAWL_DELAY) >= CRAWL_DELAY * 0.9, host


@pytest.mark.fault("F51")
def test_run_survives_restart_of_database(postgresql, database, tmp_path, start_auditor):
    """All processes connect again, jobs in progress are requeued, and the run finishes."""
    with run_sites() as web:
        cluster.registered(tmp_path, database, web, NAMES[:60])
        with run_workers(start_auditor, 2):
            leader = start_auditor("run", "--json")
            wait_until(lambda: len(web.asked) > 40)
            cluster.restarted(postgresql)
            _, err = leader.communicate(timeout=120)
            assert leader.returncode == 0, err
            with open_app(tmp_path) as app:
                assert app.store.runs.get_latest().state is AuditRunState.DONE
                assert sorted(list_checked_accounts(app)) == sorted(
                    row.id for row in app.store.registry.list_accounts()
                )


def test_killed_leader_is_restarted_and_resumes_run(database, tmp_path, start_auditor):
    """The first worker is stopped during the run. The other worker takes its accounts."""
    with run_sites() as web:
        cluster.registered(tmp_path, database, web, NAMES[:50])
        with run_workers(start_auditor, 2) as workers, open_app(tmp_path) as app:
            leader = start_auditor("run")
            wait_until(lambda: sum(host.startswith("site") for host, *_ in web.asked) > 20)
            workers[0].send_signal(signal.SIGTERM)
            workers[0].communicate(timeout=60)
            assert workers[0].returncode == 0
            cluster.killed(leader)
            assert app.store.runs.get_latest().state is AuditRunState.RUNNING
            second_leader = start_auditor("run", "--json")
            _, err = second_leader.communicate(timeout=120)
            assert second_leader.returncode == 0, err
            assert sorted(list_checked_accounts(app)) == sorted(
                row.id for row in app.store.registry.list_accounts()
            )
            home_page_counts = Counter(
                host for host, path, *_ in web.asked if path == "/" and host.startswith("site")
            )
            assert max(home_page_counts.values()) <= 2
