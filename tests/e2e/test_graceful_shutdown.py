"""Tests of the service as a real process: start, stop, signals, parallel runs, time limit."""

import json
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from probes.links import identify
from storage.models.audit import AccountRow, Association, AuditRunState
from tests.support.channel_settings import disable_channels_except
from tests.support.process_groups import has_ended, open_auditors, wait_until

CANARIES = ("http://canari-un.ma/", "http://canari-deux.ma/")
HANGING_COUNT, GRACE_SECONDS = 3, 5.0
CONFIG = """
[storage]
folder = "data"
[fetch]
proxy = "http://127.0.0.1:{port}"
host_delay = 0
concurrency = 20
second_pass_delay = 0
[channels.website]
canaries = {canaries}
impossible_account = "http://personne.ma/"
""" + disable_channels_except("website")
PAGE = b"<!doctype html><title>Association</title><p>Des ateliers pour les enfants du quartier.</p>"


class SlowProxy(ThreadingHTTPServer):
    """A proxy that plays all sites.

    It holds the home pages of associations until `release` is set. Some hang until `end` is set.
    """

    daemon_threads = True
    request_queue_size = 100

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.requested_sites = set()
        self.release, self.end = threading.Event(), threading.Event()

    def handle_error(self, *_):
        """Ignore clients that close their connection."""


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        web, url = self.server, urlsplit(self.path)
        if url.hostname.startswith("site") and url.path == "/":
            web.requested_sites.add(url.hostname)
            web.release.wait(60)
            if sorted(web.requested_sites).index(url.hostname) < HANGING_COUNT:
                web.end.wait(60)
        exists = url.path == "/" and url.hostname != "personne.ma"
        body = PAGE if exists else b"nothing"
        self.send_response(200 if exists else 404)
        self.send_header("content-type", "text/html; charset=utf-8" if exists else "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    with SlowProxy() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield proxy
        proxy.release.set()
        proxy.end.set()
        proxy.shutdown()
        thread.join()


def create_network(folder, port, count):
    config_text = CONFIG.format(port=port, canaries=json.dumps(CANARIES))
    (folder / "config.toml").write_text(config_text)
    urls = [f"http://site{number:02}.ma/" for number in range(count)]
    identities = [identify.identify_link(url, "website") for url in urls]
    rows = [AccountRow("amal", *pair, "website") for pair in zip(urls, identities, strict=True)]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with open_app(folder) as app:
        app.store.registry.save_registry([Association("amal", "Amal")], rows, yesterday)


def open_app(folder):
    return App.open(load_config(folder / "config.toml", {}))


@pytest.fixture
def start_auditor():
    """Return a function that starts the auditor. It ends with the test at the latest."""
    hour = (datetime.now(UTC) - timedelta(minutes=1)).time().isoformat("seconds")
    variables = {
        "AUDITOR_SCHEDULE__START_TIME": hour,
        "AUDITOR_SCHEDULE__SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    with open_auditors(**variables) as start:
        yield start


def wait_for_end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.fault("F36")
@pytest.mark.slow
def test_stopped_run_keeps_requests_that_end_within_grace_period(tmp_path, web, start_auditor):
    """Of 20 requests, 17 end in time and are stored, or nearly all on a loaded machine.

    The other accounts are checked later. No further account is requested after the signal.
    """
    create_network(tmp_path, web.server_port, 40)
    process = start_auditor(tmp_path, "serve", "--no-web")
    wait_until(lambda: len(web.requested_sites) == 20)
    process.send_signal(signal.SIGTERM)
    signalled_at = time.monotonic()
    time.sleep(0.2)  # the signal must arrive before the responses
    web.release.set()
    result = wait_for_end(process)
    duration = time.monotonic() - signalled_at
    assert result[0] == 0, result
    # three seconds more, because other tests may use both cores
    assert GRACE_SECONDS <= duration < GRACE_SECONDS + 3, duration
    assert len(web.requested_sites) == 20
    with open_app(tmp_path) as app:
        audit_run = app.store.runs.get_latest()
        assert audit_run.state is AuditRunState.INCOMPLETE
        stored_count = audit_run.report.accounts
        assert 14 <= stored_count <= 17
        assert audit_run.report.not_reached == 40 - stored_count
        observations = app.store.observations.list_observations(run_id=audit_run.id)
        assert len({observation.account_id for observation in observations}) == stored_count
        app.store.check_integrity()
    wait_until(lambda: has_ended(process.pid))
    web.end.set()
    code, out, err = wait_for_end(start_auditor(tmp_path, "run", "--json"))
    assert code == 0, err
    assert json.loads(out)["items"][0]["accounts"] == 40


@pytest.mark.fault("F36")
@pytest.mark.slow
def test_second_sigterm_ends_process_at_once(tmp_path, web, start_auditor):
    create_network(tmp_path, web.server_port, 20)
    settings = {"AUDITOR_SCHEDULE__SHUTDOWN_GRACE_SECONDS": "60"}
    process = start_auditor(tmp_path, "serve", "--no-web", **settings)
    wait_until(lambda: len(web.requested_sites) == 20)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM
    process.communicate()
    with open_app(tmp_path) as app:
        app.store.check_integrity()
