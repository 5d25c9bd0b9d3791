"""Pings a monitor when a run starts and ends. The monitor raises an alarm if it hears nothing.

`healthchecks` is the protocol of Healthchecks.io: `/start`, the plain URL on success, `/fail` with
the last lines of the log, paired by `rid`. `push` is the protocol of Uptime Kuma:
`?status=up|down&msg=`, and nothing at the start.

The operator chooses the URL, and it may be in a private network. So it is requested by a plain HTTP
client with an optional proxy, not by the fetcher with its SSRF guard, which is for links that other
people typed. The URL is a secret and never shown: with it, one can silence the alarm. A failed ping
does not stop the run.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from auditor.config.notifications import MonitorSettings
from auditor.core.formatting import to_single_line
from probes.log import EventLogger

logger = EventLogger(__name__)

PING_TIMEOUT_SECONDS = 10.0
MAX_PING_ATTEMPTS = 2
"""Attempts to reach the monitor."""
PING_ERRORS = (httpx.HTTPError, httpx.InvalidURL, ValueError)
MAX_LOG_BYTES = 10_000
"""How many bytes of the log are sent with a failure."""
MAX_PUSH_MESSAGE_CHARS = 200
"""How long the message of a push monitor may be."""
MAX_LOG_LINES = 100
"""Lines of the log that are sent to the monitor."""


class HealthcheckPing:
    """The pings of one run. `run_id` pairs start and end for the monitor."""

    def __init__(self, monitor: MonitorSettings, run_id: str) -> None:
        self._monitor = monitor
        self._run_id = run_id

    def report_start(self) -> None:
        """Report that the run has started. A push monitor has no such ping."""
        if self._monitor.kind != "push":
            self._send("start", "/start")

    def report_success(self, message: str) -> None:
        """Report that the run has finished."""
        self._send("success", "", message)

    def report_failure(self, log_lines: list[str]) -> None:
        """Report that the run did not finish, with the last lines of the log."""
        log_tail = "\n".join(log_lines).encode()[-MAX_LOG_BYTES:].decode(errors="ignore")
        self._send("failure", "/fail", log_tail)

    def _send(self, outcome: str, path_suffix: str, message: str = "") -> None:
        if self._monitor.ping_url is None:
            return
        url, query = self._monitor.ping_url.get_secret_value(), f"rid={self._run_id}"
        if self._monitor.kind == "push":
            last_line = message.rpartition("\n")[2][-MAX_PUSH_MESSAGE_CHARS:]
            status = "up" if outcome == "success" else "down"
            path_suffix, query = "", f"status={status}&msg={quote(last_line)}"
        try:
            self._send_request(_build_ping_url(url, path_suffix, query), message)
        except PING_ERRORS as error:
            # Without the URL, which messages of httpx contain.
            reason = "its URL is invalid" if isinstance(error, ValueError) else type(error).__name__
            if isinstance(error, httpx.HTTPStatusError):
                reason = f"it responded with status {error.response.status_code}"
            logger.warning(
                "healthcheck_ping_failed",
                "cannot report the {outcome} of the run to the monitor: {reason}",
                outcome=outcome,
                reason=reason,
            )

    @retry(
        stop=stop_after_attempt(MAX_PING_ATTEMPTS),
        retry=retry_if_exception_type(PING_ERRORS),
        reraise=True,
    )
    def _send_request(self, url: str, message: str) -> None:
        proxy = self._monitor.proxy or None
        with httpx.Client(timeout=PING_TIMEOUT_SECONDS, trust_env=False, proxy=proxy) as client:
            if self._monitor.kind == "push":
                response = client.get(url)
            else:
                response = client.post(url, content=message.encode())
            response.raise_for_status()


def _build_ping_url(url: str, path_suffix: str, query: str) -> str:
    """Return the URL with a path suffix and a query added.

    `status` and `msg` are removed from the configured query: Uptime Kuma shows a URL with both.
    """
    parts = urlsplit(url)
    params = filter(None, parts.query.split("&"))
    kept = [param for param in params if param.partition("=")[0] not in {"status", "msg"}]
    path = parts.path.rstrip("/") + path_suffix
    return urlunsplit(parts._replace(path=path, query="&".join([*kept, query]), fragment=""))


class RecentWarningsHandler(logging.Handler):
    """Collects the last warnings that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=MAX_LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Store the record as one line."""
        self._lines.append(to_single_line(f"{record.levelname}: {record.getMessage()}"))

    def get_lines(self) -> list[str]:
        """Return the lines, oldest first."""
        return list(self._lines)


@contextmanager
def capture_recent_warnings() -> Iterator[RecentWarningsHandler]:
    """Collect the last warnings that are logged inside the `with` block."""
    handler = RecentWarningsHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)
