"""Tests of `identify`: several processes, results in the order of the items, size of its input."""

import os

import pytest

from auditor.cli import check, main
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


@pytest.mark.parametrize(("limit", "exit_code"), [(21, 0), (20, 0), (19, 3)])
def test_list_of_links_has_a_limit(tmp_path, monkeypatch, capsys, limit, exit_code):
    monkeypatch.setattr(check, "MAX_LIST_BYTES", limit)  # 256 MB would be slow
    file = tmp_path / "links.txt"
    file.write_text("https://nour.example")
    assert main.main(["identify", str(file)]) == exit_code
    assert ("split it into several files" in capsys.readouterr().err) is (exit_code == 3)


def test_endless_list_of_links_is_refused(monkeypatch):
    monkeypatch.setattr(check, "MAX_LIST_BYTES", 20)
    assert main.main(["identify", "/dev/zero"]) == 3
