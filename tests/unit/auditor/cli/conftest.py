"""The command line in an empty folder."""

import io
from typing import NamedTuple

import pytest

from auditor.cli import main


class Result(NamedTuple):
    """Exit code, data and messages of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def auditor(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)

    def run(*arguments, typed=""):
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        return Result(main.main(list(arguments)), *capsys.readouterr())

    return run
