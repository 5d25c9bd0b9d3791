"""Clients of the web application in this process, and a server of it on a real loopback socket."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime

import httpx
import uvicorn
from anyio.from_thread import start_blocking_portal

from auditor.app import App
from auditor.cli.serve import format_server_url, open_web_socket
from auditor.config.schema import Config, WebSettings
from auditor.web import users
from auditor.web.access import SESSION_COOKIE
from auditor.web.app import build_server_config, create_app
from storage.models.users import Role
from storage.tables.users import User

SESSION_START = datetime(2100, 1, 1, tzinfo=UTC)
"""Sessions of tests start in the future, so no session expires or is refreshed at a test's time."""
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PUBLIC = "https://reports.example.org"
"""The public address of the auditors that `open_app` opens."""


class StoppableServer(uvicorn.Server):
    """A server that stops at once; the base class waits for tenths of a second."""

    def __init__(self, config):
        super().__init__(config)
        self.has_started = threading.Event()

    async def main_loop(self):
        await self.on_tick(0)
        self._loop, self._stop_event = asyncio.get_running_loop(), asyncio.Event()
        self.has_started.set()
        await self._stop_event.wait()

    async def shutdown(self, sockets=None):
        """Close the connections as soon as their requests are answered."""
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.001)

    def stop(self):
        """Finish running requests and stop. Call it from another thread."""
        self._loop.call_soon_threadsafe(self._stop_event.set)


@contextlib.contextmanager
def serve_app(app, now=NOW, port=0, login_link=None, run_starter=None, *, cluster=None):
    """Serve the application and yield its address. `now` is a time or a clock function."""
    clock = now if callable(now) else lambda: now
    with open_web_socket(WebSettings(port=port)) as sock:
        server = StoppableServer(
            build_server_config(
                create_app(app, clock, None, login_link, run_starter, cluster=cluster), app.config
            )
        )
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        server.has_started.wait()
        try:
            yield format_server_url(sock).rstrip("/")
        finally:
            server.stop()
            thread.join()


def get_or_create_user(store, name="Amina", role=Role.ADMIN, regions=(), password_hash=None):
    """Return the user of a name. A new user without a password hash cannot log in."""
    existing = store.users.get(name)
    return existing or store.users.add(
        User(
            name=name,
            role=role,
            added_at=NOW,
            added_by="a test",
            regions=tuple(regions),
            password_hash=password_hash,
            id=None,
        )
    )


def create_session(store, name="Amina", role=Role.ADMIN, regions=()):
    """Return a session cookie, as if the user had logged in."""
    user = get_or_create_user(store, name, role, regions)
    return users.start_session(store, user, SESSION_START)


@contextlib.contextmanager
def logged_in_client(app, now=NOW, cluster=None, **user):
    """Yield a client of the application with a session. It does not follow redirects.

    The user is the administrator Amina, or another `name`, `role` and `regions`.
    """
    with anonymous_client(app, now, cluster) as client:
        client.cookies.set(SESSION_COOKIE, create_session(app.store, **user))
        yield client


class InProcessTransport(httpx.BaseTransport):
    """Sends requests to an application in the event loop of another thread, without a socket."""

    def __init__(self, web, portal):
        self._application = httpx.ASGITransport(
            web, raise_app_exceptions=False, client=("127.0.0.1", 50000)
        )
        self._portal = portal

    def handle_request(self, request):
        return self._portal.call(self._answer, request)

    async def _answer(self, request):
        request.stream = httpx.ByteStream(request.read())
        answer = await self._application.handle_async_request(request)
        body = b"".join([part async for part in answer.stream])
        return httpx.Response(
            answer.status_code, headers=answer.headers.raw, stream=httpx.ByteStream(body)
        )


@contextlib.contextmanager
def anonymous_client(app, now=NOW, cluster=None, login_link=None, run_starter=None):
    """Yield a client of the application without a session, in this process."""
    clock = now if callable(now) else lambda: now
    web = create_app(app, clock, None, login_link, run_starter, cluster=cluster)
    with (
        start_blocking_portal() as portal,
        httpx.Client(
            transport=InProcessTransport(web, portal), base_url="http://127.0.0.1:8321"
        ) as client,
    ):
        yield client


@contextlib.contextmanager
def open_app(folder, associations=(), accounts=(), **settings):
    """Yield an auditor before its first run. `settings` are added to those of the web address."""
    tables = {"storage": {"folder": folder}, "web": {"public_url": PUBLIC}, **settings}
    with App.open(Config.model_validate(tables)) as app:
        app.store.registry.save_registry(associations, accounts, NOW)
        yield app


def read_page(response, *parts, status=200):
    """Return the text of a response without the marks of isolated texts.

    Fail unless it has this status and contains these parts.
    """
    text = response.text.replace("<bdi>", "").replace("</bdi>", "")
    assert (response.status_code, find_missing(text, *parts)) == (status, []), text
    return text


def get_text(client, path, *parts):
    """Return the text of a page, as `read_page` does."""
    return read_page(client.get(path), *parts)


def find_missing(text, *parts):
    """Return the parts that a text does not contain."""
    return [part for part in parts if part not in text]
