"""Requests, responses and runs of the fake web, and the API keys that it accepts.

The API keys are invented and not secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

HTML_CONTENT_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class DemoRun:
    """The audit run that is played: its number from 1, the number of runs, and its start (UTC)."""

    number: int
    total_runs: int
    started_at: datetime

    @property
    def last_run_at(self) -> datetime:
        """Return the start of the last run. All dates on the fake web are relative to it."""
        return self.started_at + timedelta(days=self.total_runs - self.number)

    def days_before_last_run(self, days: float) -> datetime:
        """Return the moment `days` before the last run. It is the same in every run."""
        return self.last_run_at - timedelta(days=days)

    def to_json(self) -> str:
        """Return the run as one line for the fake web process."""
        return json.dumps(
            {
                "run": self.number,
                "total_runs": self.total_runs,
                "started_at": self.started_at.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, line: str) -> DemoRun:
        """Parse a line of `to_json`. Raise ValueError or KeyError if it is invalid."""
        fields = json.loads(line)
        return cls(
            int(fields["run"]),
            int(fields["total_runs"]),
            datetime.fromisoformat(fields["started_at"]),
        )


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """A parsed request. The host (without port) and header names are in lower case."""

    scheme: str
    host: str
    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the absolute URL."""
        return f"{self.scheme}://{self.host}{self.target}"

    @property
    def path(self) -> str:
        """Return the decoded path without the query."""
        return unquote(urlsplit(self.target).path) or "/"

    @property
    def query(self) -> dict[str, str]:
        """Return the first value of each query parameter by name."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True, slots=True)
class FakeResponse:
    """A response of the fake web.

    The body is sent `body_repeats` times. The first byte is sent after `delay_seconds`.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = HTML_CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    body_repeats: int = 1


CLOUDFLARE_CHALLENGE_HTML = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script></body></html>'
)


def html_response(text: str, status: int = 200, **headers: str) -> FakeResponse:
    """Return an HTML page. Header names are keywords with underscores for hyphens."""
    header_fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeResponse(status, text.encode(), headers=header_fields)


def redirect_response(url: str, status: int = 301) -> FakeResponse:
    """Return a redirect to a URL."""
    return FakeResponse(status, b"", headers={"location": url})


def xml_response(
    text: str, content_type: str = "application/rss+xml; charset=utf-8"
) -> FakeResponse:
    """Return a feed or a sitemap."""
    return FakeResponse(200, text.encode(), content_type)


def json_response(value: object, status: int = 200) -> FakeResponse:
    """Return a JSON document."""
    return FakeResponse(
        status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8"
    )


def text_response(text: str, status: int = 200) -> FakeResponse:
    """Return a text document, such as robots.txt."""
    return FakeResponse(status, text.encode(), "text/plain; charset=utf-8")


NO_SUCH_HOST_RESPONSE = FakeResponse(
    502, b"no such host", headers={"proxy-status": "demo; error=dns_error; rcode=NXDOMAIN"}
)
"""The only proxy response that proves that a host name does not exist (RFC 9209)."""

CONNECTION_REFUSED_RESPONSE = FakeResponse(
    502, b"connection refused", headers={"proxy-status": "demo; error=connection_refused"}
)
CONNECTION_TIMEOUT_RESPONSE = FakeResponse(
    504, b"", headers={"proxy-status": "demo; error=connection_timeout"}, delay_seconds=60.0
)
"""A firewall that drops packets. Most clients time out before the proxy responds."""


DEMO_API_KEYS = {
    "youtube": "demo-youtube-key",
    "twitter": "demo-x-token",
    "facebook": "demo-facebook-token",
}


def has_bearer_key(request: FakeRequest, channel: str) -> bool:
    """Return True if a request has the bearer token of a channel."""
    return request.headers.get("authorization", "") == f"Bearer {DEMO_API_KEYS[channel]}"
