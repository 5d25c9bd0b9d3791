"""Trying again where that may help, by tenacity. The first try goes without it: it is nearly always the last.

Its turn of a try, with what it looks up about each callback, costs a tenth of a request (measured 2026-11).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt

from probes.models.http import NoPage, Page

Try = Callable[[], Awaitable[Page]]


async def persist(
    attempt: Try,
    is_final: Callable[[Page | NoPage], bool],
    worth_another: Callable[[RetryCallState], Any],
    *,
    most: int,
    wait: Callable[[RetryCallState], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Page:
    """What the last of at most so many tries gets. Raises NoPage.

    `worth_another` is asked after each, the first too, unless `is_final` says that nothing can come of it.
    """
    try:
        page = await attempt()
    except NoPage as none:
        if is_final(none):
            raise
        tries = _after(none, attempt)
    else:
        if is_final(page):
            return page
        tries = _after(page, attempt)
    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(most),
        wait=wait,
        retry=worth_another,
        retry_error_callback=_last_outcome,
    )
    return cast("Page", await retrying(tries))


def outcome_of(state: RetryCallState) -> Page | NoPage:
    """What a try got. A bug is raised."""
    assert state.outcome is not None
    error = state.outcome.exception()
    return error if isinstance(error, NoPage) else cast("Page", state.outcome.result())


def _after(first: Page | NoPage, attempt: Try) -> Try:
    """Tries one after the other, of which the first was made already."""
    made = [first]

    async def one() -> Page:
        got = made.pop() if made else await attempt()
        if isinstance(got, NoPage):
            raise got
        return got

    return one


def _last_outcome(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()
