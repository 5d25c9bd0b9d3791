"""What may be kept of a look: nothing of people who only happen to be on the page.

Of a private person's account the finding keeps whether it is there and when something was last published, no
followers, name or words of it, and no page; of a group, no page either, for its members made it. Of all other
pages what visitors left is cut out, and the page is kept without it where a probe finds the same on it: a
rebuild must judge as the night did. Where it finds anything else, no page is kept, and the finding stands as
it was recorded.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from auditor.checking import checker
from probes.links import identify
from probes.models.finding import Account, Finding, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult, ProbeRun
from probes.parsing.visitor_content import strip_visitor_content
from probes.runner.parser_pool import ParserPool

PRIVATE_KINDS = frozenset({LinkKind.PERSON, LinkKind.GROUP})
"""Whose pages are private people's: their own, or their group's."""


@dataclass(frozen=True, slots=True)
class StorableResult:
    """A look as it is kept; `bodies` says whether its pages are."""

    result: ProbeResult
    keep_bodies: bool = True


async def remove_private_data(
    account: Account, result: ProbeResult, parser_pool: ParserPool, api_channels: Iterable[str] = ()
) -> StorableResult:
    """A look at an account without what is not kept of it."""
    kind = resolve_account_kind(account, result.finding)
    if kind in PRIVATE_KINDS:
        finding = anonymize_finding(result.finding) if kind is LinkKind.PERSON else result.finding
        return StorableResult(replace(result, finding=finding), keep_bodies=False)
    left = replace(result, exchanges=tuple(map(_remove_visitor_content, result.exchanges)))
    if all(one is other for one, other in zip(left.exchanges, result.exchanges, strict=True)):
        return StorableResult(result)
    again = await _replay_probe(
        ProbeRun(checker.probe_steps_for(account, api_channels)),
        _RecordedAnswers(left.exchanges, parser_pool),
    )
    return (
        StorableResult(left)
        if again.finding == result.finding
        else StorableResult(result, keep_bodies=False)
    )


def resolve_account_kind(account: Account, finding: Finding) -> LinkKind:
    """Whose account it is: as the link says, or, of a short one, as the address says that it led to."""
    if account.identity.kind is LinkKind.SHORT_LINK and finding.final_url:
        return identify.identify_link(finding.final_url).kind
    return account.identity.kind


def anonymize_finding(finding: Finding) -> Finding:
    """A finding of a person: whether the account is there, and when something was last published."""
    detail = "" if finding.presence is Presence.PRESENT else finding.detail
    return replace(finding, name=None, followers=None, links=(), facts={}, detail=detail)


def _remove_visitor_content(exchange: HttpExchange) -> HttpExchange:
    """An exchange without what visitors left; the very same where nothing is known for theirs."""
    answer = exchange.outcome
    if isinstance(answer, FetchError):
        return exchange
    body = strip_visitor_content(answer.body)
    return (
        exchange
        if body is answer.body
        else replace(exchange, outcome=replace(answer, body=body, parsed=None))
    )


async def _replay_probe(probe_run: ProbeRun, recorded_answers: _RecordedAnswers) -> ProbeResult:
    """The same look at what is left."""
    while (wanted := probe_run.pending_request) is not None:
        probe_run.resume(await recorded_answers.answer(wanted))
    return probe_run.result


class _RecordedAnswers:
    """Answers that came before, given again in their order, where a probe expects the web.

    What a reader made of a page stands as long as the page is the same.
    """

    def __init__(self, exchanges: Iterable[HttpExchange], parser_pool: ParserPool) -> None:
        self._parser_pool = parser_pool
        self._pending_exchanges: dict[tuple[str, bool], deque[HttpExchange]] = defaultdict(deque)
        for one in exchanges:
            self._pending_exchanges[one.request.url, one.request.insecure].append(one)

    async def answer(self, request: PageRequest) -> Page | FetchError:
        """The next answer to an ask, as the web gave it."""
        line = self._pending_exchanges[request.url, request.insecure]
        if not line:
            return FetchError(Reason.CRASHED, "never asked for")
        before = line.popleft()
        answer = before.outcome
        if isinstance(answer, FetchError) or request.parser is None:
            return answer
        if answer.parsed is not None and before.request.parser == request.parser:
            return answer
        try:
            return replace(answer, parsed=await self._parser_pool.parse(request.parser, answer))
        except FetchError as none:
            return none
