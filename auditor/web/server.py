"""The HTTP server of the pages: its connections are limited in number and have deadlines.

Uvicorn closes connections that are idle between two requests, and no others: one byte ends its
timer. So a stranger could hold any number of unfinished requests. A `LimitedConnection` is closed
if its client sends or reads too slowly, as in Apache's mod_reqtimeout. A `ConnectionGuard` counts
them, and leaves enough file descriptors to the audit run.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from auditor.config.schema import Config
from auditor.core.runtime import SPARE_FILE_DESCRIPTORS
from auditor.web.login_limits import normalize_client_address
from probes.log import EventLogger

logger = EventLogger(__name__)

SHUTDOWN_TIMEOUT_SECONDS = 5
"""Seconds that a request may still take when the service stops."""
ACCEPT_BACKLOG = 64
"""Connections that the kernel holds until they are accepted, and that are accepted at once."""
ACCEPT_DESCRIPTORS = 4 * ACCEPT_BACKLOG
"""Descriptors of connections that are accepted and not yet counted, or refused and not closed."""
MIN_CONNECTIONS = 16
"""Connections that are accepted even if the process may open few files."""
MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers."""
MAX_WAITING_SECONDS = 20.0
"""Seconds from the connection or the last response to the end of the next request's head."""
MAX_BODY_SECONDS = 20.0
"""Seconds for a body, besides those that its bytes take at the lowest rate."""
MAX_DISCARDING_SECONDS = 30.0
"""Seconds for the rest of a body after the response. A browser reads the response after it."""
MAX_READING_SECONDS = 20.0
"""Seconds in which a client must read a response, besides those at the lowest rate."""
LOWEST_BYTES_PER_SECOND = 4096
"""The lowest rate of a client, in both directions: that of a slow mobile network."""
LOG_INTERVAL_SECONDS = 60.0
"""Seconds between two log lines about refused connections, or about invalid requests."""
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 42\r\n"
    b"retry-after: 20\r\nconnection: close\r\n\r\nToo many connections. Try again in a while"
)


class ConnectionPhase(IntEnum):
    """The event that a connection waits for. At the limit, the lowest numbers are closed first."""

    WAITING = 1
    """The head of a request."""
    DISCARDING = 2
    """The rest of a body that nothing needs: the request is answered."""
    RECEIVING = 3
    """The body of a request."""
    ANSWERING = 4
    """The response."""


PHASE_SECONDS = {
    ConnectionPhase.WAITING: MAX_WAITING_SECONDS,
    ConnectionPhase.DISCARDING: MAX_DISCARDING_SECONDS,
    ConnectionPhase.RECEIVING: MAX_BODY_SECONDS,
    ConnectionPhase.ANSWERING: float("inf"),
}


class LimitedConnection(H11Protocol):
    """An HTTP/1.1 connection with deadlines for its client.

    `guard` counts the connections and closes those that are overdue.
    """

    def __init__(self, guard: ConnectionGuard, **options: Any) -> None:
        super().__init__(**options)
        self.phase = ConnectionPhase.WAITING
        self.phase_start = guard.clock()
        self._guard = guard
        self._deadline = self.phase_start + MAX_WAITING_SECONDS
        self._unread_bytes = 0
        self._reading_deadline = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse the connection above a limit."""
        super().connection_made(transport)
        if not self._guard.admit(self, self.client[0] if self.client else None):
            transport.write(REFUSAL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self._guard.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes; those of a body extend its deadline."""
        super().data_received(data)
        self._update_phase(len(data))

    def on_response_complete(self) -> None:
        """Wait for the next request after a response was sent."""
        super().on_response_complete()
        self._update_phase(0)

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request instead of the application, and close the connection.

        If an answer has begun, the connection is only closed: h11 refuses a second answer, and a
        body after HEAD. A stranger must not cause such an error, which is logged with a traceback.
        """
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.close()

    def is_overdue(self, now: float) -> bool:
        """Return True if the client is too slow in sending its request or reading the response."""
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes > self._unread_bytes:
            seconds = MAX_READING_SECONDS + unread_bytes / LOWEST_BYTES_PER_SECOND
            self._reading_deadline = now + seconds
        self._unread_bytes = unread_bytes
        if unread_bytes:
            return now > self._reading_deadline
        # While reading is paused, the application is slow and not the client.
        return now > self._deadline and not self.flow.read_paused

    def close(self) -> None:
        """Close the connection without sending anything."""
        self._guard.release(self)
        self.transport.abort()

    def _update_phase(self, received_bytes: int) -> None:
        phase = self._find_phase()
        if phase is not self.phase:
            self.phase, self.phase_start = phase, self._guard.clock()
            self._deadline = self.phase_start + PHASE_SECONDS[phase]
        elif phase is ConnectionPhase.RECEIVING:
            self._deadline += received_bytes / LOWEST_BYTES_PER_SECOND

    def _find_phase(self) -> ConnectionPhase:
        client_state = self.conn.their_state
        if client_state is h11.IDLE:
            return ConnectionPhase.WAITING
        if client_state is not h11.SEND_BODY:
            return ConnectionPhase.ANSWERING
        if self.cycle.response_complete:
            return ConnectionPhase.DISCARDING
        return ConnectionPhase.RECEIVING


@dataclass(slots=True)
class ConnectionGuard:
    """Counts the connections of the server, and closes those that are overdue.

    A client is an IPv4 address or an IPv6 network. Trusted proxies have no limit for each client:
    their requests are counted by the address that they forward (`middleware`).
    """

    max_connections: int
    max_connections_per_client: int
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    clock: Callable[[], float] = time.monotonic
    connections: dict[LimitedConnection, str | None] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _next_log_time: float = 0.0

    def admit(self, connection: LimitedConnection, address: str | None) -> bool:
        """Count a new connection, or return False if there are too many.

        If there are too many in all, the one that has waited longest for its client is closed.
        """
        client = self._find_limited_client(address)
        if client is not None and self._counts[client] >= self.max_connections_per_client:
            self._log_refusal(f"one client has {self.max_connections_per_client}")
            return False
        if len(self.connections) >= self.max_connections and not self._close_one():
            return False
        self.connections[connection] = client
        if client is not None:
            self._counts[client] += 1
        return True

    def release(self, connection: LimitedConnection) -> None:
        """Stop counting a connection. Nothing happens if it is not counted."""
        client = self.connections.pop(connection, None)
        if client is None:
            return
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]

    def close_overdue(self) -> None:
        """Close the connections whose clients are too slow."""
        now = self.clock()
        for connection in list(self.connections):
            if connection.is_overdue(now):
                connection.close()

    def _close_one(self) -> bool:
        """Close the connection whose client can wait best; return False if all are answered."""
        self._log_refusal(f"there are {self.max_connections}")
        candidate = min(self.connections, key=_build_closing_key)
        if candidate.phase is ConnectionPhase.ANSWERING:
            return False
        candidate.close()
        return True

    def _find_limited_client(self, address: str | None) -> str | None:
        if address is None:
            return None
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return address
        if any(ip in network for network in self.trusted_proxies):
            return None
        return normalize_client_address(address)

    def _log_refusal(self, reason: str) -> None:
        """Log that connections are refused, at most once a minute and without addresses."""
        now = self.clock()
        if now < self._next_log_time:
            return
        self._next_log_time = now + LOG_INTERVAL_SECONDS
        message = "connections are refused: {reason}"
        logger.warning("connections_refused", message, reason=reason)


def _build_closing_key(connection: LimitedConnection) -> tuple[int, float]:
    return connection.phase, connection.phase_start


def build_connection_guard(config: Config) -> ConnectionGuard:
    """Return the guard with the limits of the configuration and of this process."""
    return ConnectionGuard(
        compute_max_connections(config),
        config.web.max_connections_per_client,
        tuple(map(ip_network, config.web.trusted_proxies)),
    )


def compute_max_connections(config: Config) -> int:
    """Return how many connections the pages may have, so a run can still open its files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return config.web.max_connections
    reserve = config.fetch.concurrency + SPARE_FILE_DESCRIPTORS + ACCEPT_DESCRIPTORS
    return max(MIN_CONNECTIONS, min(config.web.max_connections, limit - reserve))


@dataclass(slots=True)
class RepetitionFilter(logging.Filter):
    """Logs each warning of Uvicorn at most once a minute, because any client can cause it."""

    clock: Callable[[], float]
    _next_times: dict[str, float] = field(default_factory=dict)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if a record is to be logged."""
        if record.levelno != logging.WARNING:
            return True
        message, now = str(record.msg), self.clock()
        if "WebSocket" in message:  # advice to install a library, which the pages do not need
            return False
        if now < self._next_times.get(message, now):
            return False
        self._next_times[message] = now + LOG_INTERVAL_SECONDS
        return True


class WebServer(uvicorn.Server):
    """Uvicorn without signal handlers: one signal ends the pages and the run together."""

    def __init__(self, web: FastAPI, guard: ConnectionGuard) -> None:
        super().__init__(build_server_config(web, guard))
        self._guard = guard

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve the pages until the server is stopped."""
        uvicorn_logger = logging.getLogger("uvicorn.error")
        repetition_filter = RepetitionFilter(self._guard.clock)
        uvicorn_logger.addFilter(repetition_filter)
        try:
            await super().serve(sockets)
        finally:
            uvicorn_logger.removeFilter(repetition_filter)

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture no signals."""
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        """Close slow connections once a second. Uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            self._guard.close_overdue()
        return await super().on_tick(counter)


def build_server_config(web: FastAPI, guard: ConnectionGuard) -> uvicorn.Config:
    """Return the options of the server."""
    return uvicorn.Config(
        web,
        # Based on h11, which unlike httptools answers an invalid request with a page.
        http=cast("type[asyncio.Protocol]", partial(LimitedConnection, guard)),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        backlog=ACCEPT_BACKLOG,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )
