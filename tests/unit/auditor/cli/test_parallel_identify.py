"""Work on many items: by several processes, and told in the order in which the items came."""

import os

import pytest

from auditor.cli.check import map_in_processes

# a test's process has threads, those of the command line have none
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def doubled(numbers):
    return [2 * number for number in numbers]


def where(numbers):
    return [os.getpid() for _ in numbers]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
def test_what_is_made_comes_in_the_order_of_the_items(count):
    assert list(map_in_processes(doubled, range(count), batch_size=10)) == [
        2 * number for number in range(count)
    ]


def test_few_items_need_no_other_process():
    assert set(map_in_processes(where, range(10), batch_size=10)) == {os.getpid()}


def test_many_items_have_others_where_there_are_cores(monkeypatch):
    assert (set(map_in_processes(where, range(30), batch_size=10)) - {os.getpid()}) or len(
        os.sched_getaffinity(0)
    ) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert set(map_in_processes(where, range(30), batch_size=10)) == {os.getpid()}
