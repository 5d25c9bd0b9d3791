"""No page scans a table. New routes are tested without being named here."""

import pytest

from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.presentation import report_links
from storage.read_model import association_search, consistency
from tests.support import sample_network
from tests.support.all_routes import build_urls, list_routes
from tests.support.query_plans import plans, whole
from tests.support.web_server import logged_in_client

FULL_SCAN_ROUTES = {
    "/{language}/registry.{file_format}": "the whole registry as a spreadsheet",
    "/{language}/registry/imports/{upload_name}": "compares the spreadsheet with the registry",
    "/{language}/registry/erase/{association:path}": "counts all messages and search keys",
    "/{language}/report-links": "a few links for each association, by the time of creation",
}
"""Routes that read whole tables."""
ROUTES = [route for route in list_routes("GET") if route.path not in FULL_SCAN_ROUTES]
DOWNLOADS = ("/exports/", "/meeting.xlsx")
"""Routes that read every association without a filter."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    network = sample_network.played(tmp_path_factory.mktemp("network"))
    refresh_summaries(network.store, network.config)
    yield network
    network.store.close()


@pytest.fixture(scope="module")
def client(app):
    """A logged-in client that has opened a report link, too."""
    _, report_url = report_links.create_report_link(
        app.store, app.config, "nour", "Amina", sample_network.NOW, keep_older_links=True
    )
    with logged_in_client(app, sample_network.NOW) as client:
        client.timeout = 60
        client.get(f"/r/{report_url.rpartition('/')[2]}")
        yield client


def limit_download(url):
    """Return the address, with a filter if it is a download."""
    if not any(part in url for part in DOWNLOADS):
        return url
    return f"{url}{'&' if '?' in url else '?'}tag=rabat&region=souss-massa"


@pytest.fixture(params=["many", pytest.param("few", marks=pytest.mark.slow)])
def size(request, monkeypatch):
    """Lists of few associations and of many use different query plans."""
    if request.param == "many":
        monkeypatch.setattr(association_search, "MAX_COUNT", 3)
        monkeypatch.setattr(association_search, "MAX_SMALL_SELECTION", 3)


@pytest.mark.slow
@pytest.mark.fault("F61")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_no_page_scans_a_table(app, client, size, route):
    scans = {}
    for url in map(limit_download, build_urls(route, association=("nour",))):
        with plans(app.store) as queries:
            assert client.get(url).status_code < 500
        scans |= dict.fromkeys(whole(queries), url)
    assert scans == {}


@pytest.fixture
def stale_summaries(app):
    """More stale summaries than a page refreshes, of associations that do not exist."""
    with app.store.begin_write() as connection:
        consistency.mark_stale(
            app.store, connection, [f"gone-{n}" for n in range(MAX_STALE_WHILE_READING + 1)]
        )
    yield
    refresh_summaries(app.store, app.config)


PAGES = [route for route in ROUTES if not any(part in route.path for part in DOWNLOADS)]


def test_pages_do_not_refresh_many_stale_summaries(app, client, stale_summaries):
    for route in PAGES:
        path = next(build_urls(route, association=("nour",)))
        assert client.get(path).status_code < 500
        assert (
            len(app.store.summaries.list_stale(MAX_STALE_WHILE_READING + 1))
            == MAX_STALE_WHILE_READING + 1
        ), path


def test_table_scan_is_detected(app):
    with plans(app.store) as queries:
        list(app.store.registry.list_associations())
        app.store.audit_log.list_audit_log(limit=2)
        app.store.report_links.list_recent(sample_network.NOW, limit=2)
    assert [plan.partition("    ")[0] for plan in whole(queries)] == [
        "SCAN association USING INDEX sqlite_autoindex_association_1"
    ]
