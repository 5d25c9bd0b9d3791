"""Inputs that the fuzzer found stay harmless."""

import pytest

from tests.fuzz.service_targets import close_resources
from tests.fuzz.targets import KEPT_INPUTS, TARGETS, list_seeds


@pytest.fixture(autouse=True, scope="module")
def resources():
    """Close what the targets open."""
    yield
    close_resources()


@pytest.mark.fault("F22")
@pytest.mark.parametrize("target", TARGETS)
def test_parser_accepts_every_kept_input(target):
    seeds = list_seeds(target)
    assert seeds, f"no input is kept in {KEPT_INPUTS / target}"
    for data in seeds:
        TARGETS[target](data)


def test_every_kept_input_has_a_target():
    assert {folder.name for folder in KEPT_INPUTS.iterdir()} <= set(TARGETS)
