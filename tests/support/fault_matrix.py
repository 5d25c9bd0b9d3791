"""Writes docs/contributing/fault-matrix.md: the rows of data/faults.toml, each with the tests marked with it.

    python -m tests.support.fault_matrix

The tests are read, not imported, so that a row can be told where a test's own needs are not there.
"""

import ast
import tomllib
from collections import defaultdict
from functools import cache
from itertools import groupby
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "contributing" / "fault-matrix.md"
HEAD = """# Faults

What can go wrong between us and the web, our disk, our clock and our readers, and what the auditor makes of
it. `make faults` writes this page from `tests/fixtures/data/faults.toml` and from the tests that are marked
with a row. Most of them work over real sockets, files and processes, with the misbehaving servers of
`tests/support/hostile_server/`; where one plays whole nights, the clock is its own, and often the web.

A fault of a server is a finding with one reason of the closed set, never an exception, and never an absence
unless the absence was proved. A fault of ours (a full disk, a lock, a sheet that cannot be read) ends the
command with one line and an exit code, and loses nothing that was recorded.
"""


def rows():
    """The rows by id, in their order."""
    return tomllib.loads((TESTS / "fixtures" / "data" / "faults.toml").read_text("utf-8"))


def marks(tree):
    """Pairs of a test and a row it is marked with, as they stand in a module."""
    for one in ast.walk(tree):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in filter(is_fault, one.decorator_list):
                yield from ((one.name, ast.literal_eval(row)) for row in mark.args)


def is_fault(node):
    """Whether a node is a call of the marker."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"


@cache
def carriers():
    """The tests of each row, by their file: {"F01": {"test_guard.py": ["test_…"]}}."""
    found = defaultdict(lambda: defaultdict(list))
    for file in sorted(TESTS.rglob("test_*.py")):
        for test, row in marks(ast.parse(file.read_text("utf-8"))):
            found[row][file.relative_to(TESTS).as_posix()].append(test)
    return found


def page():
    """The whole page."""
    tests = carriers()
    areas = groupby(sorted(rows().items(), key=_by_area), lambda row: row[1]["area"])
    return "\n".join([HEAD, *(_area(area, list(several), tests) for area, several in areas)])


def _by_area(row):
    areas = list(dict.fromkeys(one["area"] for one in rows().values()))
    return areas.index(row[1]["area"]), row[0]


def _area(name, several, tests):
    table = [f"| {row} | {of['fault']} | {of['then']} |" for row, of in several]
    proofs = [f"- {row}: {_proof(of, tests.get(row, {}))}" for row, of in several]
    head = ["", "| row | fault | what happens |", "|---|---|---|"]
    return "\n".join([f"## {name.capitalize()}", *head, *table, "", *proofs, ""])


def _proof(row, files):
    if not files:
        return "not there yet"
    named = (f"[{file}](../../tests/{file}) {_names(tests)}" for file, tests in files.items())
    return "; ".join(named)


def _names(tests):
    return ", ".join(f"`{test}`" for test in tests)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
