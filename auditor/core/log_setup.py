"""Logging to standard error: one readable line, or one line of JSON, per event.

Below WARNING, only events of the auditor are logged: libraries log secrets. For example, httpx logs
every URL, including that of the monitor.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from auditor.core.formatting import to_single_line

OWN_LOGGERS = ("auditor", "storage", "probes")
MINIMUM_LIBRARY_LEVELS = {"htmldate": logging.CRITICAL, "python_multipart": logging.ERROR}
"""Levels of libraries that log what strangers send. Otherwise a stranger could fill the log.

htmldate logs problems of pages, such as an empty page, as errors. python-multipart logs each
malformed form as a warning.
"""
MAX_LOGGED_CHARS = 4_000
"""Characters of a message, a text field or an error that are logged. They may quote a page."""
JOURNALD_PRIORITIES = (
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)
"""Priorities of journald for log levels (sd-daemon(3))."""


class EventFormatter(logging.Formatter):
    """Formats an event as one readable line, or one line of JSON, without control characters.

    A readable line is followed by the traceback if `show_tracebacks`. For journald, each line
    begins with its priority.
    """

    def __init__(
        self, *, is_json: bool = False, show_tracebacks: bool = False, is_journald: bool = False
    ) -> None:
        super().__init__()
        self.is_json = is_json
        self._show_tracebacks = show_tracebacks
        self._is_journald = is_journald

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines."""
        message, exception = to_single_line(record.getMessage()), _build_exception_fields(record)
        if self.is_json:
            time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
            fields: Mapping[str, Any] = getattr(record, "fields", {})
            document = {
                "time": time.replace("+00:00", "Z"),
                "level": record.levelname.lower(),
                "event": getattr(record, "event", "log"),
                "logger": record.name,
                "message": _shorten(message),
                **{k: _shorten(v) if isinstance(v, str) else v for k, v in fields.items()},
                **exception,
            }
            text = json.dumps(document, ensure_ascii=False, default=str)
        else:
            text = _shorten(f"{record.levelname}: {message}")
            if exception and self._show_tracebacks:
                text += f"\n{exception['trace'].rstrip()}"
            elif exception:
                text += f" {exception['error']}"
        if not self._is_journald:
            return text
        priority = next(
            (number for level, number in JOURNALD_PRIORITIES if record.levelno >= level), 7
        )
        return f"<{priority}>" + text.replace("\n", f"\n<{priority}>")


def _build_exception_fields(record: logging.LogRecord) -> dict[str, str]:
    """Return the exception and its traceback as JSON fields."""
    exception = record.exc_info[1] if record.exc_info else None
    if exception is None:
        return {}
    # The text of the exception, which ends its traceback, may be long, too.
    lines = map(_shorten, traceback.format_exception(exception))
    return {
        "error": _shorten(to_single_line(f"{type(exception).__name__}: {exception}")),
        # characters of a traceback that are logged, from its end
        "trace": "".join(lines)[-20_000:],
    }


def _shorten(text: str) -> str:
    """Return a text up to MAX_LOGGED_CHARS, with a mark if it is cut."""
    return text if len(text) <= MAX_LOGGED_CHARS else f"{text[: MAX_LOGGED_CHARS - 1]}…"


def is_journald_stream(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return True if a stream is connected to journald (systemd.exec(5))."""
    try:
        file_status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{file_status.st_dev}:{file_status.st_ino}"


def configure_logging(
    log_format: str = "line", level: str = "warning", *, debug: bool = False, quiet: bool = False
) -> None:
    """Log events to standard error in this format and from this level.

    With `debug` every event of the auditor is logged, with `quiet` only problems. It can be called
    again after the configuration is read.
    """
    root = logging.getLogger()
    handler = _find_stderr_handler()
    if handler is None:
        handler = StderrHandler()
        root.addHandler(handler)
    handler.setFormatter(
        EventFormatter(
            is_json=log_format == "json",
            show_tracebacks=debug,
            is_journald=is_journald_stream(sys.stderr, os.environ),
        )
    )
    root.setLevel(logging.WARNING)
    for name, library_level in MINIMUM_LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(library_level)
    minimum_level = logging.getLevelNamesMapping()[level.upper()]
    if quiet:
        minimum_level = max(minimum_level, logging.WARNING)
    if debug:
        minimum_level = logging.DEBUG
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(minimum_level)


def is_json_logging() -> bool:
    """Return True if events are logged as JSON."""
    handler = _find_stderr_handler()
    formatter = handler.formatter if handler else None
    return isinstance(formatter, EventFormatter) and formatter.is_json


def _find_stderr_handler() -> StderrHandler | None:
    handlers = logging.getLogger().handlers
    return next((handler for handler in handlers if isinstance(handler, StderrHandler)), None)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current standard error."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        self.stream = sys.stderr
        super().emit(record)
