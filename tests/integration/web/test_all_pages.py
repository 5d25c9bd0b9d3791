"""Nothing that any page shows is hard-coded, and a name that is hostile disturbs none."""

import contextlib
import csv
import io

import pytest
from lxml import html
from openpyxl import load_workbook

from auditor import report_links
from auditor.config.notifications import NotifySettings
from auditor.config.schema import find_packaged_config, load_config
from auditor.reference.regions import REGIONS
from auditor.views.export import EXPORT_KINDS, MEDIA_TYPES
from tests.support import sample_network
from tests.support.all_routes import FORMS, route_params, build_paths, build_urls, list_routes
from tests.support.pseudo_locale import outside, outside_text, pseudo_locale, strict_locale
from tests.support.web_server import logged_in_client

DATA = (
    "Our network",
    *(one.association.display_name("en") for one in sample_network.PEOPLE),
    *(typed for _, _, typed, _ in sample_network.ACCOUNTS),
    *(names["en"] for names in REGIONS.values()),
    *("rabat", "badge", "fax", "no link"),
    *("Amina", "Salma", "salma", "Idris", "Zineb", "nobody", "nowhere", "operator"),
)
"""What people typed, and the official names of regions."""
CODES = [
    column.key
    for kind in EXPORT_KINDS.values()
    for column in kind.list_columns(load_config(find_packaged_config(), {}))
    if column.get_label
]
"""The headings of the columns that scripts go by: beside each stands one with words."""

SHOWS = {200, 303, 410}
"""How a route answers that has something to show: it, the way to it, or that a link ended."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A network in every state there is, which can send mail."""
    played = sample_network.played(tmp_path_factory.mktemp("network"))
    mail = {"from": "auditor@example.org", "smtp": {"host": "mail.example.org"}}
    played.config = played.config.model_copy(update={"notify": NotifySettings.model_validate(mail)})
    yield played
    played.store.close()


@contextlib.contextmanager
def reading(app, association="nour"):
    """A client that came by an association's link."""
    _, link = report_links.create_report_link(
        app.store, app.config, association, "Amina", sample_network.NOW, keep_older_links=True
    )
    with logged_in_client(app, sample_network.NOW) as client:
        client.headers["accept-language"] = "en"
        client.timeout = 60  # to draw a PDF takes a while
        client.get(f"/r/{link.rpartition('/')[2]}")
        yield client


def hard_coded(answer):
    """What an answer shows that is no word of ours."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind in {"text/html", "image/svg+xml"}:
        return outside(answer.text.partition("?>")[2] or answer.text, DATA)
    return [said for said in headings(kind, answer.content) if outside_text(said, CODES)]


def headings(kind, data):
    """The headings of a sheet, and the names of a workbook's."""
    if kind == "text/csv":
        return next(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    if kind == MEDIA_TYPES["xlsx"]:
        sheets = load_workbook(io.BytesIO(data)).worksheets
        return [said for one in sheets for said in (one.title, *(cell.value for cell in one[1]))]
    return []


@pytest.mark.parametrize("route", route_params("GET"))
def test_page_has_no_untranslatable_text(app, route):
    with pseudo_locale(), reading(app) as client:
        answers = {way: client.get(way) for way in build_urls(route)}
    assert SHOWS & {answer.status_code for answer in answers.values()}
    assert {way: said for way, answer in answers.items() if (said := hard_coded(answer))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("route", route_params("GET"))
def test_probe_notes_are_marked_as_technical_english(
    app, route
):
    with reading(app) as client:
        told = [client.get(way).text for way in build_urls(route)]
    pages = [html.fromstring(text) for text in told if sample_network.NOTE in text]
    noted = [
        one
        for page in pages
        for one in page.xpath("//*[contains(text(), $note)]", note=sample_network.NOTE)
    ]
    assert all(one.tag == "code" and one.get("lang") == "en" for one in noted)
    assert noted or "{account_id" not in route.path


@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_page_after_a_form_has_no_untranslatable_text(app, route):
    with pseudo_locale(), reading(app) as client:
        answers = list(sent(client, route))
    assert all(answer.status_code < 500 for answer in answers)
    assert [said for answer in answers if (said := hard_coded(answer))] == []


@pytest.mark.slow
@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_page_after_a_form_links_to_its_other_languages(app, route):
    with reading(app) as client:
        for answer in sent(client, route):
            if answer.status_code not in {404, 410} and "text/html" in answer.headers.get(
                "content-type", ""
            ):
                ways = html.fromstring(answer.content).xpath("//a[@hreflang='fr']/@href")
                assert [way for way in ways if client.get(way).status_code >= 400] == []


def sent(client, route):
    """The answers to each thing that is sent to each address of a route, and the pages that they lead to."""
    for path in build_paths(route, association=("x0",)):
        for form in FORMS[route.path.rpartition("/")[2]]:
            files = {"spreadsheet": ("sheet.csv", form["spreadsheet"])} if "spreadsheet" in form else None
            answer = client.post(path, data=None if files else form, files=files)
            yield answer
            if answer.status_code == 303:
                yield client.get(answer.headers["location"])


@pytest.mark.parametrize("language", ["ar", pytest.param("fr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("route", route_params("GET"))
def test_page_is_fully_translated(app, route, language):
    with strict_locale(), reading(app) as client:
        told = [
            client.get(way).status_code
            for way in build_urls(route, language=(language,), association=("nour",))
        ]
    assert max(told) < 500
