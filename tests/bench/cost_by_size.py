"""What a register of any size costs: its runs, its database, and two pages.

    python -m tests.bench.cost_by_size DRAWING.svg 100 1000 10000

Each size has a process of its own and the simulated web of `simulation`. Prints a row for each size
and draws them.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import ceil, log10
from pathlib import Path

from auditor.app import App
from tests.bench.simulated import CHANNELS, FIRST_RUN_AT
from tests.bench.simulation import build_config, fill_register, run_audit
from tests.support.web_server import logged_in_client

PAGES = {"Today, ms": "/fr/", "grid, ms": "/fr/associations"}
PANELS = {
    "CPU of a run, s": ("first run, CPU s", "second run, CPU s"),
    "peak of memory, MB": ("peak, MB",),
    "database, MB": ("database, MB",),
    "a warm page, CPU ms": tuple(PAGES),
}
"""What each part of the drawing shows. Both axes are logarithmic."""
ROUNDS = 10
WIDTH, HEIGHT, MARGIN = 300, 200, 60
COLOURS = ("#0969da", "#bc4c00")


def measure_size(associations: int) -> dict[str, float]:
    """Return the costs of a register with this many associations."""
    accounts = associations * len(CHANNELS)
    with tempfile.TemporaryDirectory() as folder, App.open(build_config(Path(folder))) as app:
        fill_register(app, associations)
        costs: dict[str, float] = {"associations": associations}
        for number, name in enumerate(("first", "second")):
            busy, size = get_cpu_seconds(), app.store.get_database_size()
            run_audit(app, number)
            costs[f"{name} run, CPU s"] = get_cpu_seconds() - busy
            app.store.vacuum_database(log_only=True)
            growth = app.store.get_database_size() - size
            costs[f"{name} run, bytes per account"] = growth / accounts
        costs["peak, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        costs["database, MB"] = app.store.get_database_size() / 1e6
        with logged_in_client(app, FIRST_RUN_AT + timedelta(days=1, hours=8)) as client:
            for name, url in PAGES.items():
                client.get(url)
                costs[name] = statistics.median(measure_page(client, url) for _ in range(ROUNDS))
    return costs


def get_cpu_seconds() -> float:
    """Return the CPU time of this process and of its processes that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def measure_page(client, url):
    """Return the CPU milliseconds of a page."""
    busy = time.process_time()
    client.get(url).raise_for_status()
    return (time.process_time() - busy) * 1000


def draw(rows: Sequence[dict[str, float]]) -> Iterator[str]:
    """Yield the lines of an SVG file with the panels, two in a row."""
    size = 2 * (WIDTH + MARGIN), 2 * (HEIGHT + MARGIN)
    yield '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}">'.format(*size)
    yield "<style>text{font:12px sans-serif;fill:#57606a}</style>"
    for index, (title, names) in enumerate(PANELS.items()):
        x, y = index % 2 * (WIDTH + MARGIN), index // 2 * (HEIGHT + MARGIN)
        yield f'<g transform="translate({x + MARGIN / 2} {y + MARGIN / 2})">'
        yield f'<text x="0" y="-8">{title}</text>'
        yield f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="#57606a"/>'
        top = ceil(log10(max(row[name] for row in rows for name in names)))
        for colour, name in zip(COLOURS, names, strict=False):
            points = [
                (
                    (log10(row["associations"]) - 2) / 3 * (WIDTH - 30),
                    HEIGHT - max(0, log10(row[name])) / top * HEIGHT,
                )
                for row in rows
            ]
            line = " ".join(f"{left:.0f},{up:.0f}" for left, up in points)
            yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            for (left, up), row in zip(points, rows, strict=True):
                place = f'x="{left + 4:.0f}" y="{up - 6:.0f}" style="fill:{colour}"'
                yield f"<text {place}>{row[name]:,.0f}</text>"
        for row in rows:
            left = (log10(row["associations"]) - 2) / 3 * (WIDTH - 30)
            yield f'<text x="{left:.0f}" y="{HEIGHT + 16}">{row["associations"]:,.0f}</text>'
        if len(names) > 1:
            legend = (
                f'<tspan style="fill:{colour}">{name.split(",")[0]} </tspan>'
                for colour, name in zip(COLOURS, names, strict=False)
            )
            yield f'<text x="{WIDTH}" y="-8" text-anchor="end">{"".join(legend)}</text>'
        yield "</g>"
    yield "</svg>"


def main() -> None:
    """Measure each size, print a row for it, and draw all of them."""
    drawing, *sizes = sys.argv[1:]
    if drawing == "--size":
        print(json.dumps(measure_size(int(sizes[0]))))
        return
    rows = []
    for size in sizes:
        command = [sys.executable, "-m", __spec__.name, "--size", size]
        rows.append(json.loads(subprocess.check_output(command).splitlines()[-1]))
        print(" | ".join(f"{name}: {value:,.1f}" for name, value in rows[-1].items()), flush=True)
    Path(drawing).write_text("\n".join(draw(rows)) + "\n")


if __name__ == "__main__":
    main()
