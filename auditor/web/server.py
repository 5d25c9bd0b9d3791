"""The HTTP server of the pages.

It listens on loopback, behind an HTTPS proxy that has deadlines for slow clients (the deployment
guide has those of Caddy).
"""

from contextlib import nullcontext

import uvicorn
from fastapi import FastAPI

from auditor.config.schema import Config

SHUTDOWN_TIMEOUT_SECONDS = 5
"""Seconds that a request may still take when the service stops."""
MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers."""


class WebServer(uvicorn.Server):
    """Uvicorn without signal handlers: one signal ends the pages and the run together."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture no signals."""
        return nullcontext()


def build_server_config(web: FastAPI, config: Config) -> uvicorn.Config:
    """Return the options of the server."""
    return uvicorn.Config(
        web,
        http="h11",  # unlike httptools it limits the head of a request
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=config.web.max_connections,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )
