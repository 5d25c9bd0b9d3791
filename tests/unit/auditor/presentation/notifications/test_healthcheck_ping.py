"""Tests of the pings to a monitor at the start and end of a run."""

import logging

import pytest

from auditor.config.notifications import MonitorSettings
from auditor.presentation.notifications.transports import (
    MAX_LOG_BYTES,
    MAX_LOG_LINES,
    MAX_PUSH_MESSAGE_CHARS,
    HealthcheckPing,
    capture_recent_warnings,
)
from tests.support.smtp_and_http_servers import free_port, web_server


def create_ping(address, kind="healthchecks"):
    return HealthcheckPing(MonitorSettings(ping_url=address, kind=kind), "7f3c")


def test_start_and_success_are_reported_with_the_same_run_id():
    with web_server() as (host, requests):
        ping = create_ping(f"http://{host}/ping/abc")
        ping.report_start()
        ping.report_success("100 accounts")
    assert requests == [
        ("POST", "/ping/abc/start?rid=7f3c", ""),
        ("POST", "/ping/abc?rid=7f3c", "100 accounts"),
    ]


def test_monitor_is_requested_through_its_own_proxy():
    with web_server() as (host, requests):
        monitor = MonitorSettings(
            ping_url="http://monitor.example/ping/abc", proxy=f"http://{host}"
        )
        HealthcheckPing(monitor, "7f3c").report_success("")
    assert requests == [("POST", "http://monitor.example/ping/abc?rid=7f3c", "")]


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "socks5://proxy.example", "http://"])
def test_invalid_proxy_is_refused(proxy):
    with pytest.raises(ValueError, match=r"proxy\.example:3128"):
        MonitorSettings(proxy=proxy)


def test_failure_has_the_last_lines_of_the_log_up_to_a_limit():
    with web_server() as (host, requests):
        create_ping(f"http://{host}/p").report_failure(["é" * MAX_LOG_BYTES, "the disk is full"])
    [(_, path, body)] = requests
    assert path == "/p/fail?rid=7f3c"
    assert body.endswith("\nthe disk is full")
    assert MAX_LOG_BYTES - 2 <= len(body.encode()) <= MAX_LOG_BYTES


def test_push_monitor_gets_up_or_down_and_nothing_at_the_start():
    with web_server() as (host, requests):
        ping = create_ping(f"http://{host}/api/push/x?status=up&msg=OK&ping=", "push")
        ping.report_start()
        ping.report_success("50 % é")
        ping.report_failure(["first", "the disk is full"])
    assert [path for _, path, _ in requests] == [
        "/api/push/x?ping=&status=up&msg=50%20%25%20%C3%A9",
        "/api/push/x?ping=&status=down&msg=the%20disk%20is%20full",
    ]


def test_failed_ping_is_sent_twice_at_most(caplog):
    with web_server([500]) as (host, requests):
        create_ping(f"http://{host}/p").report_success("")
    assert len(requests) == 2
    assert not caplog.records
    with web_server([500, 502, 503]) as (host, requests):
        create_ping(f"http://{host}/secret").report_success("")
    assert len(requests) == 2
    assert "it responded with status 502" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/secret", "http://[::1/secret", "https://secret\x00/"]
)
def test_unreachable_monitor_is_one_warning_without_its_url(caplog, address):
    with capture_recent_warnings() as handler:
        try:
            ping = create_ping(address.format(port=free_port()))
        except ValueError:
            return
        ping.report_success("")
    assert len(handler.lines) == 1
    assert handler.lines[0].startswith(
        "WARNING: cannot report the success of the run to the monitor: "
    )
    assert "secret" not in caplog.text


def test_without_monitor_nothing_is_requested_or_logged(caplog):
    ping = HealthcheckPing(MonitorSettings(), "7f3c")
    ping.report_start()
    ping.report_failure(["an error"])
    assert not caplog.records


def test_only_the_last_warnings_are_collected():
    logger = logging.getLogger("auditor.tests")
    with capture_recent_warnings() as handler:
        for number in range(200):
            logger.warning("line\n%d", number)
    logger.warning("afterwards")
    assert len(handler.lines) == 100
    assert handler.lines[-1] == "WARNING: line 199"


STEPS = [-1, 0, 1]


@pytest.mark.parametrize("step", STEPS)
def test_end_of_a_long_log_is_sent(step):
    log = "".join(str(number % 10) for number in range(MAX_LOG_BYTES + step))
    with web_server() as (host, requests):
        create_ping(f"http://{host}/p").report_failure([log])
    assert requests[0][2] == log[-MAX_LOG_BYTES:]


@pytest.mark.parametrize("step", STEPS)
def test_end_of_a_long_message_is_pushed(step):
    message = "".join(str(number % 10) for number in range(MAX_PUSH_MESSAGE_CHARS + step))
    with web_server() as (host, requests):
        create_ping(f"http://{host}/p", "push").report_success(message)
    assert requests[0][1] == f"/p?status=up&msg={message[-MAX_PUSH_MESSAGE_CHARS:]}"


@pytest.mark.parametrize("step", STEPS)
def test_oldest_warnings_are_left_out(step):
    logger = logging.getLogger("auditor.tests")
    with capture_recent_warnings() as handler:
        for number in range(MAX_LOG_LINES + step):
            logger.warning("line %d", number)
    assert handler.lines[0] == f"WARNING: line {max(0, step)}"
