"""Writes docs/contributing/fault-matrix.md (`make fault-matrix`).

Each row of tests/fixtures/data/faults.toml is listed with the tests that are marked with it. The
test files are parsed, not imported: a row is also found if the requirements of its test are
missing.
"""

import ast
import tomllib
from collections import defaultdict
from functools import cache
from itertools import groupby
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "contributing" / "fault-matrix.md"
INTRODUCTION = """# Fault matrix

What can go wrong on the web, the disk, the clock or the side of a user, and how the auditor reacts.
`make fault-matrix` writes this page from `tests/fixtures/data/faults.toml` and from the tests that
are marked with a row. Most of these tests use real sockets, files and processes, and the
misbehaving servers of `tests/support/hostile_server/`. Tests that play whole runs set the clock
themselves. Many serve the web too.

A fault of a server is a finding with one reason of a closed list. It is never an exception, and
never an absence unless the absence is proven. A local fault (a full disk, a lock, an unreadable
spreadsheet) ends the command with one line and an exit code. No stored result is lost.
"""


def load_rows():
    """Return the rows by id, in the order of the file."""
    return tomllib.loads((TESTS / "fixtures" / "data" / "faults.toml").read_text("utf-8"))


def iter_marked_tests(tree, mark_name="fault"):
    """Yield a pair of test name and row id for each mark in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if is_mark(mark, mark_name):
                    for argument in mark.args:
                        yield node.name, ast.literal_eval(argument)


def is_mark(node, name="fault"):
    """Return True if a node is a call of the mark with a name."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{name}"


@cache
def find_tests_by_row():
    """Return the tests of each row by file: {"F01": {"test_guard.py": ["test_…"]}}."""
    tests_by_row = defaultdict(lambda: defaultdict(list))
    for file in sorted(TESTS.rglob("test_*.py")):
        relative_path = file.relative_to(TESTS).as_posix()
        for test, row_id in iter_marked_tests(ast.parse(file.read_text("utf-8"))):
            tests_by_row[row_id][relative_path].append(test)
    return tests_by_row


def render_page():
    """Return the Markdown text of the whole page."""
    rows = load_rows()
    areas = list(dict.fromkeys(row["area"] for row in rows.values()))
    ordered_rows = sorted(rows.items(), key=lambda item: (areas.index(item[1]["area"]), item[0]))
    sections = [
        _render_area(area, list(area_rows))
        for area, area_rows in groupby(ordered_rows, key=lambda item: item[1]["area"])
    ]
    return "\n".join([INTRODUCTION, *sections])


def _render_area(area, rows):
    table = [f"| {row_id} | {row['fault']} | {row['then']} |" for row_id, row in rows]
    tests = [f"- {row_id}: {_render_tests(row_id)}" for row_id, _ in rows]
    head = ["", "| row | fault | what happens |", "|---|---|---|"]
    return "\n".join([f"## {area.capitalize()}", *head, *table, "", *tests, ""])


def _render_tests(row_id):
    tests_by_file = find_tests_by_row().get(row_id, {})
    if not tests_by_file:
        return "not tested yet"
    links = []
    for file, tests in tests_by_file.items():
        names = ", ".join(f"`{test}`" for test in tests)
        links.append(f"[{file}](../../tests/{file}) {names}")
    return "; ".join(links)


if __name__ == "__main__":
    PAGE.write_text(render_page(), "utf-8")
