"""The cost of a re-evaluation: a year of runs.

AUDITOR_BENCH_ASSOCIATIONS=1000 python -m pytest tests/bench/test_reevaluation_cost.py -m bench -s
"""

import os
import time

import pytest

from auditor.app import App
from auditor.conclusions.reevaluate import reevaluate
from tests.bench import simulation
from tests.bench.year import fill_year

pytestmark = pytest.mark.bench
RUNS = 365


def test_reevaluation_of_a_year(tmp_path):
    associations = int(os.environ.get("AUDITOR_BENCH_ASSOCIATIONS", "100"))
    fill_year(tmp_path, associations, RUNS)
    with App.open(simulation.build_config(tmp_path)) as app:
        cpu_before, started_at = time.process_time(), time.perf_counter()
        result = reevaluate(app, dry_run=True)
        cpu, seconds = time.process_time() - cpu_before, time.perf_counter() - started_at
    evaluations = associations * RUNS
    print(
        f"\n{associations} associations, {RUNS} runs: {cpu:.0f} s of CPU, {seconds:.0f} s,"
        f" {1e6 * cpu / evaluations:.0f} µs an association and run"
    )
    assert result.run_count == RUNS
    assert result.replayed_count + result.recorded_count == 5 * evaluations
