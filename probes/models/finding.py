"""What a probe finds out about an account.

The account that is checked: as it is registered, and as its link identifies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

FactValue = str | int | float | bool
EARLIEST_DATETIME = datetime.min.replace(tzinfo=UTC)
LATEST_DATETIME = datetime.max.replace(tzinfo=UTC)


class Presence(StrEnum):
    """What one look says of an account. `unknown` is our limit, never the association's fault."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a look ended as it did. A closed set: each has words in every language."""

    NOT_FOUND = "not_found"
    NO_SUCH_HOST = "no_such_host"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    RENAMED = "renamed"
    PRIVATE = "private"
    EMPTY = "empty"
    PARKED = "parked"
    DEFAULT_PAGE = "default_page"
    HIJACKED = "hijacked"
    DIRECTORY_LISTING = "directory_listing"
    LOGIN_WALL = "login_wall"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate_limited"
    CONSENT = "consent"
    ROBOTS = "robots"
    SCRIPT_ONLY = "script_only"
    TIMEOUT = "timeout"
    NETWORK = "network"
    TLS = "tls"
    SERVER_ERROR = "server_error"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    WRONG_TARGET = "wrong_target"
    UNSAFE_ADDRESS = "unsafe_address"
    NOT_CONFIGURED = "not_configured"
    CRASHED = "crashed"


class DatePrecision(StrEnum):
    """How exact a date is: "3 weeks ago" is a date to the week."""

    SECOND = "second"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Activity:
    """The newest publication seen: when (aware UTC), how exact, and which clue told.

    A `relative` one was counted back from the look: "6 months ago", which is a day later each night. That is
    how it was told, and makes it no other one.
    """

    published_at: datetime
    source: str
    precision: DatePrecision = DatePrecision.SECOND
    is_relative: bool = field(default=False, compare=False)

    def format_iso(self) -> str:
        """The moment as ISO 8601: a date-time where it is exact, else a date."""
        if self.precision is DatePrecision.SECOND:
            return self.published_at.isoformat().replace("+00:00", "Z")
        return self.published_at.date().isoformat()


@dataclass(frozen=True, slots=True)
class FoundLink:
    """An account found on an association's own page, where, and by which clue."""

    channel: str
    key: str
    canonical: str
    source: str
    page_url: str = ""
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at one account says. `reason` is None only for a plain `present`.

    `facts` are the small health facts that rules read (`https`, `viewport`, `final_host` …),
    each documented where the channel sets it.
    """

    presence: Presence
    reason: Reason | None = None
    status: int | None = None
    final_url: str | None = None
    name: str | None = None
    platform_id: str | None = None
    last_activity: Activity | None = None
    followers: int | None = None
    links: tuple[FoundLink, ...] = ()
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    detail: str = ""


class LinkKind(StrEnum):
    """What a typed link turns out to be. Only the first four can be an account."""

    PROFILE = "profile"
    PAGE = "page"
    GROUP = "group"
    PERSON = "person"
    POST = "post"
    SHARE = "share"
    SEARCH = "search"
    HOME = "home"
    FILE = "file"
    SHORT_LINK = "short"
    INVALID = "invalid"
    NONE = "none"


ACCOUNT_KINDS = frozenset({LinkKind.PROFILE, LinkKind.PAGE, LinkKind.GROUP, LinkKind.PERSON})
"""What a link must be to be somebody's account; a short link may turn out to be one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which account a typed text names, told without asking anyone.

    `key` is the channel's canonical key (DESIGN §6) or None where no identity can be told.
    `canonical` is the address to show and, on platforms, to ask. `url` is the cleaned typed address
    (the website probe and short links ask for it). `note` is a short English code for a person
    who corrects the registry, such as `derived`, `wrapped` or `placeholder`.
    """

    channel: str
    kind: LinkKind
    key: str | None = None
    canonical: str | None = None
    url: str | None = None
    note: str | None = None

    def with_url(self, url: str) -> Identity:
        """The same with the address it was told from: `replace` takes four times as long."""
        return Identity(self.channel, self.kind, self.key, self.canonical, url, self.note)


@dataclass(frozen=True, slots=True)
class Account:
    """One link of one association, as registered. `typed` is the text in the cell.

    `known` is what was last decided of it (its links left out), with the platform's own id where it was ever
    seen: by it a probe tells a new name from a loss, and a site from what it was.
    """

    association: str
    typed_text: str
    identity: Identity
    previous_finding: Finding | None = None

    @property
    def channel(self) -> str:
        """The channel that owns the link."""
        return self.identity.channel
