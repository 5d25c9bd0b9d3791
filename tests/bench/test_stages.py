"""What each stage of a night costs alone, and how the whole compares with the stages it cannot do without.

python -m pytest tests/bench/test_stages.py -m bench -s
"""

import os
from pathlib import Path

import pytest

from tests.bench.farm import Farm, written
from tests.bench.stages import UNAVOIDABLE, several, told

ROUNDS = int(os.environ.get("AUDITOR_BENCH_ROUNDS", "3"))
HOSTS = int(os.environ.get("AUDITOR_BENCH_HOSTS", "1000"))


@pytest.mark.bench
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_the_stages_of_a_night_alone(tmp_path_factory, secure):
    folder = Path(os.environ.get("AUDITOR_BENCH_FARM", tmp_path_factory.getbasetemp() / "farm"))
    farm = Farm(written(folder, HOSTS), secure, HOSTS)
    rounds = several(farm, ROUNDS)
    print(f"\n{told(rounds)}")
    assert all(set(UNAVOIDABLE) <= set(one.alone) for one in rounds)
