"""Tests that output longer than the buffer of a pipe arrives completely, despite signals."""

import os
import subprocess
import sys

import pytest

LENGTH = 3_000_000
INTERRUPT_BY_TIMER = """
import signal
from auditor.core import runtime
runtime.prepare_streams()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
"""
CODE_BY_FUNCTION = {
    "data": f"from auditor.cli.output import print_data; print_data('é' * {LENGTH})",
    "parts": (
        f"from auditor.cli.output import print_data_parts; "
        f"print_data_parts(['é'] * {LENGTH // 100} + ['é' * {LENGTH}])"
    ),
    "bytes": (
        f"from auditor.cli.output import print_bytes; "
        f"print_bytes([b'x' * {LENGTH}], is_readable=True)"
    ),
    "message": f"from auditor.cli.output import print_message; print_message('x' * {LENGTH})",
}
EXPECTED_LENGTHS = {
    "data": 2 * LENGTH + 1,
    "parts": 2 * LENGTH + LENGTH // 50 + 1,
    "bytes": LENGTH,
    "message": LENGTH + 1,
}


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_command_with_a_closed_stream_does_its_work(tmp_path, closed):
    (tmp_path / "sheet.csv").write_text("name,website\nNour,https://nour.example/\n")
    program = "import sys; from auditor.cli.main import main; sys.exit(main())"
    command = f"{sys.executable} -c '{program}' registry validate sheet.csv {closed}"
    result = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, check=False, cwd=tmp_path, text=True
    )
    assert (result.returncode, result.stdout) == (0, "")
    assert "unexpected" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("function", CODE_BY_FUNCTION)
def test_long_output_arrives_completely(function, unbuffered):
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    code = (
        f"{INTERRUPT_BY_TIMER}{CODE_BY_FUNCTION[function]}\nsignal.setitimer(signal.ITIMER_REAL, 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environ, check=True
    )
    assert len(result.stdout or result.stderr) == EXPECTED_LENGTHS[function]


@pytest.mark.slow
def test_full_disk_for_the_output_is_one_line():
    program = "import sys; from auditor.cli.main import main; sys.exit(main())"
    command = f"{sys.executable} -c '{program}' identify https://x.com/a >/dev/full"
    result = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert "no space is left on the disk" in result.stderr
