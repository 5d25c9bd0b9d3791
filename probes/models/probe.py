"""Probes: what a channel offers, what a probe yields and returns, and how one is driven without a network.

A probe is a generator: it yields an `Ask`, is sent the `Page` that answered it (or is thrown
`NoPage`), and returns a `Finding`. So a test drives it with pages from a dict, `rejudge` with
archived ones, and `probes.runner.run.look` with the real web.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from probes.models.finding import Account, Finding, Identity, Presence, Reason
from probes.models.http import Ask, Call, NoPage, Page

R = TypeVar("R")


Steps = Generator[Ask, Page, Finding]


class Channel(Protocol):
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

    def probe(self, account: Account) -> Steps:
        """Look at the account."""
        ...


def present(page: Page, **facts: Any) -> Finding:
    """A positive finding from a page."""
    return Finding(Presence.PRESENT, status=page.status, final_url=page.url, **facts)


def absent(page: Page, reason: Reason, **facts: Any) -> Finding:
    """An absence proved by a page."""
    return Finding(Presence.ABSENT, reason, status=page.status, final_url=page.url, **facts)


def unknown(page: Page, reason: Reason, **facts: Any) -> Finding:
    """A page that lets nothing be concluded."""
    return Finding(Presence.UNKNOWN, reason, status=page.status, final_url=page.url, **facts)


def untold(trouble: NoPage) -> Finding:
    """No page came: nothing can be said, and this is why."""
    return Finding(
        Presence.UNKNOWN, trouble.reason, status=trouble.status, final_url=trouble.url, detail=trouble.detail
    )


def ask(
    url: str,
    read: Callable[[Page], R],
    *,
    registered: bool = False,
    insecure: bool = False,
    headers: Mapping[str, str] | None = None,
    call: Call | None = None,
) -> Generator[Ask, Page, tuple[Page, R]]:
    """Yield the ask, give back the page and what the reader made of it.

    In a probe: `page, reading = yield from ask(url, read)`.
    """
    page = yield Ask(url, read, registered=registered, insecure=insecure, headers=headers or {}, call=call)
    return page, cast("R", page.reading)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One ask of a look and what came of it: the evidence."""

    ask: Ask
    answer: Page | NoPage


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one account: what was found, and everything that was asked for it.

    One that is `as_before` repeated an earlier one: every answer was what it had been, and so is the finding.
    """

    finding: Finding
    exchanges: tuple[Exchange, ...] = ()
    as_before: bool = False


class Visit:
    """A probe on its way: what it `wants` next (None at its end), and everything asked so far."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._exchanges: list[Exchange] = []
        self._finding: Finding | None = None
        self.wants: Ask | None = None
        self._advance(lambda: next(steps))

    def tell(self, answer: Page | NoPage) -> None:
        """Give the probe what it wanted. A bug of the probe comes through."""
        assert self.wants is not None
        self._exchanges.append(Exchange(self.wants, answer))
        if isinstance(answer, NoPage):
            self._advance(lambda: self._steps.throw(answer))
        else:
            self._advance(lambda: self._steps.send(answer))

    def _advance(self, step: Callable[[], Ask]) -> None:
        self.wants = None
        try:
            self.wants = step()
        except StopIteration as end:
            self._finding = end.value
        except NoPage as trouble:
            self._finding = untold(trouble)

    @property
    def look(self) -> Look:
        """What came of it, once it wants nothing more."""
        assert self._finding is not None
        return Look(self._finding, tuple(self._exchanges))


Answers = Callable[[Ask], Page | NoPage]


def drive(steps: Steps, answers: Answers) -> Look:
    """Play a probe's steps with answers already there (a test's, an archive's): no I/O, no waiting."""
    visit = Visit(steps)
    while (wanted := visit.wants) is not None:
        answer = answers(wanted)
        if isinstance(answer, Page) and wanted.read is not None:
            answer = replace(answer, reading=wanted.read(answer))
        visit.tell(answer)
    return visit.look
