"""Probes: what a channel offers, what a probe yields and returns, and how one is driven without a network.

A probe is a generator: it yields an `Ask`, is sent the `Page` that answered it (or is thrown
`NoPage`), and returns a `Finding`. So a test drives it with pages from a dict, `rejudge` with
archived ones, and `probes.runner.run.run_probe` with the real web.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from probes.models.finding import Account, Finding, Identity, Presence, Reason
from probes.models.http import ApiCall, FetchError, Page, PageRequest

ParsedT = TypeVar("ParsedT")


ProbeGenerator = Generator[PageRequest, Page, Finding]


class ChannelModule(Protocol):
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

    def probe(self, account: Account) -> ProbeGenerator:
        """Look at the account."""
        ...


def present_finding(page: Page, **fields: Any) -> Finding:
    """A positive finding from a page."""
    return Finding(Presence.PRESENT, status=page.status, final_url=page.url, **fields)


def absent_finding(page: Page, reason: Reason, **fields: Any) -> Finding:
    """An absence proved by a page."""
    return Finding(Presence.ABSENT, reason, status=page.status, final_url=page.url, **fields)


def unknown_finding(page: Page, reason: Reason, **fields: Any) -> Finding:
    """A page that lets nothing be concluded."""
    return Finding(Presence.UNKNOWN, reason, status=page.status, final_url=page.url, **fields)


def unknown_from_error(error: FetchError) -> Finding:
    """No page came: nothing can be said, and this is why."""
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
    """Yield the ask, give back the page and what the reader made of it.

    In a probe: `page, reading = yield from ask(url, read)`.
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
    """One ask of a look and what came of it: the evidence."""

    request: PageRequest
    outcome: Page | FetchError


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One look at one account: what was found, and everything that was asked for it.

    One that is `as_before` repeated an earlier one: every answer was what it had been, and so is the finding.
    """

    finding: Finding
    exchanges: tuple[HttpExchange, ...] = ()
    is_unchanged: bool = False


class ProbeRun:
    """A probe on its way: what it `wants` next (None at its end), and everything asked so far."""

    def __init__(self, generator: ProbeGenerator) -> None:
        self._generator = generator
        self._exchanges: list[HttpExchange] = []
        self._finding: Finding | None = None
        self.pending_request: PageRequest | None = None
        self._advance(lambda: next(generator))

    def resume(self, outcome: Page | FetchError) -> None:
        """Give the probe what it wanted. A bug of the probe comes through."""
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
        except FetchError as trouble:
            self._finding = unknown_from_error(trouble)

    @property
    def result(self) -> ProbeResult:
        """What came of it, once it wants nothing more."""
        assert self._finding is not None
        return ProbeResult(self._finding, tuple(self._exchanges))


Responder = Callable[[PageRequest], Page | FetchError]


def run_offline(generator: ProbeGenerator, respond: Responder) -> ProbeResult:
    """Play a probe's steps with answers already there (a test's, an archive's): no I/O, no waiting."""
    visit = ProbeRun(generator)
    while (wanted := visit.pending_request) is not None:
        answer = respond(wanted)
        if isinstance(answer, Page) and wanted.parser is not None:
            answer = replace(answer, parsed=wanted.parser(answer))
        visit.resume(answer)
    return visit.result
