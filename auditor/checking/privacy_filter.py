"""Removes private data from results before they are stored.

For the account of a private person, the finding keeps its presence and the date of the last
publication, but no name, followers, texts or pages. For a group no page is stored, because its
members wrote it. From all other pages the content of visitors is removed. The shortened page is
stored only if a probe finds the same on it, because a re-evaluation must give the same result.
Otherwise no page is stored and the recorded finding stays.
"""

from __future__ import annotations

import operator
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace

from auditor.checking import checker
from probes.models.finding import Account, Finding, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult, ProbeRun
from probes.parsing.visitor_content import strip_page
from probes.runner.parser_pool import ParserPool
from probes.runner.run import parse_page


async def remove_private_data(
    account: Account, result: ProbeResult, parser_pool: ParserPool, api_channels: Iterable[str] = ()
) -> tuple[ProbeResult, bool]:
    """Return the result without private data, and whether its pages may be stored."""
    kind = checker.resolve_identity(account.identity, result).kind
    if kind in {LinkKind.PERSON, LinkKind.GROUP}:  # pages of private people
        finding = anonymize_finding(result.finding) if kind is LinkKind.PERSON else result.finding
        return replace(result, finding=finding), False
    try:
        exchanges = [
            await _remove_visitor_content(exchange, parser_pool) for exchange in result.exchanges
        ]
    except FetchError:  # the worker was stopped, so the content of visitors is unknown
        return result, False
    if all(map(operator.is_, exchanges, result.exchanges)):
        return result, True
    shortened = replace(result, exchanges=tuple(exchanges))
    probe_run = ProbeRun(checker.create_probe(account, api_channels))
    recorded_outcomes = _RecordedOutcomes(shortened.exchanges, parser_pool)
    while (request := probe_run.pending_request) is not None:
        probe_run.resume(await recorded_outcomes.get_next(request))
    if probe_run.result.finding == result.finding:
        return shortened, True
    return result, False


def anonymize_finding(finding: Finding) -> Finding:
    """Return the finding of a person's account: its presence and last publication only."""
    return replace(
        finding,
        name=None,
        followers=None,
        links=(),
        facts={},
        detail="" if finding.presence is Presence.PRESENT else finding.detail,
    )


async def _remove_visitor_content(exchange: HttpExchange, parser_pool: ParserPool) -> HttpExchange:
    """Return an exchange without content of visitors; the same object if there is none.

    Raises FetchError if the worker is stopped.
    """
    outcome = exchange.outcome
    if isinstance(outcome, FetchError) or not outcome.body:
        return exchange
    body = outcome.shortened_body
    if outcome.walls is None:  # the probe has requested the page without a parser
        body = await parser_pool.parse(strip_page, outcome)
    if body is None:
        return exchange
    page = replace(outcome, parsed=None, walls=None, shortened_body=None, body=body)
    return replace(exchange, outcome=page)


class _RecordedOutcomes:
    """Gives recorded responses in their order to a probe that expects the web.

    The parsed form of a page is reused as long as the page is the same.
    """

    def __init__(self, exchanges: Iterable[HttpExchange], parser_pool: ParserPool) -> None:
        self._parser_pool = parser_pool
        self._pending_exchanges: dict[tuple[str, bool], deque[HttpExchange]] = defaultdict(deque)
        for exchange in exchanges:
            request = exchange.request
            self._pending_exchanges[request.url, request.insecure].append(exchange)

    async def get_next(self, request: PageRequest) -> Page | FetchError:
        """Return the next response to a request."""
        pending = self._pending_exchanges[request.url, request.insecure]
        if not pending:
            return FetchError(Reason.CRASHED, "not requested")
        exchange = pending.popleft()
        outcome = exchange.outcome
        if isinstance(outcome, FetchError) or request.parser is None:
            return outcome
        if outcome.parsed is not None and exchange.request.parser == request.parser:
            return outcome
        try:
            return await parse_page(request.parser, outcome, self._parser_pool)
        except FetchError as fetch_error:
            return fetch_error
