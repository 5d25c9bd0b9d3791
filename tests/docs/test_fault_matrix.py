"""docs/contributing/fault-matrix.md is what the tests say, and every row that we are exposed to has one."""

import ast

import pytest

from tests.support import fault_matrix

ROWS = fault_matrix.rows()


def test_the_page_of_faults_is_as_the_tests_are():
    assert fault_matrix.PAGE.read_text("utf-8") == fault_matrix.page(), "try: make faults"


def test_the_rows_are_sixty_one_and_whole():
    assert list(ROWS) == [f"F{number:02}" for number in range(1, 62)]
    assert all({"area", "fault", "then"} <= row.keys() for row in ROWS.values())


def test_no_test_is_marked_with_a_row_there_is_not():
    assert set(fault_matrix.carriers()) <= set(ROWS)


def test_every_row_has_a_test():
    assert set(ROWS) == set(fault_matrix.carriers())


def test_every_mark_stands_where_the_page_finds_it():
    for file in sorted(fault_matrix.TESTS.rglob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        calls = [node for node in ast.walk(tree) if fault_matrix.is_fault(node)]
        found = list(fault_matrix.marks(tree))
        assert sum(len(call.args) for call in calls) == len(found) == len(set(found)), file
        assert all(test.startswith("test_") for test, _ in found), file


@pytest.mark.parametrize(
    "text",
    [
        '@pytest.mark.fault("F01", "F02")\nasync def test_a(): ...',
        '@pytest.mark.fault("F01")\n@pytest.mark.fault("F02")\ndef test_a(): ...',
        'class Tests:\n    @pytest.mark.fault("F01", "F02")\n    def test_a(self): ...',
    ],
)
def test_a_mark_is_found_on_every_kind_of_test(text):
    assert list(fault_matrix.marks(ast.parse(text))) == [("test_a", "F01"), ("test_a", "F02")]
