"""A missing column changes nothing; an empty cell clears the value."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.cli.main import main
from auditor.registry import spreadsheet
from auditor.registry.changes import build_import_preview
from auditor.registry.existing_entries import ExistingEntries
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue
from storage.store import Store
from tests.support.mini_network import opened
from tests.support.web_server import logged_in_client

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
HEADING = (
    "id",
    "name",
    "name_ar",
    "city",
    "phone",
    "language",
    "none_by_choice",
    "facebook",
    "youtube",
)
NOUR = (
    "A-7",
    "Nour",
    "النور",
    "Agadir",
    "0612345678",
    "fr",
    "twitter",
    "facebook.com/nour",
    "@nour",
)
AMAL = ("A-8", "Amal", "", "Oujda", "", "ar", "", "facebook.com/amal", "")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    assert import_rows(HEADING, NOUR, AMAL) == 0
    return tmp_path


@pytest.fixture
def store(folder):
    with Store.open(f"sqlite:///{folder}/auditor.db") as opened_store:
        yield opened_store


def write_rows(*rows):
    Path("sheet.csv").write_bytes(spreadsheet.to_csv(rows))
    return "sheet.csv"


def import_rows(*rows, options=()):
    command = ("--quiet", "registry", "import", "--allow-withdrawals")
    return main([*command, write_rows(*rows), *options])


def list_changes(store, folder, *rows, **options):
    preview = build_import_preview(
        store,
        parse_registry_spreadsheet(
            folder / write_rows(*rows),
            "ar",
            ExistingEntries.from_registry(
                store.registry.list_association_entries(), store.registry.list_accounts()
            ),
        ),
        NOW,
        **options,
    )
    return [
        (line.entry.association, line.entry.field, line.entry.before, line.entry.after)
        for line in preview.lines
    ]


def test_missing_columns_change_nothing(store):
    before = [*store.registry.list_associations()], [*store.registry.list_accounts()]
    assert (
        import_rows(("id", "name", "city"), ("A-7", "Nour", "Agadir"), ("A-8", "Amal", "Oujda"))
        == 0
    )
    assert ([*store.registry.list_associations()], [*store.registry.list_accounts()]) == before


def test_existing_columns_are_imported(store, folder):
    rows = ("id", "name", "city"), ("A-7", "Nour", "Tiznit"), ("A-8", "Amal", "")
    assert list_changes(store, folder, *rows) == [
        ("A-7", "city", "Agadir", "Tiznit"),
        ("A-8", "city", "Oujda", None),
    ]


def test_empty_cell_clears_the_value(store, folder):
    cleared = ("A-7", "Nour", "", "", "", "", "", "", "")
    assert [line[1] for line in list_changes(store, folder, HEADING, cleared, AMAL)] == [
        "name_ar",
        "city",
        "language",
        "phone",
        "none_by_choice",
        "facebook",
        "youtube",
    ]


def test_pruning_ignores_missing_columns(store):
    assert import_rows(("id", "name"), ("A-7", "Nour"), ("A-8", "Amal"), options=["--prune"]) == 0
    assert len([*store.registry.list_accounts()]) == 3
    assert import_rows(("id", "name"), ("A-7", "Nour"), options=["--prune"]) == 0
    assert {row.association for row in store.registry.list_accounts()} == {"A-7"}


def test_rows_without_id_are_matched_by_name(store, folder):
    rows = ("Nom", "Ville"), ("NOUR", "Agadir"), ("Amal", "Oujda")
    assert list_changes(store, folder, *rows) == [("A-7", "name", "Nour", "NOUR")]
    assert list_changes(
        store, folder, ("الاسم بالعربية", "الجهة"), ("النور", "سوس"), ("Amal", "")
    ) == [("A-7", "region", None, "سوس"), ("A-8", "name_ar", None, "Amal")]


def test_ambiguous_name_is_no_match(store, folder):
    twins = ("id", "name"), ("A-7", "Nour"), ("A-8", "Amal"), ("A-9", "Amal")
    assert import_rows(*twins) == 0
    assert [line[0] for line in list_changes(store, folder, ("name",), ("Nour",), ("Amal",))] == [
        "A-8",
        "A-8",
        "A-9",
        "amal",
    ]
    changes = list_changes(store, folder, *twins, ("", "Nour"))
    assert changes == [("nour", "association", None, "Nour")]


def test_equal_names_without_ids_are_matched_in_order(store, folder):
    rows = ("name", "city"), ("Nour", "Agadir"), ("Nour", "Taza"), ("Amal", "Oujda")
    first = [("nour", "association", None, "Nour")]
    assert list_changes(store, folder, *rows) == first
    reading = parse_registry_spreadsheet(
        folder / "sheet.csv",
        "ar",
        ExistingEntries.from_registry(
            store.registry.list_association_entries(), store.registry.list_accounts()
        ),
    )
    store.registry.save_registry(
        reading.associations, reading.accounts, NOW, present_columns=reading.columns
    )
    assert list_changes(store, folder, *rows) == []


def test_display_name_follows_its_source_column(folder):
    assert import_rows(("id", "name_ar"), ("A-9", "الأمل")) == 0
    assert import_rows(("id", "name_ar"), ("A-9", "جمعية الأمل")) == 0
    with Store.open(f"sqlite:///{folder}/auditor.db") as store:
        assert store.registry.get_association("A-9").name == "جمعية الأمل"


def test_account_of_a_missing_column_is_not_registered_twice(store, folder):
    rows = (
        ("id", "name", "links"),
        ("A-7", "Nour", "https://www.facebook.com/Nour"),
        ("A-8", "Amal", ""),
    )
    assert list_changes(store, folder, *rows) == []


def test_account_of_a_missing_column_counts_as_shared(store, folder):
    path = write_rows(
        ("id", "name", "links"),
        ("A-7", "Nour", ""),
        ("A-8", "Amal", "https://www.youtube.com/@nour"),
    )
    problems = build_import_preview(store, parse_registry_spreadsheet(folder / path), NOW).problems
    assert [(item.line, item.column, item.issue) for item in problems] == [
        (3, "links", Issue.SHARED_ACCOUNT)
    ]


@pytest.mark.usefixtures("folder")
def test_command_lists_missing_columns(capsys):
    path = write_rows(("id", "name", "facebook"), NOUR[:2], AMAL[:2])
    assert main(["registry", "import", "--dry-run", path]) == 0
    assert "so they don’t change: Name in Arabic, City, Language" in capsys.readouterr().err
    assert main(["registry", "import", "--json", path]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["not_specified"] == [
        "name_ar",
        "city",
        "language",
        "phone",
        "none_by_choice",
        "youtube",
    ]


@pytest.mark.usefixtures("folder")
def test_import_warns_of_an_account_of_an_unlisted_association(capsys):
    path = write_rows(("id", "name", "facebook"), ("A-7", "Nour", "facebook.com/amal"))
    assert main(["registry", "import", "--allow-withdrawals", path]) == 0
    assert "facebook.com/amal" in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "has no column for these"),
        ("fr", "n’a pas ces colonnes"),
        ("ar", "لا توجد هذه الأعمدة في ملفكم"),
    ],
)
def test_page_lists_missing_columns_and_keeps_their_values(tmp_path, language, message):
    app = opened(tmp_path)
    (tmp_path / "first.csv").write_bytes(spreadsheet.to_csv([HEADING, NOUR, AMAL]))
    first = parse_registry_spreadsheet(tmp_path / "first.csv")
    app.store.registry.save_registry(first.associations, first.accounts, NOW)
    data = spreadsheet.to_csv([("name", "city"), ("Nour", "Tiznit"), ("Amal", "")])
    with logged_in_client(app) as client:
        preview_url = client.post(
            f"/{language}/registry", files={"spreadsheet": ("a.csv", data)}
        ).headers["location"]
        page = client.get(preview_url).text
        digest = re.search(r'name="digest" value="(\w+)"', page)[1]
        client.post(preview_url, data={"action": "import", "digest": digest})
    assert message in page
    entry = app.store.registry.get_association_entry("A-7")
    assert (
        entry.association.city,
        entry.contact.phone,
        entry.association.language,
        app.store.registry.get_association("A-8").city,
    ) == ("Tiznit", "0612345678", "fr", None)
    assert len([*app.store.registry.list_accounts()]) == 3
    app.store.close()
