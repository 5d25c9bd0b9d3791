"""The event loop that a command runs in: uvloop, libuv's in C, where it installs; else asyncio's own.

And several things done in it at once.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does: the outcome of a coroutine, in a loop of its own."""
    import asyncio  # noqa: PLC0415  # commands that ask nobody start without it

    try:
        from uvloop import new_event_loop  # noqa: PLC0415  # it is not made for every system
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


async def together(*works: Coroutine[Any, Any, object]) -> None:
    """Do all of it until all of it has ended; a trouble of one ends the others, and is raised as it is."""
    import asyncio  # noqa: PLC0415  # see above

    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
