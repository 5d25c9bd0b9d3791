"""A night that is killed at any moment is gone on with: one night, each account once."""

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


def tell(count):
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()


async def write(url):
    """Go on with the night, telling after each commit how many observations it made safe."""
    with Store.open(url, create=False) as store:
        night = store.begin_run(NOW.date(), NOW)
        async with store.open_observation_writer(batch_size=20, on_commit=tell) as writer:
            for account in store.list_pending_accounts(night):
                finding = Finding(Presence.PRESENT, name=account.typed_text, detail="x" * 200)
                evidence = (Evidence(account.typed_text, 200, account.typed_text),)
                await writer.add(Observation(account.id, night.id, NOW, finding, evidence))
        store.finish_run(night, AuditRunState.DONE, NOW)


def registered(url, count):
    with Store.open(url) as store:
        pages = (Identity("website", LinkKind.PAGE, f"{n}.example") for n in range(count))
        links = [AccountRow("amal", f"https://{page.key}/", page, "website") for page in pages]
        store.save_registry([Association("amal", "Amal")], links, NOW)


def run_and_kill(url, after):
    """Run the writer, kill it after so many commits, and give the count it had acknowledged."""
    process = subprocess.Popen([sys.executable, __file__, url], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    for heard, line in enumerate(process.stdout, 1):
        acknowledged += int(line)
        if heard == after:
            process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return acknowledged, process.returncode


def killed_again_and_again(url, count, kills):
    registered(url, count)
    safe = 0
    for after in [*kills, None]:
        acknowledged, code = run_and_kill(url, after)
        safe += acknowledged
        assert code == (-signal.SIGKILL if after else 0)
        with Store.open(url, create=False) as store:
            store.check_integrity()
            seen = [o.account_id for o in store.list_observations()]
            (night,) = store.list_runs()
        assert len(seen) == len(set(seen)) >= safe
    assert len(seen) == count
    assert night.state is AuditRunState.DONE


@pytest.mark.fault("F35")
def test_a_killed_night_loses_nothing_acknowledged_and_sees_each_account_once(tmp_path):
    killed_again_and_again(f"sqlite:///{tmp_path}/auditor.db", 4000, kills=[7])


@pytest.mark.slow
def test_a_night_killed_twenty_times_is_one_night(tmp_path):
    killed_again_and_again(f"sqlite:///{tmp_path}/auditor.db", 20_000, kills=range(3, 23))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1]))
