"""The scheduled run of a service whose pages are flooded with unfinished requests."""

import asyncio
import os
import resource
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.web.server import LOG_INTERVAL_SECONDS
from probes.models.finding import Presence
from storage.models.audit import AuditRunState
from tests.support.hostile_server.attacks import ATTACKS
from tests.support.hostile_server.network import open_store, register_sites, write_config
from tests.support.hostile_server.web import HostileWeb

AUDITOR = Path(sys.executable).with_name("auditor")
FLOOD_COUNT, FLOOD_CLIENTS = 2_000, 100
"""Connections that are held open, and the addresses that they come from."""
MAX_FILES = 700
"""Open files of the service: 500 for its run and its reserve, the others for connections."""
SECONDS_BETWEEN_CONNECTIONS = 5
SECONDS_UNTIL_RUN, MAX_TEST_SECONDS = 20, 240
CONFIG = """
[web]
port = {port}
[schedule]
start_time = {start_time:%H:%M:%S}
"""
HEAD = b"GET /en/login HTTP/1.1\r\nHost: localhost\r\nX-A: b"
BODY = (
    b"POST /en/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname="
)
PAGE = b"GET /en/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def many_files():
    """Let this process open enough files for the flood."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FLOOD_COUNT + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"at most {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def limit_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))


def find_free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def hold_connection(number, port, counts):
    """Keep an unfinished request open, and open the next one when it is closed."""
    source = f"127.0.1.{number % FLOOD_CLIENTS + 1}"
    while True:
        with suppress(OSError):
            connecting = asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            reader, writer = await connecting
            counts["opened"] += 1
            try:
                writer.write(BODY if number % 2 else HEAD)
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(SECONDS_BETWEEN_CONNECTIONS)


def get_status(port):
    """Return the status of a page that another client requests, or None without an answer."""
    source = ("127.0.2.1", 0)
    with socket.create_connection(("127.0.0.1", port), 60, source_address=source) as sock:
        sock.sendall(PAGE)
        with sock.makefile("rb") as file, suppress(ConnectionResetError):
            status_line = file.readline()
            file.read()
            return int(status_line.split()[1]) if status_line else None


async def wait_for_pages(port):
    while True:
        with suppress(OSError):
            return await asyncio.to_thread(get_status, port)
        await asyncio.sleep(0.2)


def is_run_done(folder):
    with open_store(folder) as store:
        run = store.runs.get_latest()
        return run is not None and run.state is not AuditRunState.RUNNING


async def execute_flooded_run(folder):
    """Execute a scheduled run during the flood. Return the web, the page statuses and the log."""
    port, counts, statuses = find_free_port(), {"opened": 0}, []
    async with HostileWeb(folder, ATTACKS[::6], 60) as web:
        write_config(folder, web, timeout=5)
        register_sites(folder, web.links)
        start_time = datetime.now(UTC) + timedelta(seconds=SECONDS_UNTIL_RUN)
        with (folder / "config.toml").open("a", encoding="utf-8") as file:
            file.write(CONFIG.format(port=port, start_time=start_time))
        process = await asyncio.create_subprocess_exec(
            *(AUDITOR, "--config", str(folder / "config.toml"), "serve"),
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=limit_files,
        )
        try:
            await wait_for_pages(port)
            flood = [
                asyncio.create_task(hold_connection(number, port, counts))
                for number in range(FLOOD_COUNT)
            ]
            while not await asyncio.to_thread(is_run_done, folder):
                statuses.append(await asyncio.to_thread(get_status, port))
                await asyncio.sleep(0.5)
            for task in flood:
                task.cancel()
            await asyncio.gather(*flood, return_exceptions=True)
        finally:
            process.terminate()
            _, log = await process.communicate()
    return web, statuses, counts["opened"], log.decode()


@pytest.mark.slow
@pytest.mark.fault("F72", "F73")
@pytest.mark.xdist_group("hostile web")
async def test_scheduled_run_and_pages_work_during_a_flood_of_connections(tmp_path, many_files):
    started_at = datetime.now(UTC)
    async with asyncio.timeout(MAX_TEST_SECONDS):
        web, statuses, opened_count, log = await execute_flooded_run(tmp_path)
    with open_store(tmp_path) as store:
        run = store.runs.get_latest()
        names = {row.id: row.association for row in store.registry.list_accounts()}
        findings = [
            (names[item.account_id], item.finding)
            for item in store.observations.list_observations(run_id=run.id)
        ]
    assert run.state is AuditRunState.DONE
    assert sorted(name for name, _ in findings) == sorted(web.links)
    healthy = {finding.presence for name, finding in findings if name in web.healthy}
    assert healthy == {Presence.PRESENT}
    assert set(statuses) == {200}
    assert opened_count >= FLOOD_COUNT
    minutes = (datetime.now(UTC) - started_at).total_seconds() / LOG_INTERVAL_SECONDS
    refusals = [line for line in log.splitlines() if "connections are refused" in line]
    assert 1 <= len(refusals) <= 1 + minutes
    assert "Traceback" not in log
    assert "ERROR" not in log
