"""Log output for people, journald and JSON collectors, without secrets."""

import ast
import json
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
from htmldate import find_date

from auditor.cli import main
from auditor.config.notifications import MonitorSettings
from auditor.core import log_setup
from auditor.presentation.notifications.delivery import Delivery, build_log_fields, mask_address
from auditor.presentation.notifications.transports import HealthcheckPing
from probes.log import EventLogger
from tests.support.smtp_and_http_servers import web_server

ROOT = Path(__file__).resolve().parents[4]
PACKAGES = ("auditor", "storage", "probes")
METHODS = {"debug": 0, "info": 0, "warning": 0, "error": 0, "bug": 1}
"""Methods of an event logger, with the position of the event name."""
MODULES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
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


def fail(text):
    raise ValueError(text)


def log_failure(text):
    """Log an event with a text, and an exception that quotes it."""
    try:
        fail(text)
    except ValueError as error:
        logger.exception(error, "probe_crashed", "{text}", text=text)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_longer_text_is_logged_in_part(written, step):
    text = "x" * (log_setup.MAX_LOGGED_CHARS - len("ValueError: ") + step)
    log_setup.configure_logging("json")
    log_failure(text)
    [line] = map(json.loads, written())
    assert line["error"].endswith("…") is (step > 0)
    assert len(line["error"]) == min(log_setup.MAX_LOGGED_CHARS, len("ValueError: ") + len(text))
    assert line["message"] == line["text"] == text


def test_page_of_a_site_does_not_fill_the_log(written):
    """It was written four times, in the message, the field, the error and its traceback."""
    for log_format in ("json", "line"):
        log_setup.configure_logging(log_format, debug=True)
        log_failure("x" * 1_000_000)
        assert sum(map(len, written())) < 5 * log_setup.MAX_LOGGED_CHARS


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_end_of_a_longer_traceback_is_logged(written, monkeypatch, step):
    """Of lines as long as the limit of a text."""
    count, length = log_setup.MAX_TRACE_CHARS // 1000, 1000
    lines = ["y" * (length + step), *["x" * length] * (count - 1)]
    monkeypatch.setattr(log_setup.traceback, "format_exception", lambda _: lines)
    log_setup.configure_logging("json")
    log_failure("text")
    [line] = map(json.loads, written())
    assert line["trace"] == "".join(lines)[-log_setup.MAX_TRACE_CHARS :]
    assert len(line["trace"]) == log_setup.MAX_TRACE_CHARS + min(0, step)


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
    (line,) = map(json.loads, written())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "run_finished",
        "logger": "auditor.tests",
        "message": "the run for 2026-11-25 is done",
        "run": "2026-11-25",
        "state": "done\n",
    }


def failed():
    try:
        {}["by\nnought"]
    except KeyError as bug:
        logger.exception(bug, "probe_crashed", "the probe crashed")


def test_traceback_is_only_in_json_or_with_debug(written):
    log_setup.configure_logging()
    failed()
    assert written() == ["ERROR: the probe crashed KeyError: 'by\\nnought'"]
    log_setup.configure_logging("json")
    failed()
    line = json.loads(written()[-1])
    assert line["error"] == "KeyError: 'by\\nnought'"
    assert "test_log_setup.py" in line["trace"]
    log_setup.configure_logging(debug=True)
    failed()
    assert "Traceback (most recent call last):" in written()


def test_warning_of_a_library_is_an_event(written):
    log_setup.configure_logging("json")
    logging.getLogger("somebody.else").warning("%s is odd", "this")
    line = json.loads(written()[0])
    assert (line["event"], line["logger"], line["message"]) == (
        "log",
        "somebody.else",
        "this is odd",
    )


def test_empty_page_is_not_logged_as_error(written):
    log_setup.configure_logging()
    assert find_date("<p></p>") is None
    with suppress(ValueError):
        find_date("")
    assert written() == []


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
    inner = json.loads(told[1].removeprefix("<4>"))
    assert inner["event"] == "something"


def test_every_line_of_a_traceback_has_its_priority():
    bug = KeyError("x")
    record = logging.LogRecord("x", logging.ERROR, "", 1, "failed", None, (KeyError, bug, None))
    made = log_setup.EventFormatter(show_tracebacks=True, is_journald=True).format(record)
    assert made.splitlines() == ["<3>ERROR: failed", "<3>KeyError: 'x'"]
    record.exc_info = (ExceptionGroup, ExceptionGroup("two", [bug, bug]), None)
    made = log_setup.EventFormatter(show_tracebacks=True, is_journald=True).format(record)
    assert len(made.splitlines()) > 3
    assert all(line.startswith("<3>") for line in made.splitlines())


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


# --- all calls of event loggers


def iter_event_calls(file):
    """Yield each call of an event logger with the expression of its message."""
    for scope in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assignments = [step for step in ast.walk(scope) if isinstance(step, ast.Assign)]
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and _is_event_call(call):
                    yield call, _find_message(call, assignments)


def _is_event_call(call):
    function = call.func
    is_method = isinstance(function, ast.Attribute) and function.attr in METHODS
    return (
        is_method
        and isinstance(function.value, ast.Name)
        and function.value.id in {"logger", "events"}
    )


def _find_message(call, assignments):
    """Return the message of a call, or the last value assigned to its variable before the call."""
    _name, message = call.args[METHODS[call.func.attr] :]
    if not isinstance(message, ast.Name):
        return message
    values = [
        (step.lineno, step.value)
        for step in assignments
        for target in step.targets
        if isinstance(target, ast.Name) and target.id == message.id and step.lineno < call.lineno
    ]
    return max(values, key=lambda pair: pair[0])[1] if values else message


def test_every_event_has_a_constant_name_and_a_message_with_its_fields():
    calls = [(file, *pair) for file in MODULES for pair in iter_event_calls(file)]
    assert len(calls) > 20
    for file, call, message in calls:
        name = call.args[METHODS[call.func.attr]]
        place = f"{file.relative_to(ROOT)}:{call.lineno}"
        assert isinstance(name, ast.Constant), f"{place}: the name of an event is constant"
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name.value), f"{place}: {name.value}"
        assert isinstance(message, ast.Constant), f"{place}: the message of an event is constant"
        fields = {keyword.arg for keyword in call.keywords}
        if None not in fields:
            assert set(re.findall(r"{(\w+)}", message.value)) <= fields, name.value
        assert not fields & {"time", "level", "event", "logger", "message", "error", "trace"}, (
            name.value
        )


def test_only_event_loggers_are_used():
    allowed = {
        "probes/log.py",
        "auditor/core/log_setup.py",
        "auditor/presentation/notifications/transports.py",
    }
    # these silence a library's logger
    others = {"auditor/presentation/notifications/transports.py", "probes/publication/metadata.py"}
    found = {
        str(file.relative_to(ROOT))
        for file in MODULES
        if re.search(r"^import logging|^from logging", file.read_text("utf-8"), re.MULTILINE)
    }
    assert found - allowed - others == set()
