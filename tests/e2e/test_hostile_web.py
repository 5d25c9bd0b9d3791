"""One real run over every attack of the hostile web: each account ends in its finding."""

import asyncio
import json
import os
import resource
import sys
import unicodedata
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from probes.models.finding import Presence
from storage.models.audit import AuditRun, AuditRunState
from tests.support.control_group import ControlGroup
from tests.support.hostile_server import watched_run
from tests.support.hostile_server.network import open_store, register_sites, write_config
from tests.support.hostile_server.web import HostileWeb

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile web")]
MAX_MEMORY_BYTES = 400 << 20
"""Proportional memory of all processes of a run at any time."""
ENFORCED_LIMITS = {"memory": 1 << 30, "pids": 100}
"""Bytes and processes of the whole run. Where there is no cgroup, the bytes of each process."""
MAX_LAG_SECONDS = 1.0
"""On an idle machine it is below 0.1 s; other tests may share the processor."""
MAX_STEP_SECONDS = 0.1
"""CPU time of the event loop without a pause, whatever else this machine does. It is 0.02 s."""


@dataclass(frozen=True)
class HostileRun:
    """A run over the hostile web, with what it stored and what it took."""

    web: HostileWeb
    code: int
    report: dict
    peak: int
    refusals: dict
    memory_limit: str
    run: AuditRun
    observations: dict
    counts: Counter


def load_observations(folder):
    """Return the newest run, its observations by association, and their counts."""
    with open_store(folder) as store:
        store.check_integrity()
        run = store.runs.get_latest()
        names = {row.id: row.association for row in store.registry.list_accounts()}
        observations = list(store.observations.list_observations(run_id=run.id))
    counts = Counter(names[item.account_id] for item in observations)
    return run, {names[item.account_id]: item for item in observations}, counts


def measure_memory(pid):
    """Return the proportional memory of a process and its descendants, in bytes."""
    return sum(map(read_memory, list_process_tree(pid)))


def list_process_tree(pid):
    children = []
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, file.read_text().split())
    return [pid, *(inner for child in children for inner in list_process_tree(child))]


def read_memory(pid):
    with suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.split("\nPss:")[1].split()[0]) << 10
    return 0


def enter_limits(control_group):
    """Limit this process and its children, in the new process before it runs the auditor."""
    files = control_group.list_process_files()
    for file in files:
        file.write_text(str(os.getpid()))
    if not files:
        resource.setrlimit(resource.RLIMIT_DATA, 2 * (ENFORCED_LIMITS["memory"],))


async def execute_watched_run(folder, control_group):
    """Execute the run in a process. Return its exit code, its report and its peak memory."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        watched_run.__file__,
        str(folder / "report.json"),
        *("--quiet", "--config", str(folder / "config.toml"), "run"),
        cwd=folder,
        env={**os.environ, "AUDITOR_CONFIG": ""},
        preexec_fn=partial(enter_limits, control_group),
    )
    peak = 0
    ended = asyncio.ensure_future(process.wait())
    while not ended.done():
        peak = max(peak, await asyncio.to_thread(measure_memory, process.pid))
        await asyncio.wait({ended}, timeout=0.05)
    report = json.loads(await asyncio.to_thread((folder / "report.json").read_text, "utf-8"))
    return process.returncode, report, peak


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """Execute one run over the whole hostile web. Return it, its observations and its figures."""
    folder = tmp_path_factory.mktemp("hostile_web")
    return asyncio.run(run_over_hostile_web(folder))


async def run_over_hostile_web(folder):
    async with HostileWeb(folder) as web:
        write_config(folder, web)
        register_sites(folder, web.links)
        with closing(ControlGroup(f"hostile-web-{os.getpid()}", ENFORCED_LIMITS)) as control_group:
            code, report, peak = await execute_watched_run(folder, control_group)
            refusals = control_group.count_refusals()
    memory_limit = control_group.problem or "a cgroup of 1 GB"
    run, observations, counts = load_observations(folder)
    return HostileRun(web, code, report, peak, refusals, memory_limit, run, observations, counts)


@pytest.mark.fault("F65")
def test_every_attack_ends_in_its_finding(hostile_run):
    findings = {name: item.finding for name, item in hostile_run.observations.items()}
    expected = {
        attack.name: (attack.presence, attack.reason) for attack in hostile_run.web.attacks.values()
    }
    actual = {name: (findings[name].presence, findings[name].reason) for name in expected}
    wrong = {name: actual[name] for name in expected if actual[name] != expected[name]}
    assert not wrong


@pytest.mark.fault("F65")
def test_healthy_sites_between_attacks_are_present(hostile_run):
    findings = [hostile_run.observations[name].finding for name in hostile_run.web.healthy]
    assert {(finding.presence, finding.name) for finding in findings} == {
        (Presence.PRESENT, "Association Amal")
    }


@pytest.mark.fault("F65")
def test_run_over_hostile_web_is_done_with_one_observation_of_each_account(hostile_run):
    assert (hostile_run.code, hostile_run.run.state) == (0, AuditRunState.DONE)
    assert hostile_run.counts == dict.fromkeys(hostile_run.web.links, 1)


@pytest.mark.fault("F22", "F65")
def test_hostile_web_blocks_no_event_loop_and_fills_no_memory(hostile_run, capsys):
    lag, step = hostile_run.report["longest_lag"], hostile_run.report["longest_step"]
    with capsys.disabled():
        print(  # noqa: T201
            f"\nhostile web: longest lag {lag * 1000:.0f} ms ({step * 1000:.0f} ms of CPU), "
            f"memory {hostile_run.peak >> 20} MB ({hostile_run.memory_limit})"
        )
    assert lag < MAX_LAG_SECONDS
    assert step < MAX_STEP_SECONDS
    assert hostile_run.peak < MAX_MEMORY_BYTES
    assert hostile_run.refusals == {"memory": 0, "pids": 0}


@pytest.mark.fault("F23", "F65")
def test_stored_names_of_hostile_sites_are_clean(hostile_run):
    for name, observation in hostile_run.observations.items():
        stored = observation.finding.name or ""
        assert len(stored) <= 300, name
        assert not {unicodedata.category(letter) for letter in stored} & {"Cc", "Cf", "Cs"}, name


@pytest.mark.fault("F24", "F65")
def test_no_observation_has_a_file_of_this_machine(hostile_run):
    assert "root:" not in repr(hostile_run.observations)
