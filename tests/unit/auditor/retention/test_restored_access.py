"""A restore lists the access that ended after the backup and is back."""

import json
from datetime import timedelta

import pytest

from auditor import report_links
from auditor.app import App
from auditor.cli.main import main
from auditor.config.schema import Config
from auditor.notifications.subscriptions import save_subscription
from storage.models.audit import Association
from tests.support.web_server import NOW, get_or_create_user

CONFIG = """
[network]
language = "en"
[web]
public_url = "https://out.example"
"""
LATER = NOW + timedelta(days=1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


@pytest.fixture
def open_network(folder):
    """Return a function that opens the network of the command line."""
    settings = {
        "storage": {"folder": folder / "data", "url": f"sqlite:///{folder}/data/auditor.db"},
        "web": {"public_url": "https://out.example"},
    }
    return lambda: App.open(Config.model_validate(settings))


@pytest.fixture
def backup_file(folder, open_network):
    """Return a backup after which access of each kind was ended."""
    with open_network() as app:
        app.store.registry.save_registry([Association("nour", "Nour")], [], NOW)
        get_or_create_user(app.store, "Amina")
        get_or_create_user(app.store, "Zineb")
        report_links.create_report_link(app.store, app.config, "nour", "Amina", NOW)
        save_subscription(app.store, app.config, "a@x.example", "nour", wanted=True, now=NOW)
    assert main(["backup"]) == 0
    [file] = (folder / "backups").glob("auditor-*.db")
    file = file.rename(folder / "older.db")
    with open_network() as app:
        app.store.users.remove(app.store.users.get("zineb").id, LATER)
        app.store.report_links.revoke("nour", "Amina", LATER)
        save_subscription(app.store, app.config, "a@x.example", "nour", wanted=False, now=LATER)
    return file


def restore(file, capsys):
    """Restore and return what `--json` says about access."""
    capsys.readouterr()
    assert main(["restore", str(file), "--json"]) == 0
    [item] = json.loads(capsys.readouterr().out)["items"]
    return (
        item["removed_but_restored"],
        item["revoked_links_restored"],
        item["ended_subscriptions_restored"],
    )


def test_restore_lists_access_that_had_ended(backup_file, capsys):
    assert restore(backup_file, capsys) == (["Zineb"], 1, 1)


def test_restore_says_what_is_back(backup_file, capsys):
    capsys.readouterr()
    assert main(["restore", str(backup_file)]) == 0
    printed = capsys.readouterr().err
    assert "The user Zineb was removed and is back" in printed
    assert "1 report link was revoked and works again" in printed
    assert "1 ended subscription" in printed


def test_restore_reads_another_backup_if_the_database_is_lost(folder, backup_file, capsys):
    assert main(["backup"]) == 0
    for file in (folder / "data").glob("auditor.db*"):
        file.unlink()
    assert restore(backup_file, capsys) == (["Zineb"], 1, 1)


def test_restore_lists_no_user_who_was_added_again(backup_file, open_network, capsys):
    with open_network() as app:
        zineb = app.store.users.get("zineb")
        zineb.removed_at = None
        app.store.users.add(zineb)
    assert restore(backup_file, capsys)[0] == []


def test_restore_of_the_current_state_lists_nothing(folder, backup_file, capsys):
    assert main(["backup"]) == 0
    [newest] = (folder / "backups").glob("auditor-*.db")
    assert restore(newest, capsys) == ([], 0, 0)
