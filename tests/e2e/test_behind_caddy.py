"""Tests of `auditor serve` behind a real Caddy: HTTPS for a public and an internal host name."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
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
from tests.support.process_groups import wait_until
from tests.support.smtp_and_http_servers import free_port
from tests.support.web_server import SESSION_COOKIE, get_or_create_user

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
AUDITOR = Path(sys.executable).with_name("auditor")
NAMES = PUBLIC, INTERN = "reports.example.org", "presence.example.org"
URL = re.compile(r"http://127\.0\.0\.1:(\d+)/")
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


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Create a network. Return its folder, a report link and the cookie of a logged-in user."""
    folder = tmp_path_factory.mktemp("network")
    sample_network.played(folder).store.close()
    (folder / "config.toml").write_text(CONFIG)
    url, now = f"sqlite:///{folder}/auditor.db", datetime.now(UTC)
    config = load_config(folder / "config.toml", {"AUDITOR_STORAGE__URL": url})
    with App.open(config) as app:
        refresh_summaries(app.store, app.config)
        _, link = report_links.create_report_link(app.store, app.config, "nour", "Amina", now)
        token = users.start_session(app.store, get_or_create_user(app.store), now)
    return folder, link, f"__Host-{SESSION_COOKIE}={token}"


@pytest.fixture(scope="module")
def auditor_port(network):
    """Serve the pages on localhost. Yield their port."""
    with subprocess.Popen(
        [AUDITOR, "serve", "--no-schedule"],
        cwd=network[0],
        env={**os.environ, "AUDITOR_WEB__PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        port = next(filter(None, map(URL.search, process.stderr)))[1]
        # The server listens before it handles SIGTERM: wait for its first response.
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
        yield port
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.fixture(scope="module")
def get_page(auditor_port, tmp_path_factory):
    """Run Caddy with the file of `deploy/`. Yield a function that requests a page as browsers do.

    `get_page(host_name, path, **headers)` returns a response.
    """
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    home, port = tmp_path_factory.mktemp("caddy"), free_port()
    global_options = f"""{{
        admin off
        local_certs
        skip_install_trust
        https_port {port}
        http_port {free_port()}
    """
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    (home / "Caddyfile").write_text(caddyfile.replace("{\n", global_options, 1))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_DATA_HOME": str(home)}
    env |= {"AUDITOR": f"127.0.0.1:{auditor_port}"}
    command = [caddy, "run", "--config", str(home / "Caddyfile")]
    with (home / "log").open("w") as log, subprocess.Popen(command, env=env, stderr=log) as process:
        # It refuses connections before it has a certificate for both names.
        certificates = home / "caddy" / "certificates" / "local"
        wait_until(lambda: all((certificates / name / f"{name}.json").exists() for name in NAMES))
        authority = home / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        context = ssl.create_default_context(cafile=str(authority))
        with httpx.Client(verify=context, trust_env=False) as client:
            yield lambda name, path, **headers: client.get(
                f"https://127.0.0.1:{port}{path}",
                headers={"host": name, **headers},
                extensions={"sni_hostname": name},
            )
        process.terminate()


def test_public_name_shows_only_reports(get_page, network):
    _, link, user = network
    opened = get_page(PUBLIC, link.removeprefix(f"https://{PUBLIC}"))
    assert opened.status_code == 303
    session_cookie = opened.headers["set-cookie"].partition(";")[0]
    report = get_page(PUBLIC, opened.headers["location"], cookie=session_cookie)
    assert report.status_code == 200
    assert "جمعية النور" in report.text
    pages = ("/", "/en/", "/en/associations", "/en/report-links", "/metrics", "/en/registry")
    for path in (*pages, "/login"):
        assert get_page(PUBLIC, path, cookie=user).status_code == 404, path
    assert get_page(PUBLIC, "/healthz").text == "ok\n"


def test_internal_name_requires_a_login(get_page, network):
    response = get_page(INTERN, "/en/")
    assert response.status_code == 401
    assert 'type="password"' in response.text
    assert "strict-transport-security" in response.headers
    assert "nour" not in response.text.lower()
    assert get_page(INTERN, "/metrics").status_code == 401
    logged_in = get_page(INTERN, "/en/associations", cookie=network[2])
    assert "/en/associations/nour" in logged_in.text
    assert get_page(INTERN, "/healthz").text == "ok\n"
