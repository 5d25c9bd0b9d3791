"""Download and import of the registry."""

import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from auditor.core.i18n.translator import Translator
from auditor.registry import exporter, workbook_reader
from auditor.registry.changes import MAX_UPLOAD_AGE, UploadStore
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import to_csv
from auditor.web.routes import registry as routes
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from tests.support.mini_network import opened
from tests.support.spreadsheets import build_damaged_workbooks, write_ods
from tests.support.web_server import NOW, logged_in_client

NOUR = AssociationEntry(
    Association("nour", "جمعية النور", city="=1+1", language="ar"),
    Contact(media_officer="volunteer"),
)
AMAL = Association("amal", "<b>Amal</b>", language="fr", none_by_choice=("twitter",))
LINKS = [
    AccountRow(association, url, identify.identify_link(url, channel), channel)
    for association, channel, url in [
        ("nour", "facebook", "https://www.facebook.com/nour.agadir"),
        ("amal", "website", "https://amal.ma/"),
    ]
]


@pytest.fixture
def app(tmp_path):
    network = opened(tmp_path)
    network.store.registry.save_registry([NOUR, AMAL], LINKS, NOW)
    yield network
    network.store.close()


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_downloaded_registry_is_translated_and_imports_without_changes(
    app, tmp_path, language, form
):
    with logged_in_client(app) as client:
        text = client.get(f"/{language}/registry").text
        assert f'href="/{language}/registry.{form}"' in text
        response = client.get(f"/{language}/registry.{form}")
    assert f"registry-{NOW.date()}" in response.headers["content-disposition"]
    path = tmp_path / f"sheet.{form}"
    path.write_bytes(response.content)
    import_result = parse_registry_spreadsheet(path)
    assert not app.store.registry.save_registry(
        import_result.associations, import_result.accounts, NOW
    )
    if form == "csv":
        assert response.text.lstrip("\ufeff").startswith(
            exporter.format_column_heading("id", Translator(language)) + ","
        )


def test_registry_page_counts_associations(app):
    with logged_in_client(app) as client:
        assert "2 associations registered." in client.get("/en/registry").text.replace(
            "<bdi>", ""
        ).replace("</bdi>", "")


def upload(client, name="sheet.csv", rows=(), language="en"):
    data = to_csv([["id", "name", "city", "facebook"], *rows])
    return client.post(f"/{language}/registry", files={"spreadsheet": (name, data)})


UNCHANGED_ROWS = [
    ["nour", "جمعية النور", "=1+1", "https://www.facebook.com/nour.agadir"],
    ["amal", "<b>Amal</b>", "", "https://www.facebook.com/nour.agadir"],
]


def list_uploads(app):
    folder = app.data_folder / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def confirmation(client, preview_url):
    digest = re.search(r'name="digest" value="(\w+)"', client.get(preview_url).text)[1]
    return {"action": "import", "digest": digest}


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_spreadsheet_is_previewed_then_imported(app, language):
    with logged_in_client(app) as client:
        response = upload(client, rows=UNCHANGED_ROWS, language=language)
        assert response.status_code == 303
        text = client.get(response.headers["location"]).text
        assert "&lt;b&gt;Amal&lt;/b&gt;" in text
        assert "<b>Amal" not in text
        assert Translator(language).term("problem", "shared_account") in text
        assert [row.association for row in app.store.registry.list_accounts()] == ["nour", "amal"]
        imported = client.post(
            response.headers["location"], data=confirmation(client, response.headers["location"])
        )
        assert imported.status_code == 303
        assert imported.headers["location"] == f"/{language}/registry?imported=0-1-0"
        assert client.get(imported.headers["location"]).status_code == 200
        assert client.get(response.headers["location"]).status_code == 404
    facebook = {
        row.typed_text for row in app.store.registry.list_accounts() if row.channel == "facebook"
    }
    assert facebook == {"https://www.facebook.com/nour.agadir"}
    assert {
        (entry.author, entry.source) for entry in app.store.audit_log.list_audit_log(limit=1)
    } == {("Amina", "web")}
    assert not list_uploads(app)


def test_partial_spreadsheet_needs_confirmation(app):
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=UNCHANGED_ROWS[:1]).headers["location"]
        text = client.get(preview_url).text
        message = "<bdi>1</bdi> association is not in this file"
        assert text.index(message) < text.index('value="import"')
        response = client.post(preview_url, data=confirmation(client, preview_url))
        assert response.status_code == 422
        assert "Confirm that this file is complete" in response.text
        assert [row.id for row in app.store.registry.list_associations()] == ["amal", "nour"]
        both_boxes = {
            **confirmation(client, preview_url),
            "is_complete": "true",
            "allow_many_withdrawals": "true",
        }
        assert client.post(preview_url, data=both_boxes).status_code == 303
        whole = client.get(upload(client, rows=UNCHANGED_ROWS).headers["location"]).text
    assert [row.id for row in app.store.registry.list_associations()] == ["nour"]
    assert 'name="is_complete"' not in whole


def test_import_that_withdraws_more_than_a_fifth_needs_a_second_confirmation(app):
    rows = [[f"n{number}", f"Name {number}", "", ""] for number in range(18)]
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=[*UNCHANGED_ROWS, *rows]).headers["location"]
        client.post(preview_url, data=confirmation(client, preview_url))
        preview_url = upload(client, rows=[*UNCHANGED_ROWS, *rows[:14]]).headers["location"]
        assert 'name="allow_many_withdrawals"' not in client.get(preview_url).text
        preview_url = upload(client, rows=[*UNCHANGED_ROWS, *rows[:13]]).headers["location"]
        text = client.get(preview_url).text.replace("<bdi>", "").replace("</bdi>", "")
        assert "5 of 20 associations leave the registry" in text
        one_box = {**confirmation(client, preview_url), "is_complete": "true"}
        assert client.post(preview_url, data=one_box).status_code == 422
        assert len(list(app.store.registry.list_associations())) == 20
        both_boxes = {**one_box, "allow_many_withdrawals": "true"}
        assert client.post(preview_url, data=both_boxes).status_code == 303
    assert len(list(app.store.registry.list_associations())) == 15


def test_discarded_spreadsheet_changes_nothing_and_is_deleted(app):
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=UNCHANGED_ROWS[:1]).headers["location"]
        assert (
            client.post(preview_url, data={"action": "discard"}).headers["location"]
            == "/en/registry"
        )
    assert not list_uploads(app)
    assert [row.id for row in app.store.registry.list_associations()] == ["amal", "nour"]


def test_preview_is_shown_again_if_the_registry_changed(app):
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=UNCHANGED_ROWS).headers["location"]
        form = confirmation(client, preview_url)
        app.store.registry.save_registry(
            [NOUR.replace_values({"city": "Tiznit"}), AMAL], LINKS, NOW
        )
        response_after = client.post(preview_url, data=form)
        assert response_after.headers["location"] == f"{preview_url}?has_changed=1"
        assert "changed in the meantime" in client.get(response_after.headers["location"]).text
        assert app.store.registry.get_association("nour").city == "Tiznit"
        assert client.post(preview_url, data=confirmation(client, preview_url)).status_code == 303
    assert app.store.registry.get_association("nour").city == "=1+1"


def test_unchanged_spreadsheet_has_no_import_button(app):
    with logged_in_client(app) as client:
        workbook = client.get("/fr/registry.xlsx").content
        response = client.post("/fr/registry", files={"spreadsheet": ("a.xlsx", workbook)})
        text = client.get(response.headers["location"]).text
    assert "Ce fichier ne change rien." in text
    assert 'value="import"' not in text


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"\xd0\xcf\x11\xe0old", 422, "damaged"),
        (b"\0\0\0", 422, "is not a spreadsheet"),
        (b"PK\x03\x04broken", 422, "is not a spreadsheet"),
        (b'name\n"open' + b"x" * 200_000, 422, "quotation mark"),
        (b'id,name\n1,"open\n2,b\n', 422, "Line 2: A quotation mark"),
        ("id,name\n1,été\n1,été\n2,".encode() + b"\xff\n", 422, "Line 4: This file is damaged"),
        (b"<p>Some words. And more.</p>\n", 422, "a text, not a table"),
        (b"id,name\n", 422, "This file has no associations"),
        (b"x" * (10 * 1024 * 1024 + 1), 413, "larger than 10 MB"),
    ],
)
def test_invalid_file_is_refused_with_a_reason_and_deleted(app, data, status, message):
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.xlsx", data)})
    assert response.status_code == status
    assert message in response.text
    assert not list_uploads(app)


def test_damaged_workbooks_are_refused_and_deleted(app, tmp_path):
    with logged_in_client(app) as client:
        for damage, data in build_damaged_workbooks(tmp_path).items():
            response = client.post("/en/registry", files={"spreadsheet": ("a.xlsx", data)})
            assert (damage, response.status_code) == (damage, 422)
            assert not list_uploads(app)


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "This file has more than 20,000 rows."),
        ("fr", "Ce fichier a plus de 20 000 lignes."),
        ("ar", "20.000"),
    ],
)
def test_page_says_the_limit_that_a_file_exceeds(app, language, message):
    with logged_in_client(app) as client:
        files = {"spreadsheet": ("a.csv", b"name\n" * 20_001)}
        response = client.post(f"/{language}/registry", files=files)
    assert response.status_code == 422
    assert message in read_text(response.text)
    assert not list_uploads(app)


@pytest.mark.parametrize(("limit", "status"), [(3, 303), (2, 303), (1, 422)])
def test_upload_has_as_many_rows_as_the_limit_allows(app, monkeypatch, limit, status):
    limits = workbook_reader.UPLOAD_LIMITS._replace(rows=limit)
    monkeypatch.setattr(routes, "UPLOAD_LIMITS", limits)
    with logged_in_client(app) as client:
        response = upload(client, rows=[["amal", "Amal"]])
    assert response.status_code == status


def test_upload_that_crashes_the_import_is_deleted(app, monkeypatch):
    def crash(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(routes, "parse_registry_spreadsheet", crash)
    with logged_in_client(app) as client:
        assert upload(client, rows=[["amal", "Amal"]]).status_code == 500
    assert not list_uploads(app)


def test_upload_expires_after_a_day(app):
    clock_time = [NOW]
    with logged_in_client(app, lambda: clock_time[0]) as client:
        preview_url = upload(client, rows=UNCHANGED_ROWS).headers["location"]
        clock_time[0] = NOW + timedelta(hours=23)
        assert client.get(preview_url).status_code == 200
        clock_time[0] = NOW + timedelta(days=1)
        assert client.get(preview_url).status_code == 404
        upload(client, rows=UNCHANGED_ROWS)
    assert len(list_uploads(app)) == 1


@pytest.mark.parametrize("name", ["..%2F..%2Fauditor.db", "20261125090000-" + "a" * 22, "x"])
def test_unknown_upload_name_returns_404(app, name):
    with logged_in_client(app) as client:
        assert client.get(f"/en/registry/imports/{name}").status_code == 404
        client.post(f"/en/registry/imports/{name}", data={"action": "discard"})
    assert [row.id for row in app.store.registry.list_associations()] == ["amal", "nour"]


def test_preview_lists_at_most_500_associations_of_a_kind(app):
    with logged_in_client(app) as client:
        rows = [[f"n{n}", f"Name {n}", "", ""] for n in range(600)]
        text = client.get(upload(client, rows=[*UNCHANGED_ROWS, *rows]).headers["location"]).text
    assert text.count("<li><bdi>Name ") == 500
    assert "<bdi>100</bdi> more associations" in text


def list_choices(text):
    """Return the choice of each column on the page of an import, by its heading."""
    page = BeautifulSoup(text, "html.parser")
    chosen = {}
    for select in page.select("select[name=columns]"):
        option = select.select_one("option[selected]") or select.option
        heading = page.find(id=select["aria-labelledby"]).get_text()
        chosen[heading] = option["value"]
    return chosen


def test_template_has_an_example_row_that_is_not_imported(app):
    with logged_in_client(app) as client:
        assert 'href="/fr/registry/template.xlsx"' in client.get("/fr/registry").text
        workbook = client.get("/fr/registry/template.xlsx")
        response = client.post("/fr/registry", files={"spreadsheet": ("a.xlsx", workbook.content)})
    assert "Mod%C3%A8le%20du%20registre.xlsx" in workbook.headers["content-disposition"]
    assert response.status_code == 422
    assert "Ce fichier ne contient aucune association." in response.text


def test_import_says_what_it_understood_and_asks_for_the_names(app):
    data = to_csv([["Structure", "Site", "Lieu"], ["Ifrane", "ifrane.ma", "Ifrane"]])
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.csv", data)})
        preview_url = response.headers["location"]
        text = client.get(preview_url).text
        assert "which column has the names" in text
        assert 'value="import"' not in text
        assert list_choices(text) == {"Site": "1:website", "Structure": "0:", "Lieu": "2:"}
        refused = client.post(f"{preview_url}/columns", data={"columns": ["0:", "2:city"]})
        assert refused.status_code == 422
        assert list_choices(refused.text)["Lieu"] == "2:city"
        columns = ["0:name", "1:website", "2:city"]
        response = client.post(f"{preview_url}/columns", data={"columns": columns})
        assert response.headers["location"] == preview_url
        assert "1 new association" in read_text(client.get(preview_url).text)
        again = client.post("/en/registry", files={"spreadsheet": ("a.csv", data)})
        text = client.get(again.headers["location"]).text
    assert sorted(list_choices(text).values()) == columns


def test_column_choice_that_does_not_exist_is_ignored_or_refused(app):
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=UNCHANGED_ROWS).headers["location"]
        for value in ("x", "0:name:city", "0:<b>"):
            response = client.post(f"{preview_url}/columns", data={"columns": [value]})
            assert response.status_code == 422
        response = client.post(f"{preview_url}/columns", data={"columns": ["1:name", "2:nothing"]})
        assert response.status_code == 303
        assert client.post("/en/registry/imports/none/columns", data={"columns": ["1:name"]})


def test_upload_whose_chosen_names_lost_their_letters_is_refused(app):
    data = to_csv([["Name", "Structure"], ["Ifrane", "????? ????"]])
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.csv", data)})
        preview_url = response.headers["location"]
        client.post(f"{preview_url}/columns", data={"columns": ["0:note", "1:name"]})
        response = client.get(preview_url)
    assert response.status_code == 422
    assert "Line 2: " in response.text
    assert not list_uploads(app)


@pytest.mark.parametrize(
    ("path", "form"), [("", {"action": "import"}), ("/columns", {"columns": ["0:name"]})]
)
def test_form_of_an_upload_that_cannot_be_read_any_more_refuses_it(app, path, form):
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=UNCHANGED_ROWS).headers["location"]
        [upload_file] = list_uploads(app)
        upload_file.write_bytes(b"\0\0\0")
        assert client.post(f"{preview_url}{path}", data=form).status_code == 422
    assert not list_uploads(app)


def test_new_changed_and_missing_associations_are_counted(app):
    rows = [["nour", "جمعية النور", "Tiznit", ""], ["", "Ifrane", "", ""], ["", "Zagora", "", ""]]
    with logged_in_client(app) as client:
        text = read_text(client.get(upload(client, rows=rows).headers["location"]).text)
    assert "2 new associations, 1 association changed, 1 association not in the file." in text


def test_dropped_line_is_named_before_the_import(app):
    rows = [*UNCHANGED_ROWS, ["", "Ifrane", "Ifrane", ""], ["x", "", "Safi", ""]]
    sentence = "1 row was not imported: the name is missing (lines: 5)."
    with logged_in_client(app) as client:
        preview_url = upload(client, rows=rows).headers["location"]
        text = read_text(client.get(preview_url).text)
        assert sentence in text
        assert text.index(sentence) < text.index("Apply these changes")
        response = client.post(preview_url, data=confirmation(client, preview_url))
        text = read_text(client.get(response.headers["location"]).text)
    assert "Imported: 1 new association, 1 association changed." in text


def test_preview_counts_all_dropped_lines_and_names_the_first(app):
    rows = [*UNCHANGED_ROWS, ["ifrane", "Ifrane", "", ""], *[["", "", "Agadir", ""]] * 600]
    with logged_in_client(app) as client:
        text = read_text(client.get(upload(client, rows=rows).headers["location"]).text)
    assert "600 rows were not imported: the name is missing (lines: 5, 6, 7," in text


def test_problems_are_grouped_and_unread_columns_are_none_of_them(app):
    data = to_csv(
        [
            ["name", "email", "website", "Shoe size"],
            *[[f"Name {number}", "no address", "", "42"] for number in range(3)],
            ["", "a@b.ma", "", "42"],
        ]
    )
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.csv", data)})
        text = client.get(response.headers["location"]).text
    page = BeautifulSoup(text, "html.parser")
    groups = page.select("section[aria-labelledby=problems] summary")
    assert [" ".join(group.get_text().split()) for group in groups] == [
        "1 the name is missing · not imported",
        "3 invalid email address",
    ]
    assert "1 column not read Shoe size" in read_text(text)


def test_ods_is_imported(app, tmp_path):
    path = write_ods(tmp_path / "sheet.ods", [["Nom", "Ville"], ["Ifrane", "Ifrane"]])
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.ods", path.read_bytes())})
        text = read_text(client.get(response.headers["location"]).text)
    assert "1 new association" in text


def read_text(text):
    """Return the visible text of a page with single spaces."""
    main = BeautifulSoup(text, "html.parser").main
    return " ".join(main.get_text().split())


STEPS = [-1, 0, 1]


@pytest.mark.parametrize("step", STEPS)
def test_uploaded_file_has_a_limit(app, monkeypatch, step):
    """With a small file: to upload 10 MB takes a second."""
    data = to_csv([["id", "name"], ["amal", "Amal"]])
    monkeypatch.setattr(routes, "MAX_SPREADSHEET_BYTES", len(data) - step)
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.csv", data)})
    assert response.status_code == (303 if step <= 0 else 413)
    assert len(list_uploads(app)) == (1 if step <= 0 else 0)


@pytest.mark.parametrize("step", STEPS)
def test_preview_counts_new_associations_beyond_the_shown_ones(app, monkeypatch, step):
    monkeypatch.setattr(routes, "MAX_SHOWN_CHANGES", 5)
    new_rows = [[f"n{number}", f"New {number}", "", ""] for number in range(5 + step)]
    with logged_in_client(app) as client:
        location = upload(client, rows=[*UNCHANGED_ROWS, *new_rows]).headers["location"]
        text = client.get(location).text
    assert len(set(re.findall(r"<bdi>(New \d)</bdi>", text))) == min(5, 5 + step)
    assert ("1 more association" in read_text(text)) is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_preview_counts_problems_beyond_the_shown_ones(app, monkeypatch, step):
    monkeypatch.setattr(routes, "MAX_SHOWN_ISSUES", 3)
    data = to_csv([["id", "name", "email"], *([f"n{n}", "N", f"bad{n}"] for n in range(3 + step))])
    with logged_in_client(app) as client:
        response = client.post("/en/registry", files={"spreadsheet": ("a.csv", data)})
        text = client.get(response.headers["location"]).text
    assert len(set(re.findall(r"<bdi>(bad\d)</bdi>", text))) == min(3, 3 + step)
    assert ("1 more line" in read_text(text)) is (step > 0)


@pytest.mark.parametrize(("step", "is_kept"), [(-1, True), (0, False), (1, False)])
def test_upload_is_kept_for_a_day(tmp_path, step, is_kept):
    uploads = UploadStore(tmp_path / "uploads")
    name = uploads.save(b"name", NOW)
    later = NOW + MAX_UPLOAD_AGE + timedelta(seconds=step)
    assert (uploads.find(name, later) is not None) is is_kept
    newer_name = uploads.save(b"name", later)
    kept_names = {path.name for path in uploads.folder.iterdir()}
    assert kept_names == ({name, newer_name} if is_kept else {newer_name})


@pytest.mark.fault("F74")
def test_further_import_is_refused_while_one_is_read(app):
    with logged_in_client(app) as client, routes._import_slot:
        response = upload(client, rows=[["amal", "Amal"]])
    assert response.status_code == 503
    assert "Other imports are in progress" in response.text
    assert response.headers["retry-after"] == "60"
    assert not list_uploads(app)
