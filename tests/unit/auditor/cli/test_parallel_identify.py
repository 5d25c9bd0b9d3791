"""Tests of `map_in_processes`: several processes, results in the order of the items."""

import os

import pytest

from auditor.cli.check import map_in_processes

# a test's process has threads, those of the command line have none
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def double_all(numbers):
    return [2 * number for number in numbers]


def get_process_ids(numbers):
    return [os.getpid() for _ in numbers]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
def test_results_are_in_order_of_items(count):
    assert list(map_in_processes(double_all, range(count), batch_size=10)) == [
        2 * number for number in range(count)
    ]


def test_few_items_need_no_other_process():
    assert set(map_in_processes(get_process_ids, range(10), batch_size=10)) == {os.getpid()}


def test_many_items_use_other_processes_if_there_are_cores(monkeypatch):
    assert (
        set(map_in_processes(get_process_ids, range(30), batch_size=10)) - {os.getpid()}
    ) or len(os.sched_getaffinity(0)) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert set(map_in_processes(get_process_ids, range(30), batch_size=10)) == {os.getpid()}
