"""How events are written down, on standard error: a line for a person or a line of JSON, each on one line.

Only our own events are heard below WARNING. Libraries log what we keep secret: httpx names every address
that it asks for, so that of the monitor, too.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from auditor.core.formatting import to_single_line

OWN_LOGGERS = ("auditor", "storage", "probes")
SILENCED_LOGGERS = ("htmldate",)
"""Libraries that call a page of a stranger's an error of theirs, such as one that is empty."""
DEFAULT_EVENT = "log"
"""The event of a line that is no event of ours: a library's."""
JOURNALD_PRIORITIES = (
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)
"""What journald calls our levels (sd-daemon(3))."""


class TextFormatter(logging.Formatter):
    """A line for a person: no traceback unless it is asked for, and no terminal controls."""

    def __init__(self, *, show_tracebacks: bool = False) -> None:
        super().__init__()
        self._show_tracebacks = show_tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """The line. What another handler made of the bug is not taken: logging keeps that in the record."""
        said = to_single_line(f"{record.levelname}: {record.getMessage()}")
        bug = _build_exception_fields(record)
        if not bug:
            return said
        return (
            f"{said}\n{bug['trace'].rstrip()}"
            if self._show_tracebacks
            else f"{said} {bug['error']}"
        )


class JsonFormatter(logging.Formatter):
    """A line of JSON: when, how grave, which event, its sentence, and its facts beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
            + "Z",
            "level": record.levelname.lower(),
            "event": getattr(record, "event", DEFAULT_EVENT),
            "logger": record.name,
            "message": to_single_line(record.getMessage()),
            **getattr(record, "fields", {}),
            **_build_exception_fields(record),
        }
        return json.dumps(told, ensure_ascii=False, default=str)


def _build_exception_fields(record: logging.LogRecord) -> dict[str, str]:
    """A bug with its trace: in JSON it is one line all the same."""
    bug = record.exc_info[1] if record.exc_info else None
    if bug is None:
        return {}
    return {
        "error": to_single_line(f"{type(bug).__name__}: {bug}"),
        "trace": "".join(traceback.format_exception(bug)),
    }


class JournaldFormatter(logging.Formatter):
    """The lines of another formatter as journald reads them: each with its priority before it."""

    def __init__(self, wrapped: logging.Formatter) -> None:
        super().__init__()
        self.wrapped = wrapped

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        priority = next(
            (number for level, number in JOURNALD_PRIORITIES if record.levelno >= level), 7
        )
        return "\n".join(f"<{priority}>{line}" for line in self.wrapped.format(record).split("\n"))


def is_journald_stream(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream goes to journald, which says so by the file it is (systemd.exec(5))."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def create_formatter(
    log_format: str, *, show_tracebacks: bool, is_journald: bool
) -> logging.Formatter:
    """How a line is written, as `[log] format` says and whoever reads it needs."""
    made: logging.Formatter = (
        JsonFormatter() if log_format == "json" else TextFormatter(show_tracebacks=show_tracebacks)
    )
    return JournaldFormatter(made) if is_journald else made


def configure_logging(
    log_format: str = "line", level: str = "warning", *, debug: bool = False, quiet: bool = False
) -> None:
    """Write events to standard error from now on, so and from this level up.

    With `debug` all of ours are written, with `quiet` what is wrong alone. It may be said again: a command
    knows more once it has read the configuration.
    """
    root = logging.getLogger()
    ours = next((one for one in root.handlers if isinstance(one, StderrHandler)), None)
    if ours is None:
        ours = StderrHandler()
        root.addHandler(ours)
    ours.setFormatter(
        create_formatter(
            log_format,
            show_tracebacks=debug,
            is_journald=is_journald_stream(sys.stderr, os.environ),
        )
    )
    root.setLevel(logging.WARNING)
    for name in SILENCED_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    least = max(
        logging.getLevelNamesMapping()[level.upper()], logging.WARNING if quiet else logging.DEBUG
    )
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else least)


def is_json_logging() -> bool:
    """Whether events are written as JSON."""
    return any(
        isinstance(one, StderrHandler) and one.is_json for one in logging.getLogger().handlers
    )


class StderrHandler(logging.StreamHandler[TextIO]):
    """The handler of ours on standard error, wherever that leads by then."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    @property
    def is_json(self) -> bool:
        """Whether it writes JSON."""
        inner = (
            self.formatter.wrapped
            if isinstance(self.formatter, JournaldFormatter)
            else self.formatter
        )
        return isinstance(inner, JsonFormatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        self.stream = sys.stderr
        super().emit(record)
