"""Before a sheet is taken over, it is told what it would change."""

import io
import json
from datetime import UTC, datetime

import pytest

from auditor.cli.main import main
from auditor.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.registry.diff import build_import_preview
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue
from storage.store import Store

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


def lines(told):
    return [(one.association, one.field, one.before, one.after, one.kind) for one in told]


def test_comparing_holds_up_nobody_who_writes(store, folder, monkeypatch):
    monkeypatch.setattr("storage.database.engine.BUSY_TIMEOUT_SECONDS", 0)
    with Store.open(f"sqlite:///{folder}/auditor.db") as other, store._database.begin_write():
        assert build_import_preview(
            other, parse_registry_spreadsheet(folder / "second.csv"), NOW
        ).lines


def test_every_change_is_told_with_what_stood_there_and_what_will(store, folder):
    told = build_import_preview(store, parse_registry_spreadsheet(folder / "second.csv"), NOW).lines
    assert lines(told) == [
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
    assert {one.kind for one in pruned.lines if one.association == "amal"} == {"pruned"}
    assert [one.id for one in store.list_associations()] == ["amal", "nour"]


def test_the_same_sheet_again_has_nothing_to_tell(store, folder):
    assert (
        build_import_preview(store, parse_registry_spreadsheet(folder / "first.csv"), NOW).lines
        == []
    )


def test_an_association_that_comes_back_is_told_with_what_changed_meanwhile(store, folder):
    reading = parse_registry_spreadsheet(folder / "second.csv")
    store.save_registry(reading.associations, reading.accounts, NOW)
    back = [
        one
        for one in build_import_preview(
            store, parse_registry_spreadsheet(folder / "first.csv"), NOW
        ).lines
        if one.association == "amal"
    ]
    assert [(one.field, one.kind) for one in back] == [
        ("association", "added"),
        ("facebook", "added"),
    ]


def test_an_account_of_an_association_that_the_sheet_leaves_out_is_warned_of(store, folder):
    told = build_import_preview(
        store, parse_registry_spreadsheet(folder / "second.csv"), NOW
    ).problems
    assert [(one.line, one.issue) for one in told] == [(3, Issue.SHARED_ACCOUNT)]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "fr",
            ("Non utilisés, par choix", "X (Twitter), YouTube", "personne", "bénévole", "Français"),
        ),
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
        ("en", ("Not used, by choice", "X (Twitter), YouTube", "no one", "volunteer", "Français")),
    ],
)
def test_a_change_is_told_in_the_readers_words(store, folder, language, said):
    words = Translator(language)
    by_field = {
        one.field: one
        for one in build_import_preview(
            store, parse_registry_spreadsheet(folder / "second.csv"), NOW
        ).lines
    }
    chosen, who = by_field["none_by_choice"], by_field["media_officer"]
    assert (
        chosen.describe_field(words),
        chosen.describe_values(words)[1],
        *who.describe_values(words),
        by_field["language"].describe_values(words)[1],
    ) == said


@pytest.mark.usefixtures("folder")
def test_a_dry_run_gives_the_changes_as_items(capsys):
    assert main(["registry", "import", "--dry-run", "--json", "second.csv"]) == 0
    told = json.loads(capsys.readouterr().out)["items"]
    assert list(told[0]) == ["association", "name", "field", "before", "after", "kind"]
    assert len(told) == 9
    assert main(["registry", "import", "--dry-run", "second.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[5] == "nour\tcity\tchanged\tAgadir\tTiznit\tNour"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("typed", "options", "taken"),
    [
        ("yes\n", [], True),
        ("Oui\n", ["--lang", "fr"], True),
        ("نعم\n", ["--lang", "ar"], True),
        ("n\n", [], False),
        ("", [], False),
        ("", ["--yes", "--allow-withdrawals"], True),
        ("", ["--quiet", "--allow-withdrawals"], True),
    ],
)
@pytest.mark.usefixtures("folder")
def test_on_a_terminal_it_is_asked_before_anything_changes(
    store, monkeypatch, typed, options, taken
):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    monkeypatch.setattr("sys.stderr", Terminal())
    assert main(["registry", "import", "second.csv", *options]) == 0
    assert (store.get_association("nour").city == "Tiznit") is taken


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "1 association is not in this file: it is kept but no longer checked."),
        (
            ["--prune"],
            "1 association is not in this file: it is removed with all its results.",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_before_it_asks_it_says_how_many_are_not_in_the_sheet(monkeypatch, options, told):
    said = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    monkeypatch.setattr("sys.stderr", said)
    assert main(["registry", "import", "second.csv", *options]) == 0
    assert told in said.getvalue()
    assert said.getvalue().index(told) < said.getvalue().index("yes or no")


@pytest.mark.usefixtures("folder")
def test_what_was_shown_before_the_question_is_not_told_again(monkeypatch):
    said = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    monkeypatch.setattr("sys.stderr", said)
    assert main(["--lang", "en", "registry", "import", "second.csv"]) == 0
    told, done = said.getvalue().split("Type yes or no.\n")
    assert "another association also lists this account" in told
    assert done.splitlines()[:3] == [
        "added: 1 association, 1 link",
        "changed: 1 association, 1 link",
        "no longer in the file: 1 association, 1 link",
    ]
    assert "warning" not in done


@pytest.mark.usefixtures("folder")
def test_a_sheet_that_changes_nothing_is_not_asked_about(monkeypatch):
    said = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr", said)
    assert main(["registry", "import", "first.csv"]) == 0
    assert "yes or no" not in said.getvalue()
    assert "no changes" in said.getvalue()


def problems(capsys, path):
    code = main(["registry", "validate", "--json", str(path)])
    found = json.loads(capsys.readouterr().out)["items"]
    return code, [(one["line"], one["problem"], one["value"]) for one in found]


def test_a_sheet_is_validated_beside_what_is_registered(folder, capsys):
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


def test_a_sheet_is_validated_alone_where_nothing_is_registered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "none"\n')
    (tmp_path / "sheet.csv").write_bytes(
        spreadsheet.to_csv([["name", "phone"], ["Nour", "6.1E+08"]])
    )
    assert problems(capsys, "sheet.csv") == (3, [(2, "rounded_number", "6.1E+08")])
    assert not (tmp_path / "none").exists()


def test_a_registry_that_cannot_be_read_is_told_and_not_taken_for_none(folder, capsys):
    database = next(folder.rglob("auditor.db"))
    database.write_bytes(b"no database at all" * 300)
    assert main(["registry", "validate", "first.csv"]) == 3
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
