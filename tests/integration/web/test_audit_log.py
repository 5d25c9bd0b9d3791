"""The registry's change log."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.web.routes import registry_entry
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import ChangeOrigin, Role
from tests.support.mini_network import opened
from tests.support.web_server import NOW, logged_in_client

NOUR = AssociationEntry(Association("nour/1", "<b>Nour</b>"), Contact(media_officer="nobody"))
AMAL = Association("amal", "Amal")


@pytest.fixture
def app(tmp_path):
    network = opened(tmp_path)
    network.store.registry.save_registry(
        [NOUR, AMAL], [], NOW, origin=ChangeOrigin("<i>Salma</i>", "import")
    )
    changed = replace(NOUR, contact=Contact(media_officer="volunteer"))
    network.store.registry.save_registry(
        [changed], [], NOW, origin=ChangeOrigin("Amina", "web"), prune=True
    )
    yield network
    network.store.close()


def test_change_log_shows_each_change_with_its_author_in_the_page_language(app):
    with logged_in_client(app) as client:
        text = client.get("/fr/registry/history").text
        assert 'href="/fr/registry/history"' in client.get("/fr/registry").text
        assert (
            "registry/history?association=nour" in client.get("/fr/registry/entries/nour%2F1").text
        )
    assert "<del><bdi>personne</bdi></del>" in text
    assert "<ins><bdi>bénévole</bdi></ins>" in text
    assert "&lt;i&gt;Salma&lt;/i&gt;" in text
    assert "<i>Salma" not in text
    assert "<b>Nour" not in text


def test_change_log_of_one_removed_association_shows_only_its_changes(app):
    with logged_in_client(app) as client:
        text = client.get("/en/registry/history?association=amal").text
        assert "Salma" in text
        assert "removed" in text
        assert "Nour" not in text
        assert "No changes yet." in client.get("/en/registry/history?association=nobody").text


def follow_pages(client, url, pattern):
    """Return the matches of a pattern on a page and on all pages after it."""
    found = []
    while url:
        text = client.get(url).text
        found += re.findall(pattern, text)
        next_link = re.search(r'href="([^"]+)" rel="next"', text)
        url = next_link[1].replace("&amp;", "&") if next_link else None
    return found


def save_many(app, count, days=0):
    associations = [Association(f"n{days}-{n:04}", f"Name {n:04}") for n in range(count)]
    app.store.registry.save_registry(
        associations,
        [],
        NOW + timedelta(days=days),
        is_complete=False,
        origin=ChangeOrigin("Salma", "import"),
    )


def test_import_is_one_line_that_leads_to_its_changes(app):
    save_many(app, 120)
    with logged_in_client(app) as client:
        text = client.get("/en/registry/history").text
        assert text.count("<tr><th") == 1 + 3
        assert not re.search("Name [0-9]+", text)
        import_link = re.search(r'<a href="([^"]+)"><bdi>120</bdi> changes</a>', text)
        names = follow_pages(client, import_link[1], r"<ins><bdi>(Name \d+)")
        assert "Salma" in client.get(import_link[1]).text
    assert names == [f"Name {n:04}" for n in reversed(range(120))]


def test_change_of_one_field_is_shown_in_its_line(app):
    changed = AssociationEntry(replace(NOUR.association, city="Agadir"))
    app.store.registry.save_registry([changed], [], NOW + timedelta(days=1), is_complete=False)
    with logged_in_client(app) as client:
        text = client.get("/en/registry/history").text
    assert "<ins><bdi>Agadir</bdi></ins>" in text


def test_actions_of_one_moment_by_two_authors_are_two_lines(app):
    with logged_in_client(app) as client:
        text = client.get("/en/registry/history").text
    assert text.count("<tr><th") == 1 + 2
    assert text.index("Amina") < text.index("Salma")


def test_change_log_pages_show_every_action_once(app, monkeypatch):
    for day in range(1, 8):
        save_many(app, day, day)
    monkeypatch.setattr(registry_entry, "ACTIONS_PAGE_SIZE", 3)
    monkeypatch.setattr(registry_entry, "SHOWN_LINES", 0)
    with logged_in_client(app) as client:
        counts = follow_pages(client, "/en/registry/history", r"<bdi>(\d+)</bdi> changes?</a>")
        assert client.get("/en/registry/history?before=-1").status_code == 422
    assert [int(count) for count in counts[:7]] == [7, 6, 5, 4, 3, 2, 1]
    assert len(counts) == 9


def test_coordinator_of_a_region_sees_only_its_part_of_an_import(app):
    nearby = Association("near", "Near", region="Souss-Massa")
    far = Association("far", "Far away", region="Oriental")
    app.store.registry.save_registry([nearby, far], [], NOW + timedelta(days=1), is_complete=False)
    user = {"name": "Omar", "role": Role.COORDINATOR, "regions": ("souss-massa",)}
    with logged_in_client(app, **user) as client:
        text = client.get("/en/registry/history").text
        statuses = {
            entry.association: client.get(f"/en/registry/history/{entry.id}").status_code
            for entry in app.store.audit_log.list_audit_log(limit=4)
            if entry.association in ("near", "far")
        }
    assert "Far away" not in text
    assert statuses == {"near": 200, "far": 404}


def test_page_of_an_unknown_action_does_not_exist(app):
    with logged_in_client(app) as client:
        assert client.get("/en/registry/history/99999").status_code == 404
