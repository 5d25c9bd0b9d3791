"""Runs a probe, or revalidates its previous result.

Revalidation sends the requests of the previous check again, as conditional requests (RFC 9110 §13).
If every response has the same bytes, the finding is the same, and no page is parsed. At the first
change the probe itself runs and receives the responses fetched so far.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from probes.models.finding import Finding, Presence, Reason, limit_finding
from probes.models.http import COMPARED_HEADERS, FetchError, Hop, Page, PageParser, PageRequest
from probes.models.probe import HttpExchange, ProbeGenerator, ProbeResult, ProbeRun
from probes.runner.parser_pool import ParserPool
from probes.runner.parser_worker import PageReader


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
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # this task; other cancellations must not end it silently
        return FetchError(Reason.CRASHED, "cancelled from outside", url=request.url)


async def parse_page(parser: PageParser, page: Page, parsers: ParserPool) -> Page:
    """Return the page with the results of a worker (see `Page`). Raises FetchError."""
    parsed, walls, shortened_body = await parsers.parse(PageReader(parser), page)
    return replace(page, parsed=parsed, walls=walls, shortened_body=shortened_body)


def build_crashed_result(error: BaseException) -> ProbeResult:
    """Return the result of a probe that raised an exception: unknown."""
    detail = f"{type(error).__name__}: {error}"
    return ProbeResult(limit_finding(Finding(Presence.UNKNOWN, Reason.CRASHED, detail=detail)))


EMPTY_BODY_DIGEST = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class PreviousResult:
    """The finding of an earlier check, and its exchanges without the bodies.

    A request is conditional if the body of its response is stored. `load_body` returns a stored
    body by its digest, or None if it was deleted.
    """

    finding: Finding
    exchanges: Sequence[HttpExchange]
    load_body: Callable[[str], bytes | None]


async def revalidate(
    previous: PreviousResult, generator: ProbeGenerator, source: PageSource, parsers: ParserPool
) -> ProbeResult:
    """Return the previous finding if the site sends the same pages, else run the probe."""
    received: list[HttpExchange] = []
    for exchange in previous.exchanges:
        request, outcome = exchange.request, exchange.outcome
        new_outcome = await fetch_and_parse(request, source, parsers)
        if isinstance(outcome, Page) and isinstance(new_outcome, Page):
            new_outcome = _restore_not_modified(request, outcome, new_outcome)
        received.append(HttpExchange(request, new_outcome))
        if _get_compared_parts(outcome) != _get_compared_parts(new_outcome):
            return await run_probe(generator, _ReceivedPages(received, previous, source), parsers)
    generator.close()
    return ProbeResult(previous.finding, tuple(received), is_unchanged=True)


def _restore_not_modified(request: PageRequest, previous: Page, page: Page) -> Page:
    """Return the stored page if a response is 304, without its body; any other page unchanged."""
    validators = request.validators
    if page.status != 304 or validators is None or validators.url != page.url:
        return page
    return replace(
        page,
        status=previous.status,
        headers={**previous.headers, **page.headers},  # a 304 has only the headers that changed
        hops=(*page.hops[:-1], Hop(page.url, previous.status)),
        truncated=previous.truncated,
        digest=previous.digest,
    )


def _get_compared_parts(outcome: Page | FetchError) -> tuple[object, ...]:
    """Return what a probe reads of an outcome. Response times of up to a second count as equal."""
    if isinstance(outcome, FetchError):
        detail = outcome.detail if outcome.reason is Reason.TLS else ""
        return outcome.reason, outcome.status, detail
    return (
        outcome.url,
        outcome.status,
        outcome.digest,
        outcome.truncated,
        outcome.hops[:-1],
        outcome.insecure,
        outcome.certificate_expires,
        outcome.certificate_names,
        max(1, round(outcome.elapsed_seconds)),
        [outcome.headers.get(name, "") for name in sorted(COMPARED_HEADERS)],
    )


class _ReceivedPages:
    """Serves the responses that revalidation has fetched, and others from the web."""

    def __init__(
        self, received: Iterable[HttpExchange], previous: PreviousResult, source: PageSource
    ) -> None:
        self._received = list(received)
        self._load_body = previous.load_body
        self._source = source

    async def get(self, request: PageRequest) -> Page:
        """Return the page for a request. Raises FetchError."""
        key = (request.url, request.is_registered_link, request.insecure)
        for exchange in self._received:
            sent = exchange.request
            if (sent.url, sent.is_registered_link, sent.insecure) == key:
                break
        else:
            return await self._source.get(request)
        self._received.remove(exchange)
        outcome = exchange.outcome
        if isinstance(outcome, FetchError):
            raise outcome
        if outcome.body or outcome.digest == EMPTY_BODY_DIGEST:
            return outcome
        body = self._load_body(outcome.digest)  # it was not modified
        return await self._source.get(request) if body is None else replace(outcome, body=body)
