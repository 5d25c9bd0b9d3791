"""The form that edits a registry entry."""

import re

import pytest

from auditor.web.routes import registry_entry
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from tests.support.web_server import NOW, get_text, logged_in_client, read_page

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


REGISTRY = ([NOUR, AMAL], LINKS)


def save_entry(app, **changed):
    """Submit the stored entry with some fields changed."""
    with logged_in_client(app) as client:
        return submit_entry(client, **changed)


def submit_entry(client, **changed):
    fields = {"name": NOUR.name, "city": "Agadir", "language": "ar", "tags": "a, b"}
    fields |= {"media_officer": "volunteer", "facebook": "\r\n".join(TYPED)}
    return client.post(f"/en{ADDRESS}", data={"version": get_version(client), **fields, **changed})


def get_version(client):
    return re.search(r'name="version" value="(\w+)"', client.get(f"/en{ADDRESS}").text)[1]


def test_association_page_links_to_its_entry_form(app, client):
    get_text(client, "/en/associations/nour%2F1", f'href="/en{ADDRESS}"')
    get_text(client, f"/en{ADDRESS}", "\n".join(TYPED), 'value="a, b"')
    assert "<b>Amal" not in get_text(client, "/en/registry/entries/amal")
    assert client.get("/en/registry/entries/nobody").status_code == 404


def list_typed(app):
    return [row.typed_text for row in app.store.registry.list_accounts("nour/1")]


@pytest.mark.smoke
def test_saved_entry_is_logged_with_its_author(app):
    changed = {"city": "Tiznit", "media_officer": "nobody", "facebook": TYPED[0]}
    assert save_entry(app, **changed, none_by_choice=["twitter"]).status_code == 303
    association = app.store.registry.get_association("nour/1")
    assert (association.city, association.none_by_choice) == ("Tiznit", ("twitter",))
    assert app.store.registry.get_contact("nour/1").media_officer == "nobody"
    assert list_typed(app) == [TYPED[0]]
    entries = app.store.audit_log.list_audit_log("nour/1", limit=4)
    assert {(entry.author, entry.source) for entry in entries} == {("Amina", "web")}
    assert {entry.field for entry in entries} == {*changed, "none_by_choice"}


def test_entry_that_was_changed_or_erased_meanwhile_is_not_undone(app, client):
    """Undo brings back neither what somebody overwrote nor what was erased."""
    saved = submit_entry(client, city="Tiznit").headers["location"]
    [undo] = re.findall(r'action="(/en/undo/[^"]+)"', get_text(client, saved))
    submit_entry(client, city="Rabat")
    assert client.post(undo).status_code == 303
    get_text(client, saved, "changed meanwhile, so nothing was undone")
    assert app.store.registry.get_association("nour/1").city == "Rabat"
    saved = submit_entry(client, city="Fès").headers["location"]
    [undo] = re.findall(r'action="(/en/undo/[^"]+)"', get_text(client, saved))
    erasure = {"scope": "all", "confirmation": "nour/1"}
    assert client.post("/en/registry/erase/nour%2F1", data=erasure).status_code == 303
    assert client.post(undo).status_code == 303
    assert app.store.registry.get_association("nour/1") is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"name": " "}, "the name is missing"), ({"email": "nobody"}, "invalid email address")],
)
def test_entry_with_a_blocking_issue_is_not_saved(app, changed, message):
    for more in ({}, {"save_anyway": "1"}):
        read_page(save_entry(app, city="Tiznit", **changed, **more), message, status=422)
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
    read_page(save_entry(app, facebook=entry_url), problem, status=422)
    assert list_typed(app) == [*TYPED]
    assert save_entry(app, facebook=entry_url, save_anyway="1").status_code == 303
    assert list_typed(app) == [entry_url]


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
        monkeypatch.setattr(registry_entry, "find_shared_accounts", change_entry)
    monkeypatch.setattr(registry, "save_registry", save_after_another)
    assert save_entry(app, city="Tiznit").status_code == 409
    assert not others
    assert registry.get_association("nour/1").city == "Taza"


def test_entry_changed_by_another_user_is_shown_and_can_be_saved_then(app, client):
    version = get_version(client)
    taza = NOUR.replace_values({"city": "Taza"})
    app.store.registry.save_registry([taza], LINKS[:2], NOW, is_complete=False)
    response = save_entry(app, city="Tiznit", version=version)
    message = "Someone else changed this entry in the meantime"
    read_page(response, message, 'value="Tiznit"', get_version(client), status=409)
    assert app.store.registry.get_association("nour/1").city == "Taza"
    assert save_entry(app, city="Tiznit").status_code == 303


def test_many_links_are_stored_and_an_overlong_line_of_links_is_refused(app):
    """Links after 4,096 characters of a field were removed silently."""
    links = [f"https://www.facebook.com/page.number.{number:03}" for number in range(150)]
    assert save_entry(app, facebook=" ".join(links), save_anyway="1").status_code == 422
    assert save_entry(app, facebook="\r\n".join(links), save_anyway="1").status_code == 303
    assert list_typed(app) == links


def test_too_long_text_is_refused_and_not_cut(app):
    response = save_entry(app, note="x" * 40_000, save_anyway="1")
    read_page(response, "this text is too long", status=422)
    assert app.store.registry.get_contact("nour/1").note is None


def test_association_is_added_by_hand_once(app):
    entry = {"name": "Jamʿiyat Al-Wafa", "language": "fr", "website": "https://wafa.example"}
    with logged_in_client(app) as client:
        get_text(client, "/en/registry", 'href="/en/registry/entries"')
        get_text(client, "/en/registry/entries", 'action="/en/registry/entries"')
        page = client.post("/en/registry/entries", data=entry)
        text = get_text(client, page.headers["location"], "Added. The next check includes it.")
        assert "wafa.example" in text
        again = client.post("/en/registry/entries", data=entry)
        read_page(again, "this name appears twice", "Registered already:", status=422)
        client.post("/en/registry/entries", data={**entry, "save_anyway": "1"})
    assert [row.name for row in app.store.registry.list_associations()].count(entry["name"]) == 2


def test_association_that_is_no_longer_followed_is_kept_and_can_be_taken_back(app, client):
    get_text(client, f"/en{ADDRESS}", "Stop following this association")
    page = client.post("/en/registry/following/nour%2F1", data={"is_followed": "false"})
    get_text(client, page.headers["location"], "No longer followed since", "Follow again")
    assert (list_typed(app), app.store.registry.count_registered()) == ([], (1, 1))
    assert client.get("/en/associations/nour%2F1").headers["location"] == f"/en{ADDRESS}"
    assert "جمعية النور" not in get_text(client, "/en/associations")
    get_text(client, "/en/registry", "No longer followed", "جمعية النور")
    assert client.post(f"/en{ADDRESS}", data={"version": "0", "name": "Nour"}).status_code == 409
    page = client.post("/en/registry/following/nour%2F1", data={"is_followed": "true"})
    get_text(client, page.headers["location"], "Followed again.", "Undo")
    assert list_typed(app) == [*TYPED]
    assert app.store.registry.get_contact("nour/1").media_officer == "volunteer"


def test_entry_with_the_id_of_another_one_is_not_added(app, client, monkeypatch):
    """Two forms at the same time got the same id, and the later entry replaced the other."""
    monkeypatch.setattr(registry_entry, "make_unused_id", lambda *_: "nour/1")
    form = {"name": "Nour", "city": "Tiznit", "save_anyway": "1"}
    read_page(client.post("/en/registry/entries", data=form), "Somebody changed this", status=409)
    assert app.store.registry.get_association("nour/1").city == "Agadir"
