"""Workers as real processes, on a real PostgreSQL, before a web that sees who asks when."""

import contextlib
import signal
import time
from collections import Counter

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from storage.models.audit import AuditRunState
from tests.support import cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
REST = 0.1


@contextlib.contextmanager
def sites(**how):
    with cluster.Sites(**how) as played:
        yield played


@contextlib.contextmanager
def at_work(folder, count):
    """So many workers; who is still there at the end is told to end."""
    workers = [cluster.begun(folder, "worker") for _ in range(count)]
    try:
        yield workers
    finally:
        left = [one for one in workers if one.poll() is None]
        for one in left:
            one.send_signal(signal.SIGTERM)
        for one in left:
            _, err = one.communicate(timeout=60)
            assert (one.returncode, "Traceback" in err) == (0, False), err


def until(true, seconds=90):
    end = time.monotonic() + seconds
    while not (told := true()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return told


def opened(folder):
    return App.open(load_config(folder / "config.toml", {}))


def seen(app):
    night = app.store.get_latest_run()
    return (
        [look.account_id for look in app.store.list_observations(run_id=night.id)] if night else []
    )


NAMES = [
    *(f"site{number:03}.ma/" for number in range(60)),
    *(f"moved{number:02}.ma/" for number in range(20)),
    *(f"large.ma/{number}" for number in range(20)),
]


@pytest.mark.fault("F49", "F50")
def test_a_worker_that_is_killed_costs_nobody_a_look_and_no_host_is_asked_twice_at_once(
    database, tmp_path
):
    """Twenty sites lead to one host, from whatever worker has them; one at a time asks it, and it rests."""
    with sites() as web:
        cluster.registered(tmp_path, database, web, NAMES, rest=REST)
        with at_work(tmp_path, 3) as workers, opened(tmp_path) as app:
            leader = cluster.begun(tmp_path, "run", "--json")
            until(lambda: len(web.asked) > 40)
            cluster.killed(workers[0])
            _, err = leader.communicate(timeout=120)
            assert leader.returncode == 0, err
            night = app.store.get_latest_run()
            assert night.state is AuditRunState.DONE
            assert sorted(seen(app)) == sorted(row.id for row in app.store.list_accounts())
            assert night.receipt["present"] == len(NAMES)
            assert app.store.get_queue_snapshot().job_counts == {}
    assert len(web.hosts()["shared.ma"]) >= 20
    for host in web.hosts():
        assert min(web.rests(host), default=REST) >= REST * 0.9, host


@pytest.mark.fault("F51")
def test_a_restart_of_the_database_in_the_middle_of_a_night_is_waited_for(
    postgresql, database, tmp_path
):
    """All connect anew; what was under way is given back, and the night ends as if nothing was."""
    with sites() as web:
        cluster.registered(tmp_path, database, web, NAMES[:60])
        with at_work(tmp_path, 2):
            leader = cluster.begun(tmp_path, "run", "--json")
            until(lambda: len(web.asked) > 40)
            cluster.restarted(postgresql)
            _, err = leader.communicate(timeout=120)
            assert leader.returncode == 0, err
            with opened(tmp_path) as app:
                assert app.store.get_latest_run().state is AuditRunState.DONE
                assert sorted(seen(app)) == sorted(row.id for row in app.store.list_accounts())


def test_a_leader_that_dies_is_run_again_and_goes_on_with_whom_nobody_has_seen(database, tmp_path):
    """The first worker is told to end meanwhile: what it leaves goes to the other."""
    with sites() as web:
        cluster.registered(tmp_path, database, web, NAMES[:50])
        with at_work(tmp_path, 2) as workers, opened(tmp_path) as app:
            leader = cluster.begun(tmp_path, "run")
            until(lambda: sum(host.startswith("site") for host, *_ in web.asked) > 20)
            workers[0].send_signal(signal.SIGTERM)
            workers[0].communicate(timeout=60)
            assert workers[0].returncode == 0
            cluster.killed(leader)
            assert app.store.get_latest_run().state is AuditRunState.RUNNING
            again = cluster.begun(tmp_path, "run", "--json")
            _, err = again.communicate(timeout=120)
            assert again.returncode == 0, err
            assert sorted(seen(app)) == sorted(row.id for row in app.store.list_accounts())
            fronts = Counter(
                host for host, path, *_ in web.asked if path == "/" and host.startswith("site")
            )
            assert max(fronts.values()) <= 2
