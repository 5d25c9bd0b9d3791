"""The web application on a real server and a real socket of loopback."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime

import httpx
import uvicorn

from auditor.config.schema import WebSettings
from auditor.scheduling import format_server_url, open_web_socket
from auditor.users import service
from auditor.web.access import SESSION_COOKIE
from auditor.web.app import create_app
from storage.models.users import Role, User

ALWAYS = datetime(2100, 1, 1, tzinfo=UTC)
"""When sessions of tests begin, whatever the time of a test: none ends by itself, none is written on."""
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


AUTHORITIES = httpx.create_ssl_context()
"""Read once: each client would read them anew."""
HOW = {
    "http": "h11",
    "log_config": None,
    "access_log": False,
    "lifespan": "off",
    "proxy_headers": False,
    "server_header": False,
}
"""As `auditor serve` does it."""


class Server(uvicorn.Server):
    """A server that ends as soon as it is told to; the usual one looks whether it is, ten times a second."""

    def __init__(self, config):
        super().__init__(config)
        self.is_up = threading.Event()

    async def main_loop(self):
        await self.on_tick(0)
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self.is_up.set()
        await self._over.wait()

    def end(self):
        """From another thread: answer what was asked, and no more."""
        self._loop.call_soon_threadsafe(self._over.set)


@contextlib.contextmanager
def served(app, now=NOW, port=0):
    """The address of the application's pages, served for the length of the context. `now` may be a clock."""
    clock = now if callable(now) else lambda: now
    with open_web_socket(WebSettings(port=port)) as at:
        server = Server(uvicorn.Config(create_app(app, clock), **HOW))
        thread = threading.Thread(target=server.run, args=([at],))
        thread.start()
        server.is_up.wait()
        try:
            yield format_server_url(at).rstrip("/")
        finally:
            server.end()
            thread.join()


def known(store, name="Amina", role=Role.ADMIN, regions=(), password_hash=None):
    """The user of a name, made where there is none; without a hash of a password nobody can log in as it."""
    found = store.get_user(name)
    return found or store.add_user(
        User(name, role, NOW, "a test", tuple(regions), password_hash, id=None)
    )


def logged_in(store, name="Amina", role=Role.ADMIN, regions=()):
    """The cookie of a session, as if its user had logged in."""
    return service.start_session(store, known(store, name, role, regions), ALWAYS)


@contextlib.contextmanager
def browsing(app, now=NOW, **user):
    """A client of the served application that follows no redirect and keeps its cookies.

    It is logged in: as Amina, an administrator, or as another `name`, `role` and `regions`.
    """
    with visiting(app, now) as client:
        client.cookies.set(SESSION_COOKIE, logged_in(app.store, **user))
        yield client


@contextlib.contextmanager
def visiting(app, now=NOW):
    """The same of somebody who is not logged in."""
    with (
        served(app, now) as home,
        httpx.Client(base_url=home, trust_env=False, timeout=30, verify=AUTHORITIES) as client,
    ):
        yield client
