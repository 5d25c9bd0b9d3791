"""`make audit` fails on what is known to be vulnerable, and calls nothing sound that nobody looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
SOUND = {"name": "jinja2", "version": "3.1.6", "vulns": []}
HURT = {"name": "h11", "version": "0.14", "vulns": [{"id": "GHSA-vqfr", "fix_versions": ["0.16"]}]}
SKIPPED = {"name": "jinja2", "skip_reason": "not found on PyPI"}
CLEAN = "No known vulnerabilities found"


def report(*packages):
    return json.dumps({"dependencies": packages, "fixes": []})


def audited(folder, output, errors, code):
    """What the step says and how it ends, with such a pip-audit on the path."""
    fake = folder / "pip-audit"
    told = f"sys.stdout.write({output!r}); sys.stderr.write({errors!r}); sys.exit({code})"
    fake.write_text(f"#!{sys.executable}\nimport sys\nassert '--strict' in sys.argv\n{told}\n")
    fake.chmod(0o755)
    lock = folder / "requirements.lock"
    lock.write_text("h11==0.16.0 \\\n    --hash=sha256:00\njinja2==3.1.6 ; python_version > '3'\n")
    script = [sys.executable, str(HERE / ".ci" / "audit.py"), str(lock)]
    ended = subprocess.run(
        script, env=os.environ | {"PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert not ended.stderr
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(
    ("output", "errors", "code", "ends", "says"),
    [
        (
            report(SOUND, SOUND),
            CLEAN,
            0,
            0,
            "pip-audit: no known vulnerability in 2 packages, of 2",
        ),
        (report(SOUND, HURT), "Found 1", 1, 1, "pip-audit: h11 0.14: GHSA-vqfr, mended in 0.16\n"),
        (
            "",
            "ERROR: Failed to connect\n",
            1,
            0,
            "pip-audit: not run: its service cannot be reached (ERROR",
        ),
        (
            report(SKIPPED, SKIPPED),
            CLEAN,
            0,
            0,
            "pip-audit: not run: its service cannot be reached",
        ),
        (report(), CLEAN, 0, 0, "pip-audit: not run: its service cannot be reached"),
    ],
    ids=["sound", "vulnerable", "no service", "a false green", "nothing asked"],
)
def test_an_audit_ends_in_one_of_three_ways(tmp_path, output, errors, code, ends, says):  # noqa: PLR0917
    ended, said = audited(tmp_path, output, errors, code)
    assert ended == ends
    assert says in said
    assert ("no known" in said) == (output == report(SOUND, SOUND))


def test_an_audit_without_pip_audit_fails_plainly(tmp_path):
    (tmp_path / "requirements.lock").write_text("h11==0.16.0\n")
    script = [sys.executable, str(HERE / ".ci" / "audit.py"), str(tmp_path / "requirements.lock")]
    ended = subprocess.run(
        script, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (
        2,
        "pip-audit: pip-audit is not installed; try: make audit\n",
    )


def test_ci_and_make_know_the_audit():
    assert "make audit" in (HERE / ".ci" / "run").read_text()
    assert ".ci/audit.py requirements.lock" in (HERE / "Makefile").read_text()
