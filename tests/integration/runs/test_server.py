"""Runs and pages in one process: one signal stops both, and a used port is a one-line error."""

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime, time

import httpx
import pytest

from auditor.app import App
from auditor.cli.main import main
from auditor.cli.serve import (
    format_server_url,
    open_web_socket,
    refresh_summaries_periodically,
    run_server,
)
from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.config.schema import (
    BackupSettings,
    Config,
    ScheduleSettings,
    StorageSettings,
    WebSettings,
)
from auditor.core.errors import ConfigError
from storage.models.audit import Association, AuditRunState
from storage.models.summaries import ALL_FACET

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HERE = WebSettings(port=0)


def clock():
    return NOW


@pytest.fixture
def app(tmp_path):
    storage = StorageSettings.model_validate({"folder": tmp_path / "data"})
    with App.open(
        Config(storage=storage, schedule=ScheduleSettings(start_time=time(0, 30), catch_up_hours=6))
    ) as opened:
        yield opened


async def get_login_page(server_url):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{server_url}en/login")


async def test_pages_are_served_before_the_run_and_one_signal_ends_both(app):
    with open_web_socket(HERE) as web_socket:
        server_url = format_server_url(web_socket)
        server_task = asyncio.create_task(run_server(app, clock, sock=web_socket))
        assert (await get_login_page(server_url)).status_code == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(server_task, 10)
    assert app.store.runs.get_latest() is None


async def test_cancelled_service_stops_serving_pages(app):
    with open_web_socket(HERE) as web_socket:
        server_url = format_server_url(web_socket)
        server_task = asyncio.create_task(
            run_server(app, clock, sock=web_socket, with_schedule=False)
        )
        assert (await get_login_page(server_url)).status_code == 200
        server_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server_task
        with pytest.raises(httpx.TransportError):
            await get_login_page(server_url)


async def test_pages_are_served_during_a_run(tmp_path):
    storage = StorageSettings.model_validate({"folder": tmp_path / "data"})
    schedule, backup = (
        ScheduleSettings(start_time=time(12, 0), catch_up_hours=6),
        BackupSettings(folder=tmp_path / "backups"),
    )
    with (
        App.open(Config(storage=storage, schedule=schedule, backup=backup)) as app,
        open_web_socket(HERE) as web_socket,
    ):
        stop, server_url = asyncio.Event(), format_server_url(web_socket)
        server_task = asyncio.create_task(run_server(app, clock, sock=web_socket, stop=stop))
        while app.store.runs.get_latest(AuditRunState.DONE) is None:
            assert (await get_login_page(server_url)).status_code == 200
        stop.set()
        await asyncio.wait_for(server_task, 10)


def test_used_port_is_a_one_line_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"127\.0\.0\.1 port {port}: address already in use"),
            open_web_socket(WebSettings(port=port)),
        ):
            pass


def test_end_of_a_page_does_not_wait_for_an_acknowledgement():
    with (
        open_web_socket(HERE) as web_socket,
        socket.create_connection(web_socket.getsockname()),
        web_socket.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_foreign_host_is_a_one_line_error():
    with (
        pytest.raises(ConfigError, match=r"another \[web] host or port"),
        open_web_socket(WebSettings(host="192.0.2.1", trusted_proxies=["192.0.2.2"])),
    ):
        pass


def test_serve_without_pages_and_runs_is_refused(capsys):
    assert main(["serve", "--no-web", "--no-schedule"]) == 2
    assert "nothing is left to do" in capsys.readouterr().err


async def test_page_waits_for_few_stale_summaries_and_service_updates_many(app):
    associations = [
        Association(f"a{number}", f"Association {number}")
        for number in range(MAX_STALE_WHILE_READING + 1)
    ]
    app.store.registry.save_registry(associations, [], NOW)
    assert refresh_summaries(app.store, app.config, max_stale=MAX_STALE_WHILE_READING) == 0
    stop = asyncio.Event()
    stop.set()
    await refresh_summaries_periodically(app, stop)
    assert app.store.counts.get_facet_counts()[ALL_FACET] == MAX_STALE_WHILE_READING + 1
    app.store.registry.save_registry([*associations, Association("new", "A new one")], [], NOW)
    assert refresh_summaries(app.store, app.config, max_stale=MAX_STALE_WHILE_READING) == 1
