"""What documents name exists, and their lists are complete."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from click.testing import CliRunner

from auditor.cli.main import build_command_line
from tests.support.all_commands import commands

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "config.toml").read_text("utf-8")
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs" / "reference.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
)
COMMANDS = re.compile(r"^(?:\$ )?auditor ([^\n#|>]+)|`auditor (?!COMMAND)([^`\n]+)`", re.MULTILINE)
SETTINGS = re.compile(r"`\[([a-z_.]+)\](?: ([a-z_]+))?")


def list_settings():
    """Return pairs of table and setting in config.toml, also of those that are not set."""
    pairs, table = set(), ""
    for line in CONFIGURATION.splitlines():
        if match := re.match(r"(?:# )?\[+([a-z_.]+)\]+$", line):
            table = match[1]
            pairs.add((table, ""))
        elif match := re.match(r"(?:# )?([a-z_]+) = ", line):
            pairs.add((table, match[1]))
    return pairs


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_settings_of_documents_exist(path):
    text, program = path.read_text("utf-8"), typer.main.get_command(build_command_line())
    typed = {"".join(groups).strip() for groups in COMMANDS.findall(text)}
    unknown = [
        line
        for line in typed
        if CliRunner().invoke(program, [*shlex.split(line), "--help"]).exit_code
    ]
    assert unknown == []
    assert set(SETTINGS.findall(text)) - list_settings() == set()


def test_reference_has_a_row_for_each_command():
    table, *_ = (ROOT / "docs" / "reference.md").read_text("utf-8").split("## Common options")
    rows = set(re.findall(r"^\| `([a-z -]+?)(?: [A-Z].*)?`", table, re.MULTILINE))
    assert rows == set(commands())


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_architecture_shows_every_package_and_names_existing_functions():
    packages = {
        f"{top}.{path.stem}"
        for top in ("auditor", "storage", "probes")
        for path in (ROOT / top).iterdir()
        if (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem[0] != "_")
    }
    for line_of_package in (r"^\| \[`([\w.]+)`\]", r"^ +([\w.]+)\["):
        assert set(re.findall(line_of_package, ARCHITECTURE, re.MULTILINE)) == packages
    steps = re.findall(r"`((?:auditor|probes|storage)/[\w/.]+\.py)`: `(\w+)", ARCHITECTURE)
    assert steps
    for path, name in steps:
        pattern = rf"^\s*(?:async )?(?:def|class) {name}\b"
        assert re.search(pattern, (ROOT / path).read_text("utf-8"), re.MULTILINE), (path, name)


def test_every_row_of_the_fault_matrix_has_a_test():
    page = (ROOT / "docs" / "contributing" / "fault-matrix.md").read_text("utf-8")
    rows = re.findall(r"^- \*\*(F\d+) ", page, re.MULTILINE)
    sources = [file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    marks = [mark for text in sources for mark in re.findall(r"mark\.fault\(([^)]*)\)", text)]
    assert set(rows) == {row for mark in marks for row in re.findall(r"F\d+", mark)}
