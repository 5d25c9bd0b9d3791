"""Reading and saving a spreadsheet show their progress on a terminal, and nowhere else."""

import io

import pytest

from auditor.cli import main
from auditor.registry import importer
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import to_csv

ROWS = [["name", "city"], *([f"Amal {number}", "Rabat"] for number in range(5))]


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a command and returns what it writes to standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "data"\n')
    (tmp_path / "sheet.csv").write_bytes(to_csv(ROWS))

    def run_command(stream, *arguments):
        monkeypatch.setattr("sys.stderr", stream)
        assert main.main(list(arguments)) == 0
        return stream.getvalue()

    return run_command


VALIDATE = ("registry", "validate", "sheet.csv")
IMPORT = ("registry", "import", "--yes", "sheet.csv")


def test_terminal_shows_the_progress_of_each_step(run):
    assert "reading the spreadsheet" in run(Terminal(), *VALIDATE, "--lang", "en")
    output = run(Terminal(), *IMPORT, "--lang", "en")
    assert "reading the spreadsheet" in output
    assert "saving the registry" in output


@pytest.mark.parametrize("command", [VALIDATE, IMPORT])
def test_neither_a_pipe_nor_a_quiet_terminal_shows_progress(run, command):
    assert "spreadsheet" not in run(io.StringIO(), *command, "--lang", "en")
    assert run(Terminal(), "--quiet", *command) == ""


@pytest.mark.parametrize(("step", "reports"), [(2, [0, 2, 4]), (5, [0]), (6, [0])])
def test_rows_that_are_read_are_reported(tmp_path, monkeypatch, step, reports):
    monkeypatch.setattr(importer, "ROWS_PER_PROGRESS", step)
    (tmp_path / "sheet.csv").write_bytes(to_csv(ROWS))
    calls = []
    parse_registry_spreadsheet(
        tmp_path / "sheet.csv", on_progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(done, 5) for done in reports]
