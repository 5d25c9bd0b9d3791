"""An import that withdraws many associations at once needs confirmation."""

import io
import json

import pytest

from auditor.cli import registry
from auditor.cli.main import main
from storage.store import Store

COUNT = 20


def sheet(*numbers):
    return "\n".join(["id,name", *(f"{i},Club {i}" for i in numbers), ""])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    (tmp_path / "all.csv").write_text(sheet(*range(COUNT)))
    (tmp_path / "few.csv").write_text(sheet(*range(4)))
    (tmp_path / "most.csv").write_text(sheet(*range(16)))
    assert main(["--quiet", "registry", "import", "all.csv"]) == 0
    return tmp_path


class Terminal(io.StringIO):
    """A stream that pretends to be a terminal."""

    def isatty(self):
        return True


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


@pytest.mark.parametrize(
    "options", [[], ["--yes"], ["--quiet"], ["--json"], ["--prune"], ["--prune", "--yes"]]
)
def test_many_withdrawals_without_a_terminal_are_refused(folder, capsys, options):
    assert main(["registry", "import", "few.csv", *options]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert "16 of 20 associations are not in it, so nothing was imported; try: " in output.err
    assert "--allow-withdrawals" in output.err
    assert count_associations(folder) == COUNT


@pytest.mark.parametrize(
    ("options", "stored_count"),
    [([], COUNT), (["--yes"], COUNT), (["--json"], COUNT), (["--prune"], 4)],
)
def test_option_allows_many_withdrawals(folder, options, stored_count):
    assert main(["registry", "import", "few.csv", "--allow-withdrawals", *options]) == 0
    assert count_associations(folder) == 4
    assert count_associations(folder, include_withdrawn=True) == stored_count


def test_up_to_a_fifth_needs_no_confirmation(folder):
    assert main(["registry", "import", "most.csv"]) == 0
    assert count_associations(folder) == 16
    (folder / "fewer.csv").write_text(sheet(*range(12)))
    assert main(["registry", "import", "fewer.csv"]) == 3
    assert count_associations(folder) == 16


def test_pruning_earlier_withdrawals_needs_no_confirmation(folder):
    assert main(["registry", "import", "few.csv", "--allow-withdrawals"]) == 0
    assert main(["registry", "import", "few.csv", "--prune"]) == 0
    assert count_associations(folder, include_withdrawn=True) == 4


@pytest.mark.parametrize("options", [[], ["--prune"]])
@pytest.mark.parametrize(("typed", "remaining"), [("yes\n", 4), ("no\n", COUNT), ("", COUNT)])
def test_many_withdrawals_need_confirmation_on_a_terminal(
    folder, terminal, options, typed, remaining
):
    screen = terminal(typed)
    assert main(["--lang", "en", "registry", "import", "few.csv", *options]) == 0
    question = "16 of 20 associations would leave the registry. Import this file? Type yes or no."
    assert screen.getvalue().count(question) == 1
    assert screen.getvalue().count("yes or no") == 1
    assert count_associations(folder) == remaining


@pytest.mark.parametrize("option", ["--yes", "--quiet"])
def test_many_withdrawals_without_a_question_are_refused(folder, terminal, option):
    screen = terminal("yes\n")
    assert main(["registry", "import", "few.csv", option]) == 3
    assert "--allow-withdrawals" in screen.getvalue()
    assert count_associations(folder) == COUNT


@pytest.mark.parametrize(("options", "asks"), [([], True), (["--yes"], False)])
def test_option_replaces_the_confirmation(folder, terminal, options, asks):
    screen = terminal("yes\n")
    assert (
        main(["--lang", "en", "registry", "import", "few.csv", "--allow-withdrawals", *options])
        == 0
    )
    assert "would leave" not in screen.getvalue()
    assert ("yes or no" in screen.getvalue()) is asks
    assert count_associations(folder) == 4


def test_refusal_also_reports_problems(folder, capsys):
    (folder / "few.csv").write_text("id,name,city\n1,Club, of the South,Rabat\n")
    assert main(["--lang", "en", "registry", "import", "few.csv"]) == 3
    error_lines = capsys.readouterr().err.splitlines()
    assert error_lines[0].startswith("error, line 2: ")
    assert "19 of 20 associations" in error_lines[-1]


def test_dry_run_with_many_withdrawals_is_not_refused(folder, capsys):
    assert main(["registry", "import", "few.csv", "--dry-run", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert sum(item["kind"] == "withdrawn" for item in items) == 16
    assert count_associations(folder) == COUNT


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_changes_beyond_the_shown_ones_are_counted(folder, capsys, terminal, monkeypatch, step):
    """With 10 changes: a table of 200 takes a second."""
    monkeypatch.setattr(registry, "MAX_SHOWN_CHANGES", 10)
    (folder / "fewer.csv").write_text(sheet(*range(COUNT - 10 - step)))
    screen = terminal("no\n")
    assert main(["registry", "import", "fewer.csv"]) == 0
    shown_count = sum("Club " in line for line in capsys.readouterr().out.splitlines())
    assert shown_count == min(10, 10 + step)
    assert ("1 more change" in screen.getvalue()) is (step > 0)
