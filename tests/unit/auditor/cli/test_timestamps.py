"""Tests that all timestamps in output have one form: ISO 8601, UTC, seconds, suffix Z."""

import io
import json
import pkgutil
import re
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module

import pytest

from auditor import cli
from auditor.checking import checker
from auditor.checking.checker import LinkCheck
from auditor.cli import main
from auditor.core.formatting import build_json_document, format_optional_timestamp, format_timestamp
from auditor.demo import play
from auditor.registry.spreadsheet import to_csv
from auditor.runs import pipeline
from probes.models.finding import Activity, Finding, Presence
from probes.models.probe import ProbeResult
from storage.models.audit import AuditRunState
from tests.support import sample_network
from tests.support.all_commands import LINKS, TYPED, all_commands

CONFIG = """
[storage]
folder = "."
url = "sqlite:///auditor.db"
[web]
public_url = "https://reports.example.org"
[notify]
from = "auditor@example.org"
smtp = { host = "mail.example.org" }
[[notify.recipients]]
to = "amina@example.org"
"""
NOW = sample_network.NOW.replace(microsecond=123_456)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*")
STANDARD_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
EXPORTS = ("associations", "gaps", "accounts", "coverage", "changes")
WITHOUT_NETWORK = {
    **TYPED,
    "digest": (("--dry-run",), ("--dry-run", "--since", "2026-10-01")),
    "doctor": (("--offline",),),
    "export": tuple((kind, "-", "--format", form) for kind in EXPORTS for form in ("json", "csv")),
}
JSON_COMMANDS = [
    arguments for arguments, one in all_commands() if any(p.name == "as_json" for p in one.params)
]


@pytest.fixture(scope="module")
def network_folder(tmp_path_factory):
    """Create a folder with a network in all states. Its timestamps have microseconds."""
    folder = tmp_path_factory.mktemp("network")
    network_folder = sample_network.played(folder)
    network_folder.store.create_backup(folder / "saved.db")
    network_folder.store.close()
    with_microseconds(folder / "auditor.db")
    for name in ("config.toml", "other.toml"):
        (folder / name).write_text(CONFIG + play.build_demo_rules())
    (folder / "sheet.csv").write_bytes(to_csv(sample_network.SHEET))
    (folder / "backups").mkdir()
    shutil.copy(folder / "saved.db", folder / "backups" / "auditor-20261101T000000Z.db")
    return folder


def with_microseconds(file):
    """Add a fraction of a second to all timestamps of a database, as real clocks do."""
    with sqlite3.connect(file) as database:
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        for table in tables:
            for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
                if kind == "DATETIME":
                    database.execute(
                        f"""UPDATE "{table}" SET "{column}" = substr("{column}", 1, 19)
                        || '.654321' WHERE length("{column}") >= 19"""
                    )
    database.close()


@pytest.fixture
def run(network_folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(network_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    for module_info in pkgutil.iter_modules(cli.__path__):
        module = import_module(f"{cli.__name__}.{module_info.name}")
        monkeypatch.setattr(module, "get_current_time", lambda: NOW, raising=False)

    async def fake_run(app, *_, **__):
        return replace(app.store.runs.get_latest(AuditRunState.DONE), finished_at=NOW)

    async def checked(links, *_):
        finding = Finding(Presence.PRESENT, status=200, last_activity=Activity(NOW, "feed"))
        return [LinkCheck(typed, one, ProbeResult(finding)) for typed, one in links]

    monkeypatch.setattr(pipeline, "run_audit_pipeline", fake_run)
    monkeypatch.setattr(checker, "check_links", checked)

    def run_command(*arguments):
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINKS.encode())))
        code = main.main(list(arguments))
        return code, capsys.readouterr().out

    return run_command


def find_timestamps(text):
    return [moment.rstrip('",)]}') for moment in TIMESTAMP.findall(text)]


def find_nonstandard_timestamps(text):
    return sorted(
        {moment for moment in find_timestamps(text) if not STANDARD_TIMESTAMP.fullmatch(moment)}
    )


@pytest.mark.parametrize("command", JSON_COMMANDS)
def test_timestamps_in_json_have_standard_form(run, command):
    """All JSON output has one form of timestamps."""
    for arguments in WITHOUT_NETWORK[command]:
        code, out = run(*command.split(), *arguments, "--json")
        if not out:
            assert code in {2, 3}
            continue
        assert json.loads(out)["generated_at"] == format_timestamp(NOW)
        assert find_nonstandard_timestamps(out) == [], arguments


def test_commands_print_timestamps(run):
    """Make sure that the test above finds timestamps."""
    for command in ("status", "gaps", "report", "user list", "report-links list"):
        assert len(find_timestamps(run(*command.split(), "--json")[1])) > 1, command


@pytest.mark.parametrize("arguments", WITHOUT_NETWORK["export"])
def test_timestamps_in_exports_have_standard_form(run, arguments):
    code, out = run("export", *arguments)
    assert (code, find_nonstandard_timestamps(out)) == (0, [])


@pytest.mark.parametrize("command", ["status", "gaps", "registry history", "backup --list"])
def test_timestamps_in_pipes_have_standard_form(run, command):
    assert find_nonstandard_timestamps(run(*command.split())[1]) == []


def test_timestamp_is_in_utc_without_fraction():
    noon = datetime(2026, 11, 1, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert (
        format_timestamp(noon)
        == format_optional_timestamp(noon)
        == Activity(noon, "feed").format_iso()
        == "2026-11-01T11:00:00Z"
    )
    assert format_optional_timestamp(None) is None
    document = build_json_document([{"at": noon, "inner": {"at": noon}, "list": [noon]}], noon)
    assert find_nonstandard_timestamps(document) == []
    assert len(find_timestamps(document)) == 4
    assert format_timestamp(datetime(2026, 11, 1, tzinfo=UTC)) == "2026-11-01T00:00:00Z"
