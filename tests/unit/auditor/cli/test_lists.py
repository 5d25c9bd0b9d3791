"""Tests of lists on a terminal, through a pager and in scripts: format, limit, color and width."""

import io
import json
import re
import shutil
from functools import partial
from importlib import import_module

import pytest
from rich.cells import cell_len

from auditor.cli import main
from auditor.cli.output import choose_table_format, print_table
from auditor.core.errors import UsageError
from auditor.core.formatting import to_single_line
from auditor.core.i18n.catalogs import LANGUAGE_NAMES
from auditor.core.i18n.translator import Translator
from auditor.demo import play
from auditor.registry.spreadsheet import to_csv
from storage.models.audit import GAP_KINDS
from tests.support import sample_network
from tests.support.all_commands import TYPED, all_commands

COLOR = re.compile(r"\x1b\[[0-9;]*m")
OPTIONS = {name: {one.name for one in command.params} for name, command in all_commands()}
LIMITED = [name for name, options in OPTIONS.items() if "limit" in options]
CONFIG = '[storage]\nfolder = "."\nurl = "sqlite:///auditor.db"\n[network]\nlanguage = "ar"\n'


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.fixture(scope="module")
def network_folder(tmp_path_factory):
    """Create a folder with a network in all states."""
    folder = tmp_path_factory.mktemp("network")
    sample_network.played(folder).store.close()
    (folder / "config.toml").write_text(CONFIG + play.build_demo_rules())
    (folder / "sheet.csv").write_bytes(to_csv(sample_network.SHEET))
    return folder


@pytest.fixture
def run_command(network_folder, tmp_path, monkeypatch):
    """Return a function that runs a command and returns its exit code, data and messages.

    `terminals` says which of standard output and standard error are a terminal.
    """
    shutil.copytree(network_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "AUDITOR_CONFIG", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "4000")
    monkeypatch.setenv("TERM", "xterm-256color")
    for module in (
        "audit",
        "context",
        "decisions",
        "registry",
        "report_links",
        "reports",
        "status",
    ):
        monkeypatch.setattr(
            import_module(f"auditor.cli.{module}"), "get_current_time", lambda: sample_network.NOW
        )

    def run(*arguments, terminals=("out", "err")):
        out, err = (Terminal() if name in terminals else io.StringIO() for name in ("out", "err"))
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
        code = main.main(list(arguments))
        return code, out.getvalue(), err.getvalue()

    return run


@pytest.mark.parametrize(
    ("terminals", "expected"),
    [(("out", "err"), "table"), (("err",), "table"), (("out",), "table"), ((), "tsv")],
)
def test_list_is_a_table_if_data_or_messages_go_to_a_terminal(monkeypatch, terminals, expected):
    for name in ("out", "err"):
        stream = Terminal() if name in terminals else io.StringIO()
        monkeypatch.setattr(f"sys.std{name}", stream)
    assert choose_table_format(None, as_json=False) == expected
    assert choose_table_format("tsv", as_json=False) == "tsv"
    assert choose_table_format(None, as_json=True) == "json"


def test_json_and_another_format_contradict_each_other(run_command):
    with pytest.raises(UsageError, match="--json --format tsv"):
        choose_table_format("tsv", as_json=True)
    assert choose_table_format("json", as_json=True) == "json"
    assert run_command("gaps", "--json", "--format", "table")[:2] == (2, "")


def test_every_command_that_prints_a_table_has_the_format_option():
    with_json = {name for name, options in OPTIONS.items() if "as_json" in options}
    with_format = {name for name, options in OPTIONS.items() if "requested_format" in options}
    assert with_json - with_format == {"prune", "report", "restore"}  # text and sentences
    assert with_format <= with_json


def test_list_in_a_pager_has_words_and_no_color(run_command):
    _, out, _ = run_command("gaps", terminals=("err",))
    heading, first, *_ = out.splitlines()
    assert heading.split()[:3] == ["Type", "Problem", "Since"]
    assert first.startswith("Broken now")
    assert "\t" not in out
    assert "\x1b" not in out


def test_list_in_a_script_has_codes_and_tabs(run_command):
    _, out, _ = run_command("gaps", terminals=())
    assert out.startswith("kind\tseverity\tcode\t")
    assert out.splitlines()[1].startswith("broken\thigh\t")
    assert run_command("gaps", "--format", "tsv")[1] == out


def test_format_json_is_the_same_as_json(run_command):
    [short, long] = [
        json.loads(run_command("gaps", *options)[1]) for options in (["--json"], ["--format=json"])
    ]
    assert short == long


@pytest.mark.parametrize("command", LIMITED)
def test_limit_shows_that_many_rows(run_command, command):
    for arguments in TYPED[command]:
        words = [*command.split(), *arguments, "--json"]
        items = json.loads(run_command(*words)[1])["items"]
        _, out, messages = run_command(*words, "--limit", "1")
        limited = json.loads(out)["items"]
        assert limited == items[:1]
        assert ("Only the first row is shown" in messages) == (len(items) > 1)


def test_commands_that_list_stored_rows_have_a_limit():
    assert set(LIMITED) == {
        "decide list",
        "digest subscriptions",
        "gaps",
        "registry history",
        "registry validate",
        "report-links list",
        "user list",
    }


def test_quiet_list_does_not_say_that_rows_are_left_out(run_command):
    assert run_command("-q", "gaps", "--limit", "1")[2] == ""


def print_kinds(monkeypatch, **environ):
    """Return the lines of a table of kinds of gaps on a terminal with an environment."""
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    for name, value in {"TERM": "xterm-256color", "NO_COLOR": "", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, environ.get(name, value))
    words = {"kind": partial(Translator("en").label, "gap_kind")}
    rows = [{"kind": code, "association": "nour"} for code in GAP_KINDS]
    print_table(("kind", "association"), rows, "table", words=words)
    return screen.getvalue().splitlines()[1:]


def test_urgency_is_a_color_and_a_word_on_a_terminal(monkeypatch):
    lines = print_kinds(monkeypatch)
    assert [line.split("m")[0] for line in lines[:2]] == ["\x1b[31", "\x1b[33"]
    assert not any("\x1b" in line for line in lines[2:])
    words = [COLOR.sub("", line).split("  ")[0] for line in lines]
    assert words == ["Broken now", "Silent", "To improve", "No account yet"]


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_environment_turns_color_off(monkeypatch, environ):
    colored = [COLOR.sub("", line) for line in print_kinds(monkeypatch)]
    assert print_kinds(monkeypatch, **environ) == colored


def test_no_color_option_turns_color_off(run_command, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")  # restores it after the test
    red = "\x1b[31m"
    assert red in run_command("gaps")[1]
    assert red not in run_command("gaps", "--no-color")[1]


@pytest.mark.parametrize("language", sorted(LANGUAGE_NAMES))
def test_names_follow_the_language_in_tables_only(run_command, language):
    associations = {one.id: one for one in (entry.association for entry in sample_network.PEOPLE)}
    items = json.loads(run_command("gaps", "--json", "--lang", language)[1])["items"]
    assert {item["name"] for item in items} == {
        associations[item["association"]].name for item in items
    }
    table = run_command("gaps", "--lang", language)[1]
    for item in items:
        name = to_single_line(associations[item["association"]].display_name(language))
        assert name in table or item["association"] == "long"


def test_narrow_terminal_leaves_out_the_code_of_the_problem(run_command, monkeypatch):
    assert "Problem code" in run_command("gaps")[1]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = COLOR.sub("", run_command("gaps")[1])
    assert "Problem code" not in narrow
    assert max(map(cell_len, narrow.splitlines())) <= 80


def test_empty_list_says_so(run_command):
    code, out, _ = run_command("gaps", "--code", "none_of_them")
    assert (code, out) == (0, "Nothing to list.\n")
    assert run_command("gaps", "--code", "none_of_them", terminals=())[1].count("\n") == 1


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_option_prints_the_version(run_command, option):
    assert re.fullmatch(r"auditor \d+\.\d+\.\d+\n", run_command(option)[1])


def print_two_rows(monkeypatch, columns):
    """Return the lines of a table with an empty and a wide column on a terminal of some width."""
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    for name, value in {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    names = ("code", "before", "reason")
    cells = [["nour", "", "seen by a person"], ["amal", "", "none by choice"]]
    print_table(names, [dict(zip(names, row, strict=True)) for row in cells], "table")
    return [line.rstrip() for line in COLOR.sub("", screen.getvalue()).splitlines()]


def test_table_leaves_out_empty_columns(monkeypatch):
    assert print_two_rows(monkeypatch, 80) == [
        "Code  Reason",
        "nour  seen by a person",
        "amal  none by choice",
    ]
