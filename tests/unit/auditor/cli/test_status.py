"""Tests of `auditor status`: a sentence, rows that have a value, and the time of the next run."""

import io
import json
import re
from datetime import UTC, date, datetime, time, timedelta

import pytest

from auditor.app import App
from auditor.checking.clock import find_next_start_time
from auditor.cli import main, status
from auditor.config.schema import ScheduleSettings, load_config
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import RunReport
from tests.support.terminal import Terminal

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)
START = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
SCHEDULE = ScheduleSettings(start_time=time(0, 30))


@pytest.fixture
def run_status(tmp_path, monkeypatch):
    """Return a function that runs `status` after a run in a state, and returns its output."""
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "AUDITOR_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    # Versions of the time zone database differ on Morocco.
    monkeypatch.setenv("AUDITOR_NETWORK__TIME_ZONE", "Etc/GMT-1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(status, "get_current_time", lambda: NOW)

    def run(*arguments, state=AuditRunState.DONE, started_at=START, counts=(), terminal=True):
        if state is not None:
            with App.open(load_config(None, {})) as app:
                begun = app.store.runs.begin_or_resume(started_at.date(), started_at)
                if state is not AuditRunState.RUNNING:
                    app.store.runs.finish(begun, state, started_at + timedelta(hours=1))
        monkeypatch.setattr(status, "count_presences", lambda *_: dict(counts))
        out = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr("sys.stdout", out)
        main.main(["status", *arguments])
        return out.getvalue()

    return run


COUNTS = {"present": 100, "absent": 5, "unknown": 70}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"state": None}, "No check yet; next at 01:30."),
        (
            {"counts": COUNTS},
            "Last check: finished, 70 of 175 accounts could not be checked; next at 01:30.",
        ),
        ({"counts": {"present": 2}}, "Last check: finished, 2 accounts checked; next at 01:30."),
        ({"state": AuditRunState.RUNNING}, "Last check: running; next at 01:30."),
        (
            {"started_at": START - timedelta(days=3)},
            "Last check, 25 November 2026: finished; next at 01:30.",
        ),
        ({"started_at": START + timedelta(days=3)}, "Last check: finished."),
    ],
)
def test_sentence_says_what_is_known(run_status, options, sentence):
    assert run_status(**options).splitlines()[0] == sentence


def test_table_has_only_rows_with_a_value(run_status):
    rows = [re.split(r"  +", line.strip()) for line in run_status(counts=COUNTS).splitlines()[1:]]
    assert rows == [
        ["Check", "28 November 2026"],
        ["Started", "28 November 2026, 01:30"],
        ["Finished", "28 November 2026, 02:30"],
        ["State", "finished"],
        ["Accounts", "175"],
        ["Present", "100"],
        ["Absent", "5"],
        ["Could not be checked", "70"],
        ["Next check", "29 November 2026, 01:30"],
    ]


def test_script_gets_all_rows_and_json_the_next_run(run_status, monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    rows = [line.split("\t") for line in run_status(terminal=False).splitlines()]
    [item] = json.loads(run_status("--json", state=None))["items"]
    assert [key for key, _ in rows] == ["what", *(key for key in item if key != "dated_in_future")]
    assert item["next_run_at"] == "2026-11-29T00:30:00Z"


@pytest.mark.parametrize(
    ("run", "now", "expected"),
    [
        (None, NOW, START + timedelta(days=1)),
        (None, START - timedelta(minutes=1), START),
        (AuditRun(date(2026, 11, 28), AuditRunState.DONE, START), NOW, START + timedelta(days=1)),
        (AuditRun(date(2026, 11, 29), AuditRunState.DONE, NOW + timedelta(days=1)), NOW, None),
    ],
)
def test_next_start_is_on_schedule(run, now, expected):
    assert find_next_start_time(run, SCHEDULE, now) == expected


def test_waiting_run_says_for_what_and_until_when(run_status, capsys):
    run_status(state=AuditRunState.RUNNING)
    with App.open(load_config(None, {})) as app:
        report = RunReport(second_pass_accounts=2, second_pass_at=NOW + timedelta(minutes=9))
        app.store.runs.save_open_report(app.store.runs.get_latest(), report)
    run_status(state=None)
    assert "Waiting until 06:09 UTC to check 2 failed accounts again." in capsys.readouterr().err


@pytest.mark.parametrize("hours", ["nan", "inf", "-1", "1e999"])
def test_maximum_age_is_a_number_of_hours(hours, capsys):
    """Every run would pass, so a monitor would never alert."""
    assert main.main(["status", f"--max-age={hours}"]) == 2
    assert "--max-age 26" in capsys.readouterr().err
