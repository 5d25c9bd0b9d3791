"""`auditor serve`: the nights on their schedule and the pages of the web, in one process and one loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any

import uvicorn

from auditor.app import App
from auditor.config.schema import Web
from auditor.core.errors import ConfigError
from auditor.core.event_loop import together
from auditor.evaluation.refresh import refresh
from auditor.runs.liveness import Heart
from auditor.runs.shutdown import terminated_by
from auditor.scheduling import scheduler
from auditor.web.app import site
from probes.log import Events
from storage.errors import StoreError

Clock = Callable[[], datetime]

events = Events(__name__)

OFTEN = 60
"""Seconds between two looks for what is stale."""
PATIENCE = 5
"""Seconds that a page under way may still take when told to stop."""


class Server(uvicorn.Server):
    """Uvicorn, with the signals left to us: one stop ends the pages and the night together."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Take none."""
        return nullcontext()


async def serve(
    app: App,
    clock: Clock,
    *,
    at: socket.socket | None = None,
    nights: bool = True,
    stop: asyncio.Event | None = None,
) -> None:
    """Do the nights and show the pages at a socket until SIGTERM (or `stop`), then end both whole."""
    stop = stop or asyncio.Event()
    jobs: list[Coroutine[Any, Any, None]] = []
    heart = Heart() if nights else None
    if nights:
        jobs.append(scheduler.nights(app, stop, clock=clock, heart=heart))
    if at:
        jobs += [_show(app, clock, at, stop, heart), keep_fresh(app, stop)]
    with terminated_by(stop):
        await together(*jobs)


async def _show(app: App, clock: Clock, at: socket.socket, stop: asyncio.Event, heart: Heart | None) -> None:
    """Answer until `stop`; a server that ends by itself stops the rest, too."""
    server = Server(
        uvicorn.Config(
            site(app, clock, heart),
            http="h11",  # told from httptools by what a request that is none is answered: a page, not a word
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
    )
    showing = asyncio.create_task(server.serve([at]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await showing
        stop.set()


async def keep_fresh(app: App, stop: asyncio.Event) -> None:
    """Make anew what pages read where much of it is stale: after an import, an upgrade, another setting."""
    while True:
        try:
            await asyncio.to_thread(refresh, app.store, app.config, over=stop.is_set)
        except StoreError as trouble:
            said = "what the pages read could not be made anew: {why}"
            events.error("summaries_failed", said, why=str(trouble))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), OFTEN)
            return


@contextmanager
def listening(web: Web, *, wanted: bool = True) -> Iterator[socket.socket | None]:
    """The socket of the pages; None where none are wanted. Raises ConfigError where it cannot be had."""
    if not wanted:
        yield None
        return
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        held = socket.create_server((web.host, web.port), family=family)
    except OSError as trouble:
        why = (trouble.strerror or "it cannot be listened to").lower()
        remedy = "another [web] host or port, or `auditor serve --no-web`"
        raise ConfigError(f"{web.host} port {web.port}", why, remedy) from None
    # asyncio does so for its own sockets alone; else a page's end waits 40 ms for an acknowledgement
    held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with held:
        yield held


def address(at: socket.socket) -> str:
    """Where the pages are, for a browser on this machine."""
    host, port = at.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
