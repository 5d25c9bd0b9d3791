"""`make audit` fails for known vulnerabilities and reports when it could not check."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAFE = {"name": "jinja2", "version": "3.1.6", "vulns": []}
VULNERABLE = {
    "name": "h11",
    "version": "0.14",
    "vulns": [{"id": "GHSA-vqfr", "fix_versions": ["0.16"]}],
}
SKIPPED = {"name": "jinja2", "skip_reason": "not found on PyPI"}
SUCCESS_MESSAGE = "No known vulnerabilities found"


def report(*packages):
    return json.dumps({"dependencies": packages, "fixes": []})


def run_audit(folder, output, errors, code):
    """Run the script with a pip-audit that prints these texts; return exit code and output."""
    fake = folder / "pip-audit"
    body = f"sys.stdout.write({output!r}); sys.stderr.write({errors!r}); sys.exit({code})"
    fake.write_text(f"#!{sys.executable}\nimport sys\nassert '--strict' in sys.argv\n{body}\n")
    fake.chmod(0o755)
    lock = folder / "requirements.lock"
    lock.write_text("h11==0.16.0 \\\n    --hash=sha256:00\njinja2==3.1.6 ; python_version > '3'\n")
    script = [sys.executable, str(ROOT / ".ci" / "audit.py"), str(lock)]
    result = subprocess.run(
        script, env=os.environ | {"PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert not result.stderr
    return result.returncode, result.stdout


@pytest.mark.parametrize(
    ("output", "errors", "code", "exit_code", "message"),
    [
        (
            report(SAFE, SAFE),
            SUCCESS_MESSAGE,
            0,
            0,
            "pip-audit: no known vulnerability in 2 of 2 pinned packages",
        ),
        (
            report(SAFE, VULNERABLE),
            "Found 1",
            1,
            1,
            "pip-audit: h11 0.14: GHSA-vqfr, fixed in 0.16\n",
        ),
        (
            "",
            "ERROR: Failed to connect\n",
            1,
            0,
            "pip-audit: not run: the vulnerability service cannot be reached (ERROR",
        ),
        (
            report(SKIPPED, SKIPPED),
            SUCCESS_MESSAGE,
            0,
            0,
            "pip-audit: not run: the vulnerability service cannot be reached",
        ),
        (
            report(),
            SUCCESS_MESSAGE,
            0,
            0,
            "pip-audit: not run: the vulnerability service cannot be reached",
        ),
    ],
    ids=["safe", "vulnerable", "no service", "packages skipped", "no packages"],
)
def test_audit_reports_one_of_three_results(tmp_path, output, errors, code, exit_code, message):  # noqa: PLR0917
    result, printed = run_audit(tmp_path, output, errors, code)
    assert result == exit_code
    assert message in printed
    assert ("no known" in printed) == (output == report(SAFE, SAFE))


def test_missing_pip_audit_is_reported_with_a_remedy(tmp_path):
    (tmp_path / "requirements.lock").write_text("h11==0.16.0\n")
    script = [sys.executable, str(ROOT / ".ci" / "audit.py"), str(tmp_path / "requirements.lock")]
    result = subprocess.run(
        script, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (
        2,
        "pip-audit: pip-audit is not installed; try: make audit\n",
    )


def test_make_and_ci_run_the_audit():
    assert "make audit" in (ROOT / ".ci" / "run").read_text()
    assert ".ci/audit.py requirements.lock" in (ROOT / "Makefile").read_text()
