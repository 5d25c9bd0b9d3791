"""What machines ask: whether the service lives, and its figures. Neither has a language or a page.

`/healthz` says one word to anybody, under any name: who restarts or balances services asks by number. The
figures of `/metrics` are for this machine, and for whoever shows the token of `[web] metrics_token_file`.
"""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from auditor.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.process import SchedulerHeartbeat
from auditor.web import access
from auditor.web.middleware import HEALTH_PATH, is_loopback_host
from probes.log import EventLogger
from storage.errors import StoreError

events = EventLogger(__name__)
router = APIRouter()

METRICS_PATH = "/metrics"
METRICS_AUTH_HEADERS = {"www-authenticate": 'Bearer realm="metrics"'}


@router.get(HEALTH_PATH, dependencies=[access.PUBLIC_ACCESS])
def get_health(request: Request) -> PlainTextResponse:
    """`ok`; 503 and what is wrong in one word where the database cannot be read or the schedule has died."""
    heart: SchedulerHeartbeat | None = request.app.state.heartbeat
    try:
        request.app.state.app.store.get_latest_run()
    except StoreError as trouble:
        events.error("database_unreadable", "the database cannot be read: {why}", why=str(trouble))
        return PlainTextResponse("database\n", 503)
    if heart is not None and not heart.is_alive:
        events.error(
            "schedule_dead", "the schedule of nights has not been heard for more than an hour"
        )
        return PlainTextResponse("schedule\n", 503)
    return PlainTextResponse("ok\n")


@router.get(METRICS_PATH, dependencies=[access.MONITORING_ACCESS])
def get_metrics(request: Request) -> Response:
    """The figures in the text format of Prometheus."""
    state = request.app.state
    if not _can_read_metrics(request):
        return PlainTextResponse(
            "The figures are for this machine, or for who shows the token.\n",
            401,
            METRICS_AUTH_HEADERS,
        )
    alive = state.heartbeat.is_alive if state.heartbeat is not None else None
    told = render_metrics(MetricsCollector(state.app, state.clock(), alive))
    return Response(told, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _can_read_metrics(request: Request) -> bool:
    token = request.app.state.app.config.web.metrics_token
    shown = request.headers.get("authorization", "").encode()
    expected = f"Bearer {token.get_secret_value()}".encode() if token else b""
    return _is_local_request(request) or bool(token and hmac.compare_digest(shown, expected))


def _is_local_request(request: Request) -> bool:
    """Whether this machine itself asks, and no proxy for somebody else."""
    return (
        request.scope["here"]
        and request.client is not None
        and is_loopback_host(request.client.host)
    )
