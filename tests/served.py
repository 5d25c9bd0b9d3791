"""The web application on a real server and a real socket of loopback."""

import contextlib
import socket
import threading
from datetime import UTC, datetime

import httpx
import uvicorn

from auditor.web.site import site

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


@contextlib.contextmanager
def served(app, now=NOW, port=0):
    """The address of the application's pages, served for the length of the context. `now` may be a clock."""
    clock = now if callable(now) else lambda: now
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(site(app, clock), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextlib.contextmanager
def browsing(app, now=NOW):
    """A client of the served application that follows no redirect and keeps its cookies."""
    with served(app, now) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client
