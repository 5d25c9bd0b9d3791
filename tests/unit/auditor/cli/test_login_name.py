"""Tests of the default author: the login name, the account name or the numeric user id."""

import json
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


@pytest.fixture
def unknown_account(monkeypatch):
    def fail(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", fail)


def test_environment_has_priority(monkeypatch):
    monkeypatch.setenv("USER", "amina")
    assert get_login_name() == "amina"


def test_default_is_account_name():
    assert get_login_name() == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.usefixtures("unknown_account")
def test_unknown_account_gives_numeric_user_id():
    assert get_login_name() == str(os.getuid())


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "Salma", "--role", "admin"),
        ("decide", "none-by-choice", "nour", "youtube", "--reason", "said so"),
        ("registry", "import", "sheet.csv"),
        ("registry", "erase", "nour", "--yes"),
    ],
)
@pytest.mark.usefixtures("unknown_account")
def test_commands_with_author_need_no_login_name(arguments, capsys):
    assert main(["--quiet", "registry", "import", "sheet.csv"]) == 0
    assert main(list(arguments)) == 0, capsys.readouterr().err


@pytest.mark.usefixtures("unknown_account")
def test_numeric_user_id_is_recorded_as_author(capsys):
    assert main(["user", "add", "Salma", "--role", "admin"]) == 0
    capsys.readouterr()
    assert main(["user", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["added_by"] == str(os.getuid())


@pytest.mark.parametrize("author", [" ", "\udcff", "\u202e"])
def test_empty_author_is_refused(capsys, author):
    """Bytes that are not UTF-8 and marks of direction are not stored."""
    assert main(["user", "add", "Salma", "--role", "admin", "--author", author]) == 3
    assert "--author NAME" in capsys.readouterr().err
