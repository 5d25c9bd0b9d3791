"""`auditor reevaluate --config new.toml --dry-run`: the results of another configuration."""

import json
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.cli.audit import CHANGE_COLUMNS
from auditor.config.schema import load_config
from auditor.evaluation.network_view import build_network_overview
from auditor.evaluation.reevaluate import (
    ConclusionChange,
    simplify_changes,
    summarize_changes,
    warn_about_mass_losses,
)
from auditor.evaluation.run_results import evaluate_run
from auditor.i18n.translator import Translator
from probes.models.finding import Activity, Finding, Presence, Reason
from storage.models.audit import AuditRunState, Observation
from tests.support.mini_network import link, night_of, register

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
ENGLISH = Translator("en")
OWN = """
[channels.website]
[channels.facebook]
[channels.youtube]
[confirm]
failures = {failures}
days = 6
[[rules]]
code = "channel_dead"
check = "absent"
channels = ["facebook"]
reasons = ["not_found"]
{rules}
"""
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


class Desk:
    """A folder with a configuration and a database of eight runs, and the command line."""

    def __init__(self, folder, read):
        self.folder, self._read = folder, read

    def config(self, name, *, failures=3, rules=""):
        (self.folder / name).write_text(OWN.format(failures=failures, rules=rules))

    def type(self, *words):
        code = main.main(list(words))
        written = self._read()
        return code, written.out, written.err

    def preview(self, *, failures=3, rules=""):
        """Return the changes of another configuration as lines, messages and JSON items."""
        self.config("new.toml", failures=failures, rules=rules)
        code, out, err = self.type("reevaluate", "--config", "new.toml", "--dry-run")
        assert code == 0, err
        items = json.loads(
            self.type("--config", "new.toml", "reevaluate", "--dry-run", "--json")[1]
        )["items"]
        return [line.split("\t") for line in out.splitlines()[1:]], err.splitlines(), items


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """Run eight audits of two accounts: one absent in two of them, one silent for 70 days."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    made = Desk(tmp_path, capsys.readouterr)
    made.config("config.toml", rules=STALE.format(days=90) + CHANNEL_MISSING)
    config = load_config(tmp_path / "config.toml", {})
    with App.open(config) as app:
        register(app, NOUR, AMAL)
        old = Activity(night_of(-70), "feed")
        for day in range(8):
            found = {
                1: LOST if day in (0, 7) else WALL,
                2: Finding(Presence.PRESENT, last_activity=old),
            }
            concluded(app, day, found)
    return made


LOST, WALL = Finding(Presence.ABSENT, Reason.NOT_FOUND), Finding(Presence.UNKNOWN, Reason.ROBOTS)


def concluded(app, day, found):
    """Run one audit with the given findings."""
    begun = app.store.begin_run(night_of(day).date(), night_of(day))
    app.store.record_observations(
        Observation(at, begun.id, night_of(day), one) for at, one in found.items()
    )
    evaluate_run(app.store, app.config, begun, ())
    app.store.finish_run(begun, AuditRunState.DONE, night_of(day))


def everything(folder):
    return {path.name: path.read_bytes() for path in (folder / "data").rglob("*.db")}


def test_preview_of_the_same_configuration_changes_nothing(desk):
    lines, said, items = desk.preview(rules=STALE.format(days=90) + CHANNEL_MISSING)
    assert (lines, items) == ([], [])
    assert said == [
        "checked with new.toml: 8 checks, 0 observations replayed, 16 observations as recorded",
        "0 conclusions would change; nothing was written",
    ]


def test_preview_of_fewer_failures_lists_the_lost_accounts(desk):
    before = everything(desk.folder)
    lines, said, items = desk.preview(failures=2, rules=STALE.format(days=90) + CHANNEL_MISSING)
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
    assert said[2:] == [
        "The address of your … account no longer leads anywhere: 1 more problem, 0 fewer problems",
        "accounts whose status changes: 1",
    ]
    assert {(one["kind"], one["after"]) for one in items} == {
        ("account_status", "gone/not_found, no date"),
        ("gap", "open, 2 runs"),
    }
    assert everything(desk.folder) == before


def test_preview_of_other_days_lists_the_silent_accounts(desk):
    lines, said, _ = desk.preview(rules=STALE.format(days=60) + CHANNEL_MISSING)
    assert lines == [["gap", "amal", "facebook", "channel_stale u:amal", "", "open, 8 runs"]]
    assert said[2:] == [
        "Your … account has been silent for a long time: 1 more problem, 0 fewer problems"
    ]


def test_preview_counts_lines_and_json_items_agree(desk):
    """With days = 60, the silence is a gap in all runs; other differences are details."""
    desk.config("config.toml", rules=STALE.format(days=60) + CHANNEL_MISSING)
    assert desk.type("reevaluate")[0] == 0
    for failures, days, count in ((3, 60, 0), (3, 65, 0), (3, 72, 1), (2, 65, 2)):
        lines, said, items = desk.preview(
            failures=failures, rules=STALE.format(days=days) + CHANNEL_MISSING
        )
        assert len(lines) == count
        assert said[1].startswith(f"{count} conclusion")
        assert [[one[name] or "" for name in CHANGE_COLUMNS] for one in items] == lines


def test_account_without_a_run_is_no_change(desk):
    desk.config("config.toml", rules=STALE.format(days=90) + CHANNEL_MISSING)
    link = "https://www.facebook.com/amal.tanger"
    assert (
        desk.type("decide", "claim", "amal", link, "--reason", "a call", "--author", "Amina")[0]
        == 0
    )
    lines, said, items = desk.preview(rules=STALE.format(days=90) + CHANNEL_MISSING)
    assert (lines, items) == ([], [])
    assert said[1].startswith("0 conclusions would change; ")


def test_removed_rule_removes_its_gaps(desk):
    lines, said, _ = desk.preview(rules=STALE.format(days=90))
    gone = ["gap", "amal", "youtube", "channel_missing", "open, 8 runs", ""]
    assert gone in lines
    assert said[2:] == [
        "No … account is known for your association: 0 more problems, 2 fewer problems"
    ]


def test_preview_creates_no_database(desk, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "config.toml").rename(tmp_path / "elsewhere" / "new.toml")
    code, out, err = desk.type("reevaluate", "--config", "elsewhere/new.toml", "--dry-run")
    assert (code, out) == (3, "")
    assert "there is no database" in err
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["new.toml"]


def test_gap_that_begins_in_another_run_is_one_change():
    def change(before, after, subject="channel_stale u:nour"):
        return ConclusionChange("gap", "nour", "facebook", subject, before, after)

    rows = [
        change("open, 2 runs", None),
        change("closed, 4 runs", None),
        change(None, "open, 9 runs"),
    ]
    assert simplify_changes(rows) == [
        change("open, 2 runs", "open, 9 runs"),
        change("closed, 4 runs", None),
    ]
    assert simplify_changes([change("open, 2 runs", "open, 2 runs")]) == []
    assert summarize_changes(simplify_changes(rows), ENGLISH) == []


def test_gaps_of_a_rebuild_open_in_the_past_and_are_no_news(desk):
    """Only gaps of the last run are news."""
    desk.config("config.toml", failures=1, rules=STALE.format(days=60) + CHANNEL_MISSING)
    assert desk.type("reevaluate")[0] == 0
    config = load_config(desk.folder / "config.toml", {})
    with App.open(config) as app:
        network_overview = build_network_overview(
            app.store, config, night_of(7) + timedelta(hours=9)
        )
        stale = [gap for gap in app.store.list_gaps() if gap.code == "channel_stale"]
    assert [gap.opened_at for gap in stale] == [night_of(2)]
    assert "channel_stale" not in {gap.code for gap in network_overview.opened_gaps}


def test_mass_losses_give_a_warning_about_the_probe():
    """A rebuild has no canaries: a wrong probe looks like a catastrophe."""

    def standing(number, before, after="gone/not_found, no date", channel="facebook"):
        return ConclusionChange("account_status", "nour", channel, f"u:{number}", before, after)

    lost = [standing(number, "present/-, no date") for number in range(5)]
    more = [
        standing(9, "present/-, no date", "unknown/-, no date"),
        standing(8, "gone/closed, no date"),
    ]
    assert warn_about_mass_losses([*lost[:4], *more], ENGLISH) == []
    assert (
        warn_about_mass_losses(
            [*lost[:4], standing(7, "present/-, no date", channel="youtube")], ENGLISH
        )
        == []
    )
    assert warn_about_mass_losses([*lost, *more], ENGLISH) == [
        (
            "warning: 5 accounts on Facebook change to: gone, page not found; "
            "check some of them, the error may be ours"
        )
    ]
