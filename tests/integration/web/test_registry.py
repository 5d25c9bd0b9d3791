"""Download and import of the registry."""

import re

import pytest
from bs4 import BeautifulSoup

from auditor.core.i18n.translator import Translator
from auditor.registry import exporter
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import to_csv
from auditor.web.routes import registry as routes
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from tests.support.spreadsheets import build_damaged_workbooks
from tests.support.web_server import NOW, get_text, logged_in_client, read_page

NOUR = AssociationEntry(
    Association("nour", "جمعية النور", city="=1+1", language="ar"),
    Contact(media_officer="volunteer"),
)
AMAL = Association("amal", "<b>Amal</b>", language="fr", none_by_choice=("twitter",))
FACEBOOK = "https://www.facebook.com/nour.agadir"
LINKS = [
    AccountRow(association, url, identify.identify_link(url, channel), channel)
    for association, channel, url in [
        ("nour", "facebook", FACEBOOK),
        ("amal", "website", "https://amal.ma/"),
    ]
]
HEADINGS = ["id", "name", "city", "facebook"]
ROWS = [["nour", "جمعية النور", "=1+1", FACEBOOK], ["amal", "<b>Amal</b>", "", FACEBOOK]]


REGISTRY = ([NOUR, AMAL], LINKS)


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def client(app, clock):
    with logged_in_client(app, lambda: clock[0]) as client:
        yield client


def post_file(client, data, name="sheet.csv", language="en"):
    return client.post(f"/{language}/registry", files={"spreadsheet": (name, data)})


def upload(client, *rows, headings=HEADINGS, language="en"):
    """Upload a spreadsheet, and return the address of its preview."""
    return post_file(client, to_csv([headings, *rows]), language=language).headers["location"]


def read_text(text):
    """Return the visible text of a page with single spaces."""
    return " ".join(BeautifulSoup(text, "html.parser").main.get_text().split())


def list_uploads(app):
    folder = app.data_folder / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def list_ids(app):
    return [row.id for row in app.store.registry.list_associations()]


def confirm(client, preview_url, **boxes):
    digest = re.search(r'name="digest" value="(\w+)"', client.get(preview_url).text)[1]
    return client.post(preview_url, data={"action": "import", "digest": digest, **boxes})


@pytest.mark.smoke
@pytest.mark.parametrize(("language", "form"), [("ar", "csv"), ("fr", "xlsx")])
def test_downloaded_registry_is_translated_and_imports_without_changes(
    app, client, tmp_path, language, form
):
    get_text(client, f"/{language}/registry", f'href="/{language}/registry.{form}"')
    response = client.get(f"/{language}/registry.{form}")
    assert f"registry-{NOW.date()}" in response.headers["content-disposition"]
    template = client.get(f"/{language}/registry/template.xlsx")
    assert ".xlsx" in template.headers["content-disposition"]
    path = tmp_path / f"sheet.{form}"
    path.write_bytes(response.content)
    registry = parse_registry_spreadsheet(path)
    assert not app.store.registry.save_registry(registry.associations, registry.accounts, NOW)
    heading = exporter.format_column_heading("id", Translator(language))
    assert form == "xlsx" or response.text.lstrip("\ufeff").startswith(f"{heading},")


@pytest.mark.smoke
def test_spreadsheet_is_previewed_then_imported(app, client):
    get_text(client, "/en/registry", "2 associations registered.")
    preview_url = upload(client, *ROWS, language="ar")
    shared = Translator("ar").term("problem", "shared_account")
    text = get_text(client, preview_url, "&lt;b&gt;Amal&lt;/b&gt;", shared)
    assert ("<b>Amal" in text, 'name="complete_digest"' in text) == (False, False)
    accounts = app.store.registry.list_accounts
    assert [row.association for row in accounts()] == ["nour", "amal"]
    imported = confirm(client, preview_url)
    get_text(client, imported.headers["location"])
    assert client.get(preview_url).status_code == 404
    assert {row.typed_text for row in accounts() if row.channel == "facebook"} == {FACEBOOK}
    [entry] = app.store.audit_log.list_audit_log(limit=1)
    assert (entry.author, entry.source, list_uploads(app)) == ("Amina", "web", [])


def test_import_adds_and_changes_and_leaving_is_a_separate_choice(app, client):
    rows = [[f"n{number}", f"Name {number}", "", ""] for number in range(3)]
    confirm(client, upload(client, rows[0]))
    assert list_ids(app) == ["amal", "n0", "nour"]
    preview_url = upload(client, *rows)
    text = get_text(client, preview_url, "Also stop following the 2 associations")
    [digest] = re.findall(r'name="complete_digest" value="(\w+)"', text)
    confirm(client, preview_url, complete_digest=digest)
    assert list_ids(app) == ["n0", "n1", "n2"]


def read_registry(app):
    registry = app.store.registry
    rows = [
        (row.association, row.column, row.typed_text, row.withdrawn_at)
        for row in registry.list_accounts(include_withdrawn=True)
        if not row.withdrawn_at or row.association == "amal"
    ]
    withdrawn = [entry for entry in registry.list_withdrawn_entries() if entry.id == "amal"]
    return list(registry.list_association_entries()), withdrawn, rows


@pytest.mark.parametrize("is_complete", [False, True])
def test_import_is_undone_with_one_click(app, client, is_complete):
    """Associations it added leave. Those that it changed, that left or had left are as before."""
    app.store.registry.withdraw_association("amal", NOW)
    before = read_registry(app)
    rows = [["n0", "Name", "", ""], ["amal", "Another", "", ""]]
    preview_url = upload(client, *rows, *[["nour", "جمعية النور", "Tiznit", ""]][is_complete:])
    digests = re.findall(r'name="complete_digest" value="(\w+)"', client.get(preview_url).text)
    assert bool(digests) == is_complete
    imported = confirm(client, preview_url, complete_digest="".join(digests))
    assert read_registry(app) != before
    text = get_text(client, imported.headers["location"], "Imported: 2 new associations")
    [undo] = re.findall(r'action="(/en/undo/[^"]+)"', text)
    assert client.post(undo).status_code == 303
    get_text(client, imported.headers["location"], "Undone.")
    assert read_registry(app) == before
    names = [entry for entry in app.store.audit_log.list_audit_log() if entry.field == "name"]
    assert {(entry.before, entry.after) for entry in names if entry.association == "amal"} == {
        ("<b>Amal</b>", "Another"),
        ("Another", "<b>Amal</b>"),
    }


@pytest.mark.parametrize("change", ["edited", "erased"])
def test_import_is_not_undone_if_a_row_of_it_was_changed_since(app, client, change):
    imported = confirm(client, upload(client, ["nour", "جمعية النور", "Tiznit", FACEBOOK]))
    text = get_text(client, imported.headers["location"], "Imported: 1 association changed")
    [undo] = re.findall(r'action="(/en/undo/[^"]+)"', text)
    if change == "edited":
        app.store.registry.save_registry([NOUR], LINKS[:1], NOW, is_complete=False)
    else:
        form = {"scope": "all", "confirmation": "nour"}
        assert client.post("/en/registry/erase/nour", data=form).status_code == 303
    changed = read_registry(app)
    client.post(undo)
    get_text(client, imported.headers["location"], "Something was changed meanwhile")
    assert read_registry(app) == changed


def test_discarded_spreadsheet_changes_nothing_and_is_deleted(app, client):
    response = client.post(upload(client, *ROWS[:1]), data={"action": "discard"})
    assert response.headers["location"] == "/en/registry"
    assert (list_uploads(app), list_ids(app)) == ([], ["amal", "nour"])


def test_preview_is_shown_again_if_the_registry_changed(app, client):
    preview_url = upload(client, *ROWS)
    digest = re.search(r'name="digest" value="(\w+)"', client.get(preview_url).text)[1]
    changed = NOUR.replace_values({"city": "Tiznit"})
    app.store.registry.save_registry([changed, AMAL], LINKS, NOW)
    response = client.post(preview_url, data={"action": "import", "digest": digest})
    assert response.headers["location"] == f"{preview_url}?has_changed=1"
    get_text(client, response.headers["location"], "changed in the meantime")
    assert app.store.registry.get_association("nour").city == "Tiznit"
    confirm(client, preview_url)
    assert app.store.registry.get_association("nour").city == "=1+1"


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"PK\x03\x04broken", 422, "is not a spreadsheet"),
        (b'id,name\n1,"open\n2,b\n', 422, "Line 2: A quotation mark"),
        ("id,name\n1,été\n1,été\n2,".encode() + b"\xff\n", 422, "Line 4: This file is damaged"),
        (b"<p>Some words. And more.</p>\n", 422, "a text, not a table"),
        (b"id,name\n", 422, "This file has no associations"),
        pytest.param(b"name\n" * 20_001, 422, "more than 20,000 rows", id="rows"),
        pytest.param(b"x" * (10 * 1024 * 1024 + 1), 413, "larger than 10 MB", id="bytes"),
    ],
)
def test_invalid_file_is_refused_with_a_reason_and_deleted(app, client, data, status, message):
    response = post_file(client, data, "a.xlsx" if data.startswith(b"PK") else "a.csv")
    assert message in read_text(read_page(response, status=status))
    assert not list_uploads(app)


@pytest.mark.slow
def test_damaged_workbooks_are_refused_and_deleted(app, client, tmp_path):
    for damage, data in build_damaged_workbooks(tmp_path).items():
        assert (damage, post_file(client, data, "a.xlsx").status_code) == (damage, 422)
        assert not list_uploads(app)


def test_upload_that_crashes_the_import_is_deleted(app, client, monkeypatch):
    monkeypatch.setattr(routes, "parse_registry_spreadsheet", lambda *_: 1 / 0)
    response = post_file(client, to_csv([HEADINGS, *ROWS]))
    assert (response.status_code, list_uploads(app)) == (500, [])


@pytest.mark.parametrize("name", ["..%2F..%2Fauditor.db", "20261125090000-" + "a" * 22])
def test_unknown_upload_name_returns_404(app, client, name):
    assert client.get(f"/en/registry/imports/{name}").status_code == 404
    client.post(f"/en/registry/imports/{name}", data={"action": "discard"})
    assert list_ids(app) == ["amal", "nour"]


def list_choices(text):
    """Return the choice of each column on the page of an import, by its heading."""
    page = BeautifulSoup(text, "html.parser")
    selects = page.select("select[name=columns]")
    chosen = [select.select_one("option[selected]") or select.option for select in selects]
    headings = [page.find(id=select["aria-labelledby"]).get_text() for select in selects]
    return dict(zip(headings, [option["value"] for option in chosen], strict=True))


def test_import_says_what_it_understood_and_asks_for_the_names(client):
    sheet = {"headings": ["Structure", "Site", "Lieu"]}
    preview_url = upload(client, ["Ifrane", "ifrane.ma", "Ifrane"], **sheet)
    text = get_text(client, preview_url, "which column has the names")
    assert 'value="import"' not in text
    assert list_choices(text) == {"Site": "1:website", "Structure": "0:", "Lieu": "2:"}
    refused = client.post(f"{preview_url}/columns", data={"columns": ["0:", "2:city"]})
    assert list_choices(read_page(refused, status=422))["Lieu"] == "2:city"
    columns = ["0:name", "1:website", "2:city"]
    client.post(f"{preview_url}/columns", data={"columns": columns})
    assert "1 new association" in read_text(client.get(preview_url).text)
    text = get_text(client, upload(client, ["Ifrane", "ifrane.ma", "Ifrane"], **sheet))
    assert sorted(list_choices(text).values()) == columns


def test_problems_are_grouped_and_unread_columns_are_none_of_them(client):
    rows = [*([f"Name {number}", "no address", "42"] for number in range(3)), ["", "a@b.ma", "42"]]
    text = get_text(client, upload(client, *rows, headings=["name", "email", "Shoe size"]))
    groups = BeautifulSoup(text, "html.parser").select("section[aria-labelledby=problems] summary")
    assert [" ".join(group.get_text().split()) for group in groups] == [
        "1 the name is missing · not imported",
        "1 no column with links is read",
        "3 invalid email address",
    ]
    assert "1 column not read Shoe size" in read_text(text)


@pytest.mark.fault("F74")
def test_further_import_is_refused_while_one_is_read(app, client):
    with routes._import_slot:
        response = post_file(client, to_csv([HEADINGS, *ROWS]))
    read_page(response, "Other imports are in progress", status=503)
    assert (response.headers["retry-after"], list_uploads(app)) == ("60", [])


@pytest.mark.parametrize("path", ["", "/columns"])
def test_form_of_an_upload_that_cannot_be_read_any_more_refuses_it(app, client, path):
    preview_url = upload(client, *ROWS)
    list_uploads(app)[0].write_bytes(b"\0\0\0")
    form = {"action": "import", "columns": ["0:name"]}
    assert client.post(f"{preview_url}{path}", data=form).status_code == 422
    assert not list_uploads(app)
