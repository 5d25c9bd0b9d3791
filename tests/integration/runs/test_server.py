"""The nights and the pages in one process: one stop ends both, and a port that is taken is one line."""

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime, time

import httpx
import pytest

from auditor.app import App
from auditor.cli.main import main
from auditor.config.schema import Backup, Config, Schedule, Storage, Web
from auditor.core.errors import ConfigError
from auditor.evaluation.run_results import A_FEW, refresh
from auditor.scheduling import address, keep_fresh, listening, run_server
from storage.models.audit import Association, NightState
from storage.models.summaries import EVERYBODY

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HERE = Web(port=0)


def clock():
    return NOW


@pytest.fixture
def app(tmp_path):
    storage = Storage.model_validate({"folder": tmp_path / "data"})
    with App.open(Config(storage=storage, schedule=Schedule(at=time(0, 30), grace_hours=6))) as opened:
        yield opened


async def read(where):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{where}en/login")


async def test_the_pages_are_shown_while_the_night_waits_and_one_signal_ends_both(app):
    with listening(HERE) as at:
        where = address(at)
        serving = asyncio.create_task(run_server(app, clock, at=at))
        assert (await read(where)).status_code == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 10)
    assert app.store.last_night() is None


async def test_a_cancelled_service_ends_the_pages_too(app):
    with listening(HERE) as at:
        where = address(at)
        serving = asyncio.create_task(run_server(app, clock, at=at, nights=False))
        assert (await read(where)).status_code == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(httpx.TransportError):
            await read(where)


async def test_the_pages_are_read_while_a_night_goes_on(tmp_path):
    storage = Storage.model_validate({"folder": tmp_path / "data"})
    begins, copies = Schedule(at=time(12, 0), grace_hours=6), Backup(folder=tmp_path / "backups")
    with (
        App.open(Config(storage=storage, schedule=begins, backup=copies)) as app,
        listening(HERE) as at,
    ):
        stop, where = asyncio.Event(), address(at)
        serving = asyncio.create_task(run_server(app, clock, at=at, stop=stop))
        while app.store.last_night(NightState.DONE) is None:
            assert (await read(where)).status_code == 200
        stop.set()
        await asyncio.wait_for(serving, 10)


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"127\.0\.0\.1 port {port}: address already in use"),
            listening(Web(port=port)),
        ):
            pass


def test_the_end_of_a_page_does_not_wait_for_an_acknowledgement():
    with listening(HERE) as at, socket.create_connection(at.getsockname()), at.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_host_that_is_not_this_machines_is_one_line():
    with pytest.raises(ConfigError, match=r"another \[web] host or port"), listening(Web(host="192.0.2.1")):
        pass


def test_neither_pages_nor_nights_is_nothing_to_do(capsys):
    assert main(["serve", "--no-web", "--no-schedule"]) == 2
    assert "nothing to do" in capsys.readouterr().err


async def test_a_page_waits_for_few_changes_and_the_service_makes_up_for_very_many(app):
    many = [Association(f"a{number}", f"Association {number}") for number in range(A_FEW + 1)]
    app.store.save_registry(many, [], NOW)
    assert refresh(app.store, app.config, most=A_FEW) == 0
    stop = asyncio.Event()
    stop.set()
    await keep_fresh(app, stop)
    assert app.store.tally()[EVERYBODY] == A_FEW + 1
    app.store.save_registry([*many, Association("new", "A new one")], [], NOW)
    assert refresh(app.store, app.config, most=A_FEW) == 1
