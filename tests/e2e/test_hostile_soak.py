"""Weeks of runs over the hostile web, with killed parsers and full disks.

One process executes them. It must hold at the end what it held at the beginning.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.conclusions.reevaluate import reevaluate
from auditor.config.schema import load_config
from storage.models.audit import AuditRunState
from tests.support.hostile_server import soak_service
from tests.support.hostile_server.attacks import ATTACKS
from tests.support.hostile_server.network import register_sites, write_config
from tests.support.hostile_server.soak_service import START
from tests.support.hostile_server.web import HostileWeb

ACCOUNTS = 50
DAYS = 12
"""Four rounds of faults."""
MAX_MEMORY_GROWTH = 24 << 20
"""Bytes by which memory may grow after two rounds of faults: less than one large page."""
MAX_LOG_BYTES = 16 << 20
"""Size of SQLite's write-ahead log. It is reused from 4 MB on."""
TIME_ZONE = "XXX-1YYY,J310/1:30,J324/2:30"
"""Summer time begins in this month (on 6 November), at the time of the runs."""
FAULT_COUNT = len(soak_service.FAULTS)
SOAK_ATTACKS = ATTACKS[::10]


async def execute_weeks(folder):
    """Return the reports of the process."""
    (folder / "temporary").mkdir()
    async with HostileWeb(folder, SOAK_ATTACKS, ACCOUNTS - len(SOAK_ATTACKS)) as web:
        write_config(folder, web, timeout=0.5, max_retries=0)
        register_sites(folder, web.links, START)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, soak_service.__file__, str(folder / "config.toml"), str(DAYS)),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(folder / "temporary"), "TZ": TIME_ZONE},
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.slow
@pytest.mark.fault("F35", "F43", "F66")
def test_weeks_with_faults_lose_and_leak_nothing(tmp_path):
    reports = asyncio.run(execute_weeks(tmp_path))
    with App.open(load_config(tmp_path / "config.toml", {})) as app:
        app.store.check_integrity()
        observations = app.store.observations.list_observations()
        counts = Counter((item.run_id, item.account_id) for item in observations)
        assert (len(counts), set(counts.values())) == (ACCOUNTS * DAYS, {1})
        assert [(run.day, run.state) for run in app.store.runs.list_all()] == [
            ((START + timedelta(days=day)).date(), AuditRunState.DONE) for day in range(1, DAYS + 1)
        ]
        assert reevaluate(app, dry_run=True).changes == []
    early, last = reports[: 2 * FAULT_COUNT], reports[-1]
    assert last["failures"].keys() == {"full disk", "killed parser"}
    assert last["memory"] - early[-1]["memory"] < MAX_MEMORY_GROWTH
    assert last["log_bytes"] < MAX_LOG_BYTES
    # What leaks is held in each report of the last round.
    for held in ("open_files", "processes", "temporary_files"):
        late_count = min(report[held] for report in reports[-FAULT_COUNT:])
        assert late_count <= max(report[held] for report in early), held
