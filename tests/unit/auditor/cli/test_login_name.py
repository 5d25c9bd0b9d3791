"""The author of what is typed: the login name, the account's name or the numeric user id."""

import json
import os
import pwd

import pytest

from auditor.cli.decisions import LOGIN_VARIABLES, get_login_name
from auditor.cli.main import main


@pytest.fixture(autouse=True)
def _no_login_name(monkeypatch, tmp_path):
    """Run as a container or cron does: without any variable that names the user."""
    for name in LOGIN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.csv").write_text("id,name\nnour,Nour\n")


@pytest.fixture
def unknown_account(monkeypatch):
    def fail(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", fail)


def test_the_environment_comes_first(monkeypatch):
    monkeypatch.setenv("USER", " amina ")
    assert get_login_name() == "amina"


def test_a_variable_of_spaces_names_nobody(monkeypatch):
    monkeypatch.setenv("LOGNAME", "  ")
    assert get_login_name() == pwd.getpwuid(os.getuid()).pw_name


def test_without_variables_it_is_the_name_of_the_account():
    assert get_login_name() == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.usefixtures("unknown_account")
def test_without_an_account_it_is_the_numeric_user_id():
    assert get_login_name() == str(os.getuid())


@pytest.mark.parametrize(
    "words",
    [
        ("user", "add", "Salma", "--role", "admin"),
        ("decide", "none-by-choice", "nour", "youtube", "--reason", "said so"),
        ("registry", "import", "sheet.csv"),
        ("registry", "erase", "nour", "--yes"),
    ],
)
@pytest.mark.usefixtures("unknown_account")
def test_commands_that_sign_need_no_login_name(words, capsys):
    assert main(["--quiet", "registry", "import", "sheet.csv"]) == 0
    assert main(list(words)) == 0, capsys.readouterr().err


@pytest.mark.usefixtures("unknown_account")
def test_the_numeric_user_id_is_the_author(capsys):
    assert main(["user", "add", "Salma", "--role", "admin"]) == 0
    capsys.readouterr()
    assert main(["user", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["added_by"] == str(os.getuid())


def test_an_empty_author_is_refused(capsys):
    assert main(["user", "add", "Salma", "--role", "admin", "--author", " "]) == 3
    assert "--author NAME" in capsys.readouterr().err
