"""Tests of a run that is killed at any time: it is resumed and checks each account once."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from probes.models.finding import Finding, Identity, LinkKind, Presence
from storage.models.audit import AccountRow, Association, AuditRunState, Evidence, Observation
from storage.store import Store

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


def print_count(count):
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()
    return count


async def write_observations(url):
    """Resume the run. Print the number of stored observations after each commit."""
    with Store.open(url, create=False) as store:
        audit_run = store.runs.begin_or_resume(NOW.date(), NOW)
        record = store.observations.record
        store.observations.record = lambda batch: print_count(record(batch))
        async with store.observations.open_writer(batch_size=20) as writer:
            for account in store.observations.list_pending_accounts(audit_run):
                finding = Finding(Presence.PRESENT, name=account.typed_text, detail="x" * 200)
                evidence = (Evidence(account.typed_text, 200, account.typed_text),)
                await writer.add(Observation(account.id, audit_run.id, NOW, finding, evidence))
        store.runs.finish(audit_run, AuditRunState.DONE, NOW)


def create_registry(url, count):
    with Store.open(url) as store:
        pages = (Identity("website", LinkKind.PAGE, f"{n}.example") for n in range(count))
        links = [AccountRow("amal", f"https://{page.key}/", page, "website") for page in pages]
        store.registry.save_registry([Association("amal", "Amal")], links, NOW)


def run_and_kill(url, after):
    """Run the writer, kill it after `after` commits, and return what it had acknowledged."""
    process = subprocess.Popen([sys.executable, __file__, url], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    for line_count, line in enumerate(process.stdout, 1):
        acknowledged += int(line)
        if line_count == after:
            process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return acknowledged, process.returncode


def assert_survives_kills(url, count, kills):
    create_registry(url, count)
    acknowledged_total = 0
    for after in [*kills, None]:
        acknowledged, code = run_and_kill(url, after)
        acknowledged_total += acknowledged
        assert code == (-signal.SIGKILL if after else 0)
        with Store.open(url, create=False) as store:
            store.check_integrity()
            account_ids = [o.account_id for o in store.observations.list_observations()]
            (audit_run,) = store.runs.list_all()
        assert len(account_ids) == len(set(account_ids)) >= acknowledged_total
    assert len(account_ids) == count
    assert audit_run.state is AuditRunState.DONE


@pytest.mark.fault("F35")
def test_killed_run_loses_nothing_and_checks_each_account_once(tmp_path):
    assert_survives_kills(f"sqlite:///{tmp_path}/auditor.db", 4000, kills=[7])


@pytest.mark.slow
def test_run_killed_twenty_times_is_one_run(tmp_path):
    assert_survives_kills(f"sqlite:///{tmp_path}/auditor.db", 20_000, kills=range(3, 23))


if __name__ == "__main__":
    asyncio.run(write_observations(sys.argv[1]))
