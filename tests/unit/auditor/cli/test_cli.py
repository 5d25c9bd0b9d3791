"""Tests of the command line: JSON output, exit codes and messages."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.app import App
from auditor.checking.checker import LinkCheck
from auditor.cli import check, main
from auditor.config.schema import find_packaged_config, load_config
from auditor.core import formatting
from auditor.presentation.views import json_items
from probes.models.finding import (
    Activity,
    DatePrecision,
    Finding,
    FoundLink,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult
from storage.models.audit import AuditRunState
from storage.models.run_report import RunReport

SPREADSHEETS = Path(__file__).parents[3] / "fixtures" / "data" / "registry"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
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


@pytest.fixture
def auditor(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder: exit code, output, messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)

    def run(*arguments, typed=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        code = main.main(list(arguments))
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def read_items(out):
    document = json.loads(out)
    assert list(document) == ["schema", "generated_at", "items"]
    assert document["schema"] == 1
    assert datetime.fromisoformat(document["generated_at"]).tzinfo
    return document["items"]


def test_identify_prints_one_item_per_line_in_order(auditor):
    typed = "https://www.facebook.com/HarbourReaders/\nN/A\n\nyoutube\t@HarbourReaders\nharbour.example\n"
    code, out, err = auditor("identify", "--json", "-", typed=typed)
    output_items = read_items(out)
    assert (code, err) == (0, "")
    assert [list(item) for item in output_items] == [IDENTITY_KEYS] * 5
    assert [item["channel"] for item in output_items][3:] == ["youtube", "website"]
    assert output_items[0]["key"] == "u:harbourreaders"
    assert output_items[1]["kind"] == "none"
    assert output_items[2]["kind"] == "invalid"
    assert output_items[3]["key"] == "@harbourreaders"


def test_identify_reads_file_for_one_channel(auditor, tmp_path):
    (tmp_path / "links.txt").write_bytes("\ufeff@harbour\r\nhill singers\r\n".encode())
    code, out, _ = auditor("identify", "--json", "--channel", "youtube", "links.txt")
    assert code == 0
    assert [item["input"] for item in read_items(out)] == ["@harbour", "hill singers"]
    assert read_items(out)[0]["key"] == "@harbour"


def test_identify_accepts_single_link(auditor):
    _, out, _ = auditor("identify", "--json", "https://harbour.example/")
    assert [item["key"] for item in read_items(out)] == ["harbour.example"]


def test_pipe_gets_tab_separated_values(auditor):
    _, out, _ = auditor("identify", "https://harbour.example/")
    heading, line = out.rstrip("\n").split("\n")
    assert heading.split("\t") == ["channel", "kind", "key", "note", "input"]
    assert line.split("\t")[0] == "website"


def test_check_of_links_without_account_makes_no_requests(auditor):
    code, out, _ = auditor(
        "check", "--json", "aucun", "https://www.facebook.com/sharer.php?u=x", "http://"
    )
    output_items = read_items(out)
    assert code == 0
    assert [list(item) for item in output_items] == [IDENTITY_KEYS + FINDING_KEYS] * 3
    assert {(item["presence"], item["reason"], item["requests"]) for item in output_items} == {
        ("unknown", "wrong_target", 0)
    }


def test_private_address_is_never_requested(auditor):
    _, out, _ = auditor("check", "--json", "-", typed="http://127.0.0.1/\nhttp://10.0.0.1:8080/\n")
    assert [(item["presence"], item["reason"]) for item in read_items(out)] == [
        ("unknown", "unsafe_address"),
        ("unknown", "unsafe_address"),
    ]


def test_check_item_has_all_fields():
    page = Page(
        "https://harbour.example/", 200, hops=(Hop("http://harbour.example/", 301), Hop("x", 200))
    )
    found = Finding(
        Presence.PRESENT,
        status=200,
        final_url=page.url,
        name="Harbour",
        last_activity=Activity(NOW, "feed", DatePrecision.DAY),
        facts={"rhythm_days": 9},
        links=(
            FoundLink("youtube", "@harbour", "https://www.youtube.com/@harbour", "anchor", "page"),
            FoundLink("tiktok", "harbour", "https://www.tiktok.com/@harbour", "anchor", "page"),
        ),
    )
    identity = Identity("website", LinkKind.PAGE, "harbour.example", page.url)
    seen = ProbeResult(
        found,
        (
            HttpExchange(PageRequest(page.url), page),
            HttpExchange(PageRequest(page.url), FetchError(Reason.ROBOTS)),
        ),
    )
    item = check.build_check_item(LinkCheck("harbour.example", identity, seen))
    assert list(item) == IDENTITY_KEYS + FINDING_KEYS
    assert (item["last_activity"], item["rhythm_days"]) == ("2026-11-01", 9)
    assert item["links"] == [
        {
            "channel": "youtube",
            "key": "@harbour",
            "canonical": "https://www.youtube.com/@harbour",
            "source": "anchor",
        }
    ]
    assert [link["channel"] for link in item["optional_links"]] == ["tiktok"]
    assert item["requests"] == 2


def test_init_writes_missing_files_and_never_overwrites(auditor, tmp_path):
    (tmp_path / "config.toml").write_text('[network]\nname = "Mine"\n')
    code, out, err = auditor("init")
    assert (code, out) == (0, "")
    assert "config.toml: already exists, not changed" in err
    assert (tmp_path / "config.toml").read_text() == '[network]\nname = "Mine"\n'
    heading = (tmp_path / "registry.csv").read_text(encoding="utf-8-sig").strip()
    assert heading == (
        "id,name,name_ar,name_fr,region,city,language,email,phone,tags,website,facebook,twitter,"
        "linkedin,youtube,instagram,tiktok,whatsapp,telegram,none_by_choice,media_officer,note"
    )


def test_first_configuration_is_short_and_equals_the_defaults(auditor, tmp_path):
    code, _, err = auditor("init")
    assert code == 0
    written = load_config(Path("config.toml"), {})
    (tmp_path / "config.toml").rename(tmp_path / "other.toml")
    assert written == load_config(None, {})
    assert len((tmp_path / "other.toml").read_text("utf-8").splitlines()) <= 30
    assert "auditor user add NAME --role admin" in err
    assert "`auditor registry import registry.csv`" in err
    assert "auditor serve" in err
    settings = "[network] name, [fetch] contact, [web] public_url"
    assert f"set {settings} in config.toml, then `auditor doctor`" in err


def test_next_commands_of_init_read_the_new_configuration(auditor, tmp_path):
    _, _, err = auditor("init", "srv/auditor")
    commands = re.findall("`(auditor .+?)`", err)
    assert [command.split()[3] for command in commands] == ["doctor", "registry", "user", "serve"]
    assert all(command.startswith("auditor --config srv/auditor/") for command in commands)


def test_next_commands_of_init_name_a_file_that_is_not_the_default(auditor, monkeypatch):
    """The container and the wrapper of deploy/ name another configuration in the environment."""
    monkeypatch.setenv("AUDITOR_CONFIG", "/etc/auditor/config.toml")
    _, _, err = auditor("init")
    commands = re.findall("`(auditor .+?)`", err)
    assert len(commands) == 4
    assert all(command.startswith("auditor --config config.toml ") for command in commands)
    monkeypatch.setenv("AUDITOR_CONFIG", "config.toml")
    assert "`auditor doctor`" in auditor("init")[2]


def test_init_can_write_every_setting(auditor, tmp_path):
    assert auditor("init", "--all-settings")[0] == 0
    assert (tmp_path / "config.toml").read_bytes() == find_packaged_config().read_bytes()


def test_first_steps_from_init_to_export(auditor, tmp_path):
    auditor("init")
    with (tmp_path / "registry.csv").open("a", encoding="utf-8") as registry:
        registry.write("h1,Harbour Readers,,,,,,,,,harbour.example,harbourreaders,,,,,,\r\n")
    assert auditor("registry", "validate", "registry.csv")[0] == 0
    code, _, err = auditor("registry", "import", "registry.csv")
    assert code == 0
    assert "1 new association\nadded: 2 links\n" in err
    assert "no changes" in auditor("registry", "import", "registry.csv")[2]
    code, out, _ = auditor("registry", "export", "-")
    assert code == 0
    assert "harbour.example" in out
    assert auditor("doctor", "--offline")[0] == 0


def test_validate_prints_problems_and_exits_with_3(auditor):
    code, out, _ = auditor("registry", "validate", "--json", str(SPREADSHEETS / "troubled.csv"))
    assert code == 3
    assert [list(item) for item in read_items(out)][:1] == [
        ["line", "column", "value", "problem", "severity"]
    ]
    assert {item["severity"] for item in read_items(out)} == {"error", "warning"}


def test_dry_run_says_so_and_writes_nothing(auditor):
    spreadsheet = str(SPREADSHEETS / "arabic.csv")
    assert "nothing was written" in auditor("registry", "import", "--dry-run", spreadsheet)[2]
    output_items = read_items(auditor("registry", "import", "--json", spreadsheet)[1])
    assert len(output_items[0]["associations_added"]) == 2


def test_unreadable_spreadsheet_changes_nothing(auditor, tmp_path):
    auditor("registry", "import", str(SPREADSHEETS / "arabic.csv"))
    before = auditor("registry", "export", "-")[1]
    (tmp_path / "bad.xlsx").write_bytes(b"PK\x03\x04 and then nothing")
    (tmp_path / "empty.csv").write_text("name,facebook\n")
    for bad in ("bad.xlsx", "empty.csv", "none.csv"):
        code, _, err = auditor("registry", "import", bad)
        assert code == 3
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert auditor("registry", "export", "-")[1] == before


def test_export_refuses_unsupported_file_extension(auditor):
    code, _, err = auditor("registry", "export", "registry.ods")
    assert code == 3
    assert "try: registry.csv" in err


def test_second_run_exits_with_5(auditor):
    auditor("registry", "import", str(SPREADSHEETS / "arabic.csv"))
    with App.open(load_config(None, {})) as app, app.hold_run_lock():
        code, _, err = auditor("run")
    assert code == 5
    assert "another run is in progress" in err


def test_status_before_first_run_has_nulls_and_fails_max_age(auditor):
    code, out, _ = auditor("status", "--json")
    assert code == 0
    [item] = read_items(out)
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


def test_skipped_run_exits_with_4(auditor, monkeypatch):
    async def skipped(app, now, **_):
        begun = app.store.runs.begin_or_resume(now.date(), now)
        return app.store.runs.finish(
            begun, AuditRunState.SKIPPED, now, report=RunReport(state="skipped")
        )

    monkeypatch.setattr("auditor.runs.run.execute_run", skipped)
    code, out, err = auditor("run", "--json", "--quiet")
    assert code == 4
    assert read_items(out) == [{"state": "skipped"}]
    assert "the network is not reachable" in err


def test_successful_quiet_run_prints_nothing(auditor, monkeypatch):
    async def done(app, now, **_):
        begun = app.store.runs.begin_or_resume(now.date(), now)
        return app.store.runs.finish(begun, AuditRunState.DONE, now)

    monkeypatch.setattr("auditor.runs.run.execute_run", done)
    assert auditor("run", "-q") == (0, "", "")
    assert auditor("status", "--json")[0] == 0


def test_age_is_counted_from_end_of_run(tmp_path):
    with App.open(load_config(None, {"AUDITOR_STORAGE__FOLDER": str(tmp_path)})) as app:
        begun = app.store.runs.begin_or_resume(NOW.date(), NOW)
        result = app.store.runs.finish(begun, AuditRunState.DONE, NOW)
    assert (
        json_items.build_status_item(result, {Presence.PRESENT: 2}, NOW.replace(hour=15))[
            "age_hours"
        ]
        == 3.0
    )


ADD_FIRST_USER = ("user", "add", "Amina", "--role", "admin", "--author", "Amina")
"""Creates the database."""


def test_gaps_of_unknown_association_are_an_error(auditor):
    auditor(*ADD_FIRST_USER)
    code, _, err = auditor("gaps", "--association", "nobody")
    assert code == 3
    assert "no association has this id" in err


def test_gaps_export_and_reevaluate_work_on_empty_database(auditor, tmp_path):
    auditor(*ADD_FIRST_USER)
    assert auditor("reevaluate")[0] == 0
    assert read_items(auditor("gaps", "--json")[1]) == []
    assert auditor("export", "gaps.csv")[0] == 0
    assert (tmp_path / "gaps.csv").read_bytes().startswith(b"\xef\xbb\xbfassociation,")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["frobnicate"], 2),
        (["check"], 2),
        (["identify", "--channel", "nowhere", "-"], 2),
        (["--config", "none.toml", "status"], 3),
        (["identify", "none.txt"], 3),
        (["--version"], 0),
        (["--help"], 0),
    ],
)
def test_exit_codes(auditor, arguments, code):
    assert auditor(*arguments)[0] == code


def test_common_options_are_accepted_anywhere(auditor):
    for arguments in (["--config", "none.toml", "status"], ["status", "--config", "none.toml"]):
        assert "none.toml: there is no such file" in auditor(*arguments)[2]
    assert main.split_common_options(["run", "--", "-q"]) == ([], ["run", "--", "-q"])


def test_traceback_is_shown_only_with_debug(auditor):
    assert "Traceback" not in auditor("--config", "none.toml", "status")[2]
    assert "Traceback" in auditor("--config", "none.toml", "status", "--debug")[2]


def test_foreign_database_is_refused_and_not_changed(auditor, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "auditor.db").write_bytes(b"")
    code, _, err = auditor("status")
    assert code == 3
    assert err.startswith("error: ")
    assert (tmp_path / "data" / "auditor.db").read_bytes() == b""


def test_names_cannot_control_the_terminal():
    assert formatting.to_single_line("Har\x1b[2Jbour\u202e\tReaders\n") == "Har [2Jbour Readers"


def test_interruption_before_the_command_begins_is_no_error(auditor, monkeypatch):
    def interrupt(_command_name):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "build_command_line", interrupt)
    code, out, err = auditor("status")
    assert (code, out, err) == (130, "", "interrupted; finished work is kept\n")


def test_interruption_says_that_finished_work_is_kept(auditor, monkeypatch):
    async def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("auditor.runs.run.execute_run", interrupted)
    code, _, err = auditor("run")
    assert code == 130
    assert "kept" in err


def test_terminated_run_ends_in_order(auditor, monkeypatch):
    result = []

    async def night(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            result.append("in order")
            raise

    monkeypatch.setattr("auditor.runs.run.execute_run", night)
    assert auditor("run")[0] == 130
    assert result == ["in order"]


def test_help_lists_main_commands(auditor):
    _, out, _ = auditor("--help")
    wanted = (
        "demo init check identify registry run serve status gaps "
        "report export publish reevaluate doctor digest"
    )
    assert set(wanted.split()) <= set(out.split())


def run_in_subprocess(*arguments, typed=b"", **environ):
    command = [
        sys.executable,
        "-c",
        "import sys; from auditor.cli.main import main; sys.exit(main())",
        *arguments,
    ]
    return subprocess.run(
        command,
        input=typed,
        capture_output=True,
        check=False,
        timeout=60,
        env={"LC_ALL": "C", **environ},
    )


def test_json_is_utf_8_in_any_locale():
    result = run_in_subprocess(
        "identify", "--json", typed="جمعية\n".encode(), PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert result.returncode == 0
    assert read_items(result.stdout.decode())[0]["input"] == "جمعية"


def test_unexpected_error_is_one_line():
    spoilt = (
        "import sys; from auditor.cli import main; "
        "main.split_common_options = 1; sys.exit(main.main(['status']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", spoilt], capture_output=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert result.stderr.startswith(b"error: unexpected TypeError")
    assert result.stderr.count(b"\n") == 1


SLOW_MODULES = {
    "alembic",
    "auditor.registry.importer",
    "auditor.retention",
    "bs4",
    "cryptography",
    "filelock",
    "httpx",
    "jinja2",
    "lxml",
    "probes.channels.website",
    "sqlalchemy.dialects.postgresql",
    "storage.retention",
    "storage.tables.users",
    "xlsxwriter",
}
"""Modules that commands need only for requests, pages, spreadsheets or a new database."""


@pytest.mark.parametrize(
    ("command", "slow_modules"),
    [
        (
            "status",
            SLOW_MODULES | {"auditor.conclusions.run_results", "storage.tables.communication"},
        ),
        ("gaps", SLOW_MODULES),
    ],
)
def test_reading_command_imports_no_slow_modules(auditor, tmp_path, command, slow_modules):
    (tmp_path / "registry.csv").write_text("id,name,website\nnour,Nour,nour.ma\n", "utf-8")
    assert auditor("registry", "import", "registry.csv")[0] == 0
    assert auditor(command)[0] == 0  # the first command after an import updates the summaries
    spy = (
        f"import sys; from auditor.cli.main import main; main([{command!r}]); "
        "sys.exit(' '.join(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", spy], cwd=tmp_path, capture_output=True, check=False, text=True
    )
    loaded = set(process.stderr.split())
    assert "auditor.app" in loaded
    assert loaded & slow_modules == set()


def test_help_imports_no_slow_modules():
    spy = (
        "import sys; from auditor.cli.main import main; main(['--help']); "
        "heavy = {'asyncio', 'sqlalchemy', 'httpx', 'lxml', 'xlsxwriter', 'pydantic', 'rich'}; "
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", spy], capture_output=True, check=False).returncode
        == 0
    )


def test_max_age_ignores_runs_that_did_not_finish(auditor, tmp_path):
    with App.open(load_config(None, {})) as app:
        now = datetime.now(UTC)
        before = now - timedelta(days=2)
        app.store.runs.finish(
            app.store.runs.begin_or_resume(before.date(), before), AuditRunState.DONE, before
        )
        app.store.runs.finish(
            app.store.runs.begin_or_resume(now.date(), now), AuditRunState.SKIPPED, now
        )
    code, out, err = auditor("status", "--max-age", "26", "--json")
    assert code == 4
    assert read_items(out)[0]["state"] == "skipped"
    assert str(before.date()) in err
    assert auditor("status", "--max-age", "50")[0] == 0
