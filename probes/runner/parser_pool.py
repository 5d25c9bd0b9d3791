"""Worker processes for parsing, which end if a parser takes too much time or memory.

A thread cannot be killed and would block the interpreter: 400,000 nested tags cost seconds in any
parser. The time is CPU time of the worker, which the kernel counts: on a busy machine a page is
read later, but its verdict is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from probes.runner.parser_worker import LENGTH_PREFIX, SAMPLE_LINKS, build_sample_body, parse_sample

ParsedT = TypeVar("ParsedT")
MAX_PARSE_SECONDS = 5.0
"""CPU time for one page."""
WALL_TIME_FACTOR = 10
"""A worker that gets less than a tenth of a core is killed: it hangs, or the machine does."""
MAX_WORKER_MEMORY_BYTES = 1 << 30
"""Address space of a worker."""
MAX_WORKERS = 8
"""Processes that parse pages. There are not more than processors."""
MAX_FAILED_STARTS = 3
"""Workers in a row that cannot be started. Then the pool gives up."""
TIMEOUT_DETAIL = "parsing took too long"
IGNORED_VARIABLES = frozenset({"PYTHONMALLOC"})
"""Variables that workers do not get.

With `mimalloc`, which reserves address space, 13 % of the pages did not fit the limit (2026-11).
"""


class ParserPool:
    """A pool of parser workers.

    Use it as an async context manager, which starts and stops the workers.

    With `worker_count=0` pages are parsed in this process without limits, for tests. `timeout` is
    the CPU time for one page, in seconds. `wall_timeout` is for a worker that does not use its CPU
    time, by default WALL_TIME_FACTOR times as long. A given `fork_server` is kept for the next
    pool. Without it, the only worker of a pool is not forked, because a fork server besides it
    takes 20 MB.
    """

    def __init__(
        self,
        worker_count: int | None = None,
        *,
        timeout: float = MAX_PARSE_SECONDS,
        wall_timeout: float | None = None,
        memory_bytes: int = MAX_WORKER_MEMORY_BYTES,
        fork_server: ParserForkServer | None = None,
    ) -> None:
        if worker_count is None:
            worker_count = min(os.cpu_count() or 1, MAX_WORKERS)
        self._worker_count = worker_count
        self._timeout = timeout
        self._wall_timeout = wall_timeout or timeout * WALL_TIME_FACTOR
        self._fork_server = fork_server or ParserForkServer(
            memory_bytes, can_fork=self._worker_count != 1
        )
        self._keeps_fork_server = fork_server is not None
        self._queue: asyncio.Queue[_ParseTask] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._has_started = False
        self._start_error: BaseException | None = None  # why workers cannot be started

    async def __aenter__(self) -> Self:
        """Start the workers. They load while the first pages are fetched."""
        self._workers = [asyncio.create_task(self._run_worker()) for _ in range(self._worker_count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if not self._keeps_fork_server:
            is_loading = bool(self._workers) and not self._has_started
            await asyncio.to_thread(self._fork_server.close, is_loading=is_loading)

    async def _run_worker(self) -> None:
        """Give waiting pages to a worker process, and replace it if it ends or leaves."""
        failed_starts = 0
        try:
            while failed_starts < MAX_FAILED_STARTS:
                has_started = await self._use_process()
                failed_starts = 0 if has_started else failed_starts + 1
        except Exception as error:  # noqa: BLE001  # raised for each page
            self._start_error = error
        else:
            reason = "parser workers cannot be started; try: read their messages on standard error"
            self._start_error = RuntimeError(reason)
        while True:  # pages that wait, and those that come
            (await self._queue.get()).fail(self._start_error)

    async def _use_process(self) -> bool:
        """Start a worker process and use it until it ends. Return whether it has started."""
        pool_socket, worker_socket = socket.socketpair()
        with worker_socket:
            self._fork_server.fork_worker(worker_socket)
        reader, writer = await asyncio.open_unix_connection(sock=pool_socket, limit=1 << 20)
        process_id = 0
        try:
            process_id = await _receive_message(reader)
            self._has_started = True
            while await self._parse_next_page(process_id, reader, writer):
                pass
        except (EOFError, ConnectionError):  # it has ended
            return bool(process_id)
        finally:
            writer.close()
        return True

    async def _parse_next_page(
        self, process_id: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Give the next waiting page to a process. Return False if the process must be replaced."""
        task = await self._queue.get()
        if task.result.done():  # cancelled
            return True
        if reader.at_eof():  # the process was killed while it waited
            self._queue.put_nowait(task)
            return False
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        try:
            async with asyncio.timeout(self._wall_timeout):
                try:
                    writer.writelines((LENGTH_PREFIX.pack(len(task.message)), task.message))
                    is_success, value, is_leaving = await _receive_message(reader)
                except asyncio.CancelledError:  # while it parses, it notices no closed socket
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process_id, signal.SIGKILL)
                    raise
        except (TimeoutError, EOFError, ConnectionError):
            # The kernel ends a worker at its limit of CPU time.
            is_late = loop.time() - started_at >= min(self._timeout, self._wall_timeout)
            detail = TIMEOUT_DETAIL if is_late else "the parser process ended"
            task.fail(FetchError(Reason.UNREADABLE, detail))
            return False
        if not is_success:
            task.fail(value)
        elif not task.result.done():
            task.result.set_result(value)
        return not is_leaving

    async def parse(self, parser: Callable[[Page], ParsedT], page: Page) -> ParsedT:
        """Parse a page in a worker and return the result.

        Raises FetchError `unreadable` with the page's status if the parser took too much time or
        memory, or if its process ended. An exception of the parser itself is a bug and is raised
        unchanged.
        """
        try:
            if not self._worker_count:
                return parser(page)
            if self._start_error is not None:
                raise self._start_error
            message = pickle.dumps((parser, page, self._timeout), pickle.HIGHEST_PROTOCOL)
            task = _ParseTask(message, asyncio.get_running_loop().create_future())
            self._queue.put_nowait(task)
            return cast("ParsedT", await task.result)
        except (FetchError, MemoryError, RecursionError) as error:
            detail = getattr(error, "detail", "parsing took too much memory")
            raise FetchError(
                Reason.UNREADABLE, detail, status=page.status, url=page.url, hops=page.hops
            ) from error

    async def find_fault(self) -> str:
        """Return why the workers cannot parse a large page, or "" if they can.

        They cannot if the environment leaves too little of their memory. lxml then returns an empty
        page without an error (tried 2026-11 with `mimalloc`). A slow machine is no fault.
        """
        if not self._worker_count:
            return ""
        sample = Page("https://sample.invalid/", 200, body=build_sample_body())
        try:
            link_count = await self.parse(parse_sample, sample)
        except FetchError as error:
            return "" if error.detail == TIMEOUT_DETAIL else error.detail
        except (OSError, RuntimeError) as error:
            return str(error).partition("; try: ")[0]
        if link_count != SAMPLE_LINKS:
            return f"{link_count} of {SAMPLE_LINKS} links of a sample were found"
        return ""


@dataclass(slots=True)
class _ParseTask:
    """A page to parse: the message for the worker and the future result."""

    message: bytes
    result: asyncio.Future[Any]

    def fail(self, error: BaseException) -> None:
        """Set the error as the result, unless the page is no longer wanted."""
        if not self.result.done():
            self.result.set_exception(error)


async def _receive_message(reader: asyncio.StreamReader) -> Any:
    """Return the next message of a worker. Raises EOFError if it has ended."""
    (length,) = LENGTH_PREFIX.unpack(await reader.readexactly(LENGTH_PREFIX.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301  # our own worker


class ParserForkServer:
    """The process that workers are forked from. It is started for the first worker.

    It loads for a second or two. Use it as a context manager to share it between successive pools.
    If it cannot fork, it becomes the worker itself, and is started again for the next one.
    """

    def __init__(
        self, memory_bytes: int = MAX_WORKER_MEMORY_BYTES, *, can_fork: bool = True
    ) -> None:
        self._memory_bytes = memory_bytes
        self._can_fork = can_fork
        self._process: subprocess.Popen[bytes] | None = None
        self._control_socket: socket.socket | None = None

    def start(self) -> None:
        """Start the process if it is not running. Does not wait until it has loaded."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start_process()

    def fork_worker(self, worker_socket: socket.socket) -> None:
        """Fork a worker for this socket. Starts the process again if it has ended or parses."""
        self.start()
        assert self._control_socket is not None
        try:
            socket.send_fds(self._control_socket, [b"+"], [worker_socket.fileno()])
        except ConnectionError:  # it has ended, or became a worker and closed its control socket
            self.close()
            self._start_process()
            socket.send_fds(self._control_socket, [b"+"], [worker_socket.fileno()])

    def _start_process(self) -> None:
        """Start the process in a new session, so that Ctrl-C reaches only the auditor."""
        self._control_socket, server_socket = socket.socketpair()
        with server_socket:
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; from probes.runner import parser_worker;"
                f" parser_worker.main({server_socket.fileno()}, {self._memory_bytes},"
                f" can_fork={self._can_fork})"
            )
            self._process = subprocess.Popen(  # noqa: S603  # runs this program
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                pass_fds=[server_socket.fileno()],
                start_new_session=True,
                env={
                    name: value
                    for name, value in os.environ.items()
                    if name not in IGNORED_VARIABLES
                },
            )

    def close(self, *, is_loading: bool = False) -> None:
        """End the process and all workers.

        It is killed if it is still loading and has no worker.
        """
        if self._control_socket is not None:
            self._control_socket.close()
        if self._process is not None:
            if is_loading:
                self._process.kill()
            self._process.wait()
        self._control_socket = self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
