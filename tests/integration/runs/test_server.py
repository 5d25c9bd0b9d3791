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
from tests.support.mini_network import opened
from tests.support.process_groups import wait_until

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HERE = WebSettings(port=0)


def build_config(folder, **schedule):
    return Config(
        storage=StorageSettings.model_validate({"folder": folder / "data"}),
        backup=BackupSettings(folder=folder / "backups"),
        schedule=ScheduleSettings(catch_up_hours=6, **schedule),
    )


async def get_login_page(server_url):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{server_url}en/login")


@pytest.mark.parametrize("is_due", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_pages_are_served_before_and_during_a_run_and_one_signal_ends_both(tmp_path, is_due):
    config = build_config(tmp_path, start_time=time(12 if is_due else 0))
    with App.open(config) as app, open_web_socket(HERE) as web_socket:
        server_url = format_server_url(web_socket)
        server_task = asyncio.create_task(run_server(app, lambda: NOW, sock=web_socket))
        assert (await get_login_page(server_url)).status_code == 200
        while is_due and app.store.runs.get_latest(AuditRunState.DONE) is None:
            assert (await get_login_page(server_url)).status_code == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(server_task, 10)
        with pytest.raises(httpx.TransportError):
            await get_login_page(server_url)
        assert (app.store.runs.get_latest() is not None) is is_due


def test_used_port_is_a_one_line_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"127\.0\.0\.1 port {port}: address already in use"),
            open_web_socket(WebSettings(port=port)),
        ):
            pass


def test_serve_without_pages_and_runs_is_refused(capsys):
    assert main(["serve", "--no-web", "--no-schedule"]) == 2
    assert "nothing is left to do" in capsys.readouterr().err


async def test_page_waits_for_few_stale_summaries_and_service_updates_many(tmp_path):
    app = opened(tmp_path)
    associations = [
        Association(f"a{number}", f"Association {number}")
        for number in range(MAX_STALE_WHILE_READING + 1)
    ]
    app.store.registry.save_registry(associations, [], NOW)
    assert refresh_summaries(app.store, app.config, max_stale=MAX_STALE_WHILE_READING) == 0
    stop = asyncio.Event()
    service = asyncio.create_task(refresh_summaries_periodically(app, stop))
    try:
        await asyncio.to_thread(
            wait_until,
            lambda: app.store.counts.get_facet_counts().get(ALL_FACET) == len(associations),
        )
    finally:
        stop.set()
        await service
    app.store.registry.save_registry([*associations, Association("new", "A new one")], [], NOW)
    assert refresh_summaries(app.store, app.config, max_stale=MAX_STALE_WHILE_READING) == 1
    app.store.close()
