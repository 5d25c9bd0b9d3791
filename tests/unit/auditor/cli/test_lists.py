"""Tests of lists on a terminal, through a pager and in scripts: format, limit, color and width."""

import io
import json
import pkgutil
import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from auditor import cli
from auditor.cli import main
from auditor.cli.output import choose_table_format, print_bytes, print_text
from auditor.core.errors import InputError
from auditor.core.formatting import format_timestamp, to_single_line
from auditor.demo import play
from auditor.registry.spreadsheet import to_csv
from tests.support import sample_network
from tests.support.all_commands import TYPED, all_commands
from tests.support.terminal import Terminal

OPTIONS = {name: {one.name for one in command.params} for name, command in all_commands()}
LIMITED = [name for name, options in OPTIONS.items() if "limit" in options]
NOW = sample_network.NOW.replace(microsecond=123_456)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[^\s\",)\]}]*")
STANDARD_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CONFIG = '[storage]\nfolder = "."\nurl = "sqlite:///auditor.db"\n[network]\nlanguage = "ar"\n'


def add_microseconds(file):
    """Add a fraction of a second to all timestamps of a database, as real clocks do."""
    with closing(sqlite3.connect(file)) as database, database:
        columns = database.execute(
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
            "WHERE m.type = 'table' AND c.type = 'DATETIME'"
        ).fetchall()
        for table, column in columns:
            database.execute(
                f"""UPDATE "{table}" SET "{column}" = substr("{column}", 1, 19) || '.654321'
                WHERE length("{column}") >= 19"""
            )


@pytest.fixture(scope="module")
def network_folder(tmp_path_factory):
    """Create a folder with a network in all states."""
    folder = tmp_path_factory.mktemp("network")
    sample_network.played(folder).store.close()
    add_microseconds(folder / "auditor.db")
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
    for module in pkgutil.iter_modules(cli.__path__):
        target = f"auditor.cli.{module.name}.get_current_time"
        monkeypatch.setattr(target, lambda: NOW, raising=False)

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


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("   ☐ افتحوا الموقع من الهاتف", ["   ☐ افتحوا", "     الموقع من", "     الهاتف"]),
        ("https://association.example/", ["https://association.example/"]),
        ("Present  130", ["Present  130"]),
    ],
)
def test_terminal_gets_lines_broken_before_words(monkeypatch, line, shown):
    monkeypatch.setenv("COLUMNS", "15")
    for stream, lines in ((Terminal(), shown), (io.StringIO(), [line])):
        monkeypatch.setattr("sys.stdout", stream)
        print_text(line)
        assert stream.getvalue().splitlines() == lines


def test_terminal_is_not_given_a_spreadsheet(monkeypatch):
    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(InputError, match="a terminal cannot show this spreadsheet"):
        print_bytes([b"PK"], is_readable=False)


@pytest.mark.slow
def test_list_has_words_in_a_pager_and_codes_in_a_script(run_command):
    heading, first, *_ = run_command("gaps", terminals=("err",))[1].splitlines()
    assert heading.split()[:3] == ["Type", "Problem", "Since"]
    assert (first[:10], {"\t", "\x1b"} & set(first)) == ("Broken now", set())
    script = run_command("gaps", terminals=())[1]
    heading, first, *_ = script.splitlines()
    assert heading.startswith("kind\tseverity\tcode\t")
    assert first.startswith("broken\thigh\t")
    assert run_command("gaps", "--format", "tsv")[1] == script


@pytest.mark.slow
@pytest.mark.parametrize("command", [*LIMITED, "status", "report", "registry show-data"])
def test_json_has_one_form_of_times_and_the_limited_rows(run_command, command):
    for arguments in TYPED[command]:
        words = [*command.split(), *arguments, "--json"]
        out = run_command(*words)[1]
        document = json.loads(out)
        assert document["generated_at"] == format_timestamp(NOW)
        assert [at for at in TIMESTAMP.findall(out) if not STANDARD_TIMESTAMP.fullmatch(at)] == []
        if command in LIMITED:
            _, limited, messages = run_command(*words, "--limit", "1")
            assert json.loads(limited)["items"] == document["items"][:1]
            assert ("Only the first row is shown" in messages) == (len(document["items"]) > 1)


@pytest.mark.slow
def test_no_color_option_turns_color_off(run_command, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")  # restores it after the test
    red = "\x1b[31m"
    assert red in run_command("gaps")[1]
    assert red not in run_command("gaps", "--no-color")[1]


@pytest.mark.slow
def test_names_follow_the_language_in_tables_only(run_command):
    associations = {one.id: one for one in (entry.association for entry in sample_network.PEOPLE)}
    table = run_command("gaps", "--lang", "ar")[1]
    for item in json.loads(run_command("gaps", "--json", "--lang", "ar")[1])["items"]:
        association = associations[item["association"]]
        assert item["name"] == association.name
        assert to_single_line(association.display_name("ar")) in table or association.id == "long"


@pytest.mark.slow
def test_empty_list_says_so(run_command):
    empty = ("gaps", "--code", "none_of_them")
    assert run_command(*empty)[:2] == (0, "Nothing to list.\n")
    assert run_command(*empty, terminals=())[1].count("\n") == 1
