"""Health check and metrics for monitoring programs. Neither has a language or a page.

`/healthz` answers everyone under any host name, because load balancers ask by address. `/metrics`
answers requests from this machine, and those with the token of `[web] metrics_token_file`.
"""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from auditor.checking.clock import is_dated_in_future
from auditor.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.process import SchedulerHeartbeat
from auditor.web import access
from auditor.web.middleware import HEALTH_PATH, is_loopback_host
from probes.log import EventLogger
from storage.errors import StoreError
from storage.store import Store

logger = EventLogger(__name__)
router = APIRouter(route_class=access.AccessRoute)

METRICS_PATH = "/metrics"
METRICS_AUTH_HEADERS = {"www-authenticate": 'Bearer realm="metrics"'}


@router.get(HEALTH_PATH, dependencies=[access.PUBLIC_ACCESS])
def get_health(request: Request) -> PlainTextResponse:
    """Return `ok`, or 503 with `database` or `schedule` if that does not work.

    With `clock` the newest run is dated in the future.
    """
    heartbeat: SchedulerHeartbeat | None = request.app.state.heartbeat
    store: Store = request.app.state.app.store
    try:
        run = store.runs.get_latest()
    except StoreError as error:
        logger.error(
            "database_unreadable", "the database cannot be read: {reason}", reason=str(error)
        )
        return PlainTextResponse("database\n", 503)
    if heartbeat is not None and not heartbeat.is_alive:
        logger.error("scheduler_stopped", "no sign of the scheduler for more than an hour")
        return PlainTextResponse("schedule\n", 503)
    if run is not None and is_dated_in_future(run, request.app.state.clock()):
        logger.error("run_dated_in_future", "the run for {run} is dated in the future", run=run.day)
        return PlainTextResponse("clock\n", 503)
    return PlainTextResponse("ok\n")


@router.get(METRICS_PATH, dependencies=[access.MONITORING_ACCESS])
def get_metrics(request: Request) -> Response:
    """Return the metrics in the Prometheus text format."""
    state, client = request.app.state, request.client
    # A request from this machine does not come through a proxy.
    is_local = request.scope["is_local"] and client is not None and is_loopback_host(client.host)
    token = state.app.config.web.metrics_token
    expected = f"Bearer {token.get_secret_value()}" if token else ""
    authorization = request.headers.get("authorization", "")
    has_token = hmac.compare_digest(authorization.encode(), expected.encode())
    if not is_local and not (token and has_token):
        return PlainTextResponse(
            "Metrics need the token of [web] metrics_token_file, or a request from this machine.\n",
            401,
            METRICS_AUTH_HEADERS,
        )
    is_scheduler_alive = state.heartbeat.is_alive if state.heartbeat is not None else None
    collector = MetricsCollector(state.app, state.clock(), is_scheduler_alive)
    return Response(render_metrics(collector), media_type=CONTENT_TYPE_PLAIN_0_0_4)
