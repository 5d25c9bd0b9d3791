"""The preview of an import lists every change before anything is saved."""

import json
from datetime import UTC, datetime

import pytest

from auditor.cli.main import main
from auditor.core.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.registry.changes import build_import_preview
from auditor.registry.column_mapping import open_column_memory
from auditor.registry.importer import parse_registry_spreadsheet
from storage.store import Store
from tests.support.terminal import Terminal

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
HEADING = ["id", "name", "city", "language", "none_by_choice", "media_officer", "facebook"]
FIRST = [
    ["nour", "Nour", "Agadir", "ar", "", "nobody", "https://www.facebook.com/nour.agadir"],
    ["amal", "Amal", "", "fr", "", "", "https://www.facebook.com/amal.oujda"],
]
SECOND = [
    ["nour", "Nour", "Tiznit", "fr", "twitter; youtube", "bénévole", "facebook.com/nour.agadir"],
    ["new", "New", "", "ar", "", "", "https://www.facebook.com/amal.oujda"],
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    for name, rows in [("first", FIRST), ("second", SECOND)]:
        (tmp_path / f"{name}.csv").write_bytes(spreadsheet.to_csv([HEADING, *rows]))
    assert main(["--quiet", "registry", "import", "first.csv"]) == 0
    return tmp_path


@pytest.fixture
def store(folder):
    with Store.open(f"sqlite:///{folder}/auditor.db") as opened:
        yield opened


def summarize(changes):
    return [
        (
            item.entry.association,
            item.entry.field,
            item.entry.before,
            item.entry.after,
            item.entry.kind,
        )
        for item in changes
    ]


def test_preview_does_not_block_writers(store, folder, monkeypatch):
    monkeypatch.setattr("storage.database.engine.BUSY_TIMEOUT_SECONDS", 0)
    with Store.open(f"sqlite:///{folder}/auditor.db") as other, store.begin_write():
        assert build_import_preview(
            other, parse_registry_spreadsheet(folder / "second.csv"), NOW
        ).lines


def test_changes_have_old_and_new_values(store, folder):
    changes = build_import_preview(
        store, parse_registry_spreadsheet(folder / "second.csv"), NOW
    ).lines
    assert summarize(changes) == [
        ("amal", "association", "Amal", None, "withdrawn"),
        ("amal", "facebook", "https://www.facebook.com/amal.oujda", None, "withdrawn"),
        ("new", "association", None, "New", "added"),
        ("new", "facebook", None, "https://www.facebook.com/amal.oujda", "added"),
        ("nour", "city", "Agadir", "Tiznit", "changed"),
        ("nour", "language", "ar", "fr", "changed"),
        ("nour", "none_by_choice", None, "twitter, youtube", "changed"),
        ("nour", "media_officer", "nobody", "volunteer", "changed"),
        (
            "nour",
            "facebook",
            "https://www.facebook.com/nour.agadir",
            "facebook.com/nour.agadir",
            "changed",
        ),
    ]
    pruned = build_import_preview(
        store, parse_registry_spreadsheet(folder / "second.csv"), NOW, prune=True
    )
    assert {line.entry.kind for line in pruned.lines if line.entry.association == "amal"} == {
        "pruned"
    }
    assert [association.id for association in store.registry.list_associations()] == [
        "amal",
        "nour",
    ]


def test_returning_association_is_listed_with_its_other_changes(store, folder):
    second = parse_registry_spreadsheet(folder / "second.csv")
    store.registry.save_registry(second.associations, second.accounts, NOW)
    changes = [
        line
        for line in build_import_preview(
            store, parse_registry_spreadsheet(folder / "first.csv"), NOW
        ).lines
        if line.entry.association == "amal"
    ]
    assert [(line.entry.field, line.entry.kind) for line in changes] == [
        ("association", "added"),
        ("facebook", "added"),
    ]


@pytest.mark.parametrize(
    ("language", "descriptions"),
    [
        ("en", ("Not used, by choice", "X (Twitter), YouTube", "no one", "volunteer", "Français")),
        (
            "ar",
            (
                "قنوات غير مستعملة اختيارًا",
                "إكس (تويتر)، يوتيوب",
                "لا أحد",
                "متطوع أو متطوعة",
                "Français",
            ),
        ),
    ],
)
def test_changes_are_described_in_each_language(store, folder, language, descriptions):
    translator = Translator(language)
    preview = build_import_preview(store, parse_registry_spreadsheet(folder / "second.csv"), NOW)
    lines = {line.entry.field: line for line in preview.lines}
    assert (
        lines["none_by_choice"].describe_field(translator),
        lines["none_by_choice"].describe_values(translator)[1],
        *lines["media_officer"].describe_values(translator),
        lines["language"].describe_values(translator)[1],
    ) == descriptions


@pytest.mark.usefixtures("folder")
def test_dry_run_prints_changes_as_json(capsys):
    assert main(["registry", "import", "--complete", "--dry-run", "--json", "second.csv"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert list(items[0]) == ["association", "name", "field", "before", "after", "kind"]
    assert len(items) == 9
    assert main(["registry", "import", "--complete", "--dry-run", "second.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[5] == "nour\tcity\tchanged\tAgadir\tTiznit\tNour"


@pytest.mark.parametrize(
    ("typed", "options", "is_imported"),
    [
        ("yes\n", [], True),
        ("Oui\n", ["--lang", "fr"], True),
        ("نعم\n", ["--lang", "ar"], True),
        ("n\n", [], False),
        ("", [], False),
        ("", ["--yes"], True),
        ("", ["--quiet"], True),
    ],
)
@pytest.mark.usefixtures("folder")
def test_terminal_import_needs_confirmation(store, monkeypatch, typed, options, is_imported):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    monkeypatch.setattr("sys.stderr", Terminal())
    assert main(["registry", "import", "second.csv", *options]) == 0
    assert (store.registry.get_association("nour").city == "Tiznit") is is_imported


def problems(capsys, path):
    code = main(["registry", "validate", "--json", str(path)])
    items = json.loads(capsys.readouterr().out)["items"]
    return code, [(item["line"], item["problem"], item["value"]) for item in items]


def test_validation_compares_with_the_registry(folder, capsys):
    rows = [
        ["id", "name", "facebook"],
        ["new", "New", "facebook.com/amal.oujda"],
        ["n0ur", "Nour", ""],
    ]
    (folder / "third.csv").write_bytes(spreadsheet.to_csv(rows))
    assert problems(capsys, folder / "third.csv") == (
        0,
        [(3, "conflicting_id", "n0ur"), (2, "shared_account", "facebook.com/amal.oujda")],
    )


def test_validation_works_without_a_registry(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "none"\n')
    (tmp_path / "sheet.csv").write_bytes(
        spreadsheet.to_csv([["name", "phone"], ["Nour", "6.1E+08"]])
    )
    assert problems(capsys, "sheet.csv") == (3, [(2, "rounded_number", "6.1E+08")])
    assert not (tmp_path / "none").exists()


def write_foreign_sheet(folder):
    rows = [["Nombre", "Ciudad"], ["Nour", "Agadir"], ["", "Zagora"], ["Ifrane", "Ifrane"]]
    (folder / "foreign.csv").write_bytes(spreadsheet.to_csv(rows))


def import_foreign_sheet(*options):
    command = ["--lang", "en", "registry", "import", "foreign.csv", "--complete", "--yes"]
    return main([*command, *options])


def test_columns_are_corrected_on_the_command_line(folder, capsys):
    write_foreign_sheet(folder)
    assert import_foreign_sheet("--dry-run") == 3
    assert "no column is called name; try: --column HEADING=name" in capsys.readouterr().err
    assert import_foreign_sheet("--column", "nombre=name", "--column", "Ciudad=ignore") == 3
    err = capsys.readouterr().err
    assert "1 row was not imported: the name is missing (lines: 3)." in err
    assert "1 new association, 1 association not in the file" in err
    assert "Ciudad" not in err


def test_columns_corrected_in_the_browser_count_on_the_command_line(folder, capsys):
    write_foreign_sheet(folder)
    open_column_memory(folder).remember(["Nombre", "Ciudad"], {0: "name"})
    assert import_foreign_sheet() == 3
    assert import_foreign_sheet("--column", "Ciudad=city") == 3
    assert "1 association changed\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "exit_code", "message"),
    [
        ("Nombre=title", 2, "there is no field title"),
        ("=name", 2, "it names no heading"),
        ("Nombre=name --column Nada=city", 3, "no column is called name"),
        ("Nombre=name --column Ciudad=shoe", 2, "there is no field shoe"),
    ],
)
def test_wrong_correction_is_a_one_line_error(folder, capsys, option, exit_code, message):
    write_foreign_sheet(folder)
    options = ["--column", *option.split(" ")]
    assert import_foreign_sheet(*options) == exit_code
    assert message in capsys.readouterr().err
