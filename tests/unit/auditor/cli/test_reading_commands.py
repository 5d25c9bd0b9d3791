"""Commands that only read create and upgrade nothing, and name what they read if it is empty."""

import pytest

from auditor.app import App
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


@pytest.mark.parametrize("command", CHANGING_COMMANDS, ids=" ".join)
def test_command_in_a_wrong_folder_creates_no_database(auditor, tmp_path, command):
    code, _, error = auditor(*command)
    assert code == 3
    assert "there is no database" in error
    assert not list(tmp_path.iterdir())


@pytest.fixture
def old_schema(auditor, tmp_path):
    """A database with an older schema than this version knows. Returns its revision."""
    with App.open(load_config(None, {})) as app:
        revision = app.store.get_schema_revision()
    with old_databases.next_revision(tmp_path / "next"):
        yield revision


@pytest.mark.parametrize("command", READING_COMMANDS)
def test_reading_command_refuses_an_old_schema_and_names_the_upgrade(
    auditor, tmp_path, old_schema, command
):
    code, _, error = auditor(*command)
    assert (code, error.count("\n")) == (3, 1)
    assert f"its schema is {old_schema}, this version needs 9000; try: `auditor upgrade`" in error
    assert not list((tmp_path / "data").glob("*.before-*"))


@pytest.mark.slow
def test_doctor_warns_of_an_old_schema_and_does_not_upgrade_it(auditor, tmp_path, old_schema):
    code, output, _ = auditor("doctor", "--offline", "--format", "tsv")
    [line] = [line for line in output.splitlines() if line.startswith("database\t")]
    assert (code, line.split("\t")[1]) == (0, "warn")
    assert "try: `auditor upgrade`" in line
    assert not list((tmp_path / "data").glob("*.before-*"))


def test_upgrade_makes_a_copy_and_says_the_new_schema(auditor, tmp_path, old_schema):
    assert auditor("upgrade") == (0, "", "The database was upgraded to schema 9000.\n")
    assert [file.name for file in (tmp_path / "data").glob("*.before-*")] == [
        "auditor.db.before-9000"
    ]
    assert auditor("status")[0] == 0
    assert auditor("upgrade") == (0, "", "The database already has the schema of this version.\n")


@pytest.mark.parametrize("command", READING_COMMANDS)
def test_reading_command_creates_no_database(auditor, tmp_path, command):
    code, _, error = auditor(*command)
    assert code == (0 if command == ("status",) else 3)
    assert "data/auditor.db" in error
    assert "configuration: built-in example" in error
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", COMMANDS_WITHOUT_ROWS)
def test_reading_command_with_nothing_to_show_names_configuration_and_database(
    auditor, tmp_path, command
):
    (tmp_path / "own.toml").write_text('[storage]\nfolder = "here"\n')
    App.open(load_config(tmp_path / "own.toml", {})).close()
    code, _, error = auditor("--config", "own.toml", *command)
    expected = f"configuration: {tmp_path}/own.toml, database: {tmp_path}/here/auditor.db\n"
    assert (code, expected in error) == (0, True), error
