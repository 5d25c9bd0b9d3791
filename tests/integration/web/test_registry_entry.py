"""An association's entry is changed in the browser, by the rules of a sheet's row, on a real server."""

import re

import pytest

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
    small = opened(tmp_path)
    small.store.save_registry([NOUR, AMAL], LINKS, NOW)
    yield small
    small.store.close()


def kept(app, language="en", **changed):
    """What the server answers to the entry as it is, with some fields changed."""
    fields = {"name": NOUR.name, "city": "Agadir", "language": "ar", "tags": "a, b"}
    fields |= {"media_officer": "volunteer", "facebook": "\r\n".join(TYPED)}
    with logged_in_client(app) as client:
        return client.post(
            f"/{language}{ADDRESS}",
            data={"version": version(client, language), **fields, **changed},
        )


def version(client, language="en"):
    return re.search(r'name="version" value="(\w+)"', client.get(f"/{language}{ADDRESS}").text)[1]


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_association_page_links_to_its_entry_form(app, language):
    with logged_in_client(app) as client:
        assert (
            f'href="/{language}{ADDRESS}"' in client.get(f"/{language}/associations/nour%2F1").text
        )
        shown = client.get(f"/{language}{ADDRESS}").text
        assert "\n".join(TYPED) in shown
        assert 'value="a, b"' in shown
        assert "<b>Amal" not in client.get(f"/{language}/registry/entries/amal").text
        assert client.get(f"/{language}/registry/entries/nobody").status_code == 404


def test_saving_an_unchanged_entry_changes_nothing(app):
    before = len(app.store.list_audit_log())
    answer = kept(app)
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/associations/nour%2F1")
    assert len(app.store.list_audit_log()) == before


def test_saved_entry_is_logged_with_its_author(app):
    changed = {
        "city": "Tiznit",
        "media_officer": "nobody",
        "facebook": TYPED[0],
        "none_by_choice": ["twitter"],
    }
    assert kept(app, **changed).status_code == 303
    about, officer = (
        app.store.get_association("nour/1"),
        app.store.get_contact("nour/1").media_officer,
    )
    assert (about.city, officer, about.none_by_choice) == ("Tiznit", "nobody", ("twitter",))
    assert [row.typed_text for row in app.store.list_accounts()] == [TYPED[0], THEIRS]
    told = {(one.author, one.source, one.field) for one in app.store.list_audit_log("nour/1", limit=4)}
    assert told == {
        ("Amina", "web", field) for field in ("city", "media_officer", "none_by_choice", "facebook")
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": " "}, "the name is missing"),
        ({"email": "nobody"}, "invalid email address"),
    ],
)
def test_entry_with_a_blocking_issue_is_not_saved(app, changed, said):
    for more in ({}, {"save_anyway": "1"}):
        answer = kept(app, city="Tiznit", **changed, **more)
        assert answer.status_code == 422
        assert said in answer.text
    assert app.store.get_association("nour/1").city == "Agadir"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("https://www.facebook.com/", "not the link of an account"),
        ("https://www.facebook.com/groups/nour", "personal profile or group"),
        (THEIRS, "another association also lists this account"),
    ],
)
def test_entry_with_a_warning_can_be_saved_anyway(app, address, problem):
    answer = kept(app, facebook=address)
    assert answer.status_code == 422
    assert problem in answer.text
    assert [row.typed_text for row in app.store.list_accounts("nour/1")] == [*TYPED]
    assert kept(app, facebook=address, save_anyway="1").status_code == 303
    assert [row.typed_text for row in app.store.list_accounts("nour/1")] == [address]


def test_entry_issues_are_translated(app):
    assert "ليس رابط حساب" in kept(app, "ar", facebook="https://www.facebook.com/").text
    assert "ce n’est pas le lien d’un compte" in kept(app, "fr", facebook="https://www.facebook.com/").text


def test_entry_changed_by_another_user_returns_409(app):
    with logged_in_client(app) as client:
        shown = version(client)
        app.store.save_registry(
            [NOUR.replace_values({"city": "Taza"})], LINKS[:2], NOW, is_complete=False
        )
        refused = kept(app, city="Tiznit", version=shown)
        assert refused.status_code == 409
        assert "Someone else changed this entry in the meantime" in refused.text
        assert 'value="Tiznit"' in refused.text
        assert app.store.get_association("nour/1").city == "Taza"
        assert version(client) in refused.text
    assert kept(app, city="Tiznit").status_code == 303
    assert app.store.get_association("nour/1").city == "Tiznit"


def test_none_by_choice_of_an_unaudited_channel_is_kept(app):
    chosen = NOUR.replace_values({"none_by_choice": ("tiktok",)})
    app.store.save_registry([chosen], LINKS[:2], NOW, is_complete=False)
    with logged_in_client(app) as client:
        page = client.get(f"/en{ADDRESS}").text
    assert re.search(r'name="none_by_choice" value="tiktok" checked', page)


@pytest.mark.parametrize("taken", ["trail", "diff/x", "entry"])
def test_association_with_a_page_name_as_id_can_be_edited(app, taken):
    app.store.save_registry([Association(taken, "Taken")], [], NOW, is_complete=False)
    with logged_in_client(app) as client:
        shown = client.get(f"/en/associations/{taken}").text
        address = re.search(r'href="(/en/registry/entries/[^"]+)"', shown)[1]
        assert 'value="Taken"' in client.get(address).text
