"""A missing column changes nothing; an empty cell clears the value."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.cli.main import main
from auditor.registry import spreadsheet
from auditor.registry.changes import build_import_preview
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue
from storage.store import Store
from tests.support.spreadsheets import list_changes, read_again

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
    command = ("--quiet", "registry", "import", "--complete")
    return main([*command, write_rows(*rows), *options])


def list_row_changes(store, folder, *rows):
    return list_changes(store, folder / write_rows(*rows))


def test_missing_columns_change_nothing(store):
    before = [*store.registry.list_associations()], [*store.registry.list_accounts()]
    assert (
        import_rows(("id", "name", "city"), ("A-7", "Nour", "Agadir"), ("A-8", "Amal", "Oujda"))
        == 0
    )
    assert ([*store.registry.list_associations()], [*store.registry.list_accounts()]) == before


def test_existing_columns_are_imported(store, folder):
    rows = ("id", "name", "city"), ("A-7", "Nour", "Tiznit"), ("A-8", "Amal", "")
    assert list_row_changes(store, folder, *rows) == [
        ("A-7", "city", "Agadir", "Tiznit"),
        ("A-8", "city", "Oujda", None),
    ]


def test_empty_cell_clears_the_value(store, folder):
    cleared = ("A-7", "Nour", "", "", "", "", "", "", "")
    assert [line[1] for line in list_row_changes(store, folder, HEADING, cleared, AMAL)] == [
        "name_ar",
        "city",
        "language",
        "phone",
        "none_by_choice",
        "facebook",
        "youtube",
    ]


def test_pruning_ignores_missing_columns(store):
    assert (
        import_rows(("id", "name"), ("A-7", "Nour"), ("A-8", "Amal"), options=["--prune", "--yes"])
        == 0
    )
    assert len([*store.registry.list_accounts()]) == 3
    assert import_rows(("id", "name"), ("A-7", "Nour"), options=["--prune", "--yes"]) == 0
    assert {row.association for row in store.registry.list_accounts()} == {"A-7"}


def test_rows_without_id_are_matched_by_name(store, folder):
    rows = ("Nom", "Ville"), ("NOUR", "Agadir"), ("Amal", "Oujda")
    assert list_row_changes(store, folder, *rows) == [("A-7", "name", "Nour", "NOUR")]
    assert list_row_changes(
        store, folder, ("الاسم بالعربية", "الجهة"), ("النور", "سوس"), ("Amal", "")
    ) == [("A-7", "region", None, "سوس"), ("A-8", "name_ar", None, "Amal")]


def test_ambiguous_name_is_no_match(store, folder):
    twins = ("id", "name"), ("A-7", "Nour"), ("A-8", "Amal"), ("A-9", "Amal")
    assert import_rows(*twins) == 0
    assert [
        line[0] for line in list_row_changes(store, folder, ("name",), ("Nour",), ("Amal",))
    ] == ["A-8", "A-8", "A-9", "amal"]
    changes = list_row_changes(store, folder, *twins, ("", "Nour"))
    assert changes == [("nour", "association", None, "Nour")]


def test_equal_names_without_ids_are_matched_in_order(store, folder):
    rows = ("name", "city"), ("Nour", "Agadir"), ("Nour", "Taza"), ("Amal", "Oujda")
    first = [("nour", "association", None, "Nour")]
    assert list_row_changes(store, folder, *rows) == first
    reading = read_again(store, folder / "sheet.csv")
    store.registry.save_registry(
        reading.associations, reading.accounts, NOW, present_columns=reading.columns
    )
    assert list_row_changes(store, folder, *rows) == []


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
    assert list_row_changes(store, folder, *rows) == []


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
