"""`make check` reports unclear docstrings and marker words, with file and line."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "check_text.py"


def check_text(folder):
    result = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False
    )
    assert not result.stderr
    return result.returncode, result.stdout.splitlines()


def create_project(folder, module, document):
    (folder / "probes").mkdir()
    (folder / "probes" / "urls.py").write_text(module)
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(document)
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "config.toml"):
        (folder / name).write_text("")


def test_unclear_docstrings_and_documents_are_reported(tmp_path):
    create_project(
        tmp_path,
        'def is_old():\n    """Whether it is old."""\n',
        "# Index\n\nAsk whoever runs it.\n",
    )
    exit_code, lines = check_text(tmp_path)
    assert exit_code == 1
    assert [line.split(": ")[0] for line in lines] == ["probes/urls.py:1", "docs/index.md:3"]


def test_clear_text_and_code_blocks_pass(tmp_path):
    create_project(
        tmp_path,
        'def is_old():\n    """Return True if it is old."""\n',
        "# Index\n\n```console\n$ echo whoever\n```\n",
    )
    assert check_text(tmp_path) == (0, [])


def test_make_check_checks_the_text():
    assert ".ci/check_text.py" in (ROOT / "Makefile").read_text()
