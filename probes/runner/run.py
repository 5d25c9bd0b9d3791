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
from probes.models.http import NOTED, TELLING, Ask, Hop, NoPage, Page, Validators
from probes.models.probe import Exchange, Look, Steps, Visit
from probes.parsing.volatile_tokens import alike
from probes.runner.parser_pool import ReaderPool


class Web(Protocol):
    """Where pages are asked for: the real web, or pages that came before."""

    async def get(self, ask: Ask) -> Page:
        """The page that answers. Raises NoPage."""
        ...


async def look(steps: Steps, fetcher: Web, readers: ReaderPool) -> Look:
    """Let a probe look: fetch what it asks for, read it where a reader can be stopped, give it back.

    `probes.models.probe.drive` is the same loop over pages that are already there.
    """
    visit = Visit(steps)
    while (wanted := visit.wants) is not None:
        visit.tell(await answer(wanted, fetcher, readers))
    return visit.look


async def answer(wanted: Ask, fetcher: Web, readers: ReaderPool) -> Page | NoPage:
    """What an ask gets: the page as it was read, or why there is none."""
    try:
        page = await fetcher.get(wanted)
        if wanted.read is None:
            return page
        return replace(page, reading=await readers.read(wanted.read, page))
    except NoPage as none:
        return none
    except asyncio.CancelledError:
        if _is_ending():
            raise
        return NoPage(Reason.CRASHED, "cancelled by nobody", url=wanted.url)


def _is_ending() -> bool:
    """Whether this task was asked to end. A cancellation from elsewhere would end it without a word."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def crashed(bug: BaseException) -> Look:
    """A look that ended in a bug of ours: nothing can be said."""
    return Look(Finding(Presence.UNKNOWN, Reason.CRASHED, detail=f"{type(bug).__name__}: {bug}"))


OK, NOT_MODIFIED = 200, 304

QUICK = 1
"""Seconds: answers that take no longer are alike; of others the finding tells how many they took."""

Bodies = Callable[[str], bytes | None]
"""A kept body by its digest; None where it is not there any more."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An ask of the earlier look and what it got, a page without its body; `kept`: we still have it whole."""

    ask: Ask
    answer: Page | NoPage
    kept: bool = False

    def again(self) -> Ask:
        """The same ask; where we still have the answer, the server may say that it is what it was."""
        page = self.answer
        if isinstance(page, NoPage) or not self.kept or page.status != OK:
            return self.ask  # a 304 says that it would be a 200, RFC 9110 §15.4.5
        told = Validators(page.url, page.headers.get("etag", ""), page.headers.get("last-modified", ""))
        return replace(self.ask, validators=told) if told.etag or told.modified else self.ask


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier look: what was asked, what came, what was found."""

    finding: Finding
    answers: Sequence[Answered]
    bodies: Bodies


async def repeated(past: Past, steps: Steps, fetcher: Web, readers: ReaderPool) -> Look:
    """The earlier look as it is today; where anything is another, the look of the probe."""
    came: list[tuple[Answered, Page | NoPage]] = []
    for before in past.answers:
        asked = before.again()
        came.append((before, await answer(asked, fetcher, readers)))
        if not _same(before, came[-1][1], asked.validators, past.bodies):
            return await look(steps, _Ahead(past, came, fetcher), readers)
    steps.close()
    return Look(past.finding, tuple(Exchange(one.ask, got) for one, got in came), as_before=True)


def _same(before: Answered, now: Page | NoPage, told: Validators | None, bodies: Bodies) -> bool:
    """Whether a probe that was given this answer would be given the same again."""
    was = before.answer
    if isinstance(was, NoPage) or isinstance(now, NoPage):
        troubles = [_trouble(one) for one in (was, now) if isinstance(one, NoPage)]
        return len(troubles) == 2 and troubles[0] == troubles[1]
    untouched = now.status == NOT_MODIFIED and told is not None and told.url == now.url
    return (
        (now.url, now.hops[:-1]) == (was.url, was.hops[:-1])
        and (now.insecure, now.certificate_expires) == (was.insecure, was.certificate_expires)
        and _pace(now) == _pace(was)
        and _told(was.headers) == _told({**was.headers, **now.headers} if untouched else now.headers)
        and (untouched or _says_the_same(was, now, bodies if before.kept else None))
    )


def _says_the_same(was: Page, now: Page, bodies: Bodies | None) -> bool:
    """Whether the same body came, or one with other tokens: that is told where the earlier one is kept."""
    if (now.status, now.truncated) != (was.status, was.truncated):
        return False
    if now.digest == was.digest or bodies is None or now.truncated:
        return now.digest == was.digest
    body = bodies(was.digest)
    return body is not None and alike(body, now.body)


def _trouble(one: NoPage) -> tuple[Reason, int | None, str]:
    """What a probe may be told by it: of a bad certificate also what is wrong with it."""
    return one.reason, one.status, one.detail if one.reason is Reason.TLS else ""


def _pace(page: Page) -> int:
    return max(QUICK, round(page.seconds))


def _told(told: Mapping[str, str]) -> list[str | bool]:
    return [*(told.get(name, "") for name in sorted(TELLING)), *(name in told for name in sorted(NOTED))]


class _Ahead:
    """The web, but for what came of it already."""

    def __init__(self, past: Past, came: Iterable[tuple[Answered, Page | NoPage]], web: Web) -> None:
        self._came = list(came)
        self._bodies = past.bodies
        self._web = web

    async def get(self, ask: Ask) -> Page:
        """The page that answers. Raises NoPage."""
        for at, (before, got) in enumerate(self._came):
            if (before.ask.url, before.ask.registered, before.ask.insecure) == (
                ask.url,
                ask.registered,
                ask.insecure,
            ):
                del self._came[at]
                if isinstance(got, NoPage):
                    raise got
                return self._whole(before, got) or await self._web.get(ask)
        return await self._web.get(ask)

    def _whole(self, before: Answered, got: Page) -> Page | None:
        """A page with its body, from where we keep it if the server did not send it; None if it is lost."""
        told = before.again().validators
        if got.status != NOT_MODIFIED or told is None or told.url != got.url:
            return got
        was = before.answer
        assert isinstance(was, Page)
        body = self._bodies(was.digest)
        if body is None:
            return None
        hops = (*got.hops[:-1], Hop(got.url, was.status))
        headers = {**was.headers, **got.headers}
        return replace(
            got,
            status=was.status,
            headers=headers,
            hops=hops,
            body=body,
            truncated=was.truncated,
            digest=was.digest,
        )
