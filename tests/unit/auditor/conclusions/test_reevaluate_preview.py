"""Tests of `auditor reevaluate --config new.toml --dry-run`, which previews a configuration."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.cli.audit import CHANGE_COLUMNS
from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.reevaluate import (
    ConclusionChange,
    find_changes,
    simplify_changes,
    summarize_changes,
    warn_about_mass_losses,
)
from auditor.conclusions.run_results import evaluate_run
from auditor.config.schema import load_config
from probes.models.finding import Activity, Finding, Presence, Reason
from storage.conclusions import Conclusions
from storage.models.audit import Association, AuditRunState, Gap, Observation
from storage.store import Store
from tests.support.channel_settings import disable_channels_except
from tests.support.mini_network import link, night_of, register

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
CONFIG = """
[confirm]
failures = {failures}
days = 6
[[rules]]
code = "channel_dead"
check = "absent"
channels = ["facebook"]
reasons = ["not_found"]
{rules}
""" + disable_channels_except("website", "facebook", "youtube")
STALE = """
[[rules]]
code = "channel_stale"
check = "older_than"
channels = ["facebook"]
days = {days}
"""
CHANNEL_MISSING = """
[[rules]]
code = "channel_missing"
check = "undeclared"
channels = ["youtube"]
"""


class CommandLine:
    """The command line in a folder with a configuration and a database of eight runs."""

    def __init__(self, folder, read_output):
        self.folder, self._read_output = folder, read_output

    def write_config(self, name, *, failures=3, rules=""):
        (self.folder / name).write_text(CONFIG.format(failures=failures, rules=rules))

    def run(self, *arguments):
        code = main.main(list(arguments))
        output = self._read_output()
        return code, output.out, output.err

    def preview(self, *, failures=3, rules=""):
        """Return the changes of another configuration as lines, messages and JSON items."""
        self.write_config("new.toml", failures=failures, rules=rules)
        code, out, err = self.run("reevaluate", "--config", "new.toml", "--dry-run")
        assert code == 0, err
        _, document, _ = self.run("--config", "new.toml", "reevaluate", "--dry-run", "--json")
        lines = [line.split("\t") for line in out.splitlines()[1:]]
        return lines, err.splitlines(), json.loads(document)["items"]


@pytest.fixture
def command_line(tmp_path, monkeypatch, capsys):
    """Run eight audits of two accounts: one absent in two of them, one silent for 70 days."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    command_line = CommandLine(tmp_path, capsys.readouterr)
    command_line.write_config("config.toml", rules=STALE.format(days=90) + CHANNEL_MISSING)
    config = load_config(tmp_path / "config.toml", {})
    with App.open(config) as app:
        register(app, NOUR, AMAL)
        old_activity = Activity(night_of(-70), "feed")
        for day in range(8):
            findings = {
                1: ABSENT if day in (0, 7) else UNKNOWN,
                2: Finding(Presence.PRESENT, last_activity=old_activity),
            }
            record_run(app, day, findings)
    return command_line


ABSENT = Finding(Presence.ABSENT, Reason.NOT_FOUND)
UNKNOWN = Finding(Presence.UNKNOWN, Reason.ROBOTS)


def record_run(app, day, findings):
    """Store and evaluate a run with these findings by account id."""
    run = app.store.runs.begin_or_resume(night_of(day).date(), night_of(day))
    app.store.observations.record(
        Observation(account_id, run.id, night_of(day), finding)
        for account_id, finding in findings.items()
    )
    evaluate_run(app.store, app.config, run, ())
    app.store.runs.finish(run, AuditRunState.DONE, night_of(day))


def read_databases(folder):
    return {path.name: path.read_bytes() for path in (folder / "data").rglob("*.db")}


def test_preview_of_the_same_configuration_changes_nothing(command_line):
    lines, messages, items = command_line.preview(rules=STALE.format(days=90) + CHANNEL_MISSING)
    assert (lines, items) == ([], [])
    assert messages == [
        "checked with new.toml: 8 checks, 0 observations replayed, 16 observations as recorded",
        "0 conclusions would change; nothing was written",
    ]


def test_preview_of_fewer_failures_lists_the_lost_accounts(command_line):
    databases = read_databases(command_line.folder)
    lines, messages, items = command_line.preview(
        failures=2, rules=STALE.format(days=90) + CHANNEL_MISSING
    )
    assert lines == [
        [
            "account_status",
            "nour",
            "facebook",
            "u:nour",
            "unknown/-, no date",
            "gone/not_found, no date",
        ],
        ["gap", "nour", "facebook", "channel_dead u:nour", "candidate, 2 runs", "open, 2 runs"],
    ]
    assert messages[2:] == ["channel_dead: 1 more, 0 fewer", "account_status: 1"]
    assert {(item["kind"], item["after"]) for item in items} == {
        ("account_status", "gone/not_found, no date"),
        ("gap", "open, 2 runs"),
    }
    assert read_databases(command_line.folder) == databases


def test_preview_of_other_days_lists_the_silent_accounts(command_line):
    lines, messages, _ = command_line.preview(rules=STALE.format(days=60) + CHANNEL_MISSING)
    assert lines == [["gap", "amal", "facebook", "channel_stale u:amal", "", "open, 8 runs"]]
    assert messages[2:] == ["channel_stale: 1 more, 0 fewer"]


def test_preview_counts_lines_and_json_items_agree(command_line):
    """With days = 60, the silence is a gap in all runs; other differences are details."""
    command_line.write_config("config.toml", rules=STALE.format(days=60) + CHANNEL_MISSING)
    assert command_line.run("reevaluate")[0] == 0
    for failures, days, count in ((3, 60, 0), (3, 65, 0), (3, 72, 1), (2, 65, 2)):
        lines, messages, items = command_line.preview(
            failures=failures, rules=STALE.format(days=days) + CHANNEL_MISSING
        )
        assert len(lines) == count
        assert messages[1].startswith(f"{count} conclusion")
        item_rows = [[item[name] or "" for name in CHANGE_COLUMNS] for item in items]
        assert item_rows == lines


def test_account_without_a_run_is_no_change(command_line):
    command_line.write_config("config.toml", rules=STALE.format(days=90) + CHANNEL_MISSING)
    link = "https://www.facebook.com/amal.tanger"
    code, _, _ = command_line.run(
        "decide", "claim", "amal", link, "--reason", "a call", "--author", "Amina"
    )
    assert code == 0
    lines, messages, items = command_line.preview(rules=STALE.format(days=90) + CHANNEL_MISSING)
    assert (lines, items) == ([], [])
    assert messages[1].startswith("0 conclusions would change; ")


def test_removed_rule_removes_its_gaps(command_line):
    lines, messages, _ = command_line.preview(rules=STALE.format(days=90))
    assert ["gap", "amal", "youtube", "channel_missing", "open, 8 runs", ""] in lines
    assert messages[2:] == ["channel_missing: 0 more, 2 fewer"]


def test_preview_creates_no_database(command_line, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "config.toml").rename(tmp_path / "elsewhere" / "new.toml")
    code, out, err = command_line.run("reevaluate", "--config", "elsewhere/new.toml", "--dry-run")
    assert (code, out) == (3, "")
    assert "there is no database" in err
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["new.toml"]


def test_gap_that_begins_in_another_run_is_one_change(tmp_path):
    def build_gap(number, run_count, **times):
        identity = ("nour", "facebook", "channel_stale", "medium", night_of(number))
        return Gap(*identity, run_count, night_of(number), subject="u:nour", **times)

    closed, opened = build_gap(0, 4, closed_at=night_of(4)), build_gap(6, 2)
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        store.registry.save_registry([Association("nour", "Nour")], [], night_of(0))
        store.conclusions.save(Conclusions(gaps=[closed, opened]))
        changes = find_changes(store, Conclusions(gaps=[build_gap(0, 9)]))
        details = find_changes(store, Conclusions(gaps=[closed, replace(opened, severity="low")]))
    identity = ("gap", "nour", "facebook", "channel_stale u:nour")
    assert simplify_changes(changes) == [
        ConclusionChange(*identity, "open, 2 runs", "open, 9 runs"),
        ConclusionChange(*identity, "closed, 4 runs", None),
    ]
    assert (len(details), simplify_changes(details)) == (1, [])
    assert summarize_changes(simplify_changes(changes)) == []


def test_gaps_of_a_rebuild_open_in_the_past_and_are_no_news(command_line):
    """Only gaps of the last run are news."""
    command_line.write_config(
        "config.toml", failures=1, rules=STALE.format(days=60) + CHANNEL_MISSING
    )
    assert command_line.run("reevaluate")[0] == 0
    config = load_config(command_line.folder / "config.toml", {})
    with App.open(config) as app:
        network_overview = build_network_overview(
            app.store, config, night_of(7) + timedelta(hours=9)
        )
        stale_gaps = [
            gap for gap in app.store.conclusions.list_gaps() if gap.code == "channel_stale"
        ]
    assert [gap.opened_at for gap in stale_gaps] == [night_of(2)]
    assert "channel_stale" not in {gap.code for gap in network_overview.opened_gaps}


def test_mass_losses_give_a_warning_about_the_probe():
    """A rebuild has no canaries, so a wrong probe may appear as a mass loss of accounts."""

    def build_change(number, before, after="gone/not_found, no date", channel="facebook"):
        return ConclusionChange("account_status", "nour", channel, f"u:{number}", before, after)

    lost = [build_change(number, "present/-, no date") for number in range(5)]
    other_changes = [
        build_change(9, "present/-, no date", "unknown/-, no date"),
        build_change(8, "gone/closed, no date"),
    ]
    assert warn_about_mass_losses([*lost[:4], *other_changes]) == []
    lost_elsewhere = build_change(7, "present/-, no date", channel="youtube")
    assert warn_about_mass_losses([*lost[:4], lost_elsewhere]) == []
    assert warn_about_mass_losses([*lost, *other_changes]) == [
        (
            "warning: 5 accounts on facebook change to gone/not_found; "
            "check some of them, the error may be ours"
        )
    ]
