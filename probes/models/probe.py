"""The interface of channels and probes, and the loop that runs a probe without a network.

A probe is a generator. It yields a `PageRequest`, receives the `Page` (or is thrown a `FetchError`)
and returns a `Finding`. Tests run it with pages from a dict, re-evaluation with stored pages, and
`probes.runner.run.run_probe` with the live web.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from probes.models.finding import Account, Finding, Identity, Presence, Reason, limit_finding
from probes.models.http import ApiCall, FetchError, Page, PageRequest

ParsedT = TypeVar("ParsedT")


ProbeGenerator = Generator[PageRequest, Page, Finding]
Responder = Callable[[PageRequest], Page | FetchError]


class ChannelModule(Protocol):
    """The interface of a channel module. mypy checks every channel against it.

    A channel with an official API also has `API` and `probe_api(account) -> ProbeGenerator`. One
    whose handles are domain names has `HANDLES_ARE_DOMAINS = True`.
    """

    NAME: str
    HOSTS: frozenset[str]
    VERSION: int

    def identify(self, url: str) -> Identity:
        """Return the identity behind a cleaned address on one of HOSTS. Raises nothing."""
        ...

    def identify_bare(self, text: str) -> Identity:
        """Return the identity of a handle typed in this channel's column. Raises nothing."""
        ...

    def probe(self, account: Account) -> ProbeGenerator:
        """Check the account."""
        ...


def present_finding(
    page: Page, *, name: str | None = None, platform_id: str | None = None, **fields: Any
) -> Finding:
    """Return a finding that the account is present, proved by this page.

    Its `final_url` is that of the page unless another one is given. An empty name or id is None.
    """
    fields = {
        "final_url": page.url,
        "name": name or None,
        "platform_id": platform_id or None,
    } | fields
    return Finding(Presence.PRESENT, status=page.status, **fields)


def absent_finding(page: Page, reason: Reason, **fields: Any) -> Finding:
    """Return a finding that the account is absent, proved by this page."""
    return Finding(Presence.ABSENT, reason, status=page.status, final_url=page.url, **fields)


def unknown_finding(page: Page, reason: Reason, **fields: Any) -> Finding:
    """Return a finding that this page proves nothing."""
    return Finding(Presence.UNKNOWN, reason, status=page.status, final_url=page.url, **fields)


def unknown_from_error(error: FetchError) -> Finding:
    """Return an unknown finding with the reason why no page could be fetched."""
    return Finding(
        Presence.UNKNOWN,
        error.reason,
        status=error.status,
        final_url=error.url,
        detail=error.detail,
    )


def request_page(
    url: str,
    parser: Callable[[Page], ParsedT],
    *,
    is_registered_link: bool = False,
    insecure: bool = False,
    headers: Mapping[str, str] | None = None,
    api_call: ApiCall | None = None,
) -> Generator[PageRequest, Page, tuple[Page, ParsedT]]:
    """Request a page and return it with the result of its parser.

    In a probe: `page, document = yield from request_page(url, parse_document)`.
    """
    page = yield PageRequest(
        url,
        parser,
        is_registered_link=is_registered_link,
        insecure=insecure,
        headers=headers or {},
        api_call=api_call,
    )
    return page, cast("ParsedT", page.parsed)


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request of a probe and its outcome: the evidence of a finding."""

    request: PageRequest
    outcome: Page | FetchError


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The finding of a probe and all its requests.

    `is_unchanged` is True if every response equals that of an earlier check, so the finding does
    too.
    """

    finding: Finding
    exchanges: tuple[HttpExchange, ...] = ()
    is_unchanged: bool = False


class ProbeRun:
    """A running probe: its pending request (None at the end) and the exchanges so far."""

    def __init__(self, generator: ProbeGenerator) -> None:
        self._generator = generator
        self._exchanges: list[HttpExchange] = []
        self._finding: Finding | None = None
        self.pending_request: PageRequest | None = None
        self._advance(lambda: next(generator))

    def resume(self, outcome: Page | FetchError) -> None:
        """Pass the outcome of the pending request to the probe.

        Raises whatever a bug of the probe raises.
        """
        assert self.pending_request is not None
        self._exchanges.append(HttpExchange(self.pending_request, outcome))
        if isinstance(outcome, FetchError):
            self._advance(lambda: self._generator.throw(outcome))
        else:
            self._advance(lambda: self._generator.send(outcome))

    def _advance(self, step: Callable[[], PageRequest]) -> None:
        self.pending_request = None
        try:
            self.pending_request = step()
        except StopIteration as end:
            self._finding = end.value
        except FetchError as error:
            self._finding = unknown_from_error(error)

    @property
    def result(self) -> ProbeResult:
        """Return the result of a finished probe, with a finding of limited size."""
        assert self._finding is not None
        return ProbeResult(limit_finding(self._finding), tuple(self._exchanges))


def run_offline(generator: ProbeGenerator, respond: Responder) -> ProbeResult:
    """Run a probe with responses that are at hand, those of a test or of an archive.

    Does no I/O.
    """
    probe_run = ProbeRun(generator)
    while (request := probe_run.pending_request) is not None:
        outcome = respond(request)
        if isinstance(outcome, Page) and request.parser is not None:
            outcome = replace(outcome, parsed=request.parser(outcome))
        probe_run.resume(outcome)
    return probe_run.result
