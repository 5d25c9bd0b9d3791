"""Page requests of a probe, the pages or errors it receives, and calls to official APIs.

A channel that supports an official API has `API` and `probe_api`, whose requests carry an
`ApiCall`. The probe requests one account at a time. `probes.runner.api_batcher` joins calls that
differ in one parameter and adds the keys, so no probe knows a key or a budget. See
docs/decisions/0010-official-apis.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from probes.models.finding import EARLIEST_DATETIME, Reason

COMPARED_HEADERS = frozenset(
    {"content-type", "link", "x-robots-tag", "x-datadome", "x-sucuri-block"}
)
"""Headers whose values a probe reads. Other headers may change with every response."""
PRESENCE_ONLY_HEADERS = frozenset({"cf-mitigated", "x-wix-request-id"})
"""Headers whose presence alone matters to a probe."""
READ_HEADERS = COMPARED_HEADERS | PRESENCE_ONLY_HEADERS


class HostKind(StrEnum):
    """The kind of a host: a site, the pages of a platform, or an official API."""

    SITE = "site"
    PLATFORM = "platform"
    API = "api"


REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
MISSING_PAGE_STATUSES = frozenset({404, 410})
"""The statuses that say that there is no such page."""
GZIP_MAGIC = b"\x1f\x8b"
"""The first bytes of each member of gzip."""


@dataclass(frozen=True, slots=True)
class PlatformApi:
    """An official API: its host, the header that carries the key, and the unit of its costs.

    `default_budget` is the highest cost of a run in `cost_unit`, unless the configuration sets
    another. Without `allows_mixed_scores`, the terms allow its data in a score over several
    platforms only if the operator accepted an amendment. With `erases_removed_profiles`, the
    profile of an account that the platform removed must be erased. See
    docs/decisions/0010-official-apis.md.
    """

    host: str
    key_header: str
    cost_unit: str
    default_budget: float
    key_prefix: str = ""
    allows_mixed_scores: bool = True
    erases_removed_profiles: bool = False


@dataclass(frozen=True, slots=True)
class ApiCall:
    """The API call that replaces a page request.

    `joined_parameter` is the query parameter that may list up to `max_values` values, separated by
    commas, in one request. A request costs `base_cost`, and `cost_per_value` for each value.
    """

    api: PlatformApi
    joined_parameter: str = ""
    max_values: int = 1
    base_cost: float = 0.0
    cost_per_value: float = 0.0


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A parsed API response, in the same form for every platform.

    `items` and `item_errors` are keyed by the requested value in lower case (an id or a name): the
    data of an account, cut to what is needed, or its error. `refusal` is set if the API refuses
    every request (bad key, spent quota); it gets no more requests in this run.
    `is_single_item_error` means that one of the requested values caused the error, but the response
    does not say which. `is_well_formed` is False if the response does not have the API's documented
    form; a missing item proves nothing then. `no_items_error` is the error of a response without
    items, for one value or for the whole API.
    """

    items: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    item_errors: Mapping[str, str] = field(default_factory=dict)
    refusal: tuple[Reason, str] | None = None
    is_single_item_error: bool = False
    is_well_formed: bool = False
    no_items_error: tuple[Reason, str] | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One response of a redirect chain: the requested URL and its status code."""

    url: str
    status: int


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP response as a probe sees it, with lower-case header names and a decompressed body.

    `url` is the final address and `hops` the whole redirect chain, the final response included.
    `truncated` is True if the body was cut at the size limit. `fetched_at` is in UTC.
    `elapsed_seconds` is the time to the last byte. `certificate_expires` is the expiry date of the
    server's certificate, or None without TLS. `certificate_names` are the certificate's DNS names,
    at most 100, verified unless `insecure`. `insecure` marks a request without certificate
    verification: it proves that a site responds, but its content cannot be trusted. `digest` is the
    SHA-256 of the body, or empty for a page made in a test. `parsed` is the result of the request's
    parser. `walls` are what the same worker detected with `interstitials.detect_walls`, or None if
    no worker parsed the page. `shortened_body` is the body without content of visitors, or None
    if it has none.

    The answer to a DNS question is a page, too: its body has one record a line. The answer to a
    question about a body is a page with a number.
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
    certificate_names: tuple[str, ...] = ()
    insecure: bool = False
    digest: str = ""
    parsed: object = None
    walls: tuple[Reason | None, Reason | None] | None = None
    shortened_body: bytes | None = None


class FetchError(Exception):
    """The page could not be fetched.

    Thrown into the probe; if it does not catch it, the finding is unknown.

    `status` is the last HTTP status received, if any.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        status: int | None = None,
        url: str | None = None,
        hops: tuple[Hop, ...] = (),
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.status = status
        self.url = url
        self.hops = hops


PageParser = Callable[[Page], object]


@dataclass(frozen=True, slots=True)
class CacheValidators:
    """The validators of a conditional request (RFC 9110 §8.8), sent to `url` only.

    If the content has not changed, the page has status 304 and no body.
    """

    url: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page that a probe requests.

    A `url` such as `dns:example.org?type=NS` (RFC 4501) is a question to the DNS.
    `parser` turns the page into plain data. It must be a pure function of a module, because it runs
    in a worker process that can be killed. `is_registered_link` marks the registered link itself,
    the one request that `robots = "links"` allows whatever robots.txt says. `insecure` turns off
    certificate verification. `api_call` makes it a call to an official API, which needs a key and
    ignores robots.txt; its parser returns an `ApiResponse`. `validators` belong to an earlier
    response that the caller still has.
    """

    url: str
    parser: PageParser | None = None
    is_registered_link: bool = False
    insecure: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key
    api_call: ApiCall | None = None
    validators: CacheValidators | None = None
