"""A first and an unchanged run over 5,000 links, compared with the installed peers.

    make bench-peers                                       once, for the peers
    python -m pytest tests/bench/test_pipeline.py -m bench -s

`AUDITOR_BENCH_ROUNDS` and `AUDITOR_BENCH_HOSTS` make it longer or shorter. Times are not asserted.
"""

import os
from pathlib import Path

import pytest

from tests.bench.farm import Farm, write_farm
from tests.bench.race import FIRST, SECOND, format_ratios, format_table, run_race

ROUNDS = int(os.environ.get("AUDITOR_BENCH_ROUNDS", "3"))
HOSTS = int(os.environ.get("AUDITOR_BENCH_HOSTS", "1000"))


@pytest.mark.bench
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_time_of_runs_and_peers(tmp_path_factory, secure):
    folder = Path(os.environ.get("AUDITOR_BENCH_FARM", tmp_path_factory.getbasetemp() / "farm"))
    farm = Farm(write_farm(folder, HOSTS), secure, HOSTS)
    lines = run_race(farm, ROUNDS)
    print(f"\n{format_table(lines, 5 * HOSTS)}\n\n{format_ratios(lines)}")
    assert {FIRST, SECOND} <= set(lines)
