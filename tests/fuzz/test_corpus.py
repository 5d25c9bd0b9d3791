"""Inputs that the fuzzer found stay harmless, and so do damaged and random ones."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.service_targets import close_resources
from tests.fuzz.targets import KEPT_INPUTS, TARGETS, list_seeds
from tests.support.fuzz_inputs import BODIES, TEXTS, URLS, mutated, written

WORKBOOKS = {"xlsx", "ods"}
"""Targets that start a process for each input."""
MAX_CPU_SECONDS = 2
"""CPU seconds of one input (security.md, F22). The deadline of the parser processes is longer."""
EXAMPLES = 10 * settings.default.max_examples if settings.default.max_examples > 100 else 40
PARAMETERS = [
    pytest.param(name, marks=[pytest.mark.slow] if name in WORKBOOKS else []) for name in TARGETS
]


@pytest.fixture(autouse=True, scope="module")
def resources():
    """Close what the targets open."""
    yield
    close_resources()


@pytest.mark.fault("F22")
@pytest.mark.parametrize("target", PARAMETERS)
def test_parser_accepts_every_kept_input(target):
    seeds = list_seeds(target)
    assert seeds, f"no input is kept in {KEPT_INPUTS / target}"
    for data in seeds:
        TARGETS[target](data)


@pytest.mark.slow
@pytest.mark.fault("F22", "F23")
@pytest.mark.parametrize("target", sorted(TARGETS.keys() - WORKBOOKS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_parser_accepts_damaged_and_random_input(target, data):
    inputs = mutated(list_seeds(target)) | (TEXTS | URLS).map(written) | BODIES
    body = data.draw(inputs)
    cpu_before = time.process_time()
    TARGETS[target](body)
    assert time.process_time() - cpu_before < MAX_CPU_SECONDS


def test_every_kept_input_has_a_target():
    assert {folder.name for folder in KEPT_INPUTS.iterdir()} <= set(TARGETS)
