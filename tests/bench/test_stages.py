"""The cost of each stage of a run alone, and the ratio of the run to its unavoidable stages.

python -m pytest tests/bench/test_stages.py -m bench -s
"""

import os
from pathlib import Path

import pytest

from tests.bench.farm import Farm, write_farm
from tests.bench.stages import UNAVOIDABLE_STAGES, describe_rounds, measure_rounds

ROUNDS = int(os.environ.get("AUDITOR_BENCH_ROUNDS", "3"))
HOSTS = int(os.environ.get("AUDITOR_BENCH_HOSTS", "1000"))


@pytest.mark.bench
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_time_of_each_stage(tmp_path_factory, secure):
    folder = Path(os.environ.get("AUDITOR_BENCH_FARM", tmp_path_factory.getbasetemp() / "farm"))
    farm = Farm(write_farm(folder, HOSTS), secure, HOSTS)
    rounds = measure_rounds(farm, ROUNDS)
    print(f"\n{describe_rounds(rounds)}")
    assert all(set(UNAVOIDABLE_STAGES) <= set(costs.stages) for costs in rounds)
