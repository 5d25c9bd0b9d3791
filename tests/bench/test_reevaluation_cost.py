"""The cost of a re-evaluation: a year of runs over the simulated web, most of which change nothing.

AUDITOR_BENCH_ASSOCIATIONS=1000 python -m pytest tests/bench/test_reevaluation_cost.py -m bench -s

The first two runs are real ones (`simulation.py`). Their observations are copied into the other
runs. In each run a share of the accounts changes from the result of one real run to that of the
other, so that no run is like the one before.
"""

import os
import time
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from auditor.app import App
from auditor.conclusions.reevaluate import reevaluate
from storage.tables.core import AUDIT_RUN
from storage.tables.runs import OBSERVATION
from storage.tables.summaries import RUN_FACET_COUNT
from tests.bench import simulation

RUNS, REAL_RUNS = 365, 2
CHANGES_EVERY = 33
"""Number of accounts of which one changes in each run."""


def copy_runs(app):
    """Add runs until there are enough, one a day."""
    with app.store.begin_write() as connection:
        last_run = load_rows(connection, AUDIT_RUN, AUDIT_RUN.c.id == REAL_RUNS)[0]
        coverage = load_rows(connection, RUN_FACET_COUNT, RUN_FACET_COUNT.c.run_id == REAL_RUNS)
        variants = [
            load_rows(connection, OBSERVATION, OBSERVATION.c.run_id == run_id)
            for run_id in range(1, REAL_RUNS + 1)
        ]
        for run_id in range(REAL_RUNS + 1, RUNS + 1):
            later = timedelta(days=run_id - REAL_RUNS)
            times = {name: last_run[name] + later for name in ("day", "started_at", "finished_at")}
            connection.execute(insert(AUDIT_RUN), {**last_run, **times, "id": run_id})
            observations = [
                {
                    **variants[(position + run_id) // CHANGES_EVERY % REAL_RUNS][position],
                    "run_id": run_id,
                }
                for position in range(len(variants[0]))
            ]
            connection.execute(insert(OBSERVATION), observations)
            counts = [{**row, "run_id": run_id} for row in coverage]
            connection.execute(insert(RUN_FACET_COUNT), counts)


def load_rows(connection, table, condition):
    """Return the rows of a table that fulfil a condition, in the order of its key."""
    rows = connection.execute(select(table).where(condition).order_by(*table.primary_key))
    return [dict(row) for row in rows.mappings()]


@pytest.mark.bench
def test_reevaluation_of_a_year(tmp_path):
    associations = int(os.environ.get("AUDITOR_BENCH_ASSOCIATIONS", "100"))
    with App.open(simulation.build_config(tmp_path)) as app:
        simulation.fill_register(app, associations)
        for number in range(REAL_RUNS):
            simulation.run_audit(app, number, changing_share=0.3 * number)
        copy_runs(app)
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
