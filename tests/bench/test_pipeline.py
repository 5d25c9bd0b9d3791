"""A whole night over 5,000 links, first and unchanged, beside the peers that are installed.

    make bench-peers                                       once, for the peers
    python -m pytest tests/bench/test_pipeline.py -m bench -s

`AUDITOR_BENCH_ROUNDS` and `AUDITOR_BENCH_HOSTS` make it longer or shorter. Nothing is asserted of time.
"""

import os
from pathlib import Path

import pytest

from tests.bench.farm import Farm, written
from tests.bench.race import FIRST, SECOND, race, ratios, table

ROUNDS = int(os.environ.get("AUDITOR_BENCH_ROUNDS", "3"))
HOSTS = int(os.environ.get("AUDITOR_BENCH_HOSTS", "1000"))


@pytest.mark.bench
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_night_beside_the_peers(tmp_path_factory, secure):
    folder = Path(os.environ.get("AUDITOR_BENCH_FARM", tmp_path_factory.getbasetemp() / "farm"))
    farm = Farm(written(folder, HOSTS), secure, HOSTS)
    lines = race(farm, ROUNDS)
    print(f"\n{table(lines, 5 * HOSTS)}\n\n{ratios(lines)}")
    assert {FIRST, SECOND} <= set(lines)
