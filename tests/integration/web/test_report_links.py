"""The pages for report links."""

import csv
import io
import re
from datetime import timedelta

import pytest

from auditor.config.schema import WebSettings
from auditor.presentation import report_links
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import FollowUpKind, ReportLinkState
from storage.tables.communication import FollowUp
from tests.support.mini_network import START, configured, link, opened
from tests.support.web_server import logged_in_client

PUBLIC = "https://reports.example.org"


@pytest.fixture
def app(tmp_path):
    network = opened(
        tmp_path, configured().model_copy(update={"web": WebSettings(public_url=PUBLIC)})
    )
    associations = [
        AssociationEntry(
            Association("nour", "جمعية النور", name_fr="Association <b>Nour", language="fr"),
            Contact(phone="06 12 34 56 78"),
        ),
        Association("amal/1", "Amal", region="Oriental"),
    ]
    network.store.registry.save_registry(associations, [link("nour", "facebook", "nour")], START)
    yield network
    network.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, START) as browser:
        yield browser


def get_text(response, status=200):
    assert response.status_code == status, response.text
    return response.text.replace("<bdi>", "").replace("</bdi>", "")


def list_states(app, now=START):
    return [
        (report_link.association, report_link.get_state(now).value)
        for report_link in app.store.report_links.list_report_links()
    ]


def link_in(text):
    return re.search(rf"{PUBLIC}/r/([\w-]{{43}})", text)[1]


def test_new_report_link_is_shown_once_with_texts(app, client):
    text = get_text(client.post("/en/report-links/nour/create"))
    assert (
        report_links.find_active_report_link(app.store, link_in(text), START).association == "nour"
    )
    assert 'href="https://wa.me/212612345678?text=Bonjour' in text
    assert "Votre rapport\u00a0: Association &lt;b&gt;Nour" in text
    text_after = get_text(client.get("/en/report-links/nour"))
    assert f"{PUBLIC}/r/" not in text_after


def test_page_with_a_new_report_link_is_not_cached(client):
    assert client.post("/en/report-links/nour/create").headers["cache-control"] == "no-store"


def test_new_report_link_replaces_the_older_one_and_can_be_revoked(app, client):
    first = link_in(get_text(client.post("/fr/report-links/nour/create")))
    second = link_in(get_text(client.post("/fr/report-links/nour/create")))
    assert report_links.find_active_report_link(app.store, first, START) is None
    response = client.post("/fr/report-links/nour/revoke")
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/fr/report-links/nour?done=revoked#message",
    )
    assert report_links.find_active_report_link(app.store, second, START) is None
    assert "Le lien ne fonctionne plus" in get_text(client.get(response.headers["location"]))


def test_active_report_link_can_be_extended(app):
    now = START
    with logged_in_client(app, lambda: now) as client:
        token = link_in(get_text(client.post("/en/report-links/nour/create")))
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
    assert "Amal" in get_text(client.get("/en/report-links/amal%2F1"))
    text = get_text(client.post("/en/report-links/amal%2F1/create"))
    assert (
        report_links.find_active_report_link(app.store, link_in(text), START).association
        == "amal/1"
    )
    assert "no phone number that works with WhatsApp" in text


def test_bulk_links_are_stored_after_the_complete_download(app, client):
    response = client.post(
        "/en/report-links", data={"file_format": "csv", "without_link_only": "true"}
    )
    assert (
        response.headers["content-disposition"]
        == 'attachment; filename="report_links-2026-03-01.csv"'
    )
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert [row["Name"] for row in rows] == ["Amal", "Association <b>Nour"]
    assert all(
        report_links.find_active_report_link(app.store, link_in(row["Link"]), START) for row in rows
    )
    text_after = client.post(
        "/en/report-links", data={"file_format": "csv", "without_link_only": "true"}
    )
    assert len(list(csv.DictReader(io.StringIO(text_after.content.decode("utf-8-sig"))))) == 0
    assert (
        client.post("/en/report-links", data={"file_format": "xlsx", "region": "Oriental"}).content[
            :2
        ]
        == b"PK"
    )
    assert list_states(app) == [("amal/1", "revoked"), ("nour", "active"), ("amal/1", "active")]


def test_report_link_list_can_be_filtered_by_state(app, client):
    client.post("/en/report-links", data={"file_format": "csv"})
    client.post("/en/report-links/nour/revoke")
    text = get_text(client.get("/en/report-links"))
    assert text.count('href="/en/report-links/nour"') == 1
    assert text.count('href="/en/report-links/amal/1"') == 1
    revoked = get_text(client.get(f"/en/report-links?state={ReportLinkState.REVOKED}"))
    assert 'href="/en/report-links/nour"' in revoked
    assert 'href="/en/report-links/amal/1"' not in revoked


def test_report_link_list_is_paged(app, client):
    for _ in range(51):
        report_links.create_report_link(app.store, app.config, "nour", "Amina", START)
    text = get_text(client.get("/en/report-links"))
    assert text.count('href="/en/report-links/nour"') == 50
    following = re.search(r'href="(/en/report-links\?before=\d+)"', text)[1]
    assert get_text(client.get(following)).count('href="/en/report-links/nour"') == 1


def test_report_link_search_finds_an_association_in_the_grid(client):
    assert 'action="/en/associations"' in get_text(client.get("/en/report-links"))
    found = get_text(client.get("/en/associations", params={"q": "nour"}))
    assert 'href="/en/report-links/nour"' in found


def test_report_links_need_a_public_address(app):
    app.config = configured()
    with logged_in_client(app, START) as client:
        assert "[web] public_url" in get_text(client.get("/en/report-links"))
        assert client.post("/en/report-links/nour/create").status_code == 409
        assert client.post("/en/report-links").status_code == 409
    assert list_states(app) == []


@pytest.mark.parametrize(
    "path", ["/en/report-links/nour/create", "/en/report-links/nour/revoke", "/en/report-links"]
)
def test_cross_site_form_cannot_change_report_links(app, client, path):
    assert client.post(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert list_states(app) == []


def test_report_link_pages_are_not_on_the_public_host(client):
    headers = {"host": "reports.example.org"}
    assert client.get("/en/report-links", headers=headers).status_code == 404
    assert client.post("/en/report-links/nour/create", headers=headers).status_code == 404


def test_second_link_can_be_sent_with_a_text_that_only_says_so(client):
    assert "wa.me" in get_text(client.post("/fr/report-links/nour/create"))
    text = get_text(client.post("/fr/report-links/nour/create"))
    assert text.count('href="https://wa.me/') == 2
    assert "L’ancien lien" in text or "l’ancien lien" in text


def add_promise(app, due_date):
    promise = FollowUp(
        association="nour",
        kind=FollowUpKind.PROMISED,
        author="Amina",
        occurred_at=START,
        text="a page",
        due_date=due_date,
    )
    return app.store.follow_ups.add(promise)


def test_reminder_of_a_due_promise_keeps_the_older_link(app, client):
    promise = add_promise(app, START.date())
    older = link_in(get_text(client.post("/fr/report-links/nour/create")))
    text = get_text(client.post("/fr/report-links/nour/create", data={"promise": promise.id}))
    assert "a page. Est-ce fait" in text
    for token in (older, link_in(text)):
        assert report_links.find_active_report_link(app.store, token, START)


def test_promise_that_is_not_due_has_no_reminder(app, client):
    promise = add_promise(app, START.date() + timedelta(days=1))
    assert 'name="promise"' not in get_text(client.get("/fr/report-links/nour"))
    response = client.post("/fr/report-links/nour/create", data={"promise": promise.id})
    assert response.status_code == 404
    assert list_states(app) == []
