"""Every moment that a machine reads has one form: ISO 8601, UTC, seconds, and the suffix Z."""

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
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*")
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
EXPORTS = ("associations", "gaps", "accounts", "coverage", "changes")
WITHOUT_NETWORK = {
    **TYPED,
    "digest": (("--dry-run",), ("--dry-run", "--since", "2026-10-01")),
    "doctor": (("--offline",),),
    "export": tuple((kind, "-", "--format", form) for kind in EXPORTS for form in ("json", "csv")),
}
READING = [words for words, one in all_commands() if any(p.name == "as_json" for p in one.params)]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder with the network in every state there is; its moments have microseconds."""
    folder = tmp_path_factory.mktemp("network")
    played = sample_network.played(folder)
    played.store.create_backup(folder / "saved.db")
    played.store.close()
    with_microseconds(folder / "auditor.db")
    for name in ("config.toml", "other.toml"):
        (folder / name).write_text(CONFIG + play.build_demo_rules())
    (folder / "sheet.csv").write_bytes(to_csv(sample_network.SHEET))
    (folder / "backups").mkdir()
    shutil.copy(folder / "saved.db", folder / "backups" / "auditor-20261101T000000Z.db")
    return folder


def with_microseconds(file):
    """Move every moment of a database by a part of a second, as real clocks do."""
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
def run(played, tmp_path, monkeypatch, capsys):
    shutil.copytree(played, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    for module in pkgutil.iter_modules(cli.__path__):
        there = import_module(f"{cli.__name__}.{module.name}")
        monkeypatch.setattr(there, "get_current_time", lambda: NOW, raising=False)

    async def ran(app, *_, **__):
        return replace(app.store.get_latest_run(AuditRunState.DONE), finished_at=NOW)

    async def checked(known, *_):
        found = Finding(Presence.PRESENT, status=200, last_activity=Activity(NOW, "feed"))
        return [LinkCheck(typed, one, ProbeResult(found)) for typed, one in known]

    monkeypatch.setattr(pipeline, "run_audit_pipeline", ran)
    monkeypatch.setattr(checker, "check_links", checked)

    def type_in(*words):
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINKS.encode())))
        code = main.main(list(words))
        return code, capsys.readouterr().out

    return type_in


def moments(text):
    return [moment.rstrip('",)]}') for moment in MOMENT.findall(text)]


def strange(text):
    return sorted({moment for moment in moments(text) if not FORM.fullmatch(moment)})


@pytest.mark.parametrize("command", READING)
def test_every_moment_of_json_has_one_form(run, command):
    """Whatever a command prints as JSON has one form of times."""
    for words in WITHOUT_NETWORK[command]:
        code, out = run(*command.split(), *words, "--json")
        if not out:
            assert code in {2, 3}
            continue
        assert json.loads(out)["generated_at"] == format_timestamp(NOW)
        assert strange(out) == [], words


def test_reading_commands_print_moments_at_all(run):
    """The test above tests something: these have moments of their own."""
    for command in ("status", "gaps", "report", "receipts", "user list", "report-links list"):
        assert len(moments(run(*command.split(), "--json")[1])) > 1, command


@pytest.mark.parametrize("words", WITHOUT_NETWORK["export"])
def test_every_moment_of_an_export_has_one_form(run, words):
    code, out = run("export", *words)
    assert (code, strange(out)) == (0, [])


@pytest.mark.parametrize(
    "command", ["status", "gaps", "receipts", "registry history", "backup --list"]
)
def test_every_moment_in_a_pipe_has_one_form(run, command):
    assert strange(run(*command.split())[1]) == []


def test_a_moment_is_written_in_utc_without_a_fraction():
    noon = datetime(2026, 11, 1, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert (
        format_timestamp(noon)
        == format_optional_timestamp(noon)
        == Activity(noon, "feed").format_iso()
        == "2026-11-01T11:00:00Z"
    )
    assert format_optional_timestamp(None) is None
    told = build_json_document([{"at": noon, "inner": {"at": noon}, "list": [noon]}], noon)
    assert strange(told) == []
    assert len(moments(told)) == 4
    assert format_timestamp(datetime(2026, 11, 1, tzinfo=UTC)) == "2026-11-01T00:00:00Z"
