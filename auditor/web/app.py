"""The web application: its routers, its style sheets, and who may be answered at all."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auditor.app import App
from auditor.runs.account_worker import RecheckService
from auditor.runs.process import SchedulerHeartbeat
from auditor.web.access import NotLoggedInError
from auditor.web.errors import Clock, handle_http_error
from auditor.web.middleware import SecurityMiddleware
from auditor.web.routes import (
    associations,
    dashboard,
    decisions,
    exports,
    gaps,
    health,
    login,
    registry,
    registry_entry,
    replies,
    report,
    report_links,
    runs,
    users,
)

ROUTERS = (
    login.router,
    users.router,
    health.router,
    dashboard.router,
    gaps.router,
    runs.router,
    decisions.router,
    exports.router,
    registry.router,
    registry_entry.router,
    report.router,
    report_links.router,
    replies.router,
    associations.router,  # last: its pages take any path below /associations/
)


def create_app(app: App, clock: Clock, heartbeat: SchedulerHeartbeat | None = None) -> FastAPI:
    """The application over an open store, which reads the time by the clock; `heart` is the schedule's.

    What a proxy tells of who asks, and over which line, is believed of those alone that the operator trusts.
    """
    web = FastAPI(
        title="Presence auditor",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # as they are: `include_router` would make each anew, 0.4 s for all of them at the first request;
        # `dependency_overrides`, which nothing uses here, would not reach them
        routes=[route for router in ROUTERS for route in router.routes],
    )
    web.state.app = app
    web.state.clock = clock
    web.state.heart = heartbeat
    web.state.checks = RecheckService()
    web.state.doorman = login.LoginService()
    web.mount(
        "/static",
        StaticFiles(directory=str(files("auditor.web").joinpath("static"))),
        name="static",
    )
    for trouble in (HTTPException, RequestValidationError):
        web.add_exception_handler(trouble, handle_http_error)
    web.add_exception_handler(NotLoggedInError, login.handle_not_logged_in)
    web.add_middleware(SecurityMiddleware, config=app.config, clock=clock)
    web.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    web.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(app.config.web.trusted_proxies))
    return web
