"""What an import does with associations that its spreadsheet does not list."""

import json

import pytest

from auditor.cli.main import main
from storage.store import Store
from tests.support.terminal import Terminal

COUNT = 20


def sheet(*numbers):
    return "\n".join(["id,name", *(f"{i},Club {i}" for i in numbers), ""])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    (tmp_path / "all.csv").write_text(sheet(*range(COUNT)))
    (tmp_path / "few.csv").write_text(sheet(*range(4)))
    assert main(["--quiet", "registry", "import", "all.csv"]) == 0
    return tmp_path


@pytest.fixture
def terminal(monkeypatch):
    def type_in(text):
        screen = Terminal()
        monkeypatch.setattr("sys.stdin", Terminal(text))
        monkeypatch.setattr("sys.stderr", screen)
        return screen

    return type_in


def count_associations(folder, **options):
    with Store.open(f"sqlite:///{folder}/auditor.db") as store:
        return len(list(store.registry.list_associations(**options)))


def test_import_keeps_associations_that_it_does_not_list(folder):
    assert main(["registry", "import", "few.csv"]) == 0
    assert count_associations(folder) == COUNT


@pytest.mark.parametrize(
    ("options", "stored_count"), [(["--complete"], COUNT), (["--prune", "--yes"], 4)]
)
def test_option_says_that_unlisted_associations_leave(folder, options, stored_count):
    assert main(["registry", "import", "few.csv", *options]) == 0
    assert count_associations(folder) == 4
    assert count_associations(folder, include_withdrawn=True) == stored_count


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
def test_pruning_without_a_terminal_needs_an_option(folder, capsys, options):
    assert main(["registry", "import", "few.csv", "--prune", *options]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert "16 associations are not in this file" in output.err
    assert "nothing was imported; try: --yes" in output.err
    assert count_associations(folder) == COUNT


@pytest.mark.parametrize(("typed", "remaining"), [("yes\n", 4), ("no\n", COUNT), ("", COUNT)])
def test_pruning_is_confirmed_on_a_terminal(folder, terminal, typed, remaining):
    screen = terminal(typed)
    assert main(["--lang", "en", "registry", "import", "few.csv", "--prune"]) == 0
    assert "16 associations are not in this file: they are removed" in screen.getvalue()
    assert screen.getvalue().count("Apply these changes? Type yes or no.") == 1
    assert count_associations(folder) == remaining


def test_dry_run_shows_who_would_leave(folder, capsys):
    assert main(["registry", "import", "few.csv", "--complete", "--dry-run", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert sum(item["kind"] == "withdrawn" for item in items) == 16
    assert count_associations(folder) == COUNT
