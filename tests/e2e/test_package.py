"""Tests of the built package: description, files, installation outside the repository."""

import os
import re
import signal
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]

ROOT = Path(__file__).resolve().parents[2]
URL = re.compile(r"http://127\.0\.0\.1:\d+/")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Build the wheel and the source package. Return the folder with both."""
    folder = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(packages):
    """Return the path of the built wheel."""
    (wheel,) = packages.glob("*.whl")
    return wheel


def test_package_index_accepts_description_without_pictures_and_relative_links(packages, wheel):
    files = [str(file) for file in packages.iterdir()]
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.count("PASSED")) == (0, 2), result.stdout
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        description = Parser().parsestr(archive.read(name).decode()).get_payload()
    assert description.startswith("# Presence auditor\n\nFor networks of associations.")
    assert re.findall(r"<img|\]\((?!https?:)[^)]*\)", description) == []
    assert "## Licence" in description


def list_tracked_files(*folders):
    """Return the files of some folders that Git tracks."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *folders]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip("the tests do not run in a Git repository")
    return set(result.stdout.rstrip("\0").split("\0"))


def test_wheel_has_all_files_of_its_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = list_tracked_files("auditor", "probes", "storage")
    assert tracked - names == set()
    assert names - tracked == {"auditor/config.toml"}


# --- An installation outside the repository ---


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel with pip. Return the path of the command."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    command = [sys.executable, "-m", "uv", "pip", "install", "--python", python, wheel]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0 and not is_package_index_reachable():
        pytest.skip("no package index is reachable")
    assert result.returncode == 0, result.stderr[-2000:]
    return python.with_name("auditor")


def is_package_index_reachable():
    """Return whether pip finds a small package in its index."""
    command = [sys.executable, "-m", "pip", "index", "versions", "h11"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_installed_wheel_serves_a_page(installed, tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AUDITOR_WEB__PORT": "0"}
    subprocess.run([installed, "init"], cwd=tmp_path, env=environment, check=True)
    with subprocess.Popen(
        [installed, "serve", "--no-schedule"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            url = next(filter(None, map(URL.search, process.stderr)))[0]
            responses = [
                httpx.get(f"{url}{path}", timeout=60, trust_env=False)
                for path in ("healthz", "en/", "static/app.css")
            ]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert [response.status_code for response in responses] == [200, 401, 200]
    assert 'type="password"' in responses[1].text
    assert process.returncode == 0
