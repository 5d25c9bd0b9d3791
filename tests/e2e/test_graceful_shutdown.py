"""Tests of the service as a real process: start, stop, signals, parallel runs, time limit."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from probes.links import identify
from storage.models.audit import AccountRow, Association, AuditRunState
from tests.support.process_groups import has_ended, open_process_groups, wait_until

AUDITOR = Path(sys.executable).with_name("auditor")
BASE_ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
CANARIES = ("http://canari-un.ma/", "http://canari-deux.ma/")
HANGING_COUNT, GRACE_SECONDS = 3, 8.0
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
"""
PAGE = b"<!doctype html><title>Association</title><p>Des ateliers pour les enfants du quartier.</p>"


class SlowProxy(ThreadingHTTPServer):
    """A proxy that plays all sites.

    It holds the home pages of associations until `release` is set. Some hang until `end` is set.
    """

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, hold=True):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.requested_hosts, self.paths = [], []
        self.held_hosts = set()
        self.release, self.end = threading.Event(), threading.Event()
        if not hold:
            self.release.set()

    def handle_error(self, *_):
        """Ignore clients that close their connection."""


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        web, url = self.server, urlsplit(self.path)
        web.requested_hosts.append(url.hostname)
        web.paths.append(url.path)
        if url.hostname.startswith("site") and url.path == "/" and not web.release.is_set():
            web.held_hosts.add(url.hostname)
            web.release.wait(60)
            if sorted(web.held_hosts).index(url.hostname) < HANGING_COUNT:
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


@contextlib.contextmanager
def run_proxy(**options):
    with SlowProxy(**options) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield web
        finally:
            web.release.set()
            web.end.set()
            web.shutdown()
            thread.join()


def create_network(folder, port, count):
    config_text = CONFIG.format(port=port, canaries=json.dumps(CANARIES))
    (folder / "config.toml").write_text(config_text)
    urls = [f"http://site{number:02}.ma/" for number in range(count)]
    rows = [
        AccountRow("amal", url, identify.identify_link(url, "website"), "website") for url in urls
    ]
    with open_app(folder) as app:
        app.store.registry.save_registry(
            [Association("amal", "Amal")], rows, datetime.now(UTC) - timedelta(days=1)
        )


def open_app(folder):
    return App.open(load_config(folder / "config.toml", {}))


@pytest.fixture
def start_auditor():
    """Return a function that starts the auditor. It ends with the test at the latest."""
    hour = (datetime.now(UTC) - timedelta(minutes=1)).time().isoformat("seconds")
    with open_process_groups() as start_process:

        def start(folder, *arguments, **settings):
            env = {
                **BASE_ENVIRONMENT,
                "HOME": str(folder),
                "AUDITOR_SCHEDULE__START_TIME": hour,
                "AUDITOR_SCHEDULE__SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS),
                **settings,
            }
            return start_process([AUDITOR, *arguments], cwd=folder, env=env)

        yield start


def wait_for_end(process, seconds=60):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def load_checked_accounts(app):
    audit_run = app.store.runs.get_latest()
    if audit_run is None:
        return set()
    observations = app.store.observations.list_observations(run_id=audit_run.id)
    return {observation.account_id for observation in observations}


@pytest.mark.fault("F36")
@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "code"), [(("serve", "--no-web"), 0), (("run",), 130)])
def test_stopped_run_keeps_requests_that_end_within_grace_period(
    tmp_path, start_auditor, arguments, code
):
    """Of 20 requests, 17 end in time and are stored. The other 3 accounts are checked later.

    No further account is requested after the signal.
    """
    with run_proxy() as web:
        create_network(tmp_path, web.server_port, 40)
        process = start_auditor(tmp_path, *arguments)
        wait_until(lambda: len(web.held_hosts) == 20)
        process.send_signal(signal.SIGTERM)
        signalled_at = time.monotonic()
        time.sleep(0.2)  # the signal must arrive before the responses
        web.release.set()
        result = wait_for_end(process)
        duration = time.monotonic() - signalled_at
        assert result[0] == code, result
        # three seconds more, because other tests may use both cores
        assert GRACE_SECONDS <= duration < GRACE_SECONDS + 3, duration
        assert {host for host in web.requested_hosts if host.startswith("site")} == web.held_hosts
        with open_app(tmp_path) as app:
            audit_run = app.store.runs.get_latest()
            assert (audit_run.state, len(load_checked_accounts(app))) == (
                AuditRunState.INCOMPLETE,
                17,
            )
            assert (audit_run.report.accounts, audit_run.report.not_reached) == (17, 23)
            assert len(list(app.store.observations.list_pending_accounts(audit_run))) == 23
            app.store.check_integrity()
        wait_until(lambda: has_ended(process.pid))
        web.end.set()
        repeated = wait_for_end(start_auditor(tmp_path, "run", "--json"))
        assert repeated[0] == 0, repeated[2]
        assert json.loads(repeated[1])["items"][0]["accounts"] == 40


@pytest.mark.fault("F36")
@pytest.mark.slow
def test_second_sigterm_ends_process_at_once(tmp_path, start_auditor):
    with run_proxy() as web:
        create_network(tmp_path, web.server_port, 20)
        process = start_auditor(
            tmp_path, "serve", "--no-web", AUDITOR_SCHEDULE__SHUTDOWN_GRACE_SECONDS="60"
        )
        wait_until(lambda: len(web.held_hosts) == 20)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == -signal.SIGTERM
        process.communicate()
        with open_app(tmp_path) as app:
            app.store.check_integrity()
        wait_until(lambda: has_ended(process.pid))
        web.release.set()
        web.end.set()
        assert wait_for_end(start_auditor(tmp_path, "run"))[0] == 0


@pytest.mark.fault("F34")
@pytest.mark.slow
def test_service_and_cron_do_one_run_together(tmp_path, start_auditor):
    """The service and two cron jobs start together. One runs, the others exit with 0 or 5."""
    with run_proxy(hold=False) as web:
        create_network(tmp_path, web.server_port, 20)
        service = start_auditor(tmp_path, "serve", "--no-web")
        cron = [start_auditor(tmp_path, "run", "--json") for _ in range(2)]
        codes = [wait_for_end(process)[0] for process in cron]
        assert set(codes) <= {0, 5}
        with open_app(tmp_path) as app:
            wait_until(
                lambda: (
                    app.store.runs.get_latest()
                    and app.store.runs.get_latest().state is AuditRunState.DONE
                )
            )
            service.send_signal(signal.SIGTERM)
            assert wait_for_end(service)[0] == 0
            (audit_run,) = app.store.runs.list_all()
            assert len(load_checked_accounts(app)) == 20
            assert audit_run.state is AuditRunState.DONE
        homes = [
            host for host, path in zip(web.requested_hosts, web.paths, strict=True) if path == "/"
        ]
        assert sorted(host for host in homes if host.startswith("site")) == [
            f"site{n:02}.ma" for n in range(20)
        ]


@pytest.mark.fault("F34")
@pytest.mark.slow
def test_run_during_run_of_service_makes_no_requests(tmp_path, start_auditor):
    with run_proxy() as web:
        create_network(tmp_path, web.server_port, 20)
        service = start_auditor(tmp_path, "serve", "--no-web")
        wait_until(lambda: len(web.held_hosts) == 20)
        before = len(web.requested_hosts)
        code, out, err = wait_for_end(start_auditor(tmp_path, "run"))
        assert (code, out, err.count("\n")) == (5, "", 1)
        assert err.startswith("error: another run is in progress")
        assert len(web.requested_hosts) == before
        web.release.set()
        web.end.set()
        with open_app(tmp_path) as app:
            wait_until(lambda: app.store.runs.get_latest().state is AuditRunState.DONE)
        repeated = wait_for_end(start_auditor(tmp_path, "run", "--json"))
        request_count = len(web.requested_hosts)
        assert (repeated[0], json.loads(repeated[1])["items"][0]["accounts"]) == (0, 20)
        assert len(web.requested_hosts) == request_count
        service.send_signal(signal.SIGTERM)
        assert wait_for_end(service)[0] == 0


@pytest.mark.slow
def test_run_that_reaches_time_limit_exits_with_4(tmp_path, start_auditor):
    """With a limit of less than a millisecond, no account is reached."""
    with run_proxy(hold=False) as web:
        create_network(tmp_path, web.server_port, 30)
        code, out, err = wait_for_end(
            start_auditor(tmp_path, "run", AUDITOR_SCHEDULE__TIME_LIMIT_HOURS="0.0000001")
        )
        assert (code, out) == (4, "")
        assert (
            "30 accounts were not reached before the time limit; the next run begins with them"
            in err
        )
        status = wait_for_end(start_auditor(tmp_path, "status", "--json"))
        (item,) = json.loads(status[1])["items"]
        assert (status[0], item["state"], item["accounts"], item["not_reached"]) == (
            0,
            "done",
            0,
            30,
        )
        assert wait_for_end(start_auditor(tmp_path, "run"))[0] == 4
        assert web.requested_hosts == []
