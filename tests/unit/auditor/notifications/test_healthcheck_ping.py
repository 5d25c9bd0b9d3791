"""The dead-man ping tells a monitor how the night went, and never troubles the night."""

import logging

import pytest

from auditor.config.notifications import MonitorSettings
from auditor.notifications.healthcheck_ping import (
    MAX_LOG_BYTES,
    HealthcheckPing,
    capture_recent_warnings,
)
from tests.support.smtp_and_http_servers import free_port, web_server


def pulse(address, kind="healthchecks"):
    return HealthcheckPing(MonitorSettings(ping_url=address, kind=kind), "7f3c")


def test_a_monitor_hears_the_beginning_and_the_end_of_one_run():
    with web_server() as (host, asked):
        heart = pulse(f"http://{host}/ping/abc")
        heart.report_start()
        heart.report_success("100 accounts")
    assert asked == [
        ("POST", "/ping/abc/start?rid=7f3c", ""),
        ("POST", "/ping/abc?rid=7f3c", "100 accounts"),
    ]


def test_a_monitor_is_reached_through_its_own_proxy_if_one_is_set():
    with web_server() as (host, asked):
        monitor = MonitorSettings(
            ping_url="http://monitor.example/ping/abc", proxy=f"http://{host}"
        )
        HealthcheckPing(monitor, "7f3c").report_success("")
    assert asked == [("POST", "http://monitor.example/ping/abc?rid=7f3c", "")]


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "socks5://proxy.example", "http://"])
def test_a_proxy_without_an_address_is_refused(proxy):
    with pytest.raises(ValueError, match=r"proxy\.example:3128"):
        MonitorSettings(proxy=proxy)


def test_a_failure_goes_with_the_last_lines_of_the_log_and_no_more_than_fits():
    with web_server() as (host, asked):
        pulse(f"http://{host}/p").report_failure(["é" * MAX_LOG_BYTES, "the disk is full"])
    [(_, path, body)] = asked
    assert path == "/p/fail?rid=7f3c"
    assert body.endswith("\nthe disk is full")
    assert MAX_LOG_BYTES - 2 <= len(body.encode()) <= MAX_LOG_BYTES


def test_a_push_monitor_hears_up_or_down_and_nothing_at_the_beginning():
    with web_server() as (host, asked):
        heart = pulse(f"http://{host}/api/push/x?status=up&msg=OK&ping=", "push")
        heart.report_start()
        heart.report_success("50 % é")
        heart.report_failure(["first", "the disk is full"])
    assert [path for _, path, _ in asked] == [
        "/api/push/x?ping=&status=up&msg=50%20%25%20%C3%A9",
        "/api/push/x?ping=&status=down&msg=the%20disk%20is%20full",
    ]


def test_a_monitor_that_stumbles_is_asked_twice_and_no_more(caplog):
    with web_server([500]) as (host, asked):
        pulse(f"http://{host}/p").report_success("")
    assert len(asked) == 2
    assert not caplog.records
    with web_server([500, 502, 503]) as (host, asked):
        pulse(f"http://{host}/secret").report_success("")
    assert len(asked) == 2
    assert "it answered 502" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/secret", "http://[::1/secret", "https://secret\x00/"]
)
def test_a_monitor_out_of_reach_is_one_line_that_does_not_name_its_address(caplog, address):
    with capture_recent_warnings() as last:
        try:
            heart = pulse(address.format(port=free_port()))
        except ValueError:
            return
        heart.report_success("")
    assert len(last.get_lines()) == 1
    assert last.get_lines()[0].startswith("WARNING: the monitor was not told of the end: ")
    assert "secret" not in caplog.text


def test_without_a_monitor_nobody_is_asked(caplog):
    heart = HealthcheckPing(MonitorSettings(), "7f3c")
    heart.report_start()
    heart.report_failure(["trouble"])
    assert not caplog.records


def test_only_the_last_warnings_are_kept():
    logger = logging.getLogger("auditor.tests")
    with capture_recent_warnings() as last:
        for number in range(200):
            logger.warning("line\n%d", number)
    logger.warning("afterwards")
    assert len(last.get_lines()) == 100
    assert last.get_lines()[-1] == "WARNING: line 199"
