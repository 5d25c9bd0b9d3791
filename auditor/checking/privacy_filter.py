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
from probes.models.finding import Account, Finding, Kind, Presence, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Exchange, Look, Visit
from probes.parsing.visitor_content import cut
from probes.runner.parser_pool import ReaderPool

PEOPLE = frozenset({Kind.PERSON, Kind.GROUP})
"""Whose pages are private people's: their own, or their group's."""


@dataclass(frozen=True, slots=True)
class Discreet:
    """A look as it is kept; `bodies` says whether its pages are."""

    look: Look
    bodies: bool = True


async def discreet(account: Account, seen: Look, readers: ReaderPool, keyed: Iterable[str] = ()) -> Discreet:
    """A look at an account without what is not kept of it."""
    kind = kind_of(account, seen.finding)
    if kind in PEOPLE:
        finding = bare(seen.finding) if kind is Kind.PERSON else seen.finding
        return Discreet(replace(seen, finding=finding), bodies=False)
    left = replace(seen, exchanges=tuple(map(_cut, seen.exchanges)))
    if all(one is other for one, other in zip(left.exchanges, seen.exchanges, strict=True)):
        return Discreet(seen)
    again = await _again(Visit(checker.steps(account, keyed)), _Played(left.exchanges, readers))
    return Discreet(left) if again.finding == seen.finding else Discreet(seen, bodies=False)


def kind_of(account: Account, finding: Finding) -> Kind:
    """Whose account it is: as the link says, or, of a short one, as the address says that it led to."""
    if account.identity.kind is Kind.SHORT and finding.final_url:
        return identify.identify(finding.final_url).kind
    return account.identity.kind


def bare(finding: Finding) -> Finding:
    """A finding of a person: whether the account is there, and when something was last published."""
    detail = "" if finding.presence is Presence.PRESENT else finding.detail
    return replace(finding, name=None, followers=None, links=(), facts={}, detail=detail)


def _cut(exchange: Exchange) -> Exchange:
    """An exchange without what visitors left; the very same where nothing is known for theirs."""
    answer = exchange.answer
    if isinstance(answer, NoPage):
        return exchange
    body = cut(answer.body)
    return (
        exchange
        if body is answer.body
        else replace(exchange, answer=replace(answer, body=body, reading=None))
    )


async def _again(visit: Visit, played: _Played) -> Look:
    """The same look at what is left."""
    while (wanted := visit.wants) is not None:
        visit.tell(await played.answer(wanted))
    return visit.look


class _Played:
    """Answers that came before, given again in their order, where a probe expects the web.

    What a reader made of a page stands as long as the page is the same.
    """

    def __init__(self, exchanges: Iterable[Exchange], readers: ReaderPool) -> None:
        self._readers = readers
        self._waiting: dict[tuple[str, bool], deque[Exchange]] = defaultdict(deque)
        for one in exchanges:
            self._waiting[one.ask.url, one.ask.insecure].append(one)

    async def answer(self, ask: Ask) -> Page | NoPage:
        """The next answer to an ask, as the web gave it."""
        line = self._waiting[ask.url, ask.insecure]
        if not line:
            return NoPage(Reason.CRASHED, "never asked for")
        before = line.popleft()
        answer = before.answer
        if isinstance(answer, NoPage) or ask.read is None:
            return answer
        if answer.reading is not None and before.ask.read == ask.read:
            return answer
        try:
            return replace(answer, reading=await self._readers.read(ask.read, answer))
        except NoPage as none:
            return none
