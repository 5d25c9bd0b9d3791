"""Every page: it is translatable, does not wait for a run, and scans no table.

New routes are tested without being named here.
"""

import asyncio
import contextlib
import csv
import io
import threading

import pytest
from lxml import html
from openpyxl import load_workbook

from auditor.checking import checker
from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.config.notifications import NotifySettings
from auditor.core.reference.places import REGIONS, SHORT_REGION_NAMES
from auditor.presentation import report_links
from auditor.presentation.views.export import MEDIA_TYPES
from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState
from storage.read_model import association_search, consistency
from tests.support import sample_network
from tests.support.all_routes import FORMS, build_paths, build_urls, list_routes
from tests.support.mini_network import configured, link, night_of, opened, register, steps
from tests.support.pseudo_locale import (
    find_unbracketed_lines,
    find_unbracketed_texts,
    pseudo_locale,
)
from tests.support.query_plans import find_table_scans, record_query_plans
from tests.support.web_server import logged_in_client

pytestmark = pytest.mark.slow

DATA_TEXTS = (
    "Our network",
    sample_network.WORKSHOP_TITLE,
    *(entry.association.display_name("en") for entry in sample_network.PEOPLE),
    *(typed for _, _, typed, _ in sample_network.ACCOUNTS),
    *(names["en"] for names in (*REGIONS.values(), *SHORT_REGION_NAMES.values())),
    *("rabat", "badge", "fax", "no link"),
    *("Amina", "Salma", "salma", "Idris", "Zineb", "nobody", "nowhere", "operator"),
)
"""Texts that users typed, and the official names of regions."""
PAGE_STATUSES = {200, 303, 410}
"""Statuses of a page, a redirect, and an expired link."""


@pytest.fixture(scope="module")
def app(sample_app):
    """The sample network, with a mail server configured."""
    mail = {"from": "auditor@example.org", "smtp": {"host": "mail.example.org"}}
    notify = NotifySettings.model_validate(mail)
    sample_app.config = sample_app.config.model_copy(update={"notify": notify})
    return sample_app


@pytest.fixture
def reader(app):
    """A logged-in client that has opened a report link, too."""
    _, report_url = report_links.create_report_link(
        app.store, app.config, "nour", "Amina", sample_network.NOW
    )
    with logged_in_client(app, sample_network.NOW) as client:
        client.headers["accept-language"] = "en"
        client.get(f"/r/{report_url.rpartition('/')[2]}")
        yield client


def find_untranslated(response):
    """Return texts of a response that do not come from the message catalogue."""
    content_type = response.headers.get("content-type", "").partition(";")[0]
    if content_type in {"text/html", "image/svg+xml"}:
        return find_unbracketed_texts(response.text.partition("?>")[2] or response.text, DATA_TEXTS)
    headings = list_headings(content_type, response.content)
    return [heading for heading in headings if find_unbracketed_lines(heading, ())]


def list_headings(content_type, data):
    """Return the headings of a spreadsheet and the names of its sheets."""
    if content_type == "text/csv":
        text = data.decode("utf-8-sig")
        delimiter = ";" if ";" in text.partition("\n")[0] else ","
        return next(csv.reader(io.StringIO(text), delimiter=delimiter))
    if content_type == MEDIA_TYPES["xlsx"]:
        sheets = load_workbook(io.BytesIO(data)).worksheets
        return [text for sheet in sheets for text in (sheet.title, *(c.value for c in sheet[1]))]
    return []


@pytest.mark.parametrize("route", list_routes("GET"), ids=lambda route: route.path)
def test_page_has_no_untranslatable_text(reader, route):
    with pseudo_locale():
        responses = {url: reader.get(url) for url in build_urls(route)}
    assert PAGE_STATUSES & {response.status_code for response in responses.values()}
    untranslated = {url: find_untranslated(response) for url, response in responses.items()}
    assert {url: texts for url, texts in untranslated.items() if texts} == {}


@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_page_after_a_form_has_no_untranslatable_text_and_links_to_its_languages(reader, route):
    with pseudo_locale():
        for response in submit_forms(reader, route):
            assert response.status_code < 500
            assert find_untranslated(response) == []
            if response.status_code in {404, 410} or b"<html" not in response.content:
                continue
            urls = html.fromstring(response.content).xpath("//a[@hreflang='fr']/@href")
            assert [url for url in urls if reader.get(url).status_code >= 400] == []


def submit_forms(client, route):
    """Yield the response to each form of a route, and the page it redirects to."""
    for path in build_paths(route, association=("x0",)):
        for form in FORMS[route.path.rpartition("/")[2]]:
            sheet = {name: ("sheet.csv", form[name]) for name in form if name == "spreadsheet"}
            response = client.post(path, data=None if sheet else form, files=sheet or None)
            yield response
            if response.status_code == 303:
                yield client.get(response.headers["location"])


def find_failed_pages(client, **filled):
    """Return the pages that fail or take longer than 5 s; one that waits for a writer takes 10."""
    urls = [next(build_urls(route, **filled)) for route in list_routes("GET")]
    responses = {url: client.get(url) for url in urls}
    return [
        url
        for url, response in responses.items()
        if response.status_code >= 500 or response.elapsed.total_seconds() > 5
    ]


@pytest.mark.fault("F61")
def test_pages_do_not_wait_for_a_writer(app):
    """A write transaction is open during all requests."""
    with logged_in_client(app, sample_network.NOW) as client:
        client.get("/en/")  # what forms of other tests changed is summarized
        with app.store.begin_write() as connection:
            connection.exec_driver_sql("UPDATE audit_run SET state = state")
            assert find_failed_pages(client, association=("nour",)) == []


@pytest.mark.fault("F61")
def test_every_page_works_with_an_empty_database(tmp_path):
    network = opened(tmp_path)
    with contextlib.closing(network.store), logged_in_client(network, sample_network.NOW) as client:
        assert find_failed_pages(client) == []


@pytest.mark.fault("F61")
def test_run_finishes_while_pages_are_read(tmp_path, monkeypatch):
    """A read transaction stays open from before the first check until after the last."""
    monkeypatch.setattr(checker, "create_probe", steps)
    network = opened(tmp_path, configured(("website",)))
    register(network, *(link(f"a{number}", "website", f"a{number}") for number in range(60)))
    has_finished, statuses = threading.Event(), set()

    def read_pages():
        with logged_in_client(network, sample_network.NOW) as client:
            while not has_finished.is_set():
                statuses.add(client.get("/en/").status_code)

    reader_thread = threading.Thread(target=read_pages)
    with network.store.begin_read() as connection:
        count = "SELECT count(*) FROM observation"
        assert connection.exec_driver_sql(count).scalar() == 0
        reader_thread.start()
        run = asyncio.run(execute_run(network, night_of(0)))
        assert connection.exec_driver_sql(count).scalar() == 0
        has_finished.set()
        reader_thread.join()
    counts = network.store.observations.count_by_presence(run.id)
    network.store.close()
    assert (run.state, sum(counts.values()), statuses) == (AuditRunState.DONE, 60, {200})


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


def limit_download(url):
    """Return the address, with a filter if it is a download."""
    if not any(part in url for part in DOWNLOADS):
        return url
    return f"{url}{'&' if '?' in url else '?'}tag=rabat&region=souss-massa"


@pytest.mark.fault("F61")
@pytest.mark.parametrize("size", ["many", "few"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_no_page_scans_a_table(app, reader, monkeypatch, size, route):
    """Lists of few associations and of many use different query plans."""
    if size == "many":
        monkeypatch.setattr(association_search, "MAX_COUNT", 3)
        monkeypatch.setattr(association_search, "MAX_SMALL_SELECTION", 3)
    scans = {}
    for url in map(limit_download, build_urls(route, association=("nour",))):
        with record_query_plans(app.store) as queries:
            assert reader.get(url).status_code < 500
        scans |= dict.fromkeys(find_table_scans(queries), url)
    assert scans == {}


def test_table_scan_is_found(app):
    with record_query_plans(app.store) as queries:
        list(app.store.registry.list_associations())
    assert find_table_scans(queries)


def test_pages_do_not_refresh_many_stale_summaries(app, reader):
    """Stale are more summaries than a page refreshes, of associations that do not exist."""
    store, count = app.store, MAX_STALE_WHILE_READING + 1
    with store.begin_write() as connection:
        consistency.mark_stale(store, connection, [f"gone-{n}" for n in range(count)])
    for route in ROUTES:
        if not any(part in route.path for part in DOWNLOADS):
            path = next(build_urls(route, association=("nour",)))
            assert reader.get(path).status_code < 500
            assert len(store.summaries.list_stale(count)) == count, path
    refresh_summaries(store, app.config)
