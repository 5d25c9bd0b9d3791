"""Runs one probe: sends its requests, gives it the pages, and catches what goes wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

from probes.models.finding import Finding, Presence, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Look, Steps, Visit
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
