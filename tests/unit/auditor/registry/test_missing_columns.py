"""A column that a sheet does not have says nothing; an empty cell says that there is nothing."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.cli.main import main
from auditor.registry import spreadsheet
from auditor.registry.diff import build_import_preview
from auditor.registry.importer import ExistingEntries, parse_registry_spreadsheet
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
    assert brought(HEADING, NOUR, AMAL) == 0
    return tmp_path


@pytest.fixture
def store(folder):
    with Store.open(f"sqlite:///{folder}/auditor.db") as there:
        yield there


def written(*rows):
    Path("sheet.csv").write_bytes(spreadsheet.to_csv(rows))
    return "sheet.csv"


def brought(*rows, options=()):
    words = ("--quiet", "registry", "import", "--allow-withdrawals")
    return main([*words, written(*rows), *options])


def differing(store, folder, *rows, **options):
    draft = build_import_preview(
        store,
        parse_registry_spreadsheet(
            folder / written(*rows),
            "ar",
            ExistingEntries.from_registry(store.list_association_entries(), store.list_accounts()),
        ),
        NOW,
        **options,
    )
    return [(one.association, one.field, one.before, one.after) for one in draft.lines]


def test_a_sheet_of_names_and_towns_leaves_all_else_as_it_was(store):
    before = [*store.list_associations()], [*store.list_accounts()]
    assert brought(("id", "name", "city"), ("A-7", "Nour", "Agadir"), ("A-8", "Amal", "Oujda")) == 0
    assert ([*store.list_associations()], [*store.list_accounts()]) == before


def test_what_such_a_sheet_does_say_is_taken_over(store, folder):
    rows = ("id", "name", "city"), ("A-7", "Nour", "Tiznit"), ("A-8", "Amal", "")
    assert differing(store, folder, *rows) == [
        ("A-7", "city", "Agadir", "Tiznit"),
        ("A-8", "city", "Oujda", None),
    ]


def test_an_empty_cell_clears_and_is_shown(store, folder):
    cleared = ("A-7", "Nour", "", "", "", "", "", "", "")
    assert [line[1] for line in differing(store, folder, HEADING, cleared, AMAL)] == [
        "name_ar",
        "city",
        "language",
        "phone",
        "none_by_choice",
        "facebook",
        "youtube",
    ]


def test_pruning_removes_nothing_of_a_column_that_is_not_there(store):
    assert brought(("id", "name"), ("A-7", "Nour"), ("A-8", "Amal"), options=["--prune"]) == 0
    assert len([*store.list_accounts()]) == 3
    assert brought(("id", "name"), ("A-7", "Nour"), options=["--prune"]) == 0
    assert {row.association for row in store.list_accounts()} == {"A-7"}


def test_a_sheet_without_ids_is_matched_by_names(store, folder):
    rows = ("Nom", "Ville"), ("NOUR", "Agadir"), ("Amal", "Oujda")
    assert differing(store, folder, *rows) == [("A-7", "name", "Nour", "NOUR")]
    assert differing(
        store, folder, ("الاسم بالعربية", "الجهة"), ("النور", "سوس"), ("Amal", "")
    ) == [
        ("A-7", "region", None, "سوس"),
        ("A-8", "name_ar", None, "Amal"),
    ]


def test_a_name_that_two_have_or_whose_id_another_row_has_is_no_match(store, folder):
    twins = ("id", "name"), ("A-7", "Nour"), ("A-8", "Amal"), ("A-9", "Amal")
    assert brought(*twins) == 0
    assert [line[0] for line in differing(store, folder, ("name",), ("Nour",), ("Amal",))] == [
        "A-8",
        "A-8",
        "A-9",
        "amal",
    ]
    told = differing(store, folder, *twins, ("", "Nour"))
    assert told == [("nour", "association", None, "Nour")]


def test_namesakes_without_ids_are_the_known_ones_in_their_order_and_stay_so(store, folder):
    rows = ("name", "city"), ("Nour", "Agadir"), ("Nour", "Taza"), ("Amal", "Oujda")
    first = [("nour", "association", None, "Nour")]
    assert differing(store, folder, *rows) == first
    reading = parse_registry_spreadsheet(
        folder / "sheet.csv",
        "ar",
        ExistingEntries.from_registry(store.list_association_entries(), store.list_accounts()),
    )
    store.save_registry(
        reading.associations, reading.accounts, NOW, present_columns=reading.columns
    )
    assert differing(store, folder, *rows) == []


def test_the_name_to_show_follows_the_one_it_was_taken_from(folder):
    assert brought(("id", "name_ar"), ("A-9", "الأمل")) == 0
    assert brought(("id", "name_ar"), ("A-9", "جمعية الأمل")) == 0
    with Store.open(f"sqlite:///{folder}/auditor.db") as store:
        assert store.get_association("A-9").name == "جمعية الأمل"


def test_an_account_known_under_a_column_that_is_not_there_is_not_listed_twice(store, folder):
    rows = (
        ("id", "name", "links"),
        ("A-7", "Nour", "https://www.facebook.com/Nour"),
        ("A-8", "Amal", ""),
    )
    assert differing(store, folder, *rows) == []


def test_an_account_of_a_column_that_is_not_there_is_still_shared(store, folder):
    path = written(
        ("id", "name", "links"),
        ("A-7", "Nour", ""),
        ("A-8", "Amal", "https://www.youtube.com/@nour"),
    )
    told = build_import_preview(store, parse_registry_spreadsheet(folder / path), NOW).problems
    assert [(one.line, one.column, one.issue) for one in told] == [
        (3, "links", Issue.SHARED_ACCOUNT)
    ]


@pytest.mark.usefixtures("folder")
def test_the_command_tells_which_columns_are_not_there(capsys):
    path = written(("id", "name", "facebook"), NOUR[:2], AMAL[:2])
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
def test_an_import_warns_of_an_account_that_somebody_left_out_has(capsys):
    path = written(("id", "name", "facebook"), ("A-7", "Nour", "facebook.com/amal"))
    assert main(["registry", "import", "--allow-withdrawals", path]) == 0
    assert "facebook.com/amal" in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "has no column for these"),
        ("fr", "n’a pas ces colonnes"),
        ("ar", "لا توجد هذه الأعمدة في ملفكم"),
    ],
)
def test_the_page_tells_which_columns_are_not_there_and_leaves_them(tmp_path, language, said):
    app = opened(tmp_path)
    (tmp_path / "first.csv").write_bytes(spreadsheet.to_csv([HEADING, NOUR, AMAL]))
    first = parse_registry_spreadsheet(tmp_path / "first.csv")
    app.store.save_registry(first.associations, first.accounts, NOW)
    data = spreadsheet.to_csv([("name", "city"), ("Nour", "Tiznit"), ("Amal", "")])
    with logged_in_client(app) as client:
        address = client.post(
            f"/{language}/registry", files={"spreadsheet": ("a.csv", data)}
        ).headers["location"]
        shown = client.get(address).text
        digest = re.search(r'name="digest" value="(\w+)"', shown)[1]
        client.post(address, data={"action": "import", "digest": digest})
    assert said in shown
    kept = app.store.get_association_entry("A-7")
    assert (
        kept.association.city,
        kept.contact.phone,
        kept.association.language,
        app.store.get_association("A-8").city,
    ) == (
        "Tiznit",
        "0612345678",
        "fr",
        None,
    )
    assert len([*app.store.list_accounts()]) == 3
    app.store.close()
