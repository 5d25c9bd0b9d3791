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

from sqlalchemy import insert, select

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
    with app.store._database.begin_write() as connection:
        run_row = connection.execute(select(AUDIT_RUN).order_by(AUDIT_RUN.c.id.desc())).first()
        assert run_row is not None
        last = dict(run_row._mapping)
        variants = [_load_rows(connection, run_id) for run_id in range(1, REAL_RUNS + 1)]
        counts = [
            dict(row._mapping)
            for row in connection.execute(
                select(RUN_FACET_COUNT).where(RUN_FACET_COUNT.c.run_id == last["id"])
            )
        ]
        changes_every = round(1 / changing_share) if changing_share else 10**9
        for number in range(REAL_RUNS, count):
            later = timedelta(days=number - REAL_RUNS + 1)
            run_id = number + 1
            connection.execute(
                insert(AUDIT_RUN),
                {
                    **last,
                    "id": run_id,
                    "day": last["day"] + later,
                    "started_at": last["started_at"] + later,
                    "finished_at": last["finished_at"] + later,
                },
            )
            rows = []
            for position, account_id in enumerate(sorted(variants[0])):
                variant = (position + number) // changes_every % REAL_RUNS
                rows.append({**variants[variant][account_id], "run_id": run_id})
            connection.execute(insert(OBSERVATION), rows)
            connection.execute(
                insert(RUN_FACET_COUNT), [{**row, "run_id": run_id} for row in counts]
            )


def _load_rows(connection: Any, run_id: int) -> dict[int, dict[str, Any]]:
    rows = connection.execute(select(OBSERVATION).where(OBSERVATION.c.run_id == run_id))
    return {row.account_id: dict(row._mapping) for row in rows}
