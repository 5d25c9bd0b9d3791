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
from tests.support.mini_network import START, link, night_of, register
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

AMAL = "amal@rabat.example"
PAGE = link("nour", "facebook", "nour")


@pytest.fixture
def app(app, tmp_path):
    app.config = app.config.model_copy(update={"storage": StorageSettings(folder=tmp_path)})
    register(app, PAGE)
    return app


def configure_servers(app, monitor_host, mail_port):
    smtp = {"host": "127.0.0.1", "port": mail_port, "security": "none"}
    document = {"from": "a@rabat.example", "smtp": smtp, "recipients": [{"to": AMAL}]}
    tables = {
        "monitor": MonitorSettings(ping_url=f"http://{monitor_host}/p"),
        "notify": NotifySettings.model_validate(document),
    }
    app.config = app.config.model_copy(update=tables)


@pytest.fixture
def servers(app):
    """Yield the requests to the monitor and the mailbox."""
    with web_server() as (host, requests), mail_server() as mailbox:
        configure_servers(app, host, mailbox.port)
        yield requests, mailbox


def list_paths(requests):
    return [urlsplit(path).path for _, path, _ in requests]


@pytest.mark.smoke
async def test_run_is_pinged_and_notified(app, servers):
    requests, mailbox = servers
    for _ in range(2):
        assert (await run_audit_pipeline(app, START)).state is AuditRunState.DONE
    assert list_paths(requests) == ["/p/start", "/p", "/p/start", "/p"]
    runs = [path.partition("rid=")[2] for _, path, _ in requests]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert len(mailbox.to(AMAL)) == 1


async def test_failed_run_is_pinged_with_log_and_notified(app, servers, monkeypatch):
    def fail(*_, **__):
        raise StoreError("the disk", "it is full")

    monkeypatch.setattr(app.store.observations, "record", fail)
    with pytest.raises(StoreError):
        await run_audit_pipeline(app, START)
    requests, mailbox = servers
    assert list_paths(requests) == ["/p/start", "/p/fail"]
    assert "the disk: it is full" in requests[1][2]
    assert len(mailbox.to(AMAL)) == 1


async def test_interrupted_run_is_pinged_and_not_notified(app, servers):
    app.web.answers = {PAGE.typed_text: "hang"}
    task = asyncio.create_task(run_audit_pipeline(app, START))
    while not app.web.asked:  # noqa: ASYNC110  # the fake web has no event
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    requests, mailbox = servers
    assert list_paths(requests) == ["/p/start", "/p/fail"]
    assert "interrupted" in requests[1][2]
    assert not mailbox.taken


async def test_unreachable_monitor_and_mail_server_do_not_fail_the_run(app, caplog):
    configure_servers(app, f"127.0.0.1:{free_port()}", free_port())
    assert (await run_audit_pipeline(app, START)).state is AuditRunState.DONE
    assert caplog.text.count("of the run to the monitor") == 2
    assert caplog.text.count("to a…@rabat.example not delivered") == 1


async def test_bug_in_a_notification_does_not_fail_the_run(app, caplog, monkeypatch):
    monkeypatch.setattr(delivery, "collect_drafts", lambda: None)  # takes no arguments
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
