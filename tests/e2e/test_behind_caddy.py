"""A real Caddy before a real `auditor serve`: HTTPS for two names, each with what is meant for it alone."""

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

from auditor import report_links
from auditor.app import App
from auditor.config.schema import load_config
from auditor.evaluation.run_results import refresh_summaries
from auditor.users import service
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


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until_there(port, process):
    """Wait until something listens on a port of this machine."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("it never came")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a network in it, and its link to a report."""
    made = tmp_path_factory.mktemp("network")
    sample_network.played(made).store.close()
    (made / "config.toml").write_text(CONFIG)
    with App.open(
        load_config(made / "config.toml", {"AUDITOR_STORAGE__URL": f"sqlite:///{made}/auditor.db"})
    ) as app:
        refresh_summaries(app.store, app.config)
        _, link = report_links.create_report_link(
            app.store, app.config, "nour", "Amina", datetime.now(UTC)
        )
    return made, link


@pytest.fixture(scope="module")
def served(folder):
    """The auditor's pages on loopback: their port."""
    port = free_port()
    env = {**os.environ, "AUDITOR_WEB__PORT": str(port)}
    with subprocess.Popen(
        [AUDITOR, "serve", "--no-schedule"],
        cwd=folder[0],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until_there(port, process)
        httpx.get(
            f"http://127.0.0.1:{port}/healthz", timeout=60
        )  # it listens before it hears SIGTERM
        yield port
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.fixture(scope="module")
def proxied(served, tmp_path_factory):
    """The Caddyfile of `deploy/` with Caddy's own authority: its port, and that authority."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("there is no caddy here")
    home, port = tmp_path_factory.mktemp("caddy"), free_port()
    own = f"""{{
        admin off
        local_certs
        skip_install_trust
        https_port {port}
        http_port {free_port()}
    }}
    """
    (home / "Caddyfile").write_text(own + (ROOT / "deploy" / "Caddyfile").read_text())
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_DATA_HOME": str(home)}
    env |= {"AUDITOR": f"127.0.0.1:{served}"}
    command = [caddy, "run", "--config", str(home / "Caddyfile")]
    with (home / "log").open("w") as log, subprocess.Popen(command, env=env, stderr=log) as process:
        until_there(port, process)
        authority = home / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        end = time.monotonic() + 30
        while not authority.exists():
            assert time.monotonic() < end, (home / "log").read_text()
            time.sleep(0.05)
        yield port, ssl.create_default_context(cafile=str(authority))
        process.terminate()


@pytest.fixture
def user(folder):
    """The cookie of somebody who has logged in."""
    url = f"sqlite:///{folder[0]}/auditor.db"
    with App.open(load_config(folder[0] / "config.toml", {"AUDITOR_STORAGE__URL": url})) as app:
        user = get_or_create_user(app.store)
        token = service.start_session(app.store, user, datetime.now(UTC))
        return f"__Host-{SESSION_COOKIE}={token}"


@pytest.fixture
def ask(proxied):
    """Asks Caddy for a page of a name, as a browser whose name server leads there."""
    port, context = proxied

    def asked(name, path, **headers):
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.get(
                f"https://127.0.0.1:{port}{path}",
                headers={"host": name, **headers},
                extensions={"sni_hostname": name},
            )

    return asked


def test_the_public_name_shows_reports_and_nothing_else(ask, folder):
    opened = ask(PUBLIC, folder[1].removeprefix(f"https://{PUBLIC}"))
    assert opened.status_code == 303
    letter = opened.headers["set-cookie"].partition(";")[0]
    report = ask(PUBLIC, opened.headers["location"], cookie=letter)
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
        assert ask(PUBLIC, path).status_code == 404, path


def test_the_internal_name_is_for_the_networks_own_people(ask):
    answer = ask(INTERN, "/en/")
    assert answer.status_code == 401
    assert 'type="password"' in answer.text
    assert "strict-transport-security" in answer.headers
    assert "nour" not in answer.text.lower()
    assert ask(INTERN, "/metrics").status_code == 401


def test_the_login_holds_over_https_by_the_internal_name_alone(ask, user):
    read = ask(INTERN, "/en/", cookie=user)
    assert read.status_code == 200
    assert "Association Nour" in read.text or "النور" in read.text
    assert ask(PUBLIC, "/en/", cookie=user).status_code == 404


def test_either_name_says_that_it_lives(ask):
    assert [ask(name, "/healthz").text for name in (PUBLIC, INTERN)] == ["ok\n", "ok\n"]
