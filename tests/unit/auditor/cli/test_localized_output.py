"""Tests that what associations read is translated, in any language of the terminal."""

import contextlib
import io
import pkgutil
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from auditor import cli
from auditor.checking import checker
from auditor.checking.checker import LinkCheck
from auditor.cli import main
from auditor.cli import serve as cli_serve
from auditor.config.schema import load_config
from auditor.core.i18n.catalogs import LANGUAGE_NAMES
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.places import REGIONS
from auditor.demo import play
from auditor.presentation.notifications import transports
from auditor.registry.spreadsheet import to_csv
from auditor.runs import pipeline
from auditor.runs.diagnostics import network
from probes.links import identify
from probes.models.finding import Activity, DatePrecision, Finding, Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import ProbeResult
from storage.models.audit import AuditRunState
from tests.support import sample_network
from tests.support.all_commands import LINKS, TYPED, commands
from tests.support.pseudo_locale import (
    list_catalog_languages,
    outside_text,
    pseudo_locale,
    strict_locale,
)

CONFIG = """
[network]
language = "en"
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
[[notify.recipients]]
to = "salma@example.org"
[channels]
website = {}
facebook = {}
twitter = {}
linkedin = {}
youtube = {}
"""
OTHER = (
    CONFIG
    + """
[confirm]
failures = 1
[[rules]]
code = "channel_dead"
check = "absent"
channels = ["youtube"]
reasons = ["not_found"]
"""
)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
TROUBLE = re.compile(r"^error: .*$|\b([0-9a-f]{32}){1,2}\b", re.MULTILINE)
"""Errors, which are in English to be searchable, and digests, which have no language."""
KNOWN = (
    *(
        fact or ""
        for one in sample_network.PEOPLE
        for fact in (one.id, *map(one.get_value, ("name", "name_fr", "region", "city", "email")))
    ),
    *(one.association.display_name("en") for one in sample_network.PEOPLE),
    *(f"company/{'a-very-long-name-' * 6}", "company/a-very-long-name-" * 6, "company/long"),
    *(typed for _, _, typed, _ in sample_network.ACCOUNTS),
    *(names["en"] for names in REGIONS.values()),
    *(cell for row in sample_network.SHEET for cell in row),
    *(row.identity.key or "" for row in sample_network.rows()),
    *(cell for line in LINKS.splitlines() for cell in line.split("\t")),
    *(identity.key or "" for identity in map(identify.identify_link, LINKS.split())),
    *LANGUAGE_NAMES.values(),
    *load_gap_catalogue().definitions,
    *("Our network", "Amina", "amina@example.org", "salma@example.org", "operator", "لا نحتاجه"),
    *("Salma", "Idris"),
    *("registry.csv", "rabat", "badge"),
    f"backups/auditor-{sample_network.NOW:%Y%m%dT%H%M%SZ}.db",
)
DATA = {told.strip() for told in KNOWN if len(told) > 1}
"""Data of users, and codes of gaps, which are not translated."""


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Create a folder with a network in all states, and the files that commands read."""
    folder = tmp_path_factory.mktemp("network")
    played = sample_network.played(folder)
    played.store.create_backup(folder / "saved.db")
    played.store.close()
    (folder / "config.toml").write_text(CONFIG + play.build_demo_rules())
    (folder / "other.toml").write_text(OTHER)
    (folder / "sheet.csv").write_bytes(to_csv(sample_network.SHEET))
    return folder


@pytest.fixture
def run_command(played, tmp_path, monkeypatch):
    """Return a function that runs a command on a terminal: exit code and output."""
    shutil.copytree(played, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "AUDITOR_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "2000")
    for module in pkgutil.iter_modules(cli.__path__):
        there = import_module(f"{cli.__name__}.{module.name}")
        monkeypatch.setattr(there, "get_current_time", lambda: sample_network.NOW, raising=False)
    _alone(monkeypatch)

    def run(*arguments):
        out, err = Terminal(), Terminal()
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINKS.encode())))
        code = main.main(list(arguments))
        return code, CONTROL.sub("", out.getvalue() + err.getvalue())

    return run


def _alone(monkeypatch):
    """Replace functions that use the network or take long."""

    async def ran(app, *_, **__):
        night = app.store.runs.get_latest(AuditRunState.DONE)
        spent = {"twitter": {"cost": 12, "budget": 100, "unit": "lookups"}}
        return replace(
            night, unreliable_channels=("facebook",), report=night.report.with_values(apis=spent)
        )

    async def checked(known, *_):
        when = Activity(datetime(2026, 10, 30, tzinfo=UTC), "feed", DatePrecision.DAY)
        there = Finding(Presence.PRESENT, status=200, last_activity=when)
        walled = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=302)
        return [
            LinkCheck(typed, one, ProbeResult(found))
            for (typed, one), found in zip(known, (there, walled), strict=False)
        ]

    async def played(folder, **_):
        config = load_config(Path("config.toml"))
        with contextlib.closing(sample_network.Store.open(config.storage.url)) as store:
            return play.DemoResult(folder, config, tuple(store.runs.list_all()))

    async def served(*_, **__):
        return None

    def heard(read, _):
        page = Page("https://nour.example/", 200)
        answers = {"website": FetchError(Reason.TIMEOUT), "facebook": page}
        return network.NetworkAnswers(answers, clock_skew=timedelta(minutes=9))

    monkeypatch.setattr(network, "check_network", heard)
    monkeypatch.setattr(pipeline, "run_audit_pipeline", ran)
    monkeypatch.setattr(checker, "check_links", checked)
    monkeypatch.setattr(play, "run_demo", played)
    monkeypatch.setattr(cli_serve, "run_server", served)
    monkeypatch.setattr(
        cli_serve, "open_web_socket", lambda *_, **__: contextlib.nullcontext(object())
    )
    monkeypatch.setattr(cli_serve, "format_server_url", lambda _: "http://127.0.0.1:8321/")
    monkeypatch.setattr(transports, "send_message", lambda *_: ("sent", ""))


def test_every_command_has_arguments_for_tests():
    assert sorted(TYPED) == commands()


@pytest.mark.parametrize("command", ["gaps", "report"])
def test_what_associations_read_is_translated(run_command, command):
    with pseudo_locale():
        told = [run_command(*command.split(), *arguments) for arguments in TYPED[command]]
    assert all(code == 0 for code, _ in told)
    untranslated = {
        arguments: outside_text(TROUBLE.sub("", output), DATA)
        for arguments, (_, output) in zip(TYPED[command], told, strict=True)
    }
    assert {arguments: lines for arguments, lines in untranslated.items() if lines} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "language",
    [
        pytest.param(one, marks=[pytest.mark.slow] * (one == "fr"))
        for one in list_catalog_languages()
    ],
)
@pytest.mark.parametrize("command", commands())
def test_language_option_and_terminal_language_give_same_output(
    run_command, monkeypatch, command, language
):
    with strict_locale():
        asked = [
            run_command(*command.split(), *arguments, "--lang", language)
            for arguments in TYPED[command]
        ]
    monkeypatch.setenv("LANG", f"{language}_MA.UTF-8")
    assert all(code == 0 or TROUBLE.search(output) or command == "doctor" for code, output in asked)
    assert run_command("gaps") == run_command("gaps", "--lang", language)
