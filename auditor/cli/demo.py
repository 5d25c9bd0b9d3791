"""`demo`: play the demo network, write its pages, and serve its dashboard."""

import asyncio
import signal
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from auditor import scheduling
from auditor.app import App
from auditor.cli.context import CliContext, examples, get_cli_context, get_current_time
from auditor.cli.output import count_noun, print_data, print_text, show_progress
from auditor.cli.reports import publish_pages
from auditor.core import runtime
from auditor.core.errors import ConfigError
from auditor.demo import play
from auditor.demo.model import DemoRun
from auditor.demo.play import DemoResult
from auditor.evaluation.network_view import build_network_overview
from auditor.reports import text
from auditor.runs.pipeline import stop_on_signal
from auditor.users.service import MAX_LOGIN_LINK_AGE, LoginLink
from storage.models.users import Role
from storage.tables.users import User

DEMO_USER_NAME = "Demo"
"""The administrator of the demo network. It has no password: only the printed link logs it in."""


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
    dashboard, and a link that logs you in once.
    """
    cli_context = get_cli_context(context)
    with show_progress("14 checks", quiet=cli_context.quiet) as on_progress:
        demo_result = runtime.run_async(
            play.run_demo(folder, on_progress=on_progress, now=get_current_time())
        )
    with App.open(demo_result.config) as app:
        _print_results(app, demo_result, cli_context)
        if serve:
            _serve_dashboard(app, demo_result, cli_context)


def _print_results(app: App, demo_result: DemoResult, cli_context: CliContext) -> None:
    config = app.config
    page_count = publish_pages(app, config.report.folder, cli_context)
    overview = build_network_overview(
        app.store, config, get_current_time(), since=demo_result.runs[0].started_at
    )
    print_text(text.format_terminal_report(overview, config, None, cli_context.language))
    first_page = config.report.folder / "index.html"
    cli_context.print_note(f"{count_noun(page_count, 'page')} to open: {first_page}")
    command = f"auditor --config {demo_result.folder}/config.toml gaps"
    cli_context.print_note(f"database: {config.storage.url}; continue with: {command}")


def _serve_dashboard(app: App, demo_result: DemoResult, cli_context: CliContext) -> None:
    """Serve the pages until Ctrl-C. The fake web runs too, so that accounts can be checked."""
    now = get_current_time()
    user = app.store.users.add(
        User(name=DEMO_USER_NAME, role=Role.ADMIN, added_at=now, added_by="auditor demo")
    )
    login_link = LoginLink(user, now + MAX_LOGIN_LINK_AGE)
    web = app.config.web
    with ExitStack() as stack:
        try:
            web_socket = stack.enter_context(scheduling.open_web_socket(web))
        except ConfigError:  # the port is in use, so any free one
            web = web.model_copy(update={"port": 0})
            web_socket = stack.enter_context(scheduling.open_web_socket(web))
        assert web_socket is not None  # the pages are enabled
        runtime.run_async(_run_server(app, demo_result, web_socket, login_link, cli_context))
    cli_context.print_note("the demo has ended")


async def _run_server(
    app: App,
    demo_result: DemoResult,
    web_socket: socket.socket,
    login_link: LoginLink,
    cli_context: CliContext,
) -> None:
    folder, stop = demo_result.folder, asyncio.Event()
    run_count = len(demo_result.runs)
    async with play.FakeWebProcess(folder / "ca.pem") as web:
        last_start = demo_result.runs[-1].started_at
        await web.switch_to_run(DemoRun(run_count, run_count, last_start))
        served_app = replace(app, config=play.write_demo_config(folder, web.port))
        with stop_on_signal(stop, signal.SIGINT):
            url = scheduling.format_server_url(web_socket)
            cli_context.print_note(f"dashboard, until you press Ctrl-C: {url}")
            cli_context.print_note(
                "this link logs you in as an administrator, once, within 15 minutes:"
            )
            print_data(f"{url}{cli_context.language}/login/{login_link.token}")
            await scheduling.run_server(
                served_app,
                get_current_time,
                sock=web_socket,
                with_schedule=False,
                login_link=login_link,
                stop=stop,
            )
