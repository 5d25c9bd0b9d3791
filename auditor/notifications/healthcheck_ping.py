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

from auditor.config.notifications import Monitor
from auditor.core.formatting import one_line
from probes.log import Events

events = Events(__name__)

TIMEOUT = 10.0
TRIES = 2
MOST = 10_000
"""Bytes of the log that go with a failure."""
SHORT = 200
"""Characters of a push message."""
LINES = 100
MOMENTS = {"/start": "beginning", "": "end", "/fail": "failure"}
"""What each ending of the address tells of."""


class Pulse:
    """The pings of one night, paired by `rid`."""

    def __init__(self, monitor: Monitor, rid: str) -> None:
        self._url = monitor.ping_url.get_secret_value() if monitor.ping_url else None
        self._proxy = monitor.proxy or None
        self._is_push = monitor.kind == "push"
        self._rid = rid

    def begin(self) -> None:
        """The night begins."""
        if not self._is_push:
            self._ping("/start")

    def succeed(self, said: str) -> None:
        """The night is done."""
        self._ping("", said, "up")

    def fail(self, lines: list[str]) -> None:
        """The night did not come to its end; the last lines tell why."""
        said = "\n".join(lines).encode()[-MOST:].decode(errors="ignore")
        self._ping("/fail", said, "down")

    def _ping(self, ending: str, said: str = "", status: str = "") -> None:
        if self._url is None:
            return
        for attempt in range(1, TRIES + 1):
            try:
                self._ask(self._url, ending, said, status)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as trouble:
                if attempt == TRIES:
                    said = "the monitor was not told of the {moment}: {why}"
                    events.warning("monitor_untold", said, moment=MOMENTS[ending], why=_why(trouble))
            else:
                return

    def _ask(self, url: str, ending: str, said: str, status: str) -> None:
        with httpx.Client(timeout=TIMEOUT, trust_env=False, proxy=self._proxy) as client:
            if self._is_push:
                last = said.rpartition("\n")[2][-SHORT:]
                answer = client.get(_with(url, "", f"status={status}&msg={quote(last)}"))
            else:
                answer = client.post(_with(url, ending, f"rid={self._rid}"), content=said.encode())
            answer.raise_for_status()


def _why(trouble: Exception) -> str:
    """The cause without the address: httpx's own words would name it."""
    if isinstance(trouble, httpx.HTTPStatusError):
        return f"it answered {trouble.response.status_code}"
    return "its address cannot be used" if isinstance(trouble, ValueError) else type(trouble).__name__


def _with(url: str, ending: str, query: str) -> str:
    """The address with an ending of its path and more of a query; `status` and `msg` it has already go."""
    parts = urlsplit(url)
    kept = [
        part for part in parts.query.split("&") if part and part.partition("=")[0] not in {"status", "msg"}
    ]
    whole = parts._replace(path=parts.path.rstrip("/") + ending, query="&".join([*kept, query]), fragment="")
    return urlunsplit(whole)


class LastLines(logging.Handler):
    """The last warnings that were logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: deque[str] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self._kept.append(one_line(f"{record.levelname}: {record.getMessage()}"))

    def lines(self) -> list[str]:
        """Them, the oldest first."""
        return list(self._kept)


@contextmanager
def listening() -> Iterator[LastLines]:
    """Keep the last warnings that are logged within."""
    last = LastLines()
    logging.getLogger().addHandler(last)
    try:
        yield last
    finally:
        logging.getLogger().removeHandler(last)
