"""Commands that only read create and upgrade nothing, and name what they read if it is empty."""

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.config.schema import load_config
from tests.support import old_databases

READING_COMMANDS = [
    ("status",),
    ("gaps",),
    ("report",),
    ("export", "gaps.csv"),
    ("publish", "pages"),
    ("digest", "--dry-run"),
    ("digest", "subscriptions"),
    ("report-links", "list"),
    ("decide", "list"),
    ("user", "list"),
    ("registry", "export", "-"),
    ("registry", "history"),
    ("reevaluate", "--dry-run"),
]
COMMANDS_WITHOUT_ROWS = [
    command
    for command in READING_COMMANDS
    if command[0] not in {"reevaluate", "run"} and command != ("digest", "--dry-run")
]


CHANGING_COMMANDS = [
    ("digest",),
    ("decide", "withdraw", "1", "--reason", "mistake", "--author", "Amina"),
    ("report-links", "create", "nour", "--author", "Amina"),
    ("user", "reset", "Amina", "--author", "Amina"),
    ("user", "remove", "Amina"),
    ("reevaluate",),
    ("backup",),
    ("prune",),
]
"""Commands that change an existing database. `registry import`, `run` and `user add` create one."""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)

    def run_command(*arguments):
        capsys.readouterr()
        code = main.main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.mark.parametrize("command", CHANGING_COMMANDS, ids=" ".join)
def test_command_in_a_wrong_folder_creates_no_database(run, tmp_path, command):
    code, _, error = run(*command)
    assert code == 3
    assert "there is no database" in error
    assert not list(tmp_path.iterdir())


def test_first_user_can_be_added_before_anything_is_imported(run, tmp_path):
    code, _, _ = run("user", "add", "Amina", "--role", "admin", "--author", "Amina")
    assert code == 0
    assert (tmp_path / "data" / "auditor.db").exists()


@pytest.fixture
def old_schema(run, tmp_path):
    """A database with an older schema than this version knows. Returns its revision."""
    with App.open(load_config(None, {})) as app:
        revision = app.store.get_schema_revision()
    with old_databases.next_revision(tmp_path / "next"):
        yield revision


@pytest.mark.parametrize("command", READING_COMMANDS)
def test_reading_command_refuses_an_old_schema_and_names_the_upgrade(
    run, tmp_path, old_schema, command
):
    code, _, error = run(*command)
    assert (code, error.count("\n")) == (3, 1)
    assert f"its schema is {old_schema}, this version needs 9000; try: `auditor upgrade`" in error
    assert not list((tmp_path / "data").glob("*.before-*"))


def test_doctor_warns_of_an_old_schema_and_does_not_upgrade_it(run, tmp_path, old_schema):
    code, output, _ = run("doctor", "--offline", "--format", "tsv")
    [line] = [line for line in output.splitlines() if line.startswith("database\t")]
    assert (code, line.split("\t")[1]) == (0, "warn")
    assert "try: `auditor upgrade`" in line
    assert not list((tmp_path / "data").glob("*.before-*"))


def test_upgrade_makes_a_copy_and_says_the_new_schema(run, tmp_path, old_schema):
    assert run("upgrade") == (0, "", "The database was upgraded to schema 9000.\n")
    assert [file.name for file in (tmp_path / "data").glob("*.before-*")] == [
        "auditor.db.before-9000"
    ]
    assert run("status")[0] == 0
    assert run("upgrade") == (0, "", "The database already has the schema of this version.\n")


@pytest.mark.parametrize("command", READING_COMMANDS)
def test_reading_command_creates_no_database(run, tmp_path, command):
    code, _, error = run(*command)
    assert code == (0 if command == ("status",) else 3)
    assert "data/auditor.db" in error
    assert "configuration: built-in example" in error
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", COMMANDS_WITHOUT_ROWS)
def test_reading_command_with_nothing_to_show_names_configuration_and_database(
    run, tmp_path, command
):
    (tmp_path / "own.toml").write_text('[storage]\nfolder = "here"\n')
    App.open(load_config(tmp_path / "own.toml", {})).close()
    code, _, error = run("--config", "own.toml", *command)
    expected = f"configuration: {tmp_path}/own.toml, database: {tmp_path}/here/auditor.db\n"
    assert (code, expected in error) == (0, True), error


def test_list_of_backups_names_the_configuration_if_there_are_none(run, tmp_path):
    assert "nothing to show; configuration: " in run("backup", "--list")[2]


def test_lost_database_is_named_with_the_newest_backup(run, tmp_path):
    App.open(load_config(None, {})).close()
    run("backup")
    [backup] = (tmp_path / "backups").glob("*.db")
    (tmp_path / "data" / "auditor.db").unlink()
    for command in ("status", "gaps"):
        code, _, error = run(command)
        assert (code, f"try: `auditor restore backups/{backup.name}`" in error) == (3, True), error
