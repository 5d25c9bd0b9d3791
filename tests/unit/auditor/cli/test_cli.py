"""Tests of the command line: JSON output, exit codes and messages."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.config.schema import find_packaged_config, load_config
from probes.links.channel_registry import list_channels
from storage.models.audit import AuditRunState
from storage.models.run_report import RunReport

SPREADSHEETS = Path(__file__).parents[3] / "fixtures" / "data" / "registry"
IDENTITY_KEYS = ["input", "channel", "kind", "key", "canonical", "note"]
FINDING_KEYS = [
    "presence",
    "reason",
    "status",
    "final_url",
    "name",
    "platform_id",
    "last_activity",
    "activity_source",
    "rhythm_days",
    "followers",
    "links",
    "optional_links",
    "detail",
    "requests",
]


def read_items(out):
    document = json.loads(out)
    assert (list(document), document["schema"]) == (["schema", "generated_at", "items"], 1)
    assert datetime.fromisoformat(document["generated_at"]).tzinfo
    return document["items"]


def test_identify_prints_one_item_per_line_in_order(auditor):
    typed = "https://www.facebook.com/HarbourReaders/\nN/A\n\nyoutube\t@HarbourReaders\nharbour.example\n"
    code, out, err = auditor("identify", "--json", "-", typed=typed)
    items = read_items(out)
    assert (code, err, [list(item) for item in items]) == (0, "", [IDENTITY_KEYS] * 5)
    assert [(item["channel"], item["kind"], item["key"]) for item in items] == [
        ("facebook", "profile", "u:harbourreaders"),
        ("website", "none", None),
        ("website", "invalid", None),
        ("youtube", "profile", "@harbourreaders"),
        ("website", "page", "harbour.example"),
    ]


@pytest.mark.slow
def test_check_requests_no_link_without_account_and_no_private_address(auditor):
    links = ("aucun", "https://www.facebook.com/sharer.php?u=x", "http://")
    code, out, _ = auditor("check", "--json", *links, "http://127.0.0.1/", "http://10.0.0.1:8080/")
    items = read_items(out)
    assert (code, [list(item) for item in items]) == (0, [IDENTITY_KEYS + FINDING_KEYS] * 5)
    assert [(item["presence"], item["reason"]) for item in items] == [
        *[("unknown", "wrong_target")] * 3,
        *[("unknown", "unsafe_address")] * 2,
    ]
    assert [item["requests"] for item in items[:3]] == [0, 0, 0]
    assert "[fetch] allow_networks" in auditor("check", "http://10.0.0.1/").err


def test_init_writes_short_defaults_and_changes_no_file(auditor):
    defaults = load_config(None, {})
    code, out, err = auditor("init")
    config, registry = Path("config.toml"), Path("registry.csv")
    assert (code, out, load_config(config, {})) == (0, "", defaults)
    assert len(config.read_text("utf-8").splitlines()) <= 30
    settings = "[network] name, [fetch] contact, [web] public_url"
    assert f"set {settings} in config.toml, then `auditor doctor`" in err
    assert registry.read_text(encoding="utf-8-sig").strip() == (
        "id,name,name_ar,name_fr,region,city,language,email,phone,tags,"
        f"{','.join(list_channels())},none_by_choice,media_officer,note"
    )
    config.write_text('[network]\nname = "Mine"\n')
    assert "config.toml: already exists, not changed" in auditor("init").err
    assert config.read_text() == '[network]\nname = "Mine"\n'


def test_init_can_write_every_setting(auditor, tmp_path):
    assert auditor("init", "--all-settings").code == 0
    assert (tmp_path / "config.toml").read_bytes() == find_packaged_config().read_bytes()


def test_second_run_exits_with_5(auditor):
    auditor("registry", "import", str(SPREADSHEETS / "arabic.csv"))
    with App.open(load_config(None, {})) as app, app.hold_run_lock():
        result = auditor("run")
    assert (result.code, "another run is in progress" in result.err) == (5, True)


def test_status_before_first_run_has_nulls_and_fails_max_age(auditor):
    [item] = read_items(auditor("status", "--json").out)
    assert datetime.fromisoformat(item.pop("next_run_at")) > datetime.now(UTC)
    assert [item] == [
        {
            "run": None,
            "started_at": None,
            "finished_at": None,
            "state": None,
            "accounts": 0,
            "present": 0,
            "absent": 0,
            "unknown": 0,
            "unreliable_channels": [],
            "not_reached": 0,
            "delayed_run": None,
            "dated_in_future": False,
            "age_hours": None,
        }
    ]
    assert auditor("status", "--max-age", "26")[0] == 4


@pytest.mark.parametrize(
    ("state", "code", "message"), [("skipped", 4, "the network is not reachable"), ("done", 0, "")]
)
def test_exit_code_of_a_run_says_whether_it_took_place(auditor, monkeypatch, state, code, message):
    async def end(app, now, **_):
        begun = app.store.runs.begin_or_resume(now.date(), now)
        report = RunReport(state=state)
        return app.store.runs.finish(begun, AuditRunState(state), now, report=report)

    monkeypatch.setattr("auditor.runs.run.execute_run", end)
    result = auditor("run", "--quiet")
    assert (result.code, result.out, message in result.err) == (code, "", True)
    assert bool(result.err) is bool(message)


def test_run_says_until_when_it_waits_and_need_not_wait(auditor, monkeypatch):
    async def wait(app, now, *, on_wait, **_):
        begun = app.store.runs.begin_or_resume(now.date(), now)
        if delay := app.config.fetch.second_pass_delay:
            on_wait(2, now + timedelta(seconds=delay))
        return app.store.runs.finish(begun, AuditRunState.DONE, now, report=RunReport(state="done"))

    monkeypatch.setattr("auditor.runs.run.execute_run", wait)
    assert re.search(
        r"waiting until \d\d:\d\d UTC to check 2 failed accounts again", auditor("run").err
    )
    assert "waiting" not in auditor("run", "--no-wait").err


def test_second_run_of_a_day_says_that_nothing_was_checked(auditor, monkeypatch):
    """A day whose run checked no account, because nothing was registered, can have another run."""

    async def check_nothing(app, now, **_):
        begun = app.store.runs.begin_or_resume(now.date(), now)
        return app.store.runs.finish(begun, AuditRunState.DONE, now, report=RunReport(state="done"))

    monkeypatch.setattr("auditor.runs.run.execute_run", check_nothing)
    for _ in range(2):
        assert "this command checked nothing" not in auditor("run").err
    monkeypatch.setattr(
        "storage.observations.observations.ObservationRepository.has_observations", lambda *_: True
    )
    monkeypatch.setattr("auditor.runs.run.execute_run", return_latest_run)
    assert "it had finished before, and this command checked nothing" in auditor("run").err


async def return_latest_run(app, now, **_):
    return app.store.runs.get_latest()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["frobnicate"], 2),
        (["check"], 2),
        (["identify", "--channel", "nowhere", "-"], 2),
        (["--config", "none.toml", "status"], 3),
        (["status", "--config", "none.toml"], 3),
        (["identify", "none.txt"], 3),
        (["identify", "registry.csv"], 2),
        (["--json", "identify", "https://example.org"], 0),
        (["--version"], 0),
        (["--help"], 0),
    ],
)
def test_exit_codes(auditor, arguments, code):
    assert auditor(*arguments)[0] == code


def test_misspelled_command_suggests_one_whose_module_is_not_loaded(auditor):
    assert "Did you mean 'status'?" in auditor("staus").err


def test_words_after_two_hyphens_are_no_options():
    assert main.split_common_options(["run", "--", "-q"]) == ([], ["run", "--", "-q"])


def test_traceback_is_shown_only_with_debug(auditor):
    assert "Traceback" not in auditor("--config", "none.toml", "status")[2]
    assert "Traceback" in auditor("--config", "none.toml", "status", "--debug")[2]


def run_python(program, typed=b"", **environ):
    command = [sys.executable, "-c", f"import sys; from auditor.cli import main; {program}"]
    return subprocess.run(
        command, input=typed, capture_output=True, check=False, env={"LC_ALL": "C", **environ}
    )


@pytest.mark.slow
def test_json_is_utf_8_in_any_locale():
    result = run_python(
        "sys.argv += ['identify', '--json']; sys.exit(main.main())",
        typed="جمعية\n".encode(),
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert read_items(result.stdout.decode())[0]["input"] == "جمعية"


@pytest.mark.slow
def test_unexpected_error_is_one_line():
    result = run_python("main.split_common_options = 1; sys.exit(main.main(['status']))")
    lines = result.stderr.splitlines()
    assert (result.returncode, len(lines)) == (1, 1)
    assert lines[0].startswith(b"error: unexpected TypeError")


@pytest.mark.slow
def test_help_imports_no_slow_modules():
    heavy = {"asyncio", "sqlalchemy", "httpx", "lxml", "xlsxwriter", "pydantic", "rich"}
    program = f"main.main(['--help']); sys.exit(bool({heavy} & set(sys.modules)))"
    assert run_python(program).returncode == 0


def test_max_age_ignores_runs_that_did_not_finish(auditor):
    now = datetime.now(UTC)
    before = now - timedelta(days=2)
    with App.open(load_config(None, {})) as app:
        for at, state in ((before, AuditRunState.DONE), (now, AuditRunState.SKIPPED)):
            app.store.runs.finish(app.store.runs.begin_or_resume(at.date(), at), state, at)
    result = auditor("status", "--max-age", "26", "--json")
    assert (result.code, read_items(result.out)[0]["state"]) == (4, "skipped")
    assert str(before.date()) in result.err
    assert auditor("status", "--max-age", "50").code == 0
