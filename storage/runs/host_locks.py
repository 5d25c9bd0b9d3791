"""Turns with hosts that workers on many machines take, kept by PostgreSQL.

An advisory lock of the session is held while a host is asked, so it ends with a worker that dies; a table
says from when on the host may be asked again, and whether a worker died asking it. All locks of a worker are
held by one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import psycopg
from sqlalchemy.engine import URL

from probes.http.host_lock import TurnError
from probes.log import Events
from storage.runs.plan import spot_of

events = Events(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.01, 0.25
"""Seconds between two tries at a host that another worker asks."""

PATIENCE = 60
"""Seconds for which a database that went away is tried again."""

TAKE = "SELECT pg_try_advisory_lock(%s)"
BEGIN = (
    "WITH before AS (SELECT is_asked, extract(epoch FROM free_at - clock_timestamp()) AS rest"
    " FROM turn WHERE host = %s),"
    " mark AS (INSERT INTO turn (host, free_at, is_asked) VALUES (%s, clock_timestamp(), true)"
    " ON CONFLICT (host) DO UPDATE SET is_asked = true)"
    " SELECT CASE WHEN is_asked THEN greatest(rest, 0) + %s ELSE rest END FROM before"
)
LEAVE = "SELECT pg_advisory_unlock(%s)"
REST = (
    "INSERT INTO turn (host, free_at) VALUES (%s, clock_timestamp() + make_interval(secs => %s))"
    " ON CONFLICT (host) DO UPDATE SET free_at = greatest(turn.free_at, excluded.free_at)"
)
END = f"{REST}, is_asked = false"

LEFT_ASKED = 5.0
"""Seconds that a host is left alone whose asker died, or lost its turn where the database did: so long may it
still be at the answer."""


class DatabaseTurns:
    """The turns of one worker. Use it as an async context."""

    def __init__(self, address: URL) -> None:
        self._address = address.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._one = asyncio.Lock()
        self._held: set[int] = set()
        self._unsure_until = float("-inf")

    async def __aenter__(self) -> Self:
        await self._asked("SELECT 1")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            await self._connection.close()

    async def take(self, host: str) -> float:
        """Wait until no other worker asks the host; give the seconds that it is still to rest."""
        key, left = spot_of(host), None
        while key not in self._held:  # the connection may break in between, and another worker be quicker
            await self._lock(key)
            try:
                left = await self._asked(BEGIN, key, key, LEFT_ASKED)
            except BaseException:  # whoever wanted the turn is not there to give it back
                await asyncio.shield(self._leave(key))
                raise
        return max(0.0, float(left or 0), self._unsure_until - asyncio.get_running_loop().time())

    async def _lock(self, key: int) -> None:
        wait = FIRST_WAIT
        while not await self._asked(TAKE, key):
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._held.add(key)

    async def give(self, host: str, rest: float) -> None:
        """End the turn. The rest is committed before the lock is free, so that the next one sees it.

        One that was lost has another asker by now: it is none of ours to end.
        """
        key = spot_of(host)
        await self._asked(lambda: END if key in self._held else REST, key, rest)
        if key in self._held:
            await self._leave(key)

    async def _leave(self, key: int) -> None:
        self._held.discard(key)
        await self._asked(LEAVE, key)

    async def rest(self, host: str, seconds: float) -> None:
        """Let the host rest longer."""
        if seconds > 0:
            await self._asked(REST, spot_of(host), seconds)

    async def _asked(self, query: str | Callable[[], str], *values: object) -> Any:
        """The first value of the answer. One that broke is made anew, with the turns that are still free.

        A query that depends on the turns we hold is told once there is a connection.
        """
        trouble: Exception | None = None
        async with self._one:
            for _ in range(PATIENCE):
                try:
                    connection = self._connection or await self._connected()
                    said = query() if callable(query) else query
                    cursor = await connection.execute(said, values)
                    row = await cursor.fetchone() if cursor.description else None
                    return row[0] if row else None
                except psycopg.OperationalError as gone:
                    trouble = gone
                    await self._broken()
                    await asyncio.sleep(1)
        raise TurnError(f"the database went away: {trouble}")

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        made = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
        for key in tuple(self._held):
            taken = await (await made.execute(TAKE, (key,))).fetchone()
            if not (taken and taken[0]):
                self._held.discard(key)
                events.warning("turn_lost", "another worker has the turn of a host that was asked meanwhile")
        self._connection = made
        return made

    async def _broken(self) -> None:
        """Forget the connection. A database that restarts has forgotten who asks which host."""
        self._unsure_until = asyncio.get_running_loop().time() + LEFT_ASKED
        events.warning("turns_lost", "the database of the turns went away; it is tried again")
        if self._connection:
            with suppress(psycopg.Error):
                await self._connection.close()
        self._connection = None
