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

PAGES = {"grid, ms": "/fr/associations", "Today, ms": "/fr/"}
PANELS = {
    "CPU of a run, s": ("first run, CPU s", "second run, CPU s"),
    "peak of memory, MB": ("peak, MB",),
    "database, MB": ("database, MB",),
    "a warm page, CPU ms": tuple(PAGES),
}
"""What each part of the drawing shows, the higher line first. Both axes are logarithmic."""
ROUNDS = 10
"""How often a page is measured."""
WIDTH, HEIGHT, MARGIN = 300, 200, 60
COLOURS, SHIFTS = ("#0969da", "#bc4c00"), (-6, 16)
"""The colours of the two lines of a panel, and how far below its point a figure stands."""


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
    size = f"{2 * (WIDTH + MARGIN)} {2 * (HEIGHT + MARGIN)}"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}">'
    yield "<style>text{font:12px sans-serif;fill:#57606a}</style>"
    for index, (title, names) in enumerate(PANELS.items()):
        x, y = index % 2 * (WIDTH + MARGIN), index // 2 * (HEIGHT + MARGIN)
        yield f'<g transform="translate({x + MARGIN / 2} {y + MARGIN / 2})">'
        yield f'<text x="0" y="-8">{title}</text>'
        yield from draw_panel(rows, names)
        yield "</g>"
    yield "</svg>"


def draw_panel(rows: Sequence[dict[str, float]], names: Sequence[str]) -> Iterator[str]:
    """Yield the axes, the sizes, and a line with its figures for each name."""
    yield f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="#57606a"/>'
    first, last = (log10(row["associations"]) for row in (rows[0], rows[-1]))
    step = (WIDTH - MARGIN) / max(1, last - first)
    left = [(log10(row["associations"]) - first) * step for row in rows]
    for x, row in zip(left, rows, strict=True):
        yield f'<text x="{x:.0f}" y="{HEIGHT + 16}">{row["associations"]:,.0f}</text>'
    top = ceil(log10(max(row[name] for row in rows for name in names)))
    for number, name in enumerate(names):
        heights = [HEIGHT - max(0, log10(row[name])) / top * HEIGHT for row in rows]
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(left, heights, strict=True))
        colour, shift = COLOURS[number], SHIFTS[number]
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y, row in zip(left, heights, rows, strict=True):
            place = f'x="{x + 4:.0f}" y="{y + shift:.0f}" style="fill:{colour}"'
            yield f"<text {place}>{row[name]:,.0f}</text>"
        if len(names) > 1:
            place = f'x="{WIDTH}" y="{14 * number - 8}" text-anchor="end" style="fill:{colour}"'
            yield f"<text {place}>{name.partition(',')[0]}</text>"


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
