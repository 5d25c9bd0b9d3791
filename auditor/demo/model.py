"""The nouns of the practice web: what is asked of it, what it answers, and which night it plays.

The keys that the interfaces of the practice web take: one each, invented, known to everybody.
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
    """The night being played: its number from 1, of how many, and its moment (aware UTC)."""

    number: int
    total_runs: int
    started_at: datetime

    @property
    def last_run_at(self) -> datetime:
        """The moment of the last night; what is dated in the world is dated from it."""
        return self.started_at + timedelta(days=self.total_runs - self.number)

    def days_before_last_run(self, days: float) -> datetime:
        """A moment that many days before the last night, the same on every night."""
        return self.last_run_at - timedelta(days=days)

    def to_json(self) -> str:
        """The night as one line of the control channel."""
        return json.dumps(
            {
                "run": self.number,
                "total_runs": self.total_runs,
                "started_at": self.started_at.isoformat(),
            },
        )

    @classmethod
    def from_json(cls, line: str) -> DemoRun:
        """Read a line of the control channel. Raises ValueError or KeyError where it is not one."""
        fields = json.loads(line)
        return cls(
            int(fields["run"]),
            int(fields["total_runs"]),
            datetime.fromisoformat(fields["started_at"]),
        )


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """A request as the proxy understood it; host and header names in lower case, the host without a port."""

    scheme: str
    host: str
    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The whole address asked for."""
        return f"{self.scheme}://{self.host}{self.target}"

    @property
    def path(self) -> str:
        """The path, decoded, without its query."""
        return unquote(urlsplit(self.target).path) or "/"

    @property
    def query(self) -> dict[str, str]:
        """The query's first value by name."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True, slots=True)
class FakeResponse:
    """What comes back. `repeats` sends the body so many times over; `delay` is seconds to the first byte."""

    status: int = 200
    body: bytes = b""
    content_type: str = HTML_CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    body_repeats: int = 1


def html_response(text: str, status: int = 200, **headers: str) -> FakeResponse:
    """An HTML page; header names are written with underscores."""
    return FakeResponse(
        status, text.encode(), headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def redirect_response(url: str, status: int = 301) -> FakeResponse:
    """A redirect to an address."""
    return FakeResponse(status, b"", headers={"location": url})


def xml_response(
    text: str, content_type: str = "application/rss+xml; charset=utf-8"
) -> FakeResponse:
    """A feed or a sitemap."""
    return FakeResponse(200, text.encode(), content_type)


def json_response(value: object, status: int = 200) -> FakeResponse:
    """A JSON document."""
    return FakeResponse(
        status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8"
    )


def text_response(text: str, status: int = 200) -> FakeResponse:
    """A text document, such as robots.txt."""
    return FakeResponse(status, text.encode(), "text/plain; charset=utf-8")


NO_SUCH_HOST_RESPONSE = FakeResponse(
    502, b"no such host", headers={"proxy-status": "practice; error=dns_error; rcode=NXDOMAIN"}
)  # RFC 9209: the only way a proxy proves that a name is missing
CONNECTION_REFUSED_RESPONSE = FakeResponse(
    502, b"connection refused", headers={"proxy-status": "practice; error=connection_refused"}
)
CONNECTION_TIMEOUT_RESPONSE = FakeResponse(
    504, b"", headers={"proxy-status": "practice; error=connection_timeout"}, delay_seconds=60.0
)
"""A firewall that drops what it is sent: whoever asks has gone before the proxy tells of it."""


DEMO_API_KEYS = {
    "youtube": "practice-key-of-youtube",
    "twitter": "practice-token-of-x",
    "facebook": "practice-token-of-facebook",
}


def build_api_key_environ() -> dict[str, str]:
    """The settings that give the auditor all of them, as an operator gives real ones."""
    return {
        f"AUDITOR_CHANNELS__{channel.upper()}__API_KEY": key
        for channel, key in DEMO_API_KEYS.items()
    }


def has_bearer_key(request: FakeRequest, channel: str) -> bool:
    """Whether a request shows the key of a channel as a bearer of it."""
    return request.headers.get("authorization", "") == f"Bearer {DEMO_API_KEYS[channel]}"
