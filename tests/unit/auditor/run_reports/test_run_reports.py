"""Run reports are signed in a chain: changed, removed or moved ones are found."""

import asyncio
import json
import re
import shutil
import sqlite3
import stat
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from auditor.checking import checker
from auditor.cli.main import main
from auditor.core.errors import ConfigError
from auditor.evaluation import reevaluate, replay
from auditor.run_reports.chain import (
    ChainPosition,
    ReportFault,
    SignatureStatus,
    verify_report_chain,
)
from auditor.run_reports.report import MAX_NAMED_HOSTS, build_finished_report
from auditor.run_reports.signing import (
    PRIVATE_KEY_FILE_NAME,
    PUBLIC_KEYS_FILE_NAME,
    SigningKey,
    compute_key_fingerprint,
    get_public_key,
    has_valid_signature,
    hash_canonical_json,
    read_known_public_keys,
)
from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState
from storage.models.run_report import RunCosts, RunReport
from tests.support.mini_network import link, night_of, opened, register, steps

DOCS = Path(__file__).parents[4] / "docs"
NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "website", "amal")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", steps)


@pytest.fixture(scope="module")
def folder_with_runs(tmp_path_factory):
    """Return a folder with three runs and an interrupted fourth."""
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checker, "create_probe", steps)
        asyncio.run(_play(folder))
    return folder


async def _play(folder):
    app = opened(folder)
    register(app, NOUR, AMAL)
    for night in range(3):
        await execute_run(app, night_of(night))
    app.web.answers = {AMAL.typed_text: "hang"}
    first_checked = asyncio.Event()
    run = asyncio.create_task(
        execute_run(
            app, night_of(3), on_progress=lambda done, _: first_checked.set() if done else None
        )
    )
    await first_checked.wait()
    run.cancel()
    await asyncio.wait([run])
    app.store.close()


@pytest.fixture
def folder(folder_with_runs, tmp_path):
    shutil.copytree(folder_with_runs, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def app(folder):
    small = opened(folder)
    yield small
    small.store.close()


def links(app):
    return list(
        verify_report_chain(app.store.runs.list_all(), read_known_public_keys(app.data_folder))
    )


def faults(app):
    return {link.run.day.day: link.fault for link in links(app) if link.fault}


def change(folder, statement, *values):
    with closing(sqlite3.connect(folder / "auditor.db")) as raw:
        raw.execute(statement, values)
        raw.commit()


def load_report(app, day):
    return app.store.runs.get(night_of(day).date()).report.to_json()


def replace_report(folder, day, report):
    run_day = night_of(day).date().isoformat()
    change(folder, "UPDATE audit_run SET receipt = ? WHERE day = ?", json.dumps(report), run_day)


def test_every_report_is_signed_and_follows_the_previous_one(app):
    verified = links(app)
    assert [link.signature_status for link in verified] == [SignatureStatus.VALID] * 4
    assert [link.position for link in verified] == [ChainPosition.FIRST] + [
        ChainPosition.FOLLOWS
    ] * 3
    assert faults(app) == {}
    assert {link.public_key for link in verified} == {app.open_signing_key().public_key}


def test_interrupted_run_has_a_report_with_the_reason(app):
    report = load_report(app, 3)
    assert (report["state"], report["interrupted_because"]) == ("incomplete", "CancelledError")
    assert (report["accounts"], report["accounts_due"], report["not_reached"]) == (1, 2, 1)
    assert "opened_gaps" not in report
    assert has_valid_signature(RunReport.from_json(report))


async def test_resumed_run_has_a_report_without_interruption(app):
    done = await execute_run(app, night_of(3) + timedelta(hours=1))
    assert done.report.to_json().keys().isdisjoint({"interrupted_because", "accounts_due"})
    assert (done.report.state, done.not_reached_count, faults(app)) == ("done", 0, {})


async def test_abandoned_run_keeps_its_place_in_the_chain(app):
    before = load_report(app, 3)
    done = await execute_run(app, night_of(4))
    assert (load_report(app, 3), done.report.previous_hash) == (before, hash_canonical_json(before))
    assert faults(app) == {}


@pytest.mark.parametrize("is_new_run", [True, False])
async def test_killed_run_gets_a_report_from_the_next_run(app, is_new_run):
    """A killed run writes no end; the next run does, and evaluates nothing of it."""
    if is_new_run:
        await execute_run(app, night_of(4))
    day = night_of(5 if is_new_run else 3).date()
    interrupted = app.store.runs.begin_or_resume(day, night_of(5 if is_new_run else 3))
    account_statuses = list(app.store.statuses.list_account_statuses())
    app.web.answers = {}
    done = await execute_run(app, night_of(6), day=night_of(6).date())
    killed = app.store.runs.get(day)
    assert (killed.state, killed.report.interrupted_because) == (AuditRunState.INCOMPLETE, "killed")
    assert killed.report.accounts == (0 if is_new_run else 1)
    assert killed.finished_at >= interrupted.started_at
    assert done.report.previous_hash == hash_canonical_json(killed.report.to_json())
    assert len(account_statuses) == 2
    assert faults(app) == {}


def test_changed_report_is_one_fault(folder, app):
    replace_report(folder, 1, {**load_report(app, 1), "present": 99})
    assert faults(app) == {2: ReportFault.TAMPERED}


def test_removed_run_breaks_the_chain(folder, app):
    change(folder, "DELETE FROM audit_run WHERE day = ?", night_of(1).date().isoformat())
    assert faults(app) == {3: ReportFault.BROKEN_CHAIN}


def test_removed_first_run_breaks_the_chain(folder, app):
    change(folder, "DELETE FROM audit_run WHERE day = ?", night_of(0).date().isoformat())
    assert faults(app) == {2: ReportFault.BROKEN_CHAIN}


def test_swapped_reports_belong_to_the_wrong_runs(folder, app):
    first, second = load_report(app, 0), load_report(app, 1)
    replace_report(folder, 0, second)
    replace_report(folder, 1, first)
    assert faults(app) == {1: ReportFault.WRONG_RUN, 2: ReportFault.WRONG_RUN}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_run SET unreliable_channels = '[\"facebook\"]'",
        "UPDATE audit_run SET state = 'skipped'",
    ],
)
def test_report_that_differs_from_the_stored_run_is_a_fault(folder, app, statement):
    change(folder, f"{statement} WHERE day = ?", night_of(1).date().isoformat())
    assert faults(app) == {2: ReportFault.WRONG_RUN}


def test_removed_signature_is_a_fault(folder, app):
    report = load_report(app, 1)
    report.pop("signature")
    replace_report(folder, 1, report)
    assert faults(app) == {2: ReportFault.UNSIGNED, 3: ReportFault.BROKEN_CHAIN}


def test_signature_with_an_unknown_key_is_a_fault(folder, app, tmp_path_factory):
    forged = SigningKey.open(tmp_path_factory.mktemp("elsewhere"))
    stored = app.store.runs.get(night_of(1).date()).report
    replace_report(folder, 1, forged.sign_report(stored.with_values(present=99)).to_json())
    assert faults(app) == {2: ReportFault.UNKNOWN_KEY, 3: ReportFault.BROKEN_CHAIN}


@pytest.mark.parametrize(
    "signature", [None, {}, "x", {"key": 1}, {"key": "ä", "value": "ä"}, {"key": "AAAA"}]
)
def test_malformed_signature_is_invalid(app, signature):
    assert not has_valid_signature(
        RunReport.from_json({**load_report(app, 1), "signature": signature})
    )


def test_reports_older_than_signing_are_no_fault(folder, app):
    last = None
    for day in range(3):
        report = {**load_report(app, day), "previous_hash": last}
        for name in ("signature", "state", "finished_at"):
            report.pop(name)
        replace_report(folder, day, report)
        last = hash_canonical_json(report)
    change(
        folder, "UPDATE audit_run SET receipt = '{}' WHERE day = ?", night_of(3).date().isoformat()
    )
    assert faults(app) == {}
    assert [link.position for link in links(app)] == [
        ChainPosition.FIRST,
        ChainPosition.FOLLOWS,
        ChainPosition.FOLLOWS,
        ChainPosition.OPEN,
    ]


async def test_first_signed_report_follows_the_last_unsigned_one(folder, app):
    report = load_report(app, 2)
    report.pop("signature")
    for day in (0, 1, 3):
        change(folder, "DELETE FROM audit_run WHERE day = ?", night_of(day).date().isoformat())
    replace_report(folder, 2, {**report, "previous_hash": None})
    await execute_run(app, night_of(4))
    assert faults(app) == {}


def test_key_is_private_and_created_once(app):
    assert stat.S_IMODE((app.data_folder / PRIVATE_KEY_FILE_NAME).stat().st_mode) == 0o600
    assert app.open_signing_key().public_key == SigningKey.open(app.data_folder).public_key
    assert read_known_public_keys(app.data_folder) == (app.open_signing_key().public_key,)
    assert sorted(path.name for path in app.data_folder.iterdir() if "receipts" in path.name) == [
        PRIVATE_KEY_FILE_NAME,
        PUBLIC_KEYS_FILE_NAME,
    ]


async def test_lost_key_is_replaced_with_a_warning(app, caplog):
    old_key = app.open_signing_key().public_key
    (app.data_folder / PRIVATE_KEY_FILE_NAME).unlink()
    done = await execute_run(app, night_of(4))
    assert "created a new one" in caplog.text
    assert done.report.previous_key == compute_key_fingerprint(old_key)
    assert get_public_key(done.report) != old_key
    assert read_known_public_keys(app.data_folder) == (old_key, get_public_key(done.report))
    assert faults(app) == {}
    assert [link.is_new_key for link in links(app)] == [False] * 4 + [True]


async def test_lost_public_keys_make_old_reports_unknown(app):
    for name in (PRIVATE_KEY_FILE_NAME, PUBLIC_KEYS_FILE_NAME):
        (app.data_folder / name).unlink()
    await execute_run(app, night_of(4))
    assert faults(app) == dict.fromkeys((1, 2, 3, 4), ReportFault.UNKNOWN_KEY)


async def test_unreadable_key_ends_the_run_before_any_request(app):
    (app.data_folder / PRIVATE_KEY_FILE_NAME).write_text("no key")
    app.web.asked.clear()
    with pytest.raises(ConfigError, match="not a private key for run reports"):
        await execute_run(app, night_of(4))
    assert (app.web.asked, app.store.runs.get(night_of(4).date())) == ([], None)


def test_rebuild_changes_no_report(app):
    before = [run.report.to_json() for run in app.store.runs.list_all()]
    reevaluate.reevaluate(app)
    assert [run.report.to_json() for run in app.store.runs.list_all()] == before


async def test_restored_backup_continues_its_chain(folder, app):
    with (
        closing(sqlite3.connect(folder / "auditor.db")) as live,
        closing(sqlite3.connect(folder / "copy.db")) as copy,
    ):
        live.backup(copy)
    await execute_run(app, night_of(4))
    app.store.close()
    for name in ("auditor.db", "auditor.db-wal", "auditor.db-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "copy.db").rename(folder / "auditor.db")
    again = opened(folder)
    await execute_run(again, night_of(5))
    assert faults(again) == {}
    assert [run.day.day for run in again.store.runs.list_all()] == [1, 2, 3, 4, 6]
    again.store.close()


@pytest.fixture
def run_command(folder, monkeypatch, capsys):
    """Run a command in the folder; return exit code, standard output and standard error."""
    (folder / "config.toml").write_text('[storage]\nfolder = "."\nurl = "sqlite:///auditor.db"\n')
    monkeypatch.chdir(folder)

    def run(*arguments):
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_command_lists_reports_with_digests(run_command, app):
    code, out, err = run_command("receipts")
    lines = [line.split("\t") for line in out.splitlines()]
    assert (code, err, lines[0][0], len(lines)) == (0, "", "run", 5)
    assert lines[1][4:6] == ["valid", "first"]
    items = json.loads(run_command("receipts", "--json")[1])["items"]
    assert [item["hash"] for item in items] == [
        hash_canonical_json(load_report(app, day)) for day in range(4)
    ]
    assert items[1]["previous"] == items[0]["hash"] == hash_canonical_json(items[0]["receipt"])


def test_each_fault_is_one_line_and_exit_code_4(run_command, folder, app):
    replace_report(folder, 0, {**load_report(app, 0), "present": 99})
    change(folder, "DELETE FROM audit_run WHERE day = ?", night_of(2).date().isoformat())
    first, second, fourth = (night_of(day).date() for day in (0, 1, 3))
    code, _, err = run_command("receipts", "--json")
    reason = (
        f"its run report does not follow that of {second}: "
        "a run between them was removed or changed"
    )
    assert code == 4
    assert err.splitlines() == [
        f"error: the run for {first}: its run report was changed after it was signed",
        f"error: the run for {fourth}: {reason}",
    ]


def test_known_digest_reveals_removed_newest_runs(run_command, folder, app):
    newest = hash_canonical_json(load_report(app, 3))
    assert run_command("receipts", "--hash", newest)[0] == 0
    change(folder, "DELETE FROM audit_run WHERE day = ?", night_of(3).date().isoformat())
    assert run_command("receipts")[0] == 0
    code, _, err = run_command("receipts", "--hash", newest)
    assert code == 4
    assert err.startswith(f"error: the hash {newest}: no run report has it")
    assert err.count("\n") == 1


def test_report_is_verified_by_the_code_in_the_guide(app):
    (code,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "guides" / "audit-runs.md").read_text("utf-8"), re.DOTALL
    )
    report = load_report(app, 1)
    for signed, expectation in (
        (report, nullcontext()),
        ({**report, "present": 99}, pytest.raises(InvalidSignature)),
    ):
        (app.data_folder / "run-report.json").write_text(json.dumps(signed), "utf-8")
        with expectation:
            exec(code.replace("run-report.json", str(app.data_folder / "run-report.json")), {})


def test_running_run_has_no_fault(app):
    app.store.runs.begin_or_resume(night_of(4).date(), night_of(4))
    assert (links(app)[-1].position, faults(app)) == (ChainPosition.OPEN, {})
    running = replace(app.store.runs.get_latest(), state=AuditRunState.RUNNING)
    assert running.not_reached_count is None


def test_report_is_read_and_written_without_a_change(app):
    """Unknown and malformed values stay in the document, and count as not stated."""
    document = {**load_report(app, 1), "added_later": [1], "present": "many", "seconds": 12}
    report = RunReport.from_json(document)
    assert report.to_json() == document
    assert (report.present, report.accounts, report.seconds) == (None, 2, 12)


def test_report_states_only_the_values_that_were_set():
    report = RunReport(state="done", previous_hash=None)
    assert report.to_json() == {"state": "done", "previous_hash": None}
    assert report.with_values(requests=3).to_json() == {**report.to_json(), "requests": 3}


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_report_names_a_limited_number_of_hosts(app, step):
    run = app.store.runs.get_latest()
    count = MAX_NAMED_HOSTS + step
    hosts = {f"h{number}.facebook.com": 1 for number in range(count)}
    costs = RunCosts(requests=count, requests_by_host=hosts)
    options = {"not_reached_by_channel": {}, "costs": costs, "finished_at": run.started_at}
    report = build_finished_report(app.store, run, [], app.config, AuditRunState.DONE, **options)
    assert len(report.requests_by_host) == min(count, MAX_NAMED_HOSTS)
    assert report.requests_other_hosts.hosts == max(0, step)
