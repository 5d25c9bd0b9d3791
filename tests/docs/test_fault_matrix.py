"""docs/contributing/fault-matrix.md matches the tests, and every row has a test."""

import ast
import re

import pytest

from tests.support import fault_matrix
from tests.support.hostile_server import attacks

ROWS = fault_matrix.load_rows()


def test_fault_matrix_page_is_up_to_date():
    page = fault_matrix.PAGE.read_text("utf-8")
    assert page == fault_matrix.render_page(), "try: make fault-matrix"


def test_page_of_the_hostile_web_is_up_to_date():
    page = attacks.DOCUMENT.read_text("utf-8")
    assert page == attacks.render_document(), "try: make fault-matrix"


def test_attacks_have_unique_host_names():
    names = [attack.name for attack in attacks.ATTACKS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z0-9-]+", name) for name in names)


def test_rows_are_sorted_and_complete():
    assert list(ROWS) == sorted(ROWS)
    assert ROWS.keys() >= {f"F{number:02}" for number in range(1, 62)}
    assert all({"area", "fault", "then"} <= row.keys() for row in ROWS.values())


def test_marks_name_only_existing_rows():
    assert set(fault_matrix.find_tests_by_row()) <= set(ROWS)


def test_every_row_has_a_test():
    assert set(ROWS) == set(fault_matrix.find_tests_by_row())


def test_every_mark_is_on_a_test_function_and_found_once():
    for file in sorted(fault_matrix.TESTS.rglob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        calls = [node for node in ast.walk(tree) if fault_matrix.is_mark(node)]
        marked_tests = list(fault_matrix.iter_marked_tests(tree))
        argument_count = sum(len(call.args) for call in calls)
        assert argument_count == len(marked_tests) == len(set(marked_tests)), file
        assert all(test.startswith("test_") for test, _ in marked_tests), file


@pytest.mark.parametrize(
    "text",
    [
        '@pytest.mark.fault("F01", "F02")\nasync def test_a(): ...',
        '@pytest.mark.fault("F01")\n@pytest.mark.fault("F02")\ndef test_a(): ...',
        'class Tests:\n    @pytest.mark.fault("F01", "F02")\n    def test_a(self): ...',
    ],
)
def test_marks_are_found_on_every_kind_of_test(text):
    marked_tests = list(fault_matrix.iter_marked_tests(ast.parse(text)))
    assert marked_tests == [("test_a", "F01"), ("test_a", "F02")]
