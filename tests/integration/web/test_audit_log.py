"""The registry's change log."""

import re
from dataclasses import replace

import pytest

from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import ChangeOrigin
from tests.support.mini_network import opened
from tests.support.web_server import NOW, logged_in_client

NOUR = AssociationEntry(Association("nour/1", "<b>Nour</b>"), Contact(media_officer="nobody"))
AMAL = Association("amal", "Amal")


@pytest.fixture
def app(tmp_path):
    network = opened(tmp_path)
    network.store.save_registry(
        [NOUR, AMAL], [], NOW, origin=ChangeOrigin("<i>Salma</i>", "import")
    )
    changed = replace(NOUR, contact=Contact(media_officer="volunteer"))
    network.store.save_registry([changed], [], NOW, origin=ChangeOrigin("Amina", "web"), prune=True)
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


def test_change_log_pages_show_every_entry_once(app):
    associations = [Association(f"n{n:03}", f"Name {n:03}") for n in range(120)]
    app.store.save_registry(associations, [], NOW, is_complete=False)
    names, url = [], "/en/registry/history"
    with logged_in_client(app) as client:
        while url:
            text = client.get(url).text
            names += re.findall(r"<ins><bdi>(Name \d+)", text)
            next_link = re.search(r'href="([^"]+)" rel="next"', text)
            url = next_link[1].replace("&amp;", "&") if next_link else None
        assert client.get("/en/registry/history?before=-1").status_code == 422
    assert names == [f"Name {n:03}" for n in reversed(range(120))]
