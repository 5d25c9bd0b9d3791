"""Reports known vulnerabilities of the packages that `requirements.lock` pins.

The exit code is 1 if a vulnerability is known, 0 if none is, and also 0 if the vulnerability
service could not be reached or did not know all packages; the output says which. pip-audit's own
exit code is not enough: without its service it prints "No known vulnerabilities found" and returns
0, and with --strict it returns 1 as it does for a vulnerability (tried with pip-audit 2.9,
2026-10).
"""

import json
import re
import subprocess
import sys
from pathlib import Path

PINNED_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
TIMEOUT_SECONDS = 300


def main(lock_file: Path) -> int:
    """Audit a lock file, print the result and return the exit code."""
    command = ["pip-audit", "--strict", "--progress-spinner", "off", "--format", "json"]
    command += ["--disable-pip", "--require-hashes", "--requirement", str(lock_file)]
    try:
        audit = subprocess.run(  # noqa: S603  # a fixed command
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        return report("pip-audit is not installed; try: make audit", exit_code=2)
    except subprocess.TimeoutExpired:
        return report("not run: the vulnerability service did not answer in time")
    packages = parse_packages(audit.stdout)
    vulnerabilities = [line for package in packages for line in describe_vulnerabilities(package)]
    if vulnerabilities:
        return report(
            *vulnerabilities, f"{len(vulnerabilities)} known vulnerabilities", exit_code=1
        )
    is_complete = not any("skip_reason" in package for package in packages)
    if audit.returncode == 0 and packages and is_complete:
        pinned_count = len(PINNED_PACKAGE.findall(lock_file.read_text("utf-8")))
        return report(
            f"no known vulnerability in {len(packages)} of {pinned_count} pinned packages"
        )
    reason = get_last_line(audit.stderr)
    return report(f"not run: the vulnerability service cannot be reached ({reason})")


def parse_packages(output: str) -> list[dict[str, object]]:
    """Return the packages of pip-audit's report, or an empty list if it printed none."""
    try:
        return list(json.loads(output)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return []


def describe_vulnerabilities(package: dict[str, object]) -> list[str]:
    """Return a line for each vulnerability of a package."""
    vulnerabilities = package.get("vulns") or []
    assert isinstance(vulnerabilities, list)
    return [
        f"{package['name']} {package.get('version', '')}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability.get('fix_versions') or ['no version yet'])}"
        for vulnerability in vulnerabilities
    ]


def get_last_line(errors: str) -> str:
    """Return the last line of an error output, at most 300 characters."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no error message"


def report(*lines: str, exit_code: int = 0) -> int:
    """Print lines and return the exit code."""
    sys.stdout.write("".join(f"pip-audit: {line}\n" for line in lines))
    return exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
