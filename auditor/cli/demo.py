"""`demo`: play the demo network, write its pages, and serve its dashboard."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import CliContext, examples, get_cli_context, get_current_time
from auditor.cli.output import print_data, print_text, show_progress
from auditor.cli.reports import publish_pages
from auditor.core import runtime
from auditor.core.errors import ConfigError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from auditor.app import App
    from auditor.config.schema import WebSettings
    from auditor.demo.play import DemoResult
    from auditor.users.service import LoginLink

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
    from auditor.app import App
    from auditor.demo import play

    cli_context = get_cli_context(context)
    title = cli_context.translator.translate("14 checks")
    with show_progress(title, quiet=cli_context.quiet) as on_progress:
        demo_result = runtime.run_async(
            play.run_demo(folder, on_progress=on_progress, now=get_current_time())
        )
    with App.open(demo_result.config) as app:
        _print_results(app, demo_result, cli_context)
        if serve:
            _serve_dashboard(app, demo_result, cli_context)


def _print_results(app: App, demo_result: DemoResult, cli_context: CliContext) -> None:
    from auditor.evaluation.network_view import build_network_overview
    from auditor.reports import text

    config = app.config
    page_count = publish_pages(app, config.report.folder, cli_context)
    overview = build_network_overview(
        app.store, config, get_current_time(), since=demo_result.runs[0].started_at
    )
    print_text(text.format_terminal_report(overview, config, None, cli_context.language))
    first_page = str(config.report.folder / "index.html")
    cli_context.print_translated_count(
        "{n} page to open: {file}", "{n} pages to open: {file}", page_count, file=first_page
    )
    cli_context.print_translated(
        "database: {file}; continue with: {command}",
        file=config.storage.url,
        command=f"auditor --config {demo_result.folder}/config.toml gaps",
    )


def _serve_dashboard(app: App, demo_result: DemoResult, cli_context: CliContext) -> None:
    """Serve the pages until Ctrl-C. The fake web runs too, so that accounts can be checked."""
    from auditor.users.service import MAX_LOGIN_LINK_AGE, LoginLink
    from storage.models.users import Role
    from storage.tables.users import User

    now = get_current_time()
    user = app.store.users.add(
        User(name=DEMO_USER_NAME, role=Role.ADMIN, added_at=now, added_by="auditor demo")
    )
    login_link = LoginLink(user, now + MAX_LOGIN_LINK_AGE)
    with _open_web_socket(app.config.web) as web_socket:
        runtime.run_async(_run_server(app, demo_result, web_socket, login_link, cli_context))
    cli_context.print_translated("the demo has ended")


async def _run_server(
    app: App,
    demo_result: DemoResult,
    web_socket: socket.socket,
    login_link: LoginLink,
    cli_context: CliContext,
) -> None:
    import asyncio
    import signal

    from auditor import scheduling
    from auditor.demo import play
    from auditor.demo.model import DemoRun
    from auditor.runs.process import stop_on_signal

    folder, stop = demo_result.folder, asyncio.Event()
    run_count = len(demo_result.runs)
    async with play.FakeWebProcess(folder / "ca.pem") as web:
        last_start = demo_result.runs[-1].started_at
        await web.switch_to_run(DemoRun(run_count, run_count, last_start))
        served_app = replace(app, config=play.write_demo_config(folder, web.port))
        with stop_on_signal(stop, signal.SIGINT):
            _print_login_link(scheduling.format_server_url(web_socket), login_link, cli_context)
            await scheduling.run_server(
                served_app,
                get_current_time,
                sock=web_socket,
                with_schedule=False,
                login_link=login_link,
                stop=stop,
            )


def _print_login_link(url: str, login_link: LoginLink, cli_context: CliContext) -> None:
    cli_context.print_translated("dashboard, until you press Ctrl-C: {url}", url=url)
    cli_context.print_translated(
        "this link logs you in as an administrator, once, within 15 minutes:"
    )
    print_data(f"{url}{cli_context.language}/login/{login_link.token}")


@contextmanager
def _open_web_socket(web_settings: WebSettings) -> Iterator[socket.socket]:
    """Open the socket of the pages, on any free port if the configured one is in use."""
    from auditor.scheduling import open_web_socket

    with ExitStack() as stack:
        try:
            web_socket = stack.enter_context(open_web_socket(web_settings))
        except ConfigError:
            any_port = web_settings.model_copy(update={"port": 0})
            web_socket = stack.enter_context(open_web_socket(any_port))
        assert web_socket is not None  # the pages are enabled
        yield web_socket
