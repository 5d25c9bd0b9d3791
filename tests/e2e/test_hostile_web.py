"""One real run over every attack of the hostile web: each account ends in its finding."""

import asyncio
import json
import os
import resource
import sys
import unicodedata
from contextlib import closing
from functools import partial

import pytest

from probes.models.finding import Presence
from storage.models.audit import AuditRunState
from tests.support.control_group import ControlGroup
from tests.support.hostile_server import watched_run
from tests.support.hostile_server.network import open_store, register_sites, write_config
from tests.support.hostile_server.web import HostileWeb
from tests.support.process_groups import measure_memory

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile web")]
MAX_MEMORY_BYTES = 400 << 20
"""Proportional memory of all processes of a run at any time."""
ENFORCED_LIMITS = {"memory": 1 << 30, "pids": 100}
"""Bytes and processes of the whole run. Where there is no cgroup, the bytes of each process."""
MAX_LAG_SECONDS = 1.0
"""On an idle machine it is below 0.1 s; other tests may share the processor."""
MAX_STEP_SECONDS = 0.1
"""CPU time of the event loop without a pause, whatever else this machine does. It is 0.02 s."""


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
    return {"code": process.returncode, **report, "peak": peak}


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """Execute one run over the whole hostile web. Return the web, its findings and its figures."""
    return asyncio.run(run_over_hostile_web(tmp_path_factory.mktemp("hostile_web")))


async def run_over_hostile_web(folder):
    async with HostileWeb(folder) as web:
        write_config(folder, web)
        register_sites(folder, web.links)
        with closing(ControlGroup(f"hostile-web-{os.getpid()}", ENFORCED_LIMITS)) as control_group:
            figures = await execute_watched_run(folder, control_group)
            figures["refusals"] = control_group.count_refusals()
    figures["limit"] = control_group.problem or "a cgroup of 1 GB"
    with open_store(folder) as store:
        store.check_integrity()
        run = store.runs.get_latest()
        names = {row.id: row.association for row in store.registry.list_accounts()}
        observations = list(store.observations.list_observations(run_id=run.id))
    assert (figures["code"], run.state) == (0, AuditRunState.DONE)
    assert sorted(names[item.account_id] for item in observations) == sorted(web.links)
    return web, {names[item.account_id]: item.finding for item in observations}, figures


@pytest.mark.fault("F65")
def test_every_attack_ends_in_its_finding_and_healthy_sites_are_present(hostile_run):
    web, findings, _ = hostile_run
    expected = {
        attack.name: (attack.presence, attack.reason) for attack in web.attacks.values()
    } | dict.fromkeys(web.healthy, (Presence.PRESENT, None))
    assert {
        name: (finding.presence, finding.reason) for name, finding in findings.items()
    } == expected
    assert {findings[name].name for name in web.healthy} == {"Association Amal"}


@pytest.mark.fault("F22", "F65")
def test_hostile_web_blocks_no_event_loop_and_fills_no_memory(hostile_run):
    _, _, figures = hostile_run
    assert figures["longest_lag"] < MAX_LAG_SECONDS, figures
    assert figures["longest_step"] < MAX_STEP_SECONDS, figures
    assert figures["peak"] < MAX_MEMORY_BYTES, figures
    assert figures["refusals"] == {"memory": 0, "pids": 0}, figures


@pytest.mark.fault("F23", "F24", "F65")
def test_findings_have_clean_names_and_no_file_of_this_machine(hostile_run):
    _, findings, _ = hostile_run
    for name, finding in findings.items():
        stored = finding.name or ""
        assert len(stored) <= 300, name
        assert not {unicodedata.category(letter) for letter in stored} & {"Cc", "Cf", "Cs"}, name
    assert "root:" not in repr(findings)
