"""Builds the web application: routers, static files, error handlers and middleware."""

from importlib.resources import files
from threading import Lock

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auditor.app import App
from auditor.runs.process import SchedulerHeartbeat
from auditor.runs.recheck import RecheckService
from auditor.runs.requested_run import RunStarter
from auditor.users.service import LoginLink
from auditor.web.access import NotLoggedInError
from auditor.web.errors import Clock, handle_http_error
from auditor.web.middleware import SecurityMiddleware, collect_address_words
from auditor.web.routes import (
    associations,
    dashboard,
    decisions,
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
    registry.router,
    registry_entry.router,
    report.router,
    report_links.router,
    replies.router,
    associations.router,  # last: its pages match any path below /associations/
)


def create_app(
    app: App,
    clock: Clock,
    heartbeat: SchedulerHeartbeat | None = None,
    login_link: LoginLink | None = None,
    run_starter: RunStarter | None = None,
) -> FastAPI:
    """Return the web application for an open store.

    `clock` gives the current time of each request. `heartbeat` is that of the scheduler if it runs
    in the same process. `login_link` logs a user in once without a password; only the demo has one.
    `run_starter` starts runs that coordinators request; without it, the pages offer none. Proxy
    headers are believed only from `[web] trusted_proxies`.
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
    web.state.app = app
    web.state.clock = clock
    web.state.heartbeat = heartbeat
    web.state.run_starter = run_starter
    web.state.association_checks = RecheckService()
    web.state.login_service = login.LoginService(link=login_link)
    web.state.last_decision_submission = None
    web.state.decision_lock = Lock()
    web.mount(
        "/static",
        StaticFiles(directory=str(files("auditor.web").joinpath("static"))),
        name="static",
    )
    for error_class in (HTTPException, RequestValidationError):
        web.add_exception_handler(error_class, handle_http_error)
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
