"""The pages for report links."""

import csv
import io
import re

import pytest

from auditor.presentation import report_links
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import link
from tests.support.web_server import (
    NOW,
    PUBLIC,
    find_missing,
    get_text,
    logged_in_client,
    open_app,
    read_page,
)

REGISTRY = (
    [
        AssociationEntry(
            Association("nour", "جمعية النور", name_fr="Association <b>Nour", language="fr"),
            Contact(phone="06 12 34 56 78"),
        ),
        Association("amal/1", "Amal", region="Oriental"),
    ],
    [link("nour", "facebook", "nour")],
)


def link_in(text):
    return re.search(rf"{PUBLIC}/r/([\w-]{{43}})", text)[1]


def create_link(client, **form):
    """Create a report link of Nour, and return the text of the page with it."""
    response = client.post("/fr/report-links/nour/create", data=form)
    return get_text(client, response.headers["location"])


def find_association(app, token, now=NOW):
    report_link = report_links.find_active_report_link(app.store, token, now)
    return report_link and report_link.association


@pytest.mark.smoke
def test_report_links_stay_valid_until_they_are_revoked(app, client):
    text = create_link(client)
    first, second = link_in(text), link_in(create_link(client))
    assert (
        find_missing(
            text,
            'href="https://wa.me/212612345678?text=Bonjour',
            "Votre rapport\u00a0: Association &lt;b&gt;Nour",
        )
        == []
    )
    assert f"{PUBLIC}/r/" not in get_text(client, "/en/report-links/nour")
    assert [find_association(app, token) for token in (first, second)] == ["nour", "nour"]
    location = client.post("/fr/report-links/nour/revoke").headers["location"]
    assert [find_association(app, token) for token in (first, second)] == [None, None]
    get_text(client, location, "Le lien ne fonctionne plus")


def list_downloaded(client, **form):
    response = client.post("/en/report-links", data={"file_format": "csv", **form})
    assert "report_links-2026-11-25.csv" in response.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_bulk_links_are_stored_after_the_complete_download(app, client):
    rows = list_downloaded(client, without_link_only="true")
    assert [row["Name"] for row in rows] == ["Amal", "Association <b>Nour"]
    tokens = [link_in(row["Link"]) for row in rows]
    assert [find_association(app, token) for token in tokens] == ["amal/1", "nour"]
    assert list_downloaded(client, without_link_only="true") == []
    assert len(list_downloaded(client, region="Oriental")) == 1
    assert [find_association(app, token) for token in tokens] == ["amal/1", "nour"]


def test_report_links_need_a_public_address(tmp_path):
    with open_app(tmp_path, *REGISTRY, web={}) as app, logged_in_client(app) as client:
        read_page(client.get("/en/report-links"), "[web] public_url")
        for path in ("/en/report-links/nour/create", "/en/report-links"):
            assert client.post(path).status_code == 422
        assert list(app.store.report_links.list_report_links()) == []


def test_reminder_of_a_due_promise_keeps_the_older_link(app, client):
    about = {"association": "nour", "kind": FollowUpKind.PROMISED, "author": "Amina"}
    promise = FollowUp(occurred_at=NOW, text="a page", due_date=NOW.date(), **about)
    promise = app.store.follow_ups.add(promise)
    older = link_in(create_link(client))
    text = create_link(client, promise=promise.id)
    assert "a page. Est-ce fait" in text
    assert [find_association(app, token) for token in (older, link_in(text))] == ["nour", "nour"]
