"""Known vulnerabilities of what `requirements.lock` pins, as pip-audit's service tells them.

Three outcomes: none is known (0); some are (1); or the service did not tell of every package, which is
neither and is said so (0). pip-audit alone cannot be believed: without its service it says "No known
vulnerabilities found" and ends with 0, while it asked nobody (tried 2026-10), and with --strict it ends with
1 as it does for a vulnerability.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
PATIENCE = 300


def main(lock: Path) -> int:
    """Audit a lock file and tell what came of it."""
    asked = ["pip-audit", "--strict", "--progress-spinner", "off", "--format", "json"]
    asked += ["--disable-pip", "--require-hashes", "--requirement", str(lock)]
    try:
        told = subprocess.run(  # noqa: S603
            asked, capture_output=True, text=True, timeout=PATIENCE, check=False
        )  # fixed words
    except FileNotFoundError:
        return say("pip-audit is not installed; try: make audit", code=2)
    except subprocess.TimeoutExpired:
        return say("not run: its service did not answer in time")
    packages = packages_of(told.stdout)
    if found := [line for package in packages for line in vulnerabilities_of(package)]:
        return say(*found, f"{len(found)} known vulnerabilities", code=1)
    pinned, audited = len(PINNED.findall(lock.read_text("utf-8"))), len(packages)
    if (
        told.returncode == 0
        and packages
        and not any("skip_reason" in package for package in packages)
    ):
        return say(f"no known vulnerability in {audited} packages, of {pinned} that are pinned")
    return say(f"not run: its service cannot be reached ({why(told.stderr)})")


def packages_of(output: str) -> list[dict[str, object]]:
    """The packages that pip-audit tells of; none where it ended without a report."""
    try:
        return list(json.loads(output)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return []


def vulnerabilities_of(package: dict[str, object]) -> list[str]:
    """A line for each vulnerability of a package."""
    found = package.get("vulns") or []
    assert isinstance(found, list)
    return [
        f"{package['name']} {package.get('version', '')}: {one['id']}, mended in "
        f"{', '.join(one.get('fix_versions') or ['no version yet'])}"
        for one in found
    ]


def why(errors: str) -> str:
    """The last line of what went wrong."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it told nothing"


def say(*lines: str, code: int = 0) -> int:
    """Print lines, and give the exit code that goes with them."""
    sys.stdout.write("".join(f"pip-audit: {line}\n" for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
