"""docs/architecture.md shows the packages and imports of the code."""

import re

from tests.support.architecture_diagram import (
    PAGE,
    ROOT,
    list_packages,
    remove_implied,
    render_page,
)

TEXT = PAGE.read_text("utf-8")


def test_generated_parts_are_up_to_date():
    assert render_page(TEXT) == TEXT, "run: make diagram"


def test_every_package_has_a_responsibility():
    rows = re.findall(r"^\| \[`([\w.]+)`\]\([^)]*\) \| (.*) \|$", TEXT, re.MULTILINE)
    assert [name for name, _ in rows] == list_packages()
    assert [name for name, sentence in rows if len(sentence) < 20] == []


def test_every_file_that_the_page_names_exists():
    names = re.findall(r"`((?:auditor|probes|storage)/[\w/.]+)`", TEXT)
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_function_that_the_walk_names_is_in_its_file():
    steps = re.findall(r"`((?:auditor|probes|storage)/[\w/.]+\.py)`: `(\w+)", TEXT)
    assert steps
    missing = [
        (path, name)
        for path, name in steps
        if not re.search(
            rf"^\s*(?:async )?(?:def|class) {name}\b",
            (ROOT / path).read_text("utf-8"),
            re.MULTILINE,
        )
    ]
    assert missing == []


def test_imports_that_another_path_implies_are_left_out():
    assert remove_implied({("a", "b"), ("b", "c"), ("a", "c")}) == [("a", "b"), ("b", "c")]
