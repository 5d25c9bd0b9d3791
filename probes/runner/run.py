"""Runs one probe: sends its requests, gives it the pages, and catches what goes wrong.

A look made again: where every answer is what it was, the finding is, and no page is read.

The asks of the earlier look are sent again in their order, as a server is asked whether anything changed
(RFC 9110 §13). A page that only its tokens tell from the one of then is that one. At the first answer that
differs the probe itself looks, and is given what has come by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from probes.models.finding import Finding, Presence, Reason
from probes.models.http import (
    COMPARED_HEADERS,
    PRESENCE_ONLY_HEADERS,
    CacheValidators,
    FetchError,
    Hop,
    Page,
    PageRequest,
)
from probes.models.probe import HttpExchange, ProbeGenerator, ProbeResult, ProbeRun
from probes.parsing.volatile_tokens import equal_except_tokens
from probes.runner.parser_pool import ParserPool


class PageSource(Protocol):
    """Where pages are asked for: the real web, or pages that came before."""

    async def get(self, request: PageRequest) -> Page:
        """The page that answers. Raises NoPage."""
        ...


async def run_probe(
    generator: ProbeGenerator, source: PageSource, parsers: ParserPool
) -> ProbeResult:
    """Let a probe look: fetch what it asks for, read it where a reader can be stopped, give it back.

    `probes.models.probe.run_offline` is the same loop over pages that are already there.
    """
    visit = ProbeRun(generator)
    while (wanted := visit.pending_request) is not None:
        visit.resume(await fetch_and_parse(wanted, source, parsers))
    return visit.result


async def fetch_and_parse(
    request: PageRequest, source: PageSource, parsers: ParserPool
) -> Page | FetchError:
    """What an ask gets: the page as it was read, or why there is none."""
    try:
        page = await source.get(request)
        if request.parser is None:
            return page
        return replace(page, parsed=await parsers.parse(request.parser, page))
    except FetchError as none:
        return none
    except asyncio.CancelledError:
        if _is_task_cancelling():
            raise
        return FetchError(Reason.CRASHED, "cancelled by nobody", url=request.url)


def _is_task_cancelling() -> bool:
    """Whether this task was asked to end. A cancellation from elsewhere would end it without a word."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def build_crashed_result(error: BaseException) -> ProbeResult:
    """A look that ended in a bug of ours: nothing can be said."""
    return ProbeResult(
        Finding(Presence.UNKNOWN, Reason.CRASHED, detail=f"{type(error).__name__}: {error}")
    )


STATUS_OK, STATUS_NOT_MODIFIED = 200, 304

FAST_RESPONSE_SECONDS = 1
"""Seconds: answers that take no longer are alike; of others the finding tells how many they took."""

BodyLoader = Callable[[str], bytes | None]
"""A kept body by its digest; None where it is not there any more."""


@dataclass(frozen=True, slots=True)
class CachedExchange:
    """An ask of the earlier look and what it got, a page without its body; `kept`: we still have it whole."""

    request: PageRequest
    outcome: Page | FetchError
    has_body: bool = False

    def build_conditional_request(self) -> PageRequest:
        """The same ask; where we still have the answer, the server may say that it is what it was."""
        page = self.outcome
        if isinstance(page, FetchError) or not self.has_body or page.status != STATUS_OK:
            return self.request  # a 304 says that it would be a 200, RFC 9110 §15.4.5
        told = CacheValidators(
            page.url, page.headers.get("etag", ""), page.headers.get("last-modified", "")
        )
        return (
            replace(self.request, validators=told)
            if told.etag or told.last_modified
            else self.request
        )


@dataclass(frozen=True, slots=True)
class PreviousResult:
    """An earlier look: what was asked, what came, what was found."""

    finding: Finding
    exchanges: Sequence[CachedExchange]
    load_body: BodyLoader


async def revalidate(
    previous: PreviousResult, generator: ProbeGenerator, source: PageSource, parsers: ParserPool
) -> ProbeResult:
    """The earlier look as it is today; where anything is another, the look of the probe."""
    came: list[tuple[CachedExchange, Page | FetchError]] = []
    for before in previous.exchanges:
        asked = before.build_conditional_request()
        came.append((before, await fetch_and_parse(asked, source, parsers)))
        if not _is_unchanged(before, came[-1][1], asked.validators, previous.load_body):
            return await run_probe(generator, _ReplayingSource(previous, came, source), parsers)
    generator.close()
    return ProbeResult(
        previous.finding,
        tuple(HttpExchange(one.request, got) for one, got in came),
        is_unchanged=True,
    )


def _is_unchanged(
    cached: CachedExchange,
    outcome: Page | FetchError,
    validators: CacheValidators | None,
    load_body: BodyLoader,
) -> bool:
    """Whether a probe that was given this answer would be given the same again."""
    was = cached.outcome
    if isinstance(was, FetchError) or isinstance(outcome, FetchError):
        troubles = [_get_error_key(one) for one in (was, outcome) if isinstance(one, FetchError)]
        return len(troubles) == 2 and troubles[0] == troubles[1]
    untouched = (
        outcome.status == STATUS_NOT_MODIFIED
        and validators is not None
        and validators.url == outcome.url
    )
    return (
        (outcome.url, outcome.hops[:-1]) == (was.url, was.hops[:-1])
        and (outcome.insecure, outcome.certificate_expires)
        == (was.insecure, was.certificate_expires)
        and _round_elapsed_seconds(outcome) == _round_elapsed_seconds(was)
        and _list_compared_headers(was.headers)
        == _list_compared_headers(
            {**was.headers, **outcome.headers} if untouched else outcome.headers
        )
        and (untouched or _has_same_body(was, outcome, load_body if cached.has_body else None))
    )


def _has_same_body(previous: Page, current: Page, load_body: BodyLoader | None) -> bool:
    """Whether the same body came, or one with other tokens: that is told where the earlier one is kept."""
    if (current.status, current.truncated) != (previous.status, previous.truncated):
        return False
    if current.digest == previous.digest or load_body is None or current.truncated:
        return current.digest == previous.digest
    body = load_body(previous.digest)
    return body is not None and equal_except_tokens(body, current.body)


def _get_error_key(error: FetchError) -> tuple[Reason, int | None, str]:
    """What a probe may be told by it: of a bad certificate also what is wrong with it."""
    return error.reason, error.status, error.detail if error.reason is Reason.TLS else ""


def _round_elapsed_seconds(page: Page) -> int:
    return max(FAST_RESPONSE_SECONDS, round(page.elapsed_seconds))


def _list_compared_headers(headers: Mapping[str, str]) -> list[str | bool]:
    return [
        *(headers.get(name, "") for name in sorted(COMPARED_HEADERS)),
        *(name in headers for name in sorted(PRESENCE_ONLY_HEADERS)),
    ]


class _ReplayingSource:
    """The web, but for what came of it already."""

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
        """The page that answers. Raises NoPage."""
        for at, (before, got) in enumerate(self._received):
            if (before.request.url, before.request.is_registered_link, before.request.insecure) == (
                request.url,
                request.is_registered_link,
                request.insecure,
            ):
                del self._received[at]
                if isinstance(got, FetchError):
                    raise got
                return self._restore_body(before, got) or await self._source.get(request)
        return await self._source.get(request)

    def _restore_body(self, cached: CachedExchange, page: Page) -> Page | None:
        """A page with its body, from where we keep it if the server did not send it; None if it is lost."""
        told = cached.build_conditional_request().validators
        if page.status != STATUS_NOT_MODIFIED or told is None or told.url != page.url:
            return page
        was = cached.outcome
        assert isinstance(was, Page)
        body = self._load_body(was.digest)
        if body is None:
            return None
        hops = (*page.hops[:-1], Hop(page.url, was.status))
        headers = {**was.headers, **page.headers}
        return replace(
            page,
            status=was.status,
            headers=headers,
            hops=hops,
            body=body,
            truncated=was.truncated,
            digest=was.digest,
        )
