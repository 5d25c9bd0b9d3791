"""Reading and saving a spreadsheet show their progress on a terminal, and nowhere else."""

import io

import pytest

from auditor.cli import main
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
