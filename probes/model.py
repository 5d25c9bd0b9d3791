"""The nouns of seeing. Every other module speaks in these; nothing here reads a clock, a disk or a socket.

A probe is a generator: it yields an `Ask`, is sent the `Page` that answered it (or is thrown
`NoPage`), and returns a `Finding`. So a test drives it with pages from a dict, `rejudge` with
archived ones, and `probes.fetch.look` with the real web.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar, cast

from probes.interface import Call

Scalar = str | int | float | bool
R = TypeVar("R")
NEVER = datetime.min.replace(tzinfo=UTC)
FAR = datetime.max.replace(tzinfo=UTC)

TELLING = frozenset({"content-type", "link", "x-robots-tag", "x-datadome", "x-sucuri-block"})
"""The headers of a page whose values a probe reads; others may have others each night."""

NOTED = frozenset({"cf-mitigated", "x-wix-request-id"})
"""Those of which a probe only reads that they are there."""


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


class Kind(StrEnum):
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
    SHORT = "short"
    INVALID = "invalid"
    NONE = "none"


ACCOUNTS = frozenset({Kind.PROFILE, Kind.PAGE, Kind.GROUP, Kind.PERSON})
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
    kind: Kind
    key: str | None = None
    canonical: str | None = None
    url: str | None = None
    note: str | None = None

    def at(self, url: str) -> Identity:
        """The same with the address it was told from: `replace` takes four times as long."""
        return Identity(self.channel, self.kind, self.key, self.canonical, url, self.note)


@dataclass(frozen=True, slots=True)
class Account:
    """One link of one association, as registered. `typed` is the text in the cell.

    `known` is what was last decided of it (its links left out), with the platform's own id where it was ever
    seen: by it a probe tells a new name from a loss, and a site from what it was.
    """

    association: str
    typed: str
    identity: Identity
    known: Finding | None = None

    @property
    def channel(self) -> str:
        """The channel that owns the link."""
        return self.identity.channel


@dataclass(frozen=True, slots=True)
class Hop:
    """One answer on the way to a page: the address asked and the status it gave."""

    url: str
    status: int


@dataclass(frozen=True, slots=True)
class Page:
    """What a server answered: the last hop's status, headers (lower-case names) and capped, decoded body.

    `url` is the final address, `hops` the whole chain including it. `fetched_at` is aware UTC.
    `seconds` is the time to the last byte. `certificate_expires` is the day of the server's
    certificate, where it spoke TLS to us. `insecure` marks a second look made without
    verifying the certificate: good for "does it answer", never for content one would trust.
    `digest` is the SHA-256 of the body as it came, where it came from the web.
    `reading` is what the ask's reader made of the body.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fetched_at: datetime = NEVER
    hops: tuple[Hop, ...] = ()
    truncated: bool = False
    seconds: float = 0.0
    certificate_expires: date | None = None
    insecure: bool = False
    digest: str = ""
    reading: object = None


class NoPage(Exception):  # noqa: N818  # it is an answer thrown into a probe, not an error of ours
    """No page could be had, and why. Thrown into the probe; uncaught, the finding is unknown.

    `status` is the last HTTP status seen, if any; `retry_after` what the server asked for, in seconds.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        status: int | None = None,
        url: str | None = None,
        hops: tuple[Hop, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.status = status
        self.url = url
        self.hops = hops
        self.retry_after = retry_after


Reader = Callable[[Page], object]


@dataclass(frozen=True, slots=True)
class Validators:
    """By what a server is asked whether an answer is still what it was (RFC 9110 §8.8). Told to `url` alone.

    Where it is, the page has status 304 and no body.
    """

    url: str
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A page a probe wants.

    `read` turns the page into plain data; it is a module-level pure function, because it runs
    where it can be stopped (a worker process). `registered` marks the registered link itself, the
    one request that robots = "links" allows as a link checker's. `insecure` asks for a second
    look without certificate verification. `call` makes it a question to an official interface, for
    which a key is needed and robots.txt is not; its `read` makes an `Answer`. `validators` are of the answer
    that came before, which whoever asks must still have.
    """

    url: str
    read: Reader | None = None
    registered: bool = False
    insecure: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key
    call: Call | None = None
    validators: Validators | None = None


class Precision(StrEnum):
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

    when: datetime
    source: str
    precision: Precision = Precision.SECOND
    relative: bool = field(default=False, compare=False)

    def iso(self) -> str:
        """The moment as ISO 8601: a date-time where it is exact, else a date."""
        if self.precision is Precision.SECOND:
            return self.when.isoformat().replace("+00:00", "Z")
        return self.when.date().isoformat()


@dataclass(frozen=True, slots=True)
class FoundLink:
    """An account found on an association's own page, where, and by which clue."""

    channel: str
    key: str
    canonical: str
    source: str
    page: str = ""
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
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    detail: str = ""


Steps = Generator[Ask, Page, Finding]


class Channel(Protocol):
    """What a channel module offers. mypy checks every module against it.

    One with an official interface has `INTERFACE` and `probe_api(account) -> Steps` as well.
    """

    NAME: str
    HOSTS: frozenset[str]
    VERSION: int

    def identify(self, url: str, typed: str) -> Identity:
        """Tell whose account a cleaned address on one of HOSTS is; raises nothing."""
        ...

    def identify_bare(self, text: str) -> Identity | None:
        """Tell a bare handle typed in this channel's own column, or None if it cannot be one."""
        ...

    def probe(self, account: Account) -> Steps:
        """Look at the account."""
        ...


def present(page: Page, **facts: Any) -> Finding:
    """A positive finding from a page."""
    return Finding(Presence.PRESENT, status=page.status, final_url=page.url, **facts)


def absent(page: Page, reason: Reason, **facts: Any) -> Finding:
    """An absence proved by a page."""
    return Finding(Presence.ABSENT, reason, status=page.status, final_url=page.url, **facts)


def unknown(page: Page, reason: Reason, **facts: Any) -> Finding:
    """A page that lets nothing be concluded."""
    return Finding(Presence.UNKNOWN, reason, status=page.status, final_url=page.url, **facts)


def untold(trouble: NoPage) -> Finding:
    """No page came: nothing can be said, and this is why."""
    return Finding(
        Presence.UNKNOWN, trouble.reason, status=trouble.status, final_url=trouble.url, detail=trouble.detail
    )


def ask(
    url: str,
    read: Callable[[Page], R],
    *,
    registered: bool = False,
    insecure: bool = False,
    headers: Mapping[str, str] | None = None,
    call: Call | None = None,
) -> Generator[Ask, Page, tuple[Page, R]]:
    """Yield the ask, give back the page and what the reader made of it.

    In a probe: `page, reading = yield from ask(url, read)`.
    """
    page = yield Ask(url, read, registered=registered, insecure=insecure, headers=headers or {}, call=call)
    return page, cast("R", page.reading)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One ask of a look and what came of it: the evidence."""

    ask: Ask
    answer: Page | NoPage


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one account: what was found, and everything that was asked for it.

    One that is `as_before` repeated an earlier one: every answer was what it had been, and so is the finding.
    """

    finding: Finding
    exchanges: tuple[Exchange, ...] = ()
    as_before: bool = False


class Visit:
    """A probe on its way: what it `wants` next (None at its end), and everything asked so far."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._exchanges: list[Exchange] = []
        self._finding: Finding | None = None
        self.wants: Ask | None = None
        self._advance(lambda: next(steps))

    def tell(self, answer: Page | NoPage) -> None:
        """Give the probe what it wanted. A bug of the probe comes through."""
        assert self.wants is not None
        self._exchanges.append(Exchange(self.wants, answer))
        if isinstance(answer, NoPage):
            self._advance(lambda: self._steps.throw(answer))
        else:
            self._advance(lambda: self._steps.send(answer))

    def _advance(self, step: Callable[[], Ask]) -> None:
        self.wants = None
        try:
            self.wants = step()
        except StopIteration as end:
            self._finding = end.value
        except NoPage as trouble:
            self._finding = untold(trouble)

    @property
    def look(self) -> Look:
        """What came of it, once it wants nothing more."""
        assert self._finding is not None
        return Look(self._finding, tuple(self._exchanges))


Answers = Callable[[Ask], Page | NoPage]


def drive(steps: Steps, answers: Answers) -> Look:
    """Play a probe's steps with answers already there (a test's, an archive's): no I/O, no waiting."""
    visit = Visit(steps)
    while (wanted := visit.wants) is not None:
        answer = answers(wanted)
        if isinstance(answer, Page) and wanted.read is not None:
            answer = replace(answer, reading=wanted.read(answer))
        visit.tell(answer)
    return visit.look
