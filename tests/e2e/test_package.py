"""Tests of the built package: description, files, installation outside the repository."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
"""Longest time that `auditor serve` may take to answer. A loaded machine is slow."""


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


@pytest.fixture(scope="module")
def metadata(wheel):
    """Return the metadata of the built wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_package_index_accepts_metadata_and_description(packages):
    files = [str(file) for file in packages.iterdir()]
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("PASSED") == 2


def test_description_has_no_picture_and_no_link_into_repository(metadata):
    description = metadata.get_payload()
    assert description.startswith("# Presence auditor\n\nThe presence auditor checks")
    assert "<img" not in description
    assert re.findall(r"\]\((?!https?:)[^)]*\)", description) == []
    assert "## Commands" in description
    assert "## Licence" in description


def test_wheel_names_every_licence(metadata, wheel):
    licences = metadata.get_all("License-File")
    assert licences == ["LICENSE", "auditor/templates/fonts/LICENSE"]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for licence in licences:
        assert [name for name in names if name.endswith(f".dist-info/licenses/{licence}")]


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


def test_source_package_has_what_a_build_needs(packages):
    (file,) = packages.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = list_tracked_files("auditor", "probes", "storage", "pyproject.toml", "README.md")
    assert needed - names == set()


# --- An installation outside the repository ---


def install_with_pip(wheel, folder):
    """Install a wheel with pip. Return the path of the command."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    command = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", wheel]
    run_installer(command, {})
    return folder / "venv" / "bin" / "auditor"


def install_with_pipx(wheel, folder):
    """Install a wheel with pipx. Return the path of the command."""
    places = {"PIPX_HOME": str(folder / "pipx"), "PIPX_BIN_DIR": str(folder / "bin")}
    command = [sys.executable, "-m", "pipx", "install", "--python", sys.executable, wheel]
    run_installer(command, places)
    return folder / "bin" / "auditor"


def install_with_uv(wheel, folder):
    """Install a wheel with uv. Return the path of the command."""
    places = {"UV_TOOL_DIR": str(folder / "uv"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    command = [sys.executable, "-m", "uv", "tool", "install", "--python", sys.executable, wheel]
    run_installer(command, places)
    return folder / "bin" / "auditor"


INSTALLERS = {"pip": install_with_pip, "pipx": install_with_pipx, "uv": install_with_uv}


def run_installer(command, places):
    """Run an installer with some environment variables more. Skip the test without an index."""
    environment = {**os.environ, **places}
    environment.pop("PYTHONPATH", None)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0 and not is_package_index_reachable():
        pytest.skip("no package index is reachable")
    assert result.returncode == 0, result.stderr[-2000:]


def is_package_index_reachable():
    """Return whether pip finds a small package in its index."""
    command = [sys.executable, "-m", "pip", "index", "versions", "h11"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module", params=INSTALLERS)
def installed(request, wheel, tmp_path_factory):
    """Install the wheel with each installer. Return the path of the command."""
    return INSTALLERS[request.param](wheel, tmp_path_factory.mktemp(request.param))


def run_command(command, *arguments, cwd, **settings):
    """Run an installed command in a folder. Return the result."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), **settings}
    arguments = [str(command), *arguments]
    result = subprocess.run(
        arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result


def find_free_port():
    """Return a port of this machine that no process listens on."""
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return probe_socket.getsockname()[1]


def wait_for_page(url, process):
    """Return the first response of a server. Fail if its process ends before."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        try:
            return httpx.get(url, timeout=START_SECONDS, trust_env=False)
        except httpx.ConnectError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def test_installed_wheel_serves_a_page(installed, tmp_path):
    help_text = run_command(installed, "--help", cwd=tmp_path).stdout
    assert "doctor" in help_text
    run_command(installed, "init", cwd=tmp_path)
    assert (tmp_path / "config.toml").exists()
    port = find_free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with subprocess.Popen(
        [installed, "serve", "--no-schedule"],
        cwd=tmp_path,
        env={**environment, "AUDITOR_WEB__PORT": str(port)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            health = wait_for_page(f"http://127.0.0.1:{port}/healthz", process)
            page = httpx.get(f"http://127.0.0.1:{port}/en/", trust_env=False)
            style = httpx.get(f"http://127.0.0.1:{port}/static/app.css", trust_env=False)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=START_SECONDS)
    assert (health.text, process.returncode) == ("ok\n", 0)
    assert 'type="password"' in page.text
    assert style.status_code == 200


@pytest.mark.parametrize("installed", ["pip"], indirect=True)  # one demo takes a minute
def test_installed_wheel_plays_the_demo(installed, tmp_path):
    run_command(installed, "demo", cwd=tmp_path)
    assert len(list((tmp_path / "demo").rglob("*.html"))) > 100
    shutil.rmtree(tmp_path / "demo")
