"""The dead-man ping: a monitor hears that the night began and how it ended, and rings when it hears nothing.

`healthchecks` is the convention of Healthchecks.io, also self-hosted: `/start`, the bare address, `/fail`
with the last lines of the log, paired by `rid`. `push` is Uptime Kuma's: `?status=up|down&msg=`, nothing at
the start.

The address is the operator's own and may well be in the operator's own network, so it is asked by a client
of its own and not through the guarded Fetcher, which is for addresses that strangers typed; it has its own
proxy, if any. It is a secret (who has it can silence the alarm) and never shown. A ping that fails fails
nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from auditor.config.notifications import MonitorSettings
from auditor.core.formatting import to_single_line
from probes.log import EventLogger

events = EventLogger(__name__)

PING_TIMEOUT_SECONDS = 10.0
MAX_PING_ATTEMPTS = 2
MAX_LOG_BYTES = 10_000
"""Bytes of the log that go with a failure."""
MAX_PUSH_MESSAGE_CHARS = 200
"""Characters of a push message."""
MAX_LOG_LINES = 100
PING_DESCRIPTIONS = {"/start": "beginning", "": "end", "/fail": "failure"}
"""What each ending of the address tells of."""


class HealthcheckPing:
    """The pings of one night, paired by `rid`."""

    def __init__(self, monitor: MonitorSettings, run_id: str) -> None:
        self._url = monitor.ping_url.get_secret_value() if monitor.ping_url else None
        self._proxy = monitor.proxy or None
        self._is_push = monitor.kind == "push"
        self._run_id = run_id

    def report_start(self) -> None:
        """The night begins."""
        if not self._is_push:
            self._send_with_retry("/start")

    def report_success(self, message: str) -> None:
        """The night is done."""
        self._send_with_retry("", message, "up")

    def report_failure(self, log_lines: list[str]) -> None:
        """The night did not come to its end; the last lines tell why."""
        said = "\n".join(log_lines).encode()[-MAX_LOG_BYTES:].decode(errors="ignore")
        self._send_with_retry("/fail", said, "down")

    def _send_with_retry(self, path_suffix: str, message: str = "", status: str = "") -> None:
        if self._url is None:
            return
        for attempt in range(1, MAX_PING_ATTEMPTS + 1):
            try:
                self._send_request(self._url, path_suffix, message, status)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as trouble:
                if attempt == MAX_PING_ATTEMPTS:
                    message = "the monitor was not told of the {moment}: {why}"
                    events.warning(
                        "monitor_untold",
                        message,
                        moment=PING_DESCRIPTIONS[path_suffix],
                        why=_describe_ping_error(trouble),
                    )
            else:
                return

    def _send_request(self, url: str, path_suffix: str, message: str, status: str) -> None:
        with httpx.Client(
            timeout=PING_TIMEOUT_SECONDS, trust_env=False, proxy=self._proxy
        ) as client:
            if self._is_push:
                last = message.rpartition("\n")[2][-MAX_PUSH_MESSAGE_CHARS:]
                answer = client.get(_build_ping_url(url, "", f"status={status}&msg={quote(last)}"))
            else:
                answer = client.post(
                    _build_ping_url(url, path_suffix, f"rid={self._run_id}"),
                    content=message.encode(),
                )
            answer.raise_for_status()


def _describe_ping_error(error: Exception) -> str:
    """The cause without the address: httpx's own words would name it."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    return "its address cannot be used" if isinstance(error, ValueError) else type(error).__name__


def _build_ping_url(url: str, path_suffix: str, query: str) -> str:
    """The address with an ending of its path and more of a query; `status` and `msg` it has already go."""
    parts = urlsplit(url)
    kept = [
        part
        for part in parts.query.split("&")
        if part and part.partition("=")[0] not in {"status", "msg"}
    ]
    whole = parts._replace(
        path=parts.path.rstrip("/") + path_suffix, query="&".join([*kept, query]), fragment=""
    )
    return urlunsplit(whole)


class RecentWarningsHandler(logging.Handler):
    """The last warnings that were logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=MAX_LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self._lines.append(to_single_line(f"{record.levelname}: {record.getMessage()}"))

    def get_lines(self) -> list[str]:
        """Them, the oldest first."""
        return list(self._lines)


@contextmanager
def capture_recent_warnings() -> Iterator[RecentWarningsHandler]:
    """Keep the last warnings that are logged within."""
    last = RecentWarningsHandler()
    logging.getLogger().addHandler(last)
    try:
        yield last
    finally:
        logging.getLogger().removeHandler(last)
