"""Runs a probe, or revalidates its previous result.

Revalidation sends the requests of the previous check again, as conditional requests (RFC 9110 §13).
If every response is unchanged, so is the finding, and no page is parsed. Pages that differ in
volatile tokens only are unchanged. At the first change the probe itself runs and receives the
responses fetched so far.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from probes.classify import interstitials
from probes.models.finding import Finding, Presence, Reason, limit_finding
from probes.models.http import (
    COMPARED_HEADERS,
    PRESENCE_ONLY_HEADERS,
    CacheValidators,
    FetchError,
    Hop,
    Page,
    PageParser,
    PageRequest,
    PageWalls,
)
from probes.models.probe import HttpExchange, ProbeGenerator, ProbeResult, ProbeRun
from probes.parsing.volatile_tokens import is_same_page
from probes.runner.parser_pool import ParserPool


class PageSource(Protocol):
    """A source of pages: the live web or stored responses."""

    async def get(self, request: PageRequest) -> Page:
        """Return the page for a request. Raises FetchError."""
        ...


async def run_probe(
    generator: ProbeGenerator, source: PageSource, parsers: ParserPool
) -> ProbeResult:
    """Run a probe: fetch its pages and parse them in worker processes.

    `probes.models.probe.run_offline` does the same with pages that are at hand.
    """
    probe_run = ProbeRun(generator)
    while (request := probe_run.pending_request) is not None:
        probe_run.resume(await fetch_and_parse(request, source, parsers))
    return probe_run.result


async def fetch_and_parse(
    request: PageRequest, source: PageSource, parsers: ParserPool
) -> Page | FetchError:
    """Fetch and parse a page. Returns the error if it cannot be fetched."""
    try:
        page = await source.get(request)
        return page if request.parser is None else await parse_page(request.parser, page, parsers)
    except FetchError as error:
        return error
    except asyncio.CancelledError:
        if _is_task_cancelling():
            raise
        return FetchError(Reason.CRASHED, "cancelled from outside", url=request.url)


async def parse_page(parser: PageParser, page: Page, parsers: ParserPool) -> Page:
    """Return the page with the result of its parser and its walls. Raises FetchError."""
    parsed, walls = await parsers.parse(_ParserWithWalls(parser), page)
    return replace(page, parsed=parsed, walls=walls)


@dataclass(frozen=True, slots=True)
class _ParserWithWalls:
    """Runs a parser and the detection of walls in one task of a worker."""

    parser: PageParser

    def __call__(self, page: Page) -> tuple[object, PageWalls]:
        return self.parser(page), interstitials.detect_walls(page)


def _is_task_cancelling() -> bool:
    """Return True if this task is being cancelled. Other cancellations must not end it silently."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def build_crashed_result(error: BaseException) -> ProbeResult:
    """Return the result of a probe that raised an exception: unknown."""
    detail = f"{type(error).__name__}: {error}"
    return ProbeResult(limit_finding(Finding(Presence.UNKNOWN, Reason.CRASHED, detail=detail)))


STATUS_OK, STATUS_NOT_MODIFIED = 200, 304

FAST_RESPONSE_SECONDS = 1
"""Response times up to this count as equal. For longer ones the finding contains the seconds."""

BodyLoader = Callable[[str], bytes | None]
"""Loads a stored body by its digest, or returns None if it was deleted."""


@dataclass(frozen=True, slots=True)
class CachedExchange:
    """A request of the previous check and its outcome without body.

    `has_body` is True if the body is stored.
    """

    request: PageRequest
    outcome: Page | FetchError
    has_body: bool = False

    def build_conditional_request(self) -> PageRequest:
        """Return the request, with validators if the response is stored."""
        page = self.outcome
        if isinstance(page, FetchError) or not self.has_body or page.status != STATUS_OK:
            return self.request  # a 304 means that a GET would give 200 (RFC 9110 §15.4.5)
        validators = CacheValidators(
            page.url, page.headers.get("etag", ""), page.headers.get("last-modified", "")
        )
        if not validators.etag and not validators.last_modified:
            return self.request
        return replace(self.request, validators=validators)


@dataclass(frozen=True, slots=True)
class PreviousResult:
    """The finding and the exchanges of an earlier check."""

    finding: Finding
    exchanges: Sequence[CachedExchange]
    load_body: BodyLoader


async def revalidate(
    previous: PreviousResult, generator: ProbeGenerator, source: PageSource, parsers: ParserPool
) -> ProbeResult:
    """Return the previous finding if all responses are unchanged, else run the probe."""
    received: list[tuple[CachedExchange, Page | FetchError]] = []
    for cached in previous.exchanges:
        request = cached.build_conditional_request()
        outcome = await fetch_and_parse(request, source, parsers)
        received.append((cached, outcome))
        if not await _is_unchanged(
            cached, outcome, request.validators, previous.load_body, parsers
        ):
            replaying_source = _ReplayingSource(previous, received, source)
            return await run_probe(generator, replaying_source, parsers)
    generator.close()
    exchanges = tuple(HttpExchange(cached.request, outcome) for cached, outcome in received)
    return ProbeResult(previous.finding, exchanges, is_unchanged=True)


async def _is_unchanged(
    cached: CachedExchange,
    outcome: Page | FetchError,
    validators: CacheValidators | None,
    load_body: BodyLoader,
    parsers: ParserPool,
) -> bool:
    """Return True if this outcome is the same to a probe as the previous one."""
    previous = cached.outcome
    if isinstance(previous, FetchError) or isinstance(outcome, FetchError):
        return _get_error_key(previous) == _get_error_key(outcome)
    if _get_transport_key(previous) != _get_transport_key(outcome):
        return False
    is_not_modified = _is_not_modified(outcome, validators)
    # A 304 contains only the headers that changed.
    headers = {**previous.headers, **outcome.headers} if is_not_modified else outcome.headers
    if _list_compared_headers(previous.headers) != _list_compared_headers(headers):
        return False
    loader = load_body if cached.has_body else None
    return is_not_modified or await _has_same_body(previous, outcome, loader, parsers)


def _is_not_modified(page: Page, validators: CacheValidators | None) -> bool:
    """Return True if a page is the answer 304 to a request with these validators."""
    has_validators = validators is not None and validators.url == page.url
    return has_validators and page.status == STATUS_NOT_MODIFIED


def _get_transport_key(page: Page) -> tuple[object, ...]:
    """Return what a probe reads of a page besides status, headers and body."""
    return (
        page.url,
        page.hops[:-1],
        page.insecure,
        page.certificate_expires,
        page.certificate_names,
        _round_elapsed_seconds(page),
    )


async def _has_same_body(
    previous: Page, current: Page, load_body: BodyLoader | None, parsers: ParserPool
) -> bool:
    """Return True if the bodies are equal, or differ in volatile tokens only.

    Tokens can be compared only if the previous body is stored. If the worker that compares them is
    stopped, the bodies count as different.
    """
    if (current.status, current.truncated) != (previous.status, previous.truncated):
        return False
    if current.digest == previous.digest or load_body is None or current.truncated:
        return current.digest == previous.digest
    body = load_body(previous.digest)
    if body is None:
        return False
    try:
        return await parsers.parse(partial(is_same_page, body), current)
    except FetchError:
        return False


def _get_error_key(outcome: Page | FetchError) -> tuple[Reason, int | None, str] | None:
    """Return what a probe reads of an error, or None for a page.

    The detail counts for TLS errors only.
    """
    if not isinstance(outcome, FetchError):
        return None
    detail = outcome.detail if outcome.reason is Reason.TLS else ""
    return outcome.reason, outcome.status, detail


def _round_elapsed_seconds(page: Page) -> int:
    return max(FAST_RESPONSE_SECONDS, round(page.elapsed_seconds))


def _list_compared_headers(headers: Mapping[str, str]) -> list[str | bool]:
    values = [headers.get(name, "") for name in sorted(COMPARED_HEADERS)]
    return [*values, *map(headers.__contains__, sorted(PRESENCE_ONLY_HEADERS))]


def _get_request_key(request: PageRequest) -> tuple[str, bool, bool]:
    return request.url, request.is_registered_link, request.insecure


class _ReplayingSource:
    """Serves the responses that revalidation has fetched, and others from the web."""

    def __init__(
        self,
        previous: PreviousResult,
        received: Iterable[tuple[CachedExchange, Page | FetchError]],
        source: PageSource,
    ) -> None:
        self._received = list(received)
        self._load_body = previous.load_body
        self._source = source

    async def get(self, request: PageRequest) -> Page:
        """Return the page for a request. Raises FetchError."""
        received = self._take_received(request)
        if received is None:
            return await self._source.get(request)
        cached, outcome = received
        if isinstance(outcome, FetchError):
            raise outcome
        return self._restore_body(cached, outcome) or await self._source.get(request)

    def _take_received(
        self, request: PageRequest
    ) -> tuple[CachedExchange, Page | FetchError] | None:
        for index, (cached, _) in enumerate(self._received):
            if _get_request_key(cached.request) == _get_request_key(request):
                return self._received.pop(index)
        return None

    def _restore_body(self, cached: CachedExchange, page: Page) -> Page | None:
        """Return the page with its stored body after a 304, or None if the body was deleted."""
        if not _is_not_modified(page, cached.build_conditional_request().validators):
            return page
        previous = cached.outcome
        assert isinstance(previous, Page)
        body = self._load_body(previous.digest)
        if body is None:
            return None
        hops = (*page.hops[:-1], Hop(page.url, previous.status))
        headers = {**previous.headers, **page.headers}
        return replace(
            page,
            status=previous.status,
            headers=headers,
            hops=hops,
            body=body,
            truncated=previous.truncated,
            digest=previous.digest,
        )
