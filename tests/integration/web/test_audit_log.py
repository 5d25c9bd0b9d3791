"""The registry's change log."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import ChangeOrigin, Role
from tests.support.web_server import NOW, get_text, logged_in_client

NOUR = AssociationEntry(Association("nour/1", "<b>Nour</b>"), Contact(media_officer="nobody"))
AMAL = Association("amal", "Amal")


@pytest.fixture
def client(app):
    """The client of an administrator, after an import and an edit."""
    imported, edited = ChangeOrigin("<i>Salma</i>", "import"), ChangeOrigin("Amina", "web")
    changed = replace(NOUR, contact=Contact(media_officer="volunteer"))
    app.store.registry.save_registry([NOUR, AMAL], [], NOW, origin=imported)
    app.store.registry.save_registry([changed], [], NOW, origin=edited, prune=True)
    with logged_in_client(app) as client:
        yield client


@pytest.mark.smoke
def test_change_log_shows_each_change_with_its_author_in_the_page_language(client):
    get_text(client, "/fr/registry", 'href="/fr/registry/history"')
    get_text(client, "/fr/registry/entries/nour%2F1", "registry/history?association=nour")
    changes = ("<del>aucune personne</del>", "<ins>bénévole</ins>", "&lt;i&gt;Salma&lt;/i&gt;")
    text = get_text(client, "/fr/registry/history", *changes)
    assert ("<i>Salma" in text, "<b>Nour" in text) == (False, False)


def test_change_log_of_one_removed_association_shows_only_its_changes(client):
    text = get_text(client, "/en/registry/history?association=amal", "Salma", "removed")
    assert "Nour" not in text
    get_text(client, "/en/registry/history?association=nobody", "No changes yet.")


def follow_pages(client, url, pattern):
    """Return the matches of a pattern on a page and on all pages after it."""
    found = []
    while url:
        text = client.get(url).text
        found += re.findall(pattern, text)
        next_link = re.search(r'href="([^"]+)" rel="next"', text)
        url = next_link[1].replace("&amp;", "&") if next_link else None
    return found


def test_import_is_one_line_that_leads_to_its_changes(app, client):
    associations = [Association(f"n{n:04}", f"Name {n:04}") for n in range(120)]
    origin = {"origin": ChangeOrigin("Salma", "import")}
    app.store.registry.save_registry(associations, [], NOW, is_complete=False, **origin)
    text = client.get("/en/registry/history").text
    assert text.count("<tr><th") == 1 + 3
    assert not re.search("Name [0-9]+", text)
    import_link = re.search(r'<a href="([^"]+)"><bdi>120</bdi> changes</a>', text)
    names = follow_pages(client, import_link[1], r"<ins><bdi>(Name \d+)")
    get_text(client, import_link[1], "Salma")
    assert names == [f"Name {n:04}" for n in reversed(range(120))]


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
