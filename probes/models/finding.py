"""Accounts, the identities of their links, and the findings of a probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

FactValue = str | int | float | bool
EARLIEST_DATETIME = datetime.min.replace(tzinfo=UTC)
LATEST_DATETIME = datetime.max.replace(tzinfo=UTC)


class Presence(StrEnum):
    """The answer of a check: the account exists, does not exist, or could not be checked.

    `unknown` is a limit of the check, never the association's fault.
    """

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """The reason of a finding. A closed set: each reason has a text in every language."""

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
    """The precision of a date. "3 weeks ago" is exact to the week."""

    SECOND = "second"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Activity:
    """The newest publication of an account.

    `published_at` is in UTC. `source` names the clue that gave the date. `is_relative` is True if
    the page counted back from the time of the check ("6 months ago"). Such a date moves a day with
    every run, so `is_relative` takes no part in comparisons.
    """

    published_at: datetime
    source: str
    precision: DatePrecision = DatePrecision.SECOND
    is_relative: bool = field(default=False, compare=False)

    def format_iso(self) -> str:
        """Return the date as ISO 8601, with a time in UTC only if it is exact to the second."""
        if self.precision is DatePrecision.SECOND:
            published_at = self.published_at.astimezone(UTC)
            return published_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        return self.published_at.date().isoformat()


@dataclass(frozen=True, slots=True)
class FoundLink:
    """A link to an account that was found on an association's own page.

    `source` names the clue, `page_url` the page and `snippet` the text around the link.
    """

    channel: str
    key: str
    canonical: str
    source: str
    page_url: str = ""
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The conclusion of a probe about an account.

    `reason` is None only if it is present without remarks.

    `facts` holds the technical facts that rules read (`https`, `viewport`, `final_host` …). Each is
    documented where its channel sets it. See docs/explanations/verdicts.md.
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


MAX_NAME_CHARS = 300
"""Characters of the name of an account in a finding."""

MAX_DETAIL_CHARS = 1_000
"""Characters of the detail of a finding, and of the text around a link."""

MAX_FACT_CHARS = 4_096
"""Characters of a fact of a finding. The longest usual one lists 30 linked posts."""

MAX_LINKS_PER_CHANNEL = 15
"""Links to accounts of one channel in a finding."""

MAX_LINK_CHARS = 1_000
"""Characters of the key and the address of an account. A longer one names no account."""

MAX_LINK_PAGE_CHARS = 500
"""Characters of the address of the page that a link was found on."""

LINKS_CUT_FACT = "links_cut"
"""The fact that not all links of a page are read or kept. A link that is missing proves nothing."""


def shorten_text(text: str, max_chars: int) -> str:
    """Return the text, or its beginning with an ellipsis if it is longer than `max_chars`."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def limit_finding(finding: Finding) -> Finding:
    """Return a finding whose texts and links are limited, or the same object if all are short."""
    counts: Counter[str] = Counter()
    links = []
    for link in finding.links:
        counts[link.channel] += 1
        is_account = len(link.key) + len(link.canonical) <= MAX_LINK_CHARS
        if is_account and counts[link.channel] <= MAX_LINKS_PER_CHANNEL:
            links.append(link)
    facts = {
        name: shorten_text(value, MAX_FACT_CHARS) if isinstance(value, str) else value
        for name, value in finding.facts.items()
    }
    if len(links) < len(finding.links):
        facts[LINKS_CUT_FACT] = True
    limited = replace(
        finding,
        name=finding.name and shorten_text(finding.name, MAX_NAME_CHARS),
        platform_id=finding.platform_id and shorten_text(finding.platform_id, MAX_NAME_CHARS),
        detail=shorten_text(finding.detail, MAX_DETAIL_CHARS),
        final_url=finding.final_url and shorten_text(finding.final_url, MAX_FACT_CHARS),
        facts=facts,
        links=tuple(
            replace(
                link,
                page_url=shorten_text(link.page_url, MAX_LINK_PAGE_CHARS),
                snippet=shorten_text(link.snippet, MAX_DETAIL_CHARS),
            )
            for link in links
        ),
    )
    return finding if limited == finding else limited


class LinkKind(StrEnum):
    """The kind of target of a registered link. Only the first four can be an account."""

    PROFILE = "profile"
    PAGE = "page"
    GROUP = "group"
    PERSON = "person"
    POST = "post"
    SHARE = "share"
    SEARCH = "search"
    HOME = "home"
    FILE = "file"
    PHONE = "phone"
    SHORT_LINK = "short"
    INVALID = "invalid"
    NONE = "none"


ACCOUNT_KINDS = frozenset({LinkKind.PROFILE, LinkKind.PAGE, LinkKind.GROUP, LinkKind.PERSON})
"""The kinds that can be an account. A short link may lead to one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The account that a registered text names, found without any network request.

    `key` is the canonical key of the account on its channel, or None if the text names none.
    `canonical` is the address to show and, on platforms, to request. `url` is the cleaned address
    as typed; the website probe and short links request it. `note` is a short English code that
    helps to correct the registry, such as `derived`, `wrapped` or `placeholder`.
    """

    channel: str
    kind: LinkKind
    key: str | None = None
    canonical: str | None = None
    url: str | None = None
    note: str | None = None

    @property
    def typed_name(self) -> str:
        """Return the account's name with the capitals that were typed, or ""."""
        return (self.canonical or "").rpartition("/")[2]

    def with_url(self, url: str) -> Identity:
        """Return a copy with another `url`. `dataclasses.replace` takes four times as long."""
        return Identity(self.channel, self.kind, self.key, self.canonical, url, self.note)

    def with_note(self, note: str) -> Identity:
        """Return a copy with another `note` if the identity names an account."""
        return replace(self, note=note) if self.key else self

    def to_post(self, note: str | None = "derived") -> Identity:
        """Return the identity of a post by this account, whose address names its owner."""
        return replace(self, kind=LinkKind.POST, note=note) if self.key else self


@dataclass(frozen=True, slots=True)
class Account:
    """One registered link of an association, as a probe gets it (stored: `AccountRow`).

    `typed_text` is the text of the spreadsheet cell.

    `previous_finding` is the last decisive finding, without its links. It has the platform's own id
    if any run found it. With it a probe distinguishes a renamed account from a lost one, and
    recognises a site that changed hands.
    """

    association: str
    typed_text: str
    identity: Identity
    previous_finding: Finding | None = None

    @property
    def channel(self) -> str:
        """Return the name of the channel that owns the link."""
        return self.identity.channel

    @property
    def known_id(self) -> str:
        """Return the platform's own id of the account if any run found it, or ""."""
        return "" if self.previous_finding is None else self.previous_finding.platform_id or ""
