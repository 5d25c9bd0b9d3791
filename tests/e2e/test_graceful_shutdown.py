"""The service as a real process: told to stop with looks under way, begun beside another run, too late."""

import contextlib
import json
import os
import signal
import subprocess
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
from auditor.receipts.receipt import verify_receipt_chain
from auditor.receipts.signing import read_known_public_keys
from probes.links import identify
from storage.models.audit import AccountRow, Association, AuditRunState

AUDITOR = Path(sys.executable).with_name("auditor")
BARE = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
CANARIES = ("http://canari-un.ma/", "http://canari-deux.ma/")
HANGING, GRACE = 3, 8.0
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


class Web(ThreadingHTTPServer):
    """A proxy that plays every site. It holds the pages of associations until `go_on`; some hang for ever."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, hold=True):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked, self.paths = [], []
        self.held = set()
        self.go_on, self.over = threading.Event(), threading.Event()
        if not hold:
            self.go_on.set()

    def handle_error(self, *_):
        """A client that hung up is no trouble of ours."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        web, url = self.server, urlsplit(self.path)
        web.asked.append(url.hostname)
        web.paths.append(url.path)
        if url.hostname.startswith("site") and url.path == "/" and not web.go_on.is_set():
            web.held.add(url.hostname)
            web.go_on.wait(60)
            if sorted(web.held).index(url.hostname) < HANGING:
                web.over.wait(60)
        there = url.path == "/" and url.hostname != "personne.ma"
        body = PAGE if there else b"nothing"
        self.send_response(200 if there else 404)
        self.send_header("content-type", "text/html; charset=utf-8" if there else "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def playing(**how):
    with Web(**how) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield web
        finally:
            web.go_on.set()
            web.over.set()
            web.shutdown()
            thread.join()


def registered(folder, port, count):
    told = CONFIG.format(port=port, canaries=json.dumps(CANARIES))
    (folder / "config.toml").write_text(told)
    typed = [f"http://site{number:02}.ma/" for number in range(count)]
    rows = [
        AccountRow("amal", one, identify.identify_link(one, "website"), "website") for one in typed
    ]
    with opened(folder) as app:
        app.store.save_registry(
            [Association("amal", "Amal")], rows, datetime.now(UTC) - timedelta(days=1)
        )


def opened(folder):
    return App.open(load_config(folder / "config.toml", {}))


def begun(folder, *words, **settings):
    hour = (datetime.now(UTC) - timedelta(minutes=1)).time().isoformat("seconds")
    return subprocess.Popen(
        [AUDITOR, *words],
        cwd=folder,
        env={
            **BARE,
            "HOME": str(folder),
            "AUDITOR_SCHEDULE__START_TIME": hour,
            "AUDITOR_SCHEDULE__SHUTDOWN_GRACE_SECONDS": str(GRACE),
            **settings,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process, seconds=60):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not (told := true()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return told


def looks(app):
    night = app.store.get_latest_run()
    return (
        {look.account_id for look in app.store.list_observations(run_id=night.id)}
        if night
        else set()
    )


@pytest.mark.fault("F36")
@pytest.mark.slow
@pytest.mark.parametrize(("words", "code"), [(("serve", "--no-web"), 0), (("run",), 130)])
def test_twenty_requests_in_flight_of_which_three_hang(tmp_path, words, code):
    """17 end in the grace and are kept; the three are left for later, and nobody else is asked at all."""
    with playing() as web:
        registered(tmp_path, web.server_port, 40)
        process = begun(tmp_path, *words)
        until(lambda: len(web.held) == 20)
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        time.sleep(0.2)  # so that the signal is heard before the answers
        web.go_on.set()
        ending = ended(process)
        took = time.monotonic() - told
        assert ending[0] == code, ending
        assert GRACE <= took < GRACE + 3, took  # three seconds: other tests may hold both cores
        assert {host for host in web.asked if host.startswith("site")} == web.held
        with opened(tmp_path) as app:
            night = app.store.get_latest_run()
            assert (night.state, len(looks(app))) == (AuditRunState.INCOMPLETE, 17)
            assert (night.receipt["accounts"], night.receipt["not_reached"]) == (17, 23)
            assert len(list(app.store.list_pending_accounts(night))) == 23
            app.store.check_integrity()
        until(lambda: alone(process.pid))
        web.over.set()
        again = ended(begun(tmp_path, "run", "--json"))
        assert again[0] == 0, again[2]
        assert json.loads(again[1])["items"][0]["accounts"] == 40


def alone(group):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return False
    return True


@pytest.mark.fault("F36")
@pytest.mark.slow
def test_a_second_sigterm_ends_it_at_once(tmp_path):
    with playing() as web:
        registered(tmp_path, web.server_port, 20)
        process = begun(
            tmp_path, "serve", "--no-web", AUDITOR_SCHEDULE__SHUTDOWN_GRACE_SECONDS="60"
        )
        until(lambda: len(web.held) == 20)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == -signal.SIGTERM
        process.communicate()
        with opened(tmp_path) as app:
            app.store.check_integrity()
        until(lambda: alone(process.pid))
        web.go_on.set()
        web.over.set()
        assert ended(begun(tmp_path, "run"))[0] == 0


@pytest.mark.fault("F34")
@pytest.mark.slow
def test_cron_and_the_service_do_one_night_whichever_comes_first(tmp_path):
    """The service and two of cron at the same moment: one does it, the others are told so or find it done."""
    with playing(hold=False) as web:
        registered(tmp_path, web.server_port, 20)
        service = begun(tmp_path, "serve", "--no-web")
        cron = [begun(tmp_path, "run", "--json") for _ in range(2)]
        codes = [ended(one)[0] for one in cron]
        assert set(codes) <= {0, 5}
        with opened(tmp_path) as app:
            until(
                lambda: (
                    app.store.get_latest_run()
                    and app.store.get_latest_run().state is AuditRunState.DONE
                )
            )
            service.send_signal(signal.SIGTERM)
            assert ended(service)[0] == 0
            (night,) = app.store.list_runs()
            assert len(looks(app)) == 20
            (receipt,) = verify_receipt_chain(
                app.store.list_runs(), read_known_public_keys(app.data_folder)
            )
            assert receipt.fault is None
            assert night.state is AuditRunState.DONE
        homes = [host for host, path in zip(web.asked, web.paths, strict=True) if path == "/"]
        assert sorted(host for host in homes if host.startswith("site")) == [
            f"site{n:02}.ma" for n in range(20)
        ]


@pytest.mark.fault("F34")
@pytest.mark.slow
def test_a_run_beside_the_service_asks_nobody(tmp_path):
    with playing() as web:
        registered(tmp_path, web.server_port, 20)
        service = begun(tmp_path, "serve", "--no-web")
        until(lambda: len(web.held) == 20)
        before = len(web.asked)
        code, out, err = ended(begun(tmp_path, "run"))
        assert (code, out, err.count("\n")) == (5, "", 1)
        assert err.startswith("error: another run is in progress")
        assert len(web.asked) == before
        web.go_on.set()
        web.over.set()
        with opened(tmp_path) as app:
            until(lambda: app.store.get_latest_run().state is AuditRunState.DONE)
        again = ended(begun(tmp_path, "run", "--json"))
        asked = len(web.asked)
        assert (again[0], json.loads(again[1])["items"][0]["accounts"]) == (0, 20)
        assert len(web.asked) == asked
        service.send_signal(signal.SIGTERM)
        assert ended(service)[0] == 0


@pytest.mark.slow
def test_a_run_whose_window_ends_says_so_and_ends_with_4(tmp_path):
    """A window of less than a thousandth of a second, in which nobody is reached."""
    with playing(hold=False) as web:
        registered(tmp_path, web.server_port, 30)
        code, out, err = ended(
            begun(tmp_path, "run", AUDITOR_SCHEDULE__TIME_LIMIT_HOURS="0.0000001")
        )
        assert (code, out) == (4, "")
        assert (
            "30 accounts were not reached before the time limit; the next run begins with them" in err
        )
        status = ended(begun(tmp_path, "status", "--json"))
        (item,) = json.loads(status[1])["items"]
        assert (status[0], item["state"], item["accounts"], item["not_reached"]) == (0, "done", 0, 30)
        assert ended(begun(tmp_path, "run"))[0] == 4
        assert web.asked == []
