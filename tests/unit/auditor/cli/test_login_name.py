"""Tests of the default author: the login name, the account name or the numeric user id."""

import os
import pwd

import pytest

from auditor.cli.decisions import get_login_name
from auditor.cli.main import main


@pytest.fixture(autouse=True)
def _no_login_name(monkeypatch, tmp_path):
    """Run as a container or cron does: without any variable that names the user."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.csv").write_text("id,name\nnour,Nour\n")


def test_author_is_the_user_of_the_environment_or_the_numeric_id(monkeypatch):
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert get_login_name() == str(os.getuid())
    monkeypatch.setenv("USER", "amina")
    assert get_login_name() == "amina"


@pytest.mark.parametrize("author", [" ", "\udcff", "\u202e"])
def test_empty_author_is_refused(capsys, author):
    """Bytes that are not UTF-8 and marks of direction are not stored."""
    assert main(["user", "add", "Salma", "--role", "admin", "--author", author]) == 3
    assert "--author NAME" in capsys.readouterr().err
