"""The coordinator's pages of letters: links shown once, in bulk as a sheet, renewed and ended."""

import csv
import io
import re
from datetime import timedelta

import pytest

from auditor import report_links
from auditor.config.schema import WebSettings
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import ReportLinkState
from tests.support.mini_network import START, configured, link, opened
from tests.support.web_server import logged_in_client

PUBLIC = "https://reports.example.org"


@pytest.fixture
def app(tmp_path):
    small = opened(
        tmp_path, configured().model_copy(update={"web": WebSettings(public_url=PUBLIC)})
    )
    people = [
        AssociationEntry(
            Association("nour", "جمعية النور", name_fr="Association <b>Nour", language="fr"),
            Contact(phone="06 12 34 56 78"),
        ),
        Association("amal/1", "Amal", region="Oriental"),
    ]
    small.store.save_registry(people, [link("nour", "facebook", "nour")], START)
    yield small
    small.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, START) as open_one:
        yield open_one


def told(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.text.replace("<bdi>", "").replace("</bdi>", "")


def states(app, now=START):
    return [
        (letter.association, letter.state(now).value) for letter in app.store.list_report_links()
    ]


def link_in(page):
    return re.search(rf"{PUBLIC}/r/([\w-]{{43}})", page)[1]


def test_new_report_link_is_shown_once_with_texts(app, client):
    page = told(client.post("/en/report-links/nour/create"))
    assert (
        report_links.find_active_report_link(app.store, link_in(page), START).association == "nour"
    )
    assert 'href="https://wa.me/212612345678?text=Bonjour' in page
    assert "Votre rapport\u00a0: Association &lt;b&gt;Nour" in page
    again = told(client.get("/en/report-links/nour"))
    assert f"{PUBLIC}/r/" not in again


def test_page_with_a_new_report_link_is_not_cached(client):
    assert client.post("/en/report-links/nour/create").headers["cache-control"] == "no-store"


def test_new_report_link_replaces_the_older_one_and_can_be_revoked(app, client):
    first = link_in(told(client.post("/fr/report-links/nour/create")))
    second = link_in(told(client.post("/fr/report-links/nour/create")))
    assert report_links.find_active_report_link(app.store, first, START) is None
    answer = client.post("/fr/report-links/nour/revoke")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/fr/report-links/nour?done=revoked#message",
    )
    assert report_links.find_active_report_link(app.store, second, START) is None
    assert "Le lien ne fonctionne plus" in told(client.get(answer.headers["location"]))


def test_active_report_link_can_be_extended(app):
    now = START
    with logged_in_client(app, lambda: now) as client:
        token = link_in(told(client.post("/en/report-links/nour/create")))
        now = START + timedelta(days=80)
        assert client.post("/en/report-links/nour/renew").status_code == 303
    assert (
        report_links.find_active_report_link(app.store, token, START + timedelta(days=169))
        is not None
    )
    assert (
        report_links.find_active_report_link(app.store, token, START + timedelta(days=170)) is None
    )


def test_association_id_with_a_slash_has_a_report_link_page(app, client):
    assert "Amal" in told(client.get("/en/report-links/amal%2F1"))
    page = told(client.post("/en/report-links/amal%2F1/create"))
    assert (
        report_links.find_active_report_link(app.store, link_in(page), START).association
        == "amal/1"
    )
    assert "no phone number that works with WhatsApp" in page


def test_bulk_links_are_stored_after_the_complete_download(app, client):
    answer = client.post("/en/report-links", data={"file_format": "csv", "without_link_only": "true"})
    assert answer.headers["content-disposition"] == 'attachment; filename="report_links-2026-03-01.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["Name"] for row in rows] == ["Amal", "Association <b>Nour"]
    assert all(
        report_links.find_active_report_link(app.store, link_in(row["Link"]), START) for row in rows
    )
    again = client.post("/en/report-links", data={"file_format": "csv", "without_link_only": "true"})
    assert len(list(csv.DictReader(io.StringIO(again.content.decode("utf-8-sig"))))) == 0
    assert (
        client.post("/en/report-links", data={"file_format": "xlsx", "region": "Oriental"}).content[:2] == b"PK"
    )
    assert states(app) == [("amal/1", "revoked"), ("nour", "active"), ("amal/1", "active")]


def test_report_link_list_can_be_filtered_by_state(app, client):
    client.post("/en/report-links", data={"file_format": "csv"})
    client.post("/en/report-links/nour/revoke")
    page = told(client.get("/en/report-links"))
    assert page.count('href="/en/report-links/nour"') == 1
    assert page.count('href="/en/report-links/amal/1"') == 1
    revoked = told(client.get(f"/en/report-links?state={ReportLinkState.REVOKED}"))
    assert 'href="/en/report-links/nour"' in revoked
    assert 'href="/en/report-links/amal/1"' not in revoked


def test_report_link_list_is_paged(app, client):
    for _ in range(51):
        report_links.create_report_link(app.store, app.config, "nour", "Amina", START)
    page = told(client.get("/en/report-links"))
    assert page.count('href="/en/report-links/nour"') == 50
    following = re.search(r'href="(/en/report-links\?before=\d+)"', page)[1]
    assert told(client.get(following)).count('href="/en/report-links/nour"') == 1


def test_report_link_search_finds_an_association(client):
    assert 'href="/en/report-links/nour"' in told(client.get("/en/report-links", params={"q": "nour"}))
    assert "No association matches" in told(client.get("/en/report-links", params={"q": "nobody"}))


def test_report_links_need_a_public_address(app):
    app.config = configured()
    with logged_in_client(app, START) as client:
        assert "[web] public_url" in told(client.get("/en/report-links"))
        assert client.post("/en/report-links/nour/create").status_code == 409
        assert client.post("/en/report-links").status_code == 409
    assert states(app) == []


@pytest.mark.parametrize(
    "path", ["/en/report-links/nour/create", "/en/report-links/nour/revoke", "/en/report-links"]
)
def test_cross_site_form_cannot_change_report_links(app, client, path):
    assert client.post(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert states(app) == []


def test_report_link_pages_are_not_on_the_public_host(client):
    headers = {"host": "reports.example.org"}
    assert client.get("/en/report-links", headers=headers).status_code == 404
    assert client.post("/en/report-links/nour/create", headers=headers).status_code == 404
