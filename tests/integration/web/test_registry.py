"""The registry in the browser, on a real server: taken as a sheet, corrected, shown and taken over."""

import re
from datetime import timedelta

import pytest

from auditor.i18n.translator import Translator
from auditor.registry import exporter
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import to_csv
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from tests.support.mini_network import opened
from tests.support.web_server import NOW, logged_in_client

NOUR = AssociationEntry(
    Association("nour", "جمعية النور", city="=1+1", language="ar"),
    Contact(media_officer="volunteer"),
)
AMAL = Association("amal", "<b>Amal</b>", language="fr", none_by_choice=("twitter",))
LINKS = [
    AccountRow(who, typed, identify.identify_link(typed, channel), channel)
    for who, channel, typed in [
        ("nour", "facebook", "https://www.facebook.com/nour.agadir"),
        ("amal", "website", "https://amal.ma/"),
    ]
]


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path)
    small.store.save_registry([NOUR, AMAL], LINKS, NOW)
    yield small
    small.store.close()


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("form", ["csv", "xlsx", "csv?delimiter=%3B"])
def test_downloaded_registry_is_translated_and_imports_without_changes(
    app, tmp_path, language, form
):
    with logged_in_client(app) as client:
        page = client.get(f"/{language}/registry").text
        assert f'href="/{language}/registry.{form}"' in page
        answer = client.get(f"/{language}/registry.{form}")
    assert f"registry-{NOW.date()}" in answer.headers["content-disposition"]
    path = tmp_path / f"sheet.{form[:4].strip('?')}"
    path.write_bytes(answer.content)
    reading = parse_registry_spreadsheet(path)
    assert not app.store.save_registry(reading.associations, reading.accounts, NOW)
    if form == "csv":
        assert answer.text.lstrip("\ufeff").startswith(
            exporter.format_column_heading("id", Translator(language)) + ","
        )


def test_registry_page_counts_associations(app):
    with logged_in_client(app) as client:
        assert "2 associations registered." in client.get("/en/registry").text.replace(
            "<bdi>", ""
        ).replace("</bdi>", "")


def brought(client, name="sheet.csv", rows=(), language="en"):
    data = to_csv([["id", "name", "city", "facebook"], *rows])
    return client.post(f"/{language}/registry", files={"spreadsheet": (name, data)})


SAME = [
    ["nour", "جمعية النور", "=1+1", "https://www.facebook.com/nour.agadir"],
    ["amal", "<b>Amal</b>", "", "https://www.facebook.com/nour.agadir"],
]


def waiting(app):
    folder = app.data_folder / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def agreed(client, address):
    digest = re.search(r'name="digest" value="(\w+)"', client.get(address).text)[1]
    return {"action": "import", "digest": digest}


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_spreadsheet_is_previewed_then_imported(app, language):
    with logged_in_client(app) as client:
        answer = brought(client, rows=SAME, language=language)
        assert answer.status_code == 303
        shown = client.get(answer.headers["location"]).text
        assert "&lt;b&gt;Amal&lt;/b&gt;" in shown
        assert "<b>Amal" not in shown
        assert Translator(language).term("problem", "shared_account") in shown
        assert [row.association for row in app.store.list_accounts()] == ["nour", "amal"]
        done = client.post(
            answer.headers["location"], data=agreed(client, answer.headers["location"])
        )
        assert done.status_code == 303
        assert done.headers["location"].startswith(f"/{language}/registry?imported_count=")
        assert client.get(done.headers["location"]).status_code == 200
        assert client.get(answer.headers["location"]).status_code == 404
    facebook = {row.typed_text for row in app.store.list_accounts() if row.channel == "facebook"}
    assert facebook == {"https://www.facebook.com/nour.agadir"}
    assert {(one.author, one.source) for one in app.store.list_audit_log(limit=1)} == {
        ("Amina", "web")
    }
    assert not waiting(app)


def test_partial_spreadsheet_needs_confirmation(app):
    with logged_in_client(app) as client:
        address = brought(client, rows=SAME[:1]).headers["location"]
        shown = client.get(address).text
        said = "<bdi>1</bdi> association isn’t in this file"
        assert shown.index(said) < shown.index('value="import"')
        refused = client.post(address, data=agreed(client, address))
        assert refused.status_code == 422
        assert "Confirm that this file is complete" in refused.text
        assert [one.id for one in app.store.list_associations()] == ["amal", "nour"]
        assert (
            client.post(address, data={**agreed(client, address), "is_complete": "true"}).status_code
            == 303
        )
        whole = client.get(brought(client, rows=SAME).headers["location"]).text
    assert [one.id for one in app.store.list_associations()] == ["nour"]
    assert 'name="is_complete"' not in whole


def test_discarded_spreadsheet_changes_nothing_and_is_deleted(app):
    with logged_in_client(app) as client:
        address = brought(client, rows=SAME[:1]).headers["location"]
        assert client.post(address, data={"action": "discard"}).headers["location"] == "/en/registry"
    assert not waiting(app)
    assert [one.id for one in app.store.list_associations()] == ["amal", "nour"]


def test_preview_is_shown_again_if_the_registry_changed(app):
    with logged_in_client(app) as client:
        address = brought(client, rows=SAME).headers["location"]
        form = agreed(client, address)
        app.store.save_registry([NOUR.replace_values({"city": "Tiznit"}), AMAL], LINKS, NOW)
        again = client.post(address, data=form)
        assert again.headers["location"] == f"{address}?has_changed=1"
        assert "changed in the meantime" in client.get(again.headers["location"]).text
        assert app.store.get_association("nour").city == "Tiznit"
        assert client.post(address, data=agreed(client, address)).status_code == 303
    assert app.store.get_association("nour").city == "=1+1"


def test_unchanged_spreadsheet_has_no_import_button(app):
    with logged_in_client(app) as client:
        sheet = client.get("/fr/registry.xlsx").content
        answer = client.post("/fr/registry", files={"spreadsheet": ("a.xlsx", sheet)})
        shown = client.get(answer.headers["location"]).text
    assert "Ce fichier ne change rien." in shown
    assert 'value="import"' not in shown


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"\xd0\xcf\x11\xe0old", 422, "old Excel format (before 2007)"),
        (b"\0\0\0", 422, "is not a spreadsheet"),
        (b"PK\x03\x04broken", 422, "damaged"),
        (b'name\n"open' + b"x" * 200_000, 422, "quotation mark"),
        (b"what,where\n1,2\n", 422, "No column has association names"),
        (b"id,name\n", 422, "This file has no associations"),
        (b"x" * (10 * 1024 * 1024 + 1), 413, "larger than 10 MB"),
    ],
)
def test_invalid_file_is_refused_with_a_reason_and_deleted(app, data, status, said):
    with logged_in_client(app) as client:
        answer = client.post("/en/registry", files={"spreadsheet": ("a.xlsx", data)})
    assert answer.status_code == status
    assert said in answer.text
    assert not waiting(app)


def test_upload_expires_after_a_day(app):
    moment = [NOW]
    with logged_in_client(app, lambda: moment[0]) as client:
        address = brought(client, rows=SAME).headers["location"]
        moment[0] = NOW + timedelta(hours=23)
        assert client.get(address).status_code == 200
        moment[0] = NOW + timedelta(days=1)
        assert client.get(address).status_code == 404
        brought(client, rows=SAME)
    assert len(waiting(app)) == 1


@pytest.mark.parametrize("name", ["..%2F..%2Fauditor.db", "20261125090000-" + "a" * 22, "x"])
def test_unknown_upload_name_returns_404(app, name):
    with logged_in_client(app) as client:
        assert client.get(f"/en/registry/imports/{name}").status_code == 404
        client.post(f"/en/registry/imports/{name}", data={"action": "discard"})
    assert [one.id for one in app.store.list_associations()] == ["amal", "nour"]


def test_preview_shows_at_most_500_changes(app):
    with logged_in_client(app) as client:
        many = [[f"n{n}", f"Name {n}", "", ""] for n in range(600)]
        shown = client.get(brought(client, rows=[*SAME, *many]).headers["location"]).text
    assert shown.count("<dt>") == 500
    assert "more changes" in shown
