"""Unfinished files of processes that were killed do not stay: they may hold personal data."""

import signal
import subprocess
import sys

import pytest

from storage.files.durable_files import delete_abandoned_files, replace_atomically

DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from storage.files.durable_files import replace_atomically

with replace_atomically(Path(sys.argv[1])) as unfinished:
    for end in ("", "-journal"):
        unfinished.with_name(unfinished.name + end).write_text("secret")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.smoke
def test_next_write_deletes_what_a_killed_process_left(tmp_path):
    command = [sys.executable, "-c", DIE_WHILE_WRITING, str(tmp_path / "first.db")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    with replace_atomically(tmp_path / "second.db") as unfinished:
        assert list(tmp_path.iterdir()) == [unfinished]
    assert [file.name for file in tmp_path.iterdir()] == ["second.db"]


def test_file_that_cannot_be_opened_stays(tmp_path):
    """Such as that of another user in /tmp."""
    foreign = tmp_path / ".unfinished-12345678"
    foreign.mkdir()
    with replace_atomically(tmp_path / "first.db"):
        assert foreign.exists()


def test_unfinished_file_of_a_running_process_stays(tmp_path):
    with replace_atomically(tmp_path / "first.db") as unfinished:
        log = unfinished.with_name(f"{unfinished.name}-journal")
        log.write_text("in use")
        delete_abandoned_files(tmp_path)
        assert set(tmp_path.iterdir()) == {unfinished, log}
