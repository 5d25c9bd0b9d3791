"""Fill a database with a year of runs over the simulated web, most of which change nothing.

The first two runs are real ones (`simulation.py`). Their observations are copied into the other
runs. In each run a share of the accounts changes from the result of one real run to that of the
other, so that no run is like the one before.
"""

from __future__ import annotations

import contextlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from auditor.app import App
from storage.tables.core import AUDIT_RUN
from storage.tables.runs import OBSERVATION
from storage.tables.summaries import RUN_FACET_COUNT
from tests.bench import simulation

REAL_RUNS = 2


def fill_year(folder: Path, associations: int, runs: int, changing_share: float = 0.03) -> None:
    """Create a register with its runs in a folder, unless it exists."""
    if (folder / "data/auditor.db").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with App.open(simulation.build_config(folder)) as app:
        simulation.fill_register(app, associations)
        for number in range(REAL_RUNS):
            web = simulation.SimulatedWeb(changing_share=0.3 if number else 0.0)
            with contextlib.redirect_stdout(io.StringIO()):
                simulation.measure_run(simulation.SimulatedApp(app, web), number)
        _copy_runs(app, runs, changing_share)


def _copy_runs(app: App, count: int, changing_share: float) -> None:
    """Add runs until there are `count`, one a day."""
    changes_every = round(1 / changing_share) if changing_share else count
    with app.store.begin_write() as connection:
        last_run = _load_rows(connection, AUDIT_RUN, AUDIT_RUN.c.id == REAL_RUNS)[0]
        coverage = _load_rows(connection, RUN_FACET_COUNT, RUN_FACET_COUNT.c.run_id == REAL_RUNS)
        variants = [
            _load_rows(connection, OBSERVATION, OBSERVATION.c.run_id == run_id)
            for run_id in range(1, REAL_RUNS + 1)
        ]
        for run_id in range(REAL_RUNS + 1, count + 1):
            later = timedelta(days=run_id - REAL_RUNS)
            times = {name: last_run[name] + later for name in ("day", "started_at", "finished_at")}
            connection.execute(insert(AUDIT_RUN), {**last_run, **times, "id": run_id})
            rows = []
            for position, same_account in enumerate(zip(*variants, strict=True)):
                row = same_account[(position + run_id) // changes_every % REAL_RUNS]
                rows.append({**row, "run_id": run_id})
            connection.execute(insert(OBSERVATION), rows)
            connection.execute(
                insert(RUN_FACET_COUNT), [{**row, "run_id": run_id} for row in coverage]
            )


def _load_rows(connection: Connection, table: Table, condition: Any) -> list[dict[str, Any]]:
    """Return the rows of a table that fulfil a condition, in the order of its key."""
    rows = connection.execute(select(table).where(condition).order_by(*table.primary_key))
    return [dict(row) for row in rows.mappings()]
