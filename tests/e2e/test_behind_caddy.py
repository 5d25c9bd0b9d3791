"""Tests of `auditor serve` behind a real Caddy: HTTPS for a public and an internal host name."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from auditor.app import App
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import load_config
from auditor.presentation import report_links
from auditor.web import users
from tests.support import sample_network
from tests.support.web_server import SESSION_COOKIE, get_or_create_user

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
AUDITOR = Path(sys.executable).with_name("auditor")
PUBLIC, INTERN = "reports.example.org", "presence.example.org"
CONFIG = f"""
[storage]
folder = "."
url = "sqlite:///auditor.db"
[web]
public_url = "https://{PUBLIC}"
allowed_hosts = ["{INTERN}"]
trusted_proxies = ["127.0.0.1"]
[channels]
website = {{}}
facebook = {{}}
twitter = {{}}
linkedin = {{}}
youtube = {{}}
"""


def find_free_port():
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return probe_socket.getsockname()[1]


def wait_for_port(port, process):
    """Wait until a process listens on a port of this machine."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        with socket.socket() as probe_socket:
            if probe_socket.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nothing listens on the port")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Create a folder with a network. Return it and a report link."""
    network_folder = tmp_path_factory.mktemp("network")
    sample_network.played(network_folder).store.close()
    (network_folder / "config.toml").write_text(CONFIG)
    with App.open(
        load_config(
            network_folder / "config.toml",
            {"AUDITOR_STORAGE__URL": f"sqlite:///{network_folder}/auditor.db"},
        )
    ) as app:
        refresh_summaries(app.store, app.config)
        _, link = report_links.create_report_link(
            app.store, app.config, "nour", "Amina", datetime.now(UTC)
        )
    return network_folder, link


@pytest.fixture(scope="module")
def auditor_port(folder):
    """Serve the pages on localhost. Yield their port."""
    port = find_free_port()
    env = {**os.environ, "AUDITOR_WEB__PORT": str(port)}
    with subprocess.Popen(
        [AUDITOR, "serve", "--no-schedule"],
        cwd=folder[0],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for_port(port, process)
        # The server listens before it handles SIGTERM: wait for its first response.
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
        yield port
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.fixture(scope="module")
def caddy_proxy(auditor_port, tmp_path_factory):
    """Run Caddy with the file of `deploy/`. Yield its port and its certificate authority."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    home, port = tmp_path_factory.mktemp("caddy"), find_free_port()
    global_options = f"""{{
        admin off
        local_certs
        skip_install_trust
        https_port {port}
        http_port {find_free_port()}
    """
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    (home / "Caddyfile").write_text(caddyfile.replace("{\n", global_options, 1))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_DATA_HOME": str(home)}
    env |= {"AUDITOR": f"127.0.0.1:{auditor_port}"}
    command = [caddy, "run", "--config", str(home / "Caddyfile")]
    with (home / "log").open("w") as log, subprocess.Popen(command, env=env, stderr=log) as process:
        wait_for_port(port, process)
        wait_for_certificates(home)
        authority = home / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        yield port, ssl.create_default_context(cafile=str(authority))
        process.terminate()


def wait_for_certificates(home):
    """Wait until Caddy has a certificate for both names: it refuses connections before that."""
    certificates = home / "caddy" / "certificates" / "local"
    deadline = time.monotonic() + 60
    while not all((certificates / name / f"{name}.json").exists() for name in (PUBLIC, INTERN)):
        assert time.monotonic() < deadline, (home / "log").read_text()
        time.sleep(0.05)


@pytest.fixture
def user(folder):
    """Return the cookie of a logged-in user."""
    url = f"sqlite:///{folder[0]}/auditor.db"
    with App.open(load_config(folder[0] / "config.toml", {"AUDITOR_STORAGE__URL": url})) as app:
        user = get_or_create_user(app.store)
        token = users.start_session(app.store, user, datetime.now(UTC))
        return f"__Host-{SESSION_COOKIE}={token}"


@pytest.fixture
def get_page(caddy_proxy):
    """Return a function that requests a page of a host name from Caddy, as a browser does."""
    port, context = caddy_proxy

    def send_request(name, path, **headers):
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.get(
                f"https://127.0.0.1:{port}{path}",
                headers={"host": name, **headers},
                extensions={"sni_hostname": name},
            )

    return send_request


def test_public_name_shows_only_reports(get_page, folder):
    opened = get_page(PUBLIC, folder[1].removeprefix(f"https://{PUBLIC}"))
    assert opened.status_code == 303
    session_cookie = opened.headers["set-cookie"].partition(";")[0]
    report = get_page(PUBLIC, opened.headers["location"], cookie=session_cookie)
    assert report.status_code == 200
    assert "جمعية النور" in report.text
    for path in (
        "/",
        "/en/",
        "/en/associations",
        "/en/report-links",
        "/metrics",
        "/en/registry",
        "/login",
    ):
        assert get_page(PUBLIC, path).status_code == 404, path


def test_internal_name_requires_login(get_page):
    response = get_page(INTERN, "/en/")
    assert response.status_code == 401
    assert 'type="password"' in response.text
    assert "strict-transport-security" in response.headers
    assert "nour" not in response.text.lower()
    assert get_page(INTERN, "/metrics").status_code == 401


def test_login_works_only_over_https_on_internal_name(get_page, user):
    response = get_page(INTERN, "/en/", cookie=user)
    assert response.status_code == 200
    assert "Association Nour" in response.text or "النور" in response.text
    assert get_page(PUBLIC, "/en/", cookie=user).status_code == 404


def test_both_names_answer_health_checks(get_page):
    assert [get_page(name, "/healthz").text for name in (PUBLIC, INTERN)] == ["ok\n", "ok\n"]
