"""No page of the routers reads a whole table; one that is new is held to it without being named here."""

import pytest

from auditor import report_links
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from storage import consistency
from storage.read_model import association_search, counts, gap_search
from tests.support import sample_network
from tests.support.all_routes import build_urls, list_routes
from tests.support.query_plans import plans, whole
from tests.support.web_server import logged_in_client

REGISTER = {
    "/{language}/registry.{file_format}": "the whole registry as a sheet",
    "/{language}/registry/imports/{upload_name}": "a sheet is compared with all that it may change",
}
"""What reads everybody because everybody is asked for."""
ROUTES = [route for route in list_routes("GET") if route.path not in REGISTER]
DOWNLOADS = ("/exports/", "/meeting.xlsx")
"""What reads everybody unless some are chosen."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    played = sample_network.played(tmp_path_factory.mktemp("network"))
    refresh_summaries(played.store, played.config)
    yield played
    played.store.close()


@pytest.fixture(scope="module")
def reader(app):
    """A browser at the coordinator's desk that came by an association's link, too."""
    _, link = report_links.create_report_link(
        app.store, app.config, "nour", "Amina", sample_network.NOW, keep_older_links=True
    )
    with logged_in_client(app, sample_network.NOW) as client:
        client.timeout = 60
        client.get(f"/r/{link.rpartition('/')[2]}")
        yield client


def some(address):
    """The address; of what is downloaded, a part."""
    if not any(part in address for part in DOWNLOADS):
        return address
    return f"{address}{'&' if '?' in address else '?'}tag=rabat&region=souss-massa"


@pytest.fixture(params=["many", pytest.param("few", marks=pytest.mark.slow)])
def size(request, monkeypatch):
    """How a list is found: of a few, all that fit; of a register, as far as a page reaches."""
    if request.param == "many":
        for module in (association_search, gap_search):
            monkeypatch.setattr(module, "MAX_COUNT", 3)
            monkeypatch.setattr(module, "MAX_SCANNED_ROWS", 3)
        monkeypatch.setattr(counts, "MAX_SMALL_SELECTION", 3)


@pytest.mark.fault("F61")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_no_page_scans_a_table(app, reader, size, route):
    read = {}
    for address in map(some, build_urls(route, association=("nour",))):
        with plans(app.store) as told:
            assert reader.get(address).status_code < 500
        read |= dict.fromkeys(whole(told), address)
    assert read == {}


@pytest.fixture
def night(app):
    """A night has made so much stale that no reader can wait for it; nothing of it is of anybody."""
    with app.store._database.begin_write() as connection:
        consistency.mark_stale(
            app.store._database,
            connection,
            [f"gone-{n}" for n in range(MAX_STALE_WHILE_READING + 1)],
        )
    yield
    refresh_summaries(app.store, app.config)


PAGES = [route for route in ROUTES if not any(part in route.path for part in DOWNLOADS)]


def test_pages_do_not_refresh_many_stale_summaries(app, reader, night):
    for route in PAGES:
        path = next(build_urls(route, association=("nour",)))
        assert reader.get(path).status_code < 500
        assert (
            len(app.store.list_stale_summaries(MAX_STALE_WHILE_READING + 1))
            == MAX_STALE_WHILE_READING + 1
        ), path


def test_table_scan_is_detected(app):
    with plans(app.store) as told:
        list(app.store.list_associations())
        app.store.list_audit_log(limit=2)
        app.store.list_recent_report_links(sample_network.NOW, limit=2)
    assert [plan.partition("    ")[0] for plan in whole(told)] == [
        "SCAN association USING INDEX sqlite_autoindex_association_1"
    ]
