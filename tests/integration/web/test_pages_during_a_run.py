"""Pages are opened while a night is written: each is answered, and the night waits for none of them."""

import asyncio
import threading

import pytest

from auditor.checking import checker
from auditor.evaluation.run_results import refresh_summaries
from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState
from tests.support import sample_network
from tests.support.all_routes import build_urls, list_routes
from tests.support.mini_network import configured, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

PATIENCE = 5
"""Seconds after which a page is late; a writer that is in the way would be waited for ten."""


def pages(**filled):
    """One way to ask for each page."""
    return [next(build_urls(route, **filled)) for route in list_routes("GET")]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    played = sample_network.played(tmp_path_factory.mktemp("network"))
    refresh_summaries(played.store, played.config)
    yield played
    played.store.close()


@pytest.mark.slow
@pytest.mark.fault("F61")
def test_pages_do_not_wait_for_a_writer(app):
    """A transaction that writes is open all the while."""
    with logged_in_client(app, sample_network.NOW) as client:
        client.timeout = PATIENCE
        with app.store._database.begin_write() as connection:
            connection.exec_driver_sql("UPDATE audit_run SET state = state")
            told = {path: client.get(path).status_code for path in pages(association=("nour",))}
    assert max(told.values()) < 500, told


@pytest.mark.fault("F61")
def test_every_page_works_with_an_empty_database(tmp_path):
    empty = opened(tmp_path)
    with logged_in_client(empty, sample_network.NOW) as client:
        told = {path: client.get(path).status_code for path in pages()}
    empty.store.close()
    assert max(told.values()) < 500, told


@pytest.mark.fault("F61")
def test_run_finishes_while_pages_are_read(tmp_path, monkeypatch):
    """A reader keeps its view of the database open from before the first look until after the last."""
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    small = opened(tmp_path, configured(("website",)))
    register(small, *(link(f"a{number}", "website", f"a{number}") for number in range(60)))
    over, told = threading.Event(), []

    def read():
        with logged_in_client(small, sample_network.NOW) as client:
            client.timeout = PATIENCE
            while not over.is_set():
                told.append(client.get("/en/").status_code)

    reading = threading.Thread(target=read)
    with small.store._database.begin_read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM observation").scalar()
        reading.start()
        done = asyncio.run(execute_run(small, night_of(0)))
        assert (
            connection.exec_driver_sql("SELECT count(*) FROM observation").scalar() == before == 0
        )
    over.set()
    reading.join()
    looks = [look.account_id for look in small.store.list_observations(run_id=done.id)]
    small.store.close()
    assert done.state is AuditRunState.DONE
    assert len(looks) == len(set(looks)) == 60
    assert set(told) == {200}
