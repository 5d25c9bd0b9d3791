"""The nouns of the practice web: what is asked of it, what it answers, and which night it plays.

The keys that the interfaces of the practice web take: one each, invented, known to everybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Tonight:
    """The night being played: its number from 1, of how many, and its moment (aware UTC)."""

    number: int
    nights: int
    moment: datetime

    @property
    def last(self) -> datetime:
        """The moment of the last night; what is dated in the world is dated from it."""
        return self.moment + timedelta(days=self.nights - self.number)

    def ago(self, days: float) -> datetime:
        """A moment that many days before the last night, the same on every night."""
        return self.last - timedelta(days=days)

    def line(self) -> str:
        """The night as one line of the control channel."""
        return json.dumps(
            {"night": self.number, "nights": self.nights, "moment": self.moment.isoformat()},
        )

    @classmethod
    def read(cls, line: str) -> Tonight:
        """Read a line of the control channel. Raises ValueError or KeyError where it is not one."""
        told = json.loads(line)
        return cls(int(told["night"]), int(told["nights"]), datetime.fromisoformat(told["moment"]))


@dataclass(frozen=True, slots=True)
class Request:
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
class Answer:
    """What comes back. `repeats` sends the body so many times over; `delay` is seconds to the first byte."""

    status: int = 200
    body: bytes = b""
    kind: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    repeats: int = 1


def page(text: str, status: int = 200, **headers: str) -> Answer:
    """An HTML page; header names are written with underscores."""
    return Answer(status, text.encode(), headers={k.replace("_", "-"): v for k, v in headers.items()})


def redirect(url: str, status: int = 301) -> Answer:
    """A redirect to an address."""
    return Answer(status, b"", headers={"location": url})


def xml(text: str, kind: str = "application/rss+xml; charset=utf-8") -> Answer:
    """A feed or a sitemap."""
    return Answer(200, text.encode(), kind)


def as_json(value: object, status: int = 200) -> Answer:
    """A JSON document."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8")


def plain(text: str, status: int = 200) -> Answer:
    """A text document, such as robots.txt."""
    return Answer(status, text.encode(), "text/plain; charset=utf-8")


NO_SUCH_HOST = Answer(
    502, b"no such host", headers={"proxy-status": "practice; error=dns_error; rcode=NXDOMAIN"}
)  # RFC 9209: the only way a proxy proves that a name is missing
NOBODY_LISTENS = Answer(
    502, b"connection refused", headers={"proxy-status": "practice; error=connection_refused"}
)
NOBODY_ANSWERS = Answer(504, b"", headers={"proxy-status": "practice; error=connection_timeout"}, delay=60.0)
"""A firewall that drops what it is sent: whoever asks has gone before the proxy tells of it."""


KEYS = {
    "youtube": "practice-key-of-youtube",
    "twitter": "practice-token-of-x",
    "facebook": "practice-token-of-facebook",
}


def environ() -> dict[str, str]:
    """The settings that give the auditor all of them, as an operator gives real ones."""
    return {f"AUDITOR_CHANNELS__{channel.upper()}__KEY": key for channel, key in KEYS.items()}


def bears(request: Request, channel: str) -> bool:
    """Whether a request shows the key of a channel as a bearer of it."""
    return request.headers.get("authorization", "") == f"Bearer {KEYS[channel]}"
