"""Log output for people, journald and JSON collectors, without secrets."""

import json
import logging
import os
import re
from pathlib import Path

import pytest

from auditor.cli import main
from auditor.config.notifications import MonitorSettings
from auditor.core import log_setup
from auditor.presentation.notifications.delivery import Delivery, build_log_fields, mask_address
from auditor.presentation.notifications.transports import HealthcheckPing
from probes.log import EventLogger
from tests.support.smtp_and_http_servers import web_server

logger = EventLogger("auditor.tests")


@pytest.fixture
def written(capsys):
    """Return what was written to standard error since the last call."""

    def lines():
        return capsys.readouterr().err.splitlines()

    return lines


def test_event_is_one_readable_line(written):
    log_setup.configure_logging()
    logger.warning(
        "channel_blind", "blind on {channel} tonight: {why}", channel="x\nERROR: no", why="\x1b[2J"
    )
    logger.info("run_started", "the run started")
    assert written() == ["WARNING: blind on x ERROR: no tonight:  [2J"]


def log_failure(text):
    """Log an event with a text, and an exception that quotes it."""
    try:
        {}[text]
    except KeyError as error:
        logger.exception(error, "probe_crashed", "{text}", text=text)


def test_page_of_a_site_does_not_fill_the_log(written):
    """It was written four times, in the message, the field, the error and its traceback."""
    for log_format in ("json", "line"):
        log_setup.configure_logging(log_format, debug=True)
        log_failure("x" * 1_000_000)
        assert sum(map(len, written())) < 5 * log_setup.MAX_LOGGED_CHARS


def test_warnings_about_malformed_forms_are_not_logged(written):
    log_setup.configure_logging()
    multipart_logger = logging.getLogger("python_multipart.multipart")
    multipart_logger.warning("Expected boundary character 34, got 98 at index 4")
    assert not written()
    multipart_logger.error("a bug")
    assert written() == ["ERROR: a bug"]


def test_json_event_has_name_fields_and_time(written):
    log_setup.configure_logging("json", "info")
    logger.info("run_finished", "the run for {run} is {state}", run="2026-11-25", state="done\n")
    line = json.loads(written()[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "run_finished",
        "logger": "auditor.tests",
        "message": "the run for 2026-11-25 is done",
        "run": "2026-11-25",
        "state": "done\n",
    }


def test_traceback_is_only_in_json_or_with_debug(written):
    log_setup.configure_logging()
    log_failure("by\nnought")
    assert written() == ["ERROR: by nought KeyError: 'by\\nnought'"]
    log_setup.configure_logging("json")
    log_failure("by\nnought")
    line = json.loads(written()[-1])
    assert (line["error"], "test_log_setup.py" in line["trace"]) == (
        "KeyError: 'by\\nnought'",
        True,
    )
    log_setup.configure_logging(debug=True)
    log_failure("by\nnought")
    assert "Traceback (most recent call last):" in written()


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        ({}, ["warning", "error"]),
        ({"level": "error"}, ["error"]),
        ({"level": "info"}, ["info", "warning", "error"]),
        ({"level": "debug"}, ["debug", "info", "warning", "error"]),
        ({"level": "error", "debug": True}, ["debug", "info", "warning", "error"]),
        ({"level": "debug", "quiet": True}, ["warning", "error"]),
        ({"level": "error", "quiet": True}, ["error"]),
    ],
)
def test_log_level_is_applied(written, options, heard):
    log_setup.configure_logging("json", **options)
    for level in ("debug", "info", "warning", "error"):
        getattr(logger, level)("something", "something")
    assert [json.loads(line)["level"] for line in written()] == heard


def test_only_journald_gets_priorities(tmp_path, monkeypatch):
    with (tmp_path / "journal").open("w+") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        there = os.fstat(stream.fileno())
        for device in (there.st_dev, there.st_dev + 1):
            monkeypatch.setenv("JOURNAL_STREAM", f"{device}:{there.st_ino}")
            for form in ("line", "json"):
                log_setup.configure_logging(form)
                logger.warning("something", "something")
        log_setup.configure_logging(debug=True)
        stream.seek(0)
        told = stream.read().splitlines()
    assert [line[:4] for line in told] == ["<4>W", "<4>{", "WARN", '{"ti']
    assert json.loads(told[1].removeprefix("<4>"))["event"] == "something"


@pytest.mark.slow
def test_monitor_url_is_never_logged(written):
    """httpx logs every URL."""
    log_setup.configure_logging(debug=True)
    with web_server([500, 500]) as (host, asked):
        HealthcheckPing(MonitorSettings(ping_url=f"http://{host}/secret"), "7f3c").report_start()
    assert len(asked) == 2
    assert written() == [
        "WARNING: cannot report the start of the run to the monitor: it responded with status 500"
    ]


def test_recipient_is_masked_in_logs():
    lost = Delivery(
        "amina@example.org", "digest", "2026-11-25", "refused", reason="550 <Amina@Example.org>?"
    )
    assert build_log_fields(lost) == {
        "recipient": "a…@example.org",
        "kind": "digest",
        "occasion": "2026-11-25",
        "status": "refused",
        "reason": "550 <a…@example.org>?",
    }
    assert mask_address("slack:3f9a12cc01234567") == "slack:3f9a12cc01234567"


def test_failed_command_is_a_json_event(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('[log]\nformat = "json"\n')
    assert main.main(["gaps", "--association", "nobody"]) == 3
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["code"]) == ("command_failed", "error", 3)
    Path("config.toml").unlink()
    assert main.main(["gaps", "--association", "nobody"]) == 3
    assert capsys.readouterr().err.startswith("error: cannot open the database ")
