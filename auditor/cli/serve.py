"""`serve` and `demo`: the scheduler and the web pages in one process, and a network to try them."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.app import App, refuse_unusable_certificates
from auditor.cli.context import CliContext, examples, get_cli_context, get_current_time
from auditor.cli.output import count_noun, print_data, show_progress
from auditor.cli.reports import publish_pages
from auditor.cluster import get_worker_cluster
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import WebSettings
from auditor.core import log_setup, runtime
from auditor.core.errors import ConfigError, UsageError
from auditor.presentation.report_links import create_report_link
from auditor.runs import pipeline
from auditor.runs.pipeline import stop_on_signal
from auditor.runs.scheduling import SchedulerJob, run_scheduler
from auditor.web.app import WebServer, build_server_config, create_app
from auditor.web.middleware import is_loopback_host
from auditor.web.users import MAX_LOGIN_LINK_AGE, LoginLink
from probes.log import EventLogger
from storage.errors import StoreError
from storage.models.users import Role
from storage.tables.users import User

if TYPE_CHECKING:
    from auditor.demo.play import DemoResult

logger = EventLogger(__name__)


@examples("auditor serve", "auditor serve --no-schedule")
def serve(
    context: typer.Context,
    web: Annotated[bool, typer.Option(help="Serve the web pages.")] = True,
    schedule: Annotated[bool, typer.Option(help="Run the audit every day.")] = True,
) -> None:
    """Run the audit on schedule and serve the web pages.

    The settings under schedule and web say when and where. Stop it with Ctrl-C or SIGTERM: no data
    is lost, and an interrupted run is resumed later.
    """
    if not web and not schedule:
        raise UsageError("--no-web --no-schedule", "nothing is left to do", "only one of them")
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    refuse_unusable_certificates(config)
    pipeline.require_run_folders(config)
    with (
        App.open(config) as app,
        open_web_socket(config.web) if web else nullcontext() as web_socket,
    ):
        if web_socket:
            cli_context.print_note(f"web pages: {format_server_url(web_socket)}")
            if not app.store.users.count():
                cli_context.print_note(
                    "no one can log in yet; `auditor user add NAME --role admin` creates the first "
                    "link"
                )
        # Loaded code is never garbage. Searching it again delayed some pages by 200 ms.
        gc.freeze()
        runtime.run_async(
            run_server(app, get_current_time, sock=web_socket, with_schedule=schedule)
        )


def open_web_socket(settings: WebSettings) -> socket.socket:
    """Return a socket that listens for requests of the pages. Raises ConfigError."""
    if not is_loopback_host(settings.host) and not settings.trusted_proxies:
        raise ConfigError(
            f"[web] host = {settings.host}",
            "other machines must not reach the pages without an HTTPS proxy",
            'host = "127.0.0.1", or the address of the proxy in [web] trusted_proxies',
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        # Python adds the address to the reason
        reason = (error.strerror or "cannot listen there").partition(" (while")[0].lower()
        raise ConfigError(
            f"{settings.host} port {settings.port}",
            reason,
            "another [web] host or port, or `auditor serve --no-web`",
        ) from None
    # Without this, the end of a page waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def format_server_url(sock: socket.socket) -> str:
    """Return the URL of the pages for a browser on this machine."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def run_server(
    app: App,
    clock: Callable[[], datetime],
    *,
    sock: socket.socket | None = None,
    with_schedule: bool = True,
    login_link: LoginLink | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run the scheduler and the pages until SIGTERM or `stop`, then end both.

    `login_link` is passed on to `auditor.web.app.create_app`.
    """
    stop = stop or asyncio.Event()
    cluster = get_worker_cluster(app.config)
    job = SchedulerJob(app, partial(pipeline.run_audit_pipeline, cluster=cluster), clock)
    jobs: list[Coroutine[Any, Any, None]] = [
        run_scheduler(job, app.config.schedule if with_schedule else None, stop)
    ]
    if sock:
        web = create_app(
            app, clock, job if with_schedule else None, login_link, job, cluster=cluster
        )
        server = WebServer(build_server_config(web, app.config))
        jobs += [_serve_web(server, sock, stop), refresh_summaries_periodically(app, stop)]
    with stop_on_signal(stop):
        await runtime.run_together(*jobs)


async def _serve_web(server: WebServer, sock: socket.socket, stop: asyncio.Event) -> None:
    """Serve requests until `stop`; if the server ends by itself, stop everything else."""
    serving = asyncio.create_task(server.serve([sock]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving
        stop.set()


async def refresh_summaries_periodically(app: App, stop: asyncio.Event) -> None:
    """Update stale summaries: after an import, an upgrade or a change of the configuration."""
    while True:
        try:
            await asyncio.to_thread(
                refresh_summaries, app.store, app.config, should_stop=stop.is_set
            )
        except StoreError as error:
            logger.error(
                "summary_refresh_failed", "cannot update the summaries: {reason}", reason=str(error)
            )
        with suppress(TimeoutError):
            # seconds between two updates of stale summaries
            await asyncio.wait_for(stop.wait(), 60)
            return


@examples("auditor demo", "auditor demo --serve")
def demo(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(readable=False, help="Folder to create the demo in.")
    ] = Path("demo"),
    *,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve the dashboard afterwards, until you press Ctrl-C."),
    ] = False,
) -> None:
    """Demonstrate the auditor with a fictional network.

    Imports 100 associations, audits a simulated web 14 times and writes pages that you can open in
    a browser. Needs no internet connection. With --serve, it then prints the address of the
    dashboard, a link that logs you in once, and the link to a report of an association.
    """
    from auditor.demo import play  # noqa: PLC0415  # a service does not need it

    cli_context = get_cli_context(context)
    # the demo has faults on purpose
    log_setup.configure_logging(level="error", debug=cli_context.debug)
    with show_progress("14 checks", quiet=cli_context.quiet) as on_progress:
        demo_result = runtime.run_async(
            play.run_demo(folder, on_progress=on_progress, now=get_current_time())
        )
    with App.open(demo_result.config) as app:
        config = app.config
        page_count = publish_pages(app, config.report.folder, cli_context)
        first_page = config.report.folder / "index.html"
        cli_context.print_note(f"{count_noun(page_count, 'page')} to open: {first_page}")
        command = f"{sys.argv[0]} --config {demo_result.folder}/config.toml gaps"
        cli_context.print_note(f"database: {config.storage.url}; continue with: {command}")
        if serve:
            try:
                web_socket = open_web_socket(config.web)
            except ConfigError:  # the port is in use, so any free one
                web_socket = open_web_socket(config.web.model_copy(update={"port": 0}))
            with web_socket:
                runtime.run_async(_serve_demo(app, demo_result, web_socket, cli_context))
            cli_context.print_note("the demo has ended")


async def _serve_demo(
    app: App, demo_result: "DemoResult", web_socket: socket.socket, cli_context: CliContext
) -> None:
    """Serve the pages until Ctrl-C. The fake web runs too, so that accounts can be checked."""
    from auditor.demo import play  # noqa: PLC0415  # a service does not need it
    from auditor.demo.model import DemoRun  # noqa: PLC0415

    now, stop = get_current_time(), asyncio.Event()
    # The administrator has no password: only the printed link logs it in.
    user = app.store.users.add(
        User(name="Demo", role=Role.ADMIN, added_at=now, added_by="auditor demo")
    )
    login_link = LoginLink(user, now + MAX_LOGIN_LINK_AGE)
    folder, run_count = demo_result.folder, len(demo_result.runs)
    async with play.FakeWebProcess(folder / "ca.pem") as web:
        await web.switch_to_run(DemoRun(run_count, run_count, demo_result.runs[-1].started_at))
        url = format_server_url(web_socket)
        config = play.write_demo_config(folder, web.port, public_url=url.rstrip("/"))
        served_app = replace(app, config=config)
        _, report_url = create_report_link(
            app.store, config, play.REPORT_LINK_ASSOCIATION, user.name, now
        )
        with stop_on_signal(stop, signal.SIGINT):
            cli_context.print_note(f"dashboard, until you press Ctrl-C: {url}")
            cli_context.print_note(
                "this link logs you in as an administrator, once, within 15 minutes:"
            )
            print_data(f"{url}{cli_context.language}/login/{login_link.token}")
            cli_context.print_note(
                "this link opens the report of one association, as its volunteers see it:"
            )
            print_data(report_url)
            await run_server(
                served_app,
                get_current_time,
                sock=web_socket,
                with_schedule=False,
                login_link=login_link,
                stop=stop,
            )
