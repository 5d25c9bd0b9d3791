"""Pages and an audit run do not block each other."""

import asyncio
import threading

import pytest

from auditor.checking import checker
from auditor.conclusions.run_results import refresh_summaries
from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState
from tests.support import sample_network
from tests.support.all_routes import build_urls, list_routes
from tests.support.mini_network import configured, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

TIMEOUT_SECONDS = 5
"""A page that waits for a writer needs ten seconds."""


def list_urls(**filled):
    """Return one address of each page."""
    return [next(build_urls(route, **filled)) for route in list_routes("GET")]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    network = sample_network.played(tmp_path_factory.mktemp("network"))
    refresh_summaries(network.store, network.config)
    yield network
    network.store.close()


@pytest.mark.slow
@pytest.mark.fault("F61")
def test_pages_do_not_wait_for_a_writer(app):
    """A write transaction is open during all requests."""
    with logged_in_client(app, sample_network.NOW) as client:
        client.timeout = TIMEOUT_SECONDS
        with app.store.begin_write() as connection:
            connection.exec_driver_sql("UPDATE audit_run SET state = state")
            statuses = {
                path: client.get(path).status_code for path in list_urls(association=("nour",))
            }
    assert max(statuses.values()) < 500, statuses


@pytest.mark.fault("F61")
def test_every_page_works_with_an_empty_database(tmp_path):
    network = opened(tmp_path)
    with logged_in_client(network, sample_network.NOW) as client:
        statuses = {path: client.get(path).status_code for path in list_urls()}
    network.store.close()
    assert max(statuses.values()) < 500, statuses


@pytest.mark.fault("F61")
def test_run_finishes_while_pages_are_read(tmp_path, monkeypatch):
    """A read transaction stays open from before the first check until after the last."""
    monkeypatch.setattr(checker, "create_probe", steps)
    network = opened(tmp_path, configured(("website",)))
    register(network, *(link(f"a{number}", "website", f"a{number}") for number in range(60)))
    has_finished, statuses = threading.Event(), []

    def read_pages():
        with logged_in_client(network, sample_network.NOW) as client:
            client.timeout = TIMEOUT_SECONDS
            while not has_finished.is_set():
                statuses.append(client.get("/en/").status_code)

    reader_thread = threading.Thread(target=read_pages)
    with network.store.begin_read() as connection:
        count_before = connection.exec_driver_sql("SELECT count(*) FROM observation").scalar()
        reader_thread.start()
        run = asyncio.run(execute_run(network, night_of(0)))
        assert (
            connection.exec_driver_sql("SELECT count(*) FROM observation").scalar()
            == count_before
            == 0
        )
    has_finished.set()
    reader_thread.join()
    account_ids = [
        observation.account_id
        for observation in network.store.observations.list_observations(run_id=run.id)
    ]
    network.store.close()
    assert run.state is AuditRunState.DONE
    assert len(account_ids) == len(set(account_ids)) == 60
    assert set(statuses) == {200}
