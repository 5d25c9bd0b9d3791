"""Builds the web application and its HTTP server: routers, error handlers, middleware, options.

The server listens on loopback, behind an HTTPS proxy that has deadlines for slow clients (those of
Caddy are in `deploy/Caddyfile`).

It has the health check and the metrics for monitoring programs, which have neither a language nor a
page. `/healthz` answers everyone under any host name, because load balancers ask by address.
`/metrics` answers requests from this machine, and those with the token of `[web]
metrics_token_file`.
"""

from __future__ import annotations

import hmac
from contextlib import nullcontext
from importlib.resources import files

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auditor.app import App
from auditor.checking.clock import is_dated_in_future
from auditor.config.schema import Config
from auditor.runs.check_now import RecheckService
from auditor.runs.diagnostics.metrics import MetricsCollector, render_metrics
from auditor.runs.frontier import WorkerCluster
from auditor.runs.scheduling import SchedulerJob
from auditor.web import access
from auditor.web.access import NotLoggedInError
from auditor.web.confirmations import Confirmations
from auditor.web.middleware import (
    HEALTH_PATH,
    SecurityMiddleware,
    collect_address_words,
    is_loopback_host,
)
from auditor.web.request_context import Clock, handle_http_error
from auditor.web.routes import (
    associations,
    dashboard,
    decisions,
    feeds,
    final_report,
    gaps,
    login,
    registry,
    registry_entry,
    report,
    report_links,
    runs,
    survey,
    undo,
    users,
    workshops,
)
from auditor.web.users import LoginLink, PasswordService
from probes.log import EventLogger
from storage.errors import ChangedMeanwhileError, StoreError
from storage.store import Store

logger = EventLogger(__name__)
router = APIRouter(route_class=access.AccessRoute)

METRICS_PATH = "/metrics"


@router.get(HEALTH_PATH, dependencies=[access.PUBLIC_ACCESS])
def get_health(request: Request) -> PlainTextResponse:
    """Return `ok`, or 503 with `database` or `schedule` if that does not work.

    With `clock` the newest run is dated in the future.
    """
    scheduler: SchedulerJob | None = request.app.state.scheduler
    store: Store = request.app.state.app.store
    try:
        store.require_same_file()
        run = store.runs.get_latest()
    except StoreError as error:
        logger.error(
            "database_unreadable", "the database cannot be read: {reason}", reason=str(error)
        )
        return PlainTextResponse("database\n", 503)
    if scheduler is not None and not scheduler.is_alive:
        logger.error("scheduler_stopped", "no sign of the scheduler for more than an hour")
        return PlainTextResponse("schedule\n", 503)
    if run is not None and is_dated_in_future(run, request.app.state.clock()):
        logger.error("run_dated_in_future", "the run for {run} is dated in the future", run=run.day)
        return PlainTextResponse("clock\n", 503)
    return PlainTextResponse("ok\n")


def handle_storage_error(request: Request, error: Exception) -> HTMLResponse:
    """Show the error page of a database or disk that cannot be written (507).

    What another request changed or erased meanwhile is a conflict (409).
    """
    if isinstance(error, ChangedMeanwhileError):
        return handle_http_error(request, HTTPException(409))
    logger.error("not_saved", "a request could not be saved: {reason}", reason=str(error))
    return handle_http_error(request, HTTPException(507))


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
            {"www-authenticate": 'Bearer realm="metrics"'},
        )
    is_scheduler_alive = state.scheduler.is_alive if state.scheduler is not None else None
    collector = MetricsCollector(state.app, state.clock(), is_scheduler_alive, state.cluster)
    return Response(render_metrics(collector), media_type=CONTENT_TYPE_PLAIN_0_0_4)


ROUTERS = (
    login.router,
    users.router,
    router,
    dashboard.router,
    gaps.router,
    feeds.router,
    runs.router,
    decisions.router,
    registry.router,
    registry_entry.router,
    report.router,
    report_links.router,
    survey.router,
    workshops.router,
    final_report.router,
    undo.router,
    associations.router,  # last: its pages match any path below /associations/
)


def create_app(
    app: App,
    clock: Clock,
    scheduler: SchedulerJob | None = None,
    login_link: LoginLink | None = None,
    run_starter: SchedulerJob | None = None,
    *,
    cluster: WorkerCluster | None = None,
) -> FastAPI:
    """Return the web application for an open store.

    `clock` gives the current time of each request. `scheduler` is the one that runs
    in the same process. `login_link` logs a user in once without a password; only the demo has one.
    `run_starter` starts runs that coordinators request; without it, the pages offer none. `cluster`
    is None on a single machine. Proxy headers are believed only from `[web] trusted_proxies`.
    """
    web = FastAPI(
        title="Presence auditor",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # `include_router` builds every route a second time: 0.4 s at the first request. Routes that
        # are passed directly ignore `dependency_overrides`, which nothing here uses.
        routes=[route for router in ROUTERS for route in router.routes],
    )
    web.state = State(
        {
            "app": app,
            "clock": clock,
            "scheduler": scheduler,
            "run_starter": run_starter,
            "cluster": cluster,
            "association_checks": RecheckService(),
            "confirmations": Confirmations(),
            "passwords": PasswordService(),
            "login_attempts": login.LoginAttemptLimiter(),
            "login_link": login_link,
        }
    )
    web.mount(
        "/static",
        StaticFiles(directory=str(files("auditor.web").joinpath("static"))),
        name="static",
    )
    for error_class in (HTTPException, RequestValidationError):
        web.add_exception_handler(error_class, handle_http_error)
    for storage_error in (StoreError, OSError):
        web.add_exception_handler(storage_error, handle_storage_error)
    web.add_exception_handler(NotLoggedInError, login.handle_not_logged_in)
    web.add_exception_handler(runs.NothingCheckedError, runs.handle_nothing_checked)
    web.add_middleware(
        SecurityMiddleware,
        config=app.config,
        clock=clock,
        address_words=collect_address_words(web.routes),
    )
    web.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    web.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(app.config.web.trusted_proxies))
    return web


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
        # seconds that a request may still take when the service stops
        timeout_graceful_shutdown=5,
    )
