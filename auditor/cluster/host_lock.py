"""Host locks that the workers of a run share on PostgreSQL. Needs the extra `cluster`.

A worker holds an advisory lock of its database session while it sends a request to a host, so a
worker that dies loses its locks. The table `host_lock` has the time of the next request to each
host, and whether a worker died during one. One connection holds all locks of a worker.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import psycopg
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_never,
    wait_exponential,
    wait_fixed,
)

from probes.http.host_state import HostLockError
from probes.log import EventLogger
from storage.database.engine import parse_database_url
from storage.runs.plan import compute_host_bucket

logger = EventLogger(__name__)

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.01, 0.25
"""Seconds between two attempts to lock a host that another worker uses."""

RECONNECT_ATTEMPTS, RECONNECT_SECONDS = 60, 1
"""Attempts to reach a lost database, and the seconds between them."""

TRY_LOCK_QUERY = "SELECT pg_try_advisory_lock(%s)"
MARK_BUSY_QUERY = (
    "WITH before AS (SELECT is_busy, extract(epoch FROM available_at - clock_timestamp()) AS delay"
    " FROM host_lock WHERE host = %s),"
    " marked AS (INSERT INTO host_lock (host, available_at, is_busy)"
    " VALUES (%s, clock_timestamp(), true)"
    " ON CONFLICT (host) DO UPDATE SET is_busy = true)"
    " SELECT CASE WHEN is_busy THEN greatest(delay, 0) + %s ELSE delay END FROM before"
)
EXTEND_DELAY_QUERY = (
    "INSERT INTO host_lock (host, available_at)"
    " VALUES (%s, clock_timestamp() + make_interval(secs => %s))"
    " ON CONFLICT (host) DO UPDATE"
    " SET available_at = greatest(host_lock.available_at, excluded.available_at)"
)
RELEASE_HOST_QUERY = f"{EXTEND_DELAY_QUERY}, is_busy = false"

ORPHANED_LOCK_DELAY_SECONDS = 5.0
"""Seconds without requests to a host whose worker died or lost its lock during one."""


class DatabaseHostLock:
    """The host locks of one worker. Use it as an async context manager."""

    def __init__(self, url: str) -> None:
        address = parse_database_url(url).set(drivername="postgresql")
        self._address = address.render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._connection_lock = asyncio.Lock()
        self._held_keys: set[int] = set()
        self._unsure_until = float("-inf")

    async def __aenter__(self) -> Self:
        await self._execute_scalar("SELECT 1")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            await self._connection.close()

    async def acquire(self, host: str) -> float:
        """Lock a host. Return the seconds until the next request to it may start."""
        key, delay = compute_host_bucket(host), None
        polling = AsyncRetrying(
            stop=stop_never,
            wait=wait_exponential(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS),
            retry=retry_if_result(lambda is_locked: not is_locked),
        )
        # The connection may be lost in between, and another worker may then get the lock.
        while key not in self._held_keys:
            await polling(self._execute_scalar, TRY_LOCK_QUERY, key)
            self._held_keys.add(key)
            try:
                delay = await self._execute_scalar(
                    MARK_BUSY_QUERY, key, key, ORPHANED_LOCK_DELAY_SECONDS
                )
            except BaseException:  # the caller does not get the lock, so it cannot release it
                await asyncio.shield(self._unlock_host(key))
                raise
        return max(0.0, float(delay or 0), self._unsure_until - asyncio.get_running_loop().time())

    async def release(self, host: str, crawl_delay: float) -> None:
        """Release the host. The crawl delay is committed first, so that the next worker sees it.

        A lock that was lost is not released, because another worker may hold it now.
        """
        key = compute_host_bucket(host)
        await self._execute_scalar(
            lambda: RELEASE_HOST_QUERY if key in self._held_keys else EXTEND_DELAY_QUERY,
            key,
            crawl_delay,
        )
        if key in self._held_keys:
            await self._unlock_host(key)

    async def _unlock_host(self, key: int) -> None:
        self._held_keys.discard(key)
        await self._execute_scalar("SELECT pg_advisory_unlock(%s)", key)

    async def extend_delay(self, host: str, seconds: float) -> None:
        """Delay the next request to a host by so many seconds from now."""
        if seconds > 0:
            await self._execute_scalar(EXTEND_DELAY_QUERY, compute_host_bucket(host), seconds)

    async def _execute_scalar(self, query: str | Callable[[], str], *values: object) -> Any:
        """Execute a query and return its first value. Reconnect if the connection is lost.

        A query that depends on the held locks is a function, called when there is a connection.
        """
        reconnecting = AsyncRetrying(
            stop=stop_after_attempt(RECONNECT_ATTEMPTS),
            wait=wait_fixed(RECONNECT_SECONDS),
            retry=retry_if_exception_type(psycopg.OperationalError),
            reraise=True,
        )
        try:
            async with self._connection_lock:
                return await reconnecting(self._execute_once, query, *values)
        except psycopg.OperationalError as error:
            raise HostLockError(f"cannot lock the host: the database is lost ({error})") from None

    async def _execute_once(self, query: str | Callable[[], str], *values: object) -> Any:
        try:
            connection = self._connection or await self._reconnect()
            cursor = await connection.execute(query() if callable(query) else query, values)
            row = await cursor.fetchone() if cursor.description else None
        except psycopg.OperationalError:
            # A restarted database does not know which worker uses which host.
            self._unsure_until = asyncio.get_running_loop().time() + ORPHANED_LOCK_DELAY_SECONDS
            logger.warning(
                "host_lock_connection_lost", "the connection for host locks is lost, reconnecting"
            )
            if self._connection:
                with suppress(psycopg.Error):
                    await self._connection.close()
            self._connection = None
            raise
        return row[0] if row else None

    async def _reconnect(self) -> psycopg.AsyncConnection[Any]:
        connection = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
        for key in tuple(self._held_keys):
            row = await (await connection.execute(TRY_LOCK_QUERY, (key,))).fetchone()
            if not (row and row[0]):
                self._held_keys.discard(key)
                logger.warning(
                    "host_lock_lost", "another worker locked a host during a request to it"
                )
        self._connection = connection
        return connection
