"""The web application on a real server and a real socket of loopback."""

import contextlib
import threading
from datetime import UTC, datetime

import httpx
import uvicorn

from auditor.config import Web
from auditor.serving import address, listening
from auditor.web.site import site

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


@contextlib.contextmanager
def served(app, now=NOW, port=0):
    """The address of the application's pages, served for the length of the context. `now` may be a clock."""
    clock = now if callable(now) else lambda: now
    with listening(Web(port=port)) as at:
        server = uvicorn.Server(uvicorn.Config(site(app, clock), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([at],))
        thread.start()
        try:
            yield address(at).rstrip("/")
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def browsing(app, now=NOW):
    """A client of the served application that follows no redirect and keeps its cookies."""
    with served(app, now) as home, httpx.Client(base_url=home, trust_env=False) as client:
        yield client
