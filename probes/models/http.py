"""What a probe asks of the web and what it gets: requests, pages, and errors instead of pages.

Official interfaces: what a call to one costs, which calls may be sent as one, and what an answer says.

A channel with an interface has `INTERFACE` and `probe_api`, whose asks carry a `Call`. The probe asks for one
account at a time; calls that differ in one parameter only are sent together by `probes.runner.api_batcher`,
which also holds the keys and the budget, so that neither is known to a probe. See docs/decisions/0010.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from probes.models.finding import EARLIEST_DATETIME, Reason

if TYPE_CHECKING:
    from probes.models.finding import Reason


@dataclass(frozen=True, slots=True)
class PlatformApi:
    """A platform's interface: where it is, how a key is shown to it, in what its costs are counted.

    `budget` is what a night may cost in that `unit`, unless the configuration says otherwise.
    """

    host: str
    key_header: str
    cost_unit: str
    default_budget: float
    key_prefix: str = ""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """What makes an ask a call to an interface.

    `join` is the query parameter whose values may be listed, separated by commas, up to `most` in one
    request. A request costs `base`, and `each` for every value asked with it.
    """

    api: PlatformApi
    joined_parameter: str = ""
    max_values: int = 1
    base_cost: float = 0.0
    cost_per_value: float = 0.0

    def estimate_cost(self, value_count: int) -> float:
        """What a request for so many values may cost at most, in the interface's unit."""
        return self.base_cost + self.cost_per_value * value_count


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What an interface's answer says, the same for every platform.

    `items` and `faults` are by the lower-case value that was asked for (an id, a name): what the platform
    tells of it, cut to what is needed, or what it says against it. `refusal` is set where the
    interface refuses us altogether (a bad key, a spent quota): it is not asked again that night.
    `of_one` says that an error is the fault of one of the values asked, without telling which.
    `trouble` is what an answer without items says instead: of one value, or of the interface itself tonight.
    `whole` is False where this is not what the interface sends: nothing is concluded from what it lacks.
    """

    items: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    item_errors: Mapping[str, str] = field(default_factory=dict)
    refusal: tuple[Reason, str] | None = None
    is_single_item_error: bool = False
    is_well_formed: bool = False
    no_items_error: tuple[Reason, str] | None = None


COMPARED_HEADERS = frozenset(
    {"content-type", "link", "x-robots-tag", "x-datadome", "x-sucuri-block"}
)
"""The headers of a page whose values a probe reads; others may have others each night."""

PRESENCE_ONLY_HEADERS = frozenset({"cf-mitigated", "x-wix-request-id"})
"""Those of which a probe only reads that they are there."""


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
    fetched_at: datetime = EARLIEST_DATETIME
    hops: tuple[Hop, ...] = ()
    truncated: bool = False
    elapsed_seconds: float = 0.0
    certificate_expires: date | None = None
    insecure: bool = False
    digest: str = ""
    parsed: object = None


class FetchError(Exception):  # noqa: N818  # it is an answer thrown into a probe, not an error of ours
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


PageParser = Callable[[Page], object]


@dataclass(frozen=True, slots=True)
class CacheValidators:
    """By what a server is asked whether an answer is still what it was (RFC 9110 §8.8). Told to `url` alone.

    Where it is, the page has status 304 and no body.
    """

    url: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page a probe wants.

    `read` turns the page into plain data; it is a module-level pure function, because it runs
    where it can be stopped (a worker process). `registered` marks the registered link itself, the
    one request that robots = "links" allows as a link checker's. `insecure` asks for a second
    look without certificate verification. `call` makes it a question to an official interface, for
    which a key is needed and robots.txt is not; its `read` makes an `Answer`. `validators` are of the answer
    that came before, which whoever asks must still have.
    """

    url: str
    parser: PageParser | None = None
    is_registered_link: bool = False
    insecure: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key
    api_call: ApiCall | None = None
    validators: CacheValidators | None = None
