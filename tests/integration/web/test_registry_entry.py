"""The form that edits a registry entry."""

import re

import pytest

from auditor.registry.workbook_reader import MAX_CELL_CHARS
from auditor.web.routes import registry_entry
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from tests.support.mini_network import opened
from tests.support.web_server import NOW, logged_in_client

NOUR = AssociationEntry(
    Association("nour/1", "جمعية النور", city="Agadir", tags=("a", "b")),
    Contact(media_officer="volunteer"),
)
AMAL = Association("amal", "<b>Amal</b>", language="fr")
TYPED = ("https://www.facebook.com/nour.agadir", "https://www.facebook.com/nour.two")
THEIRS = "https://www.facebook.com/amal.oujda"
LINKS = [
    *(
        AccountRow("nour/1", typed, identify.identify_link(typed, "facebook"), "facebook")
        for typed in TYPED
    ),
    AccountRow("amal", THEIRS, identify.identify_link(THEIRS, "facebook"), "facebook"),
]
ADDRESS = "/registry/entries/nour%2F1"


@pytest.fixture
def app(tmp_path):
    network = opened(tmp_path)
    network.store.registry.save_registry([NOUR, AMAL], LINKS, NOW)
    yield network
    network.store.close()


def save_entry(app, language="en", **changed):
    """Submit the stored entry with some fields changed."""
    fields = {"name": NOUR.name, "city": "Agadir", "language": "ar", "tags": "a, b"}
    fields |= {"media_officer": "volunteer", "facebook": "\r\n".join(TYPED)}
    with logged_in_client(app) as client:
        return client.post(
            f"/{language}{ADDRESS}",
            data={"version": get_version(client, language), **fields, **changed},
        )


def get_version(client, language="en"):
    return re.search(r'name="version" value="(\w+)"', client.get(f"/{language}{ADDRESS}").text)[1]


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_association_page_links_to_its_entry_form(app, language):
    with logged_in_client(app) as client:
        assert (
            f'href="/{language}{ADDRESS}"' in client.get(f"/{language}/associations/nour%2F1").text
        )
        form = client.get(f"/{language}{ADDRESS}").text
        assert "\n".join(TYPED) in form
        assert 'value="a, b"' in form
        assert "<b>Amal" not in client.get(f"/{language}/registry/entries/amal").text
        assert client.get(f"/{language}/registry/entries/nobody").status_code == 404


def test_saving_an_unchanged_entry_changes_nothing(app):
    before = len(app.store.audit_log.list_audit_log())
    response = save_entry(app)
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/en/associations/nour%2F1",
    )
    assert len(app.store.audit_log.list_audit_log()) == before


def test_saved_entry_is_logged_with_its_author(app):
    changed = {
        "city": "Tiznit",
        "media_officer": "nobody",
        "facebook": TYPED[0],
        "none_by_choice": ["twitter"],
    }
    assert save_entry(app, **changed).status_code == 303
    association, officer = (
        app.store.registry.get_association("nour/1"),
        app.store.registry.get_contact("nour/1").media_officer,
    )
    assert (association.city, officer, association.none_by_choice) == (
        "Tiznit",
        "nobody",
        ("twitter",),
    )
    assert [row.typed_text for row in app.store.registry.list_accounts()] == [TYPED[0], THEIRS]
    changes = {
        (entry.author, entry.source, entry.field)
        for entry in app.store.audit_log.list_audit_log("nour/1", limit=4)
    }
    assert changes == {
        ("Amina", "web", field) for field in ("city", "media_officer", "none_by_choice", "facebook")
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"name": " "}, "the name is missing"), ({"email": "nobody"}, "invalid email address")],
)
def test_entry_with_a_blocking_issue_is_not_saved(app, changed, message):
    for more in ({}, {"save_anyway": "1"}):
        response = save_entry(app, city="Tiznit", **changed, **more)
        assert response.status_code == 422
        assert message in response.text
    assert app.store.registry.get_association("nour/1").city == "Agadir"


@pytest.mark.parametrize(
    ("entry_url", "problem"),
    [
        ("https://www.facebook.com/", "not the link of an account"),
        ("https://www.facebook.com/groups/nour", "personal profile or group"),
        (THEIRS, "another association also lists this account"),
    ],
)
def test_entry_with_a_warning_can_be_saved_anyway(app, entry_url, problem):
    response = save_entry(app, facebook=entry_url)
    assert response.status_code == 422
    assert problem in response.text
    assert [row.typed_text for row in app.store.registry.list_accounts("nour/1")] == [*TYPED]
    assert save_entry(app, facebook=entry_url, save_anyway="1").status_code == 303
    assert [row.typed_text for row in app.store.registry.list_accounts("nour/1")] == [entry_url]


def test_entry_issues_are_translated(app):
    assert "ليس رابط حساب" in save_entry(app, "ar", facebook="https://www.facebook.com/").text
    assert (
        "ce n’est pas le lien d’un compte"
        in save_entry(app, "fr", facebook="https://www.facebook.com/").text
    )


@pytest.mark.parametrize("moment", ["check", "comparison", "save"])
def test_entry_changed_during_the_request_returns_409(app, monkeypatch, moment):
    """Six simultaneous requests with the same version were all saved; the last one won."""
    registry = app.store.registry
    save_registry, others = registry.save_registry, [NOUR.replace_values({"city": "Taza"})]

    def change_entry(*_):
        while others:
            save_registry([others.pop()], LINKS[:2], NOW, is_complete=False)
        return []

    def save_after_another(*arguments, **options):
        if moment == ("comparison" if "dry_run" in options else "save"):
            change_entry()
        return save_registry(*arguments, **options)

    if moment == "check":
        monkeypatch.setattr(registry_entry, "_find_shared_accounts", change_entry)
    monkeypatch.setattr(registry, "save_registry", save_after_another)
    assert save_entry(app, city="Tiznit").status_code == 409
    assert not others
    assert registry.get_association("nour/1").city == "Taza"


def test_entry_changed_by_another_user_returns_409(app):
    with logged_in_client(app) as client:
        form = get_version(client)
        app.store.registry.save_registry(
            [NOUR.replace_values({"city": "Taza"})], LINKS[:2], NOW, is_complete=False
        )
        response = save_entry(app, city="Tiznit", version=form)
        assert response.status_code == 409
        assert "Someone else changed this entry in the meantime" in response.text
        assert 'value="Tiznit"' in response.text
        assert app.store.registry.get_association("nour/1").city == "Taza"
        assert get_version(client) in response.text
    assert save_entry(app, city="Tiznit").status_code == 303
    assert app.store.registry.get_association("nour/1").city == "Tiznit"


def test_none_by_choice_of_an_unaudited_channel_is_kept(app):
    chosen = NOUR.replace_values({"none_by_choice": ("tiktok",)})
    app.store.registry.save_registry([chosen], LINKS[:2], NOW, is_complete=False)
    with logged_in_client(app) as client:
        form = client.get(f"/en{ADDRESS}").text
    assert re.search(r'name="none_by_choice" value="tiktok" checked', form)


@pytest.mark.parametrize("page_name", ["trail", "diff/x", "entry"])
def test_association_with_a_page_name_as_id_can_be_edited(app, page_name):
    app.store.registry.save_registry([Association(page_name, "Taken")], [], NOW, is_complete=False)
    with logged_in_client(app) as client:
        form = client.get(f"/en/associations/{page_name}").text
        entry_url = re.search(r'href="(/en/registry/entries/[^"]+)"', form)[1]
        assert 'value="Taken"' in client.get(entry_url).text


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_long_text_is_stored_as_a_whole_or_refused(app, step):
    """A longer text was cut silently, also one that was imported."""
    note = "x" * (MAX_CELL_CHARS + step)
    response = save_entry(app, note=note, save_anyway="1")
    assert response.status_code == (303 if step <= 0 else 422)
    assert ("this text is too long" in response.text) is (step > 0)
    stored = app.store.registry.get_contact("nour/1").note
    assert stored == (note if step <= 0 else None)


def test_many_links_are_stored_and_an_overlong_line_of_links_is_refused(app):
    """Links after 4,096 characters of a field were removed silently."""
    links = [f"https://www.facebook.com/page.number.{number:03}" for number in range(150)]
    assert save_entry(app, facebook=" ".join(links), save_anyway="1").status_code == 422
    assert save_entry(app, facebook="\r\n".join(links), save_anyway="1").status_code == 303
    stored = [row.typed_text for row in app.store.registry.list_accounts("nour/1")]
    assert stored == links
