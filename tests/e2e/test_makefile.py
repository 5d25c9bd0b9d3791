"""`make` creates the virtual environment again whenever it cannot be used."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
STAMP = ".venv/.interpreter"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="apt-get install make")


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(MAKEFILE, folder)
    return folder


def write_python(path, *, venv_works=True, version="3.12.1"):
    """Write a fake interpreter: it prints a version, and creates an environment or fails."""
    create = (
        'mkdir -p "$3/bin" && echo made >> made'
        if venv_works
        else 'mkdir -p "$3/bin"; echo "no ensurepip"; exit 1'
    )
    path.write_text(
        f'#!/bin/sh\ncase "$1" in\n-c) echo {path} {version} ;;\n-m) {create} ;;\nesac\n'
    )
    path.chmod(0o755)
    return path


def make(clone, python):
    return subprocess.run(
        ["make", f"PYTHON={python}", STAMP], cwd=clone, capture_output=True, text=True, check=False
    )


def test_failed_environment_is_removed_and_the_package_to_install_is_named(clone, tmp_path):
    ended = make(clone, write_python(tmp_path / "python", venv_works=False))
    assert ended.returncode != 0
    assert "apt-get install python3-venv" in ended.stderr
    assert not (clone / ".venv").exists()


def test_next_call_succeeds_after_a_failed_one(clone, tmp_path):
    make(clone, write_python(tmp_path / "python", venv_works=False))
    assert make(clone, write_python(tmp_path / "python")).returncode == 0
    assert (clone / STAMP).exists()


def test_environment_is_kept_while_nothing_changes(clone, tmp_path):
    python = write_python(tmp_path / "python")
    assert make(clone, python).returncode == make(clone, python).returncode == 0
    assert (clone / "made").read_text().count("made") == 1


def test_environment_is_created_again_after_a_python_upgrade(clone, tmp_path):
    make(clone, write_python(tmp_path / "python"))
    make(clone, write_python(tmp_path / "python", version="3.12.2"))
    assert (clone / "made").read_text().count("made") == 2


def test_environment_is_created_again_in_a_moved_clone(clone, tmp_path):
    python = write_python(tmp_path / "python")
    make(clone, python)
    moved = clone.rename(tmp_path / "moved")
    make(moved, python)
    assert (moved / "made").read_text().count("made") == 2


def test_environment_half_removed_is_created_again(clone, tmp_path):
    python = write_python(tmp_path / "python")
    make(clone, python)
    (clone / STAMP).unlink()
    make(clone, python)
    assert (clone / "made").read_text().count("made") == 2


@pytest.mark.slow
def test_real_interpreter_creates_a_working_environment(clone):
    assert make(clone, sys.executable).returncode == 0
    subprocess.run([clone / ".venv" / "bin" / "python", "-c", "import pip"], check=True)
