"""Every page is fully translatable, and hostile names do not disturb it."""

import contextlib
import csv
import io

import pytest
from lxml import html
from openpyxl import load_workbook

from auditor.config.notifications import NotifySettings
from auditor.config.schema import find_packaged_config, load_config
from auditor.core.reference.places import REGIONS, SHORT_REGION_NAMES
from auditor.presentation import report_links
from auditor.presentation.views.export import EXPORT_KINDS, MEDIA_TYPES
from tests.support import sample_network
from tests.support.all_routes import FORMS, build_paths, build_urls, list_routes, route_params
from tests.support.pseudo_locale import outside, outside_text, pseudo_locale, strict_locale
from tests.support.web_server import logged_in_client

DATA_TEXTS = (
    "Our network",
    *(entry.association.display_name("en") for entry in sample_network.PEOPLE),
    *(typed for _, _, typed, _ in sample_network.ACCOUNTS),
    *(names["en"] for names in (*REGIONS.values(), *SHORT_REGION_NAMES.values())),
    *("rabat", "badge", "fax", "no link"),
    *("Amina", "Salma", "salma", "Idris", "Zineb", "nobody", "nowhere", "operator"),
)
"""Texts that users typed, and the official names of regions."""
COLUMN_KEYS = [
    column.key
    for content_type in EXPORT_KINDS.values()
    for column in content_type.list_columns(load_config(find_packaged_config(), {}))
    if column.get_label
]
"""Column headings for scripts; each of these columns has a second one with translated values."""

PAGE_STATUSES = {200, 303, 410}
"""Statuses of a page, a redirect, and an expired link."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The sample network, with a mail server configured."""
    network = sample_network.played(tmp_path_factory.mktemp("network"))
    mail = {"from": "auditor@example.org", "smtp": {"host": "mail.example.org"}}
    network.config = network.config.model_copy(
        update={"notify": NotifySettings.model_validate(mail)}
    )
    yield network
    network.store.close()


@contextlib.contextmanager
def reader_client(app, association="nour"):
    """A logged-in client that has opened a report link, too."""
    _, report_url = report_links.create_report_link(
        app.store, app.config, association, "Amina", sample_network.NOW, keep_older_links=True
    )
    with logged_in_client(app, sample_network.NOW) as client:
        client.headers["accept-language"] = "en"
        client.timeout = 60  # to draw a PDF takes a while
        client.get(f"/r/{report_url.rpartition('/')[2]}")
        yield client


def find_untranslated(response):
    """Return texts of a response that do not come from the message catalogue."""
    content_type = response.headers.get("content-type", "").partition(";")[0]
    if content_type in {"text/html", "image/svg+xml"}:
        return outside(response.text.partition("?>")[2] or response.text, DATA_TEXTS)
    return [
        heading
        for heading in list_headings(content_type, response.content)
        if outside_text(heading, COLUMN_KEYS)
    ]


def list_headings(content_type, data):
    """Return the headings of a spreadsheet and the names of its sheets."""
    if content_type == "text/csv":
        text = data.decode("utf-8-sig")
        first_line = text.partition("\n")[0]
        delimiter = ";" if ";" in first_line else ","
        return next(csv.reader(io.StringIO(text), delimiter=delimiter))
    if content_type == MEDIA_TYPES["xlsx"]:
        worksheets = load_workbook(io.BytesIO(data)).worksheets
        return [
            text
            for worksheet in worksheets
            for text in (worksheet.title, *(cell.value for cell in worksheet[1]))
        ]
    return []


@pytest.mark.parametrize("route", route_params("GET"))
def test_page_has_no_untranslatable_text(app, route):
    with pseudo_locale(), reader_client(app) as client:
        responses = {url: client.get(url) for url in build_urls(route)}
    assert PAGE_STATUSES & {response.status_code for response in responses.values()}
    assert {
        url: texts for url, response in responses.items() if (texts := find_untranslated(response))
    } == {}


@pytest.mark.slow
@pytest.mark.parametrize("route", route_params("GET"))
def test_probe_notes_are_marked_as_technical_english(app, route):
    with reader_client(app) as client:
        texts = [client.get(url).text for url in build_urls(route)]
    pages = [html.fromstring(text) for text in texts if sample_network.NOTE in text]
    notes = [
        element
        for page in pages
        for element in page.xpath("//*[contains(text(), $note)]", note=sample_network.NOTE)
    ]
    assert all(note.tag == "code" and note.get("lang") == "en" for note in notes)
    assert notes or "{account_id" not in route.path


@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_page_after_a_form_has_no_untranslatable_text(app, route):
    with pseudo_locale(), reader_client(app) as client:
        responses = list(submit_forms(client, route))
    assert all(response.status_code < 500 for response in responses)
    assert [texts for response in responses if (texts := find_untranslated(response))] == []


@pytest.mark.slow
@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_page_after_a_form_links_to_its_other_languages(app, route):
    with reader_client(app) as client:
        for response in submit_forms(client, route):
            if response.status_code not in {404, 410} and "text/html" in response.headers.get(
                "content-type", ""
            ):
                urls = html.fromstring(response.content).xpath("//a[@hreflang='fr']/@href")
                assert [url for url in urls if client.get(url).status_code >= 400] == []


def submit_forms(client, route):
    """Yield the response to each form of a route, and the page it redirects to."""
    for path in build_paths(route, association=("x0",)):
        for form in FORMS[route.path.rpartition("/")[2]]:
            files = (
                {"spreadsheet": ("sheet.csv", form["spreadsheet"])}
                if "spreadsheet" in form
                else None
            )
            response = client.post(path, data=None if files else form, files=files)
            yield response
            if response.status_code == 303:
                yield client.get(response.headers["location"])


@pytest.mark.parametrize("language", ["ar", pytest.param("fr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("route", route_params("GET"))
def test_page_is_fully_translated(app, route, language):
    with strict_locale(), reader_client(app) as client:
        statuses = [
            client.get(url).status_code
            for url in build_urls(route, language=(language,), association=("nour",))
        ]
    assert max(statuses) < 500
