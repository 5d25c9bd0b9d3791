"""Pings and notifications of a run. Their failure never fails the run."""

import asyncio
import threading
from urllib.parse import urlsplit

import pytest

from auditor.config.notifications import MonitorSettings, NotifySettings
from auditor.config.schema import StorageSettings
from auditor.presentation.notifications import delivery
from auditor.runs.pipeline import run_audit_pipeline
from storage.errors import StoreError
from storage.models.audit import AuditRunState
from tests.support.mini_network import START, configured, link, night_of, opened, register
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

AMAL = "amal@rabat.example"
PAGE = link("nour", "facebook", "nour")


@pytest.fixture
def app(tmp_path):
    small_app = opened(
        tmp_path, configured().model_copy(update={"storage": StorageSettings(folder=tmp_path)})
    )
    register(small_app, PAGE)
    yield small_app
    small_app.store.close()


def update_config(app, **tables):
    app.config = app.config.model_copy(update=tables)


def build_mail_settings(port):
    smtp = {"host": "127.0.0.1", "port": port, "security": "none"}
    return NotifySettings.model_validate(
        {"from": "a@rabat.example", "smtp": smtp, "recipients": [{"to": AMAL}]}
    )


def list_paths(requests):
    return [urlsplit(path).path for _, path, _ in requests]


async def test_run_is_pinged_and_notified(app):
    with web_server() as (host, requests), mail_server() as mailbox:
        update_config(
            app,
            monitor=MonitorSettings(ping_url=f"http://{host}/p"),
            notify=build_mail_settings(mailbox.port),
        )
        run = await run_audit_pipeline(app, START)
        assert (await run_audit_pipeline(app, START)).state is AuditRunState.DONE
    assert run.state is AuditRunState.DONE
    assert list_paths(requests) == ["/p/start", "/p", "/p/start", "/p"]
    runs = [path.partition("rid=")[2] for _, path, _ in requests]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert len(mailbox.to(AMAL)) == 1


async def test_failed_run_is_pinged_with_log_and_notified(app, monkeypatch):
    def fail(*_, **__):
        raise StoreError("the disk", "it is full")

    monkeypatch.setattr(app.store.observations, "record", fail)
    with web_server() as (host, requests), mail_server() as mailbox:
        update_config(
            app,
            monitor=MonitorSettings(ping_url=f"http://{host}/p"),
            notify=build_mail_settings(mailbox.port),
        )
        with pytest.raises(StoreError):
            await run_audit_pipeline(app, START)
    assert list_paths(requests) == ["/p/start", "/p/fail"]
    assert "the disk: it is full" in requests[1][2]
    assert len(mailbox.to(AMAL)) == 1


async def test_interrupted_run_is_pinged_and_not_notified(app):
    reached = asyncio.Event()

    async def hang(request):
        reached.set()
        await asyncio.Event().wait()

    app.web.get = hang
    with web_server() as (host, requests), mail_server() as mailbox:
        update_config(
            app,
            monitor=MonitorSettings(ping_url=f"http://{host}/p"),
            notify=build_mail_settings(mailbox.port),
        )
        task = asyncio.create_task(run_audit_pipeline(app, START))
        await asyncio.wait_for(reached.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list_paths(requests) == ["/p/start", "/p/fail"]
    assert "interrupted" in requests[1][2]
    assert not mailbox.taken


async def test_unreachable_monitor_and_mail_server_do_not_fail_the_run(app, caplog):
    update_config(
        app,
        monitor=MonitorSettings(ping_url=f"http://127.0.0.1:{free_port()}/p"),
        notify=build_mail_settings(free_port()),
    )
    assert (await run_audit_pipeline(app, START)).state is AuditRunState.DONE
    assert caplog.text.count("of the run to the monitor") == 2
    assert caplog.text.count("to a…@rabat.example not delivered") == 1


async def test_bug_in_a_notification_does_not_fail_the_run(app, caplog, monkeypatch):
    def buggy(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(delivery, "collect_drafts", buggy)
    assert (await run_audit_pipeline(app, night_of(1))).state is AuditRunState.DONE
    assert "not all notifications of the run were sent" in caplog.text


async def test_run_that_is_interrupted_during_notifications_is_done(app, monkeypatch):
    reached, may_continue, stop_answers = threading.Event(), threading.Event(), []

    def slow(_app, _night, _now, should_stop):
        reached.set()
        may_continue.wait(10)
        stop_answers.append(should_stop())

    monkeypatch.setattr(delivery, "send_run_notifications", slow)
    task = asyncio.create_task(run_audit_pipeline(app, START))
    assert await asyncio.to_thread(reached.wait, 10)
    task.cancel()
    assert (await task).state is AuditRunState.DONE
    may_continue.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert stop_answers == [True]
