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
from collections import deque
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
MAX_TASKS_PER_WORKER = 2
"""Pages in a worker: one that is parsed and one that waits."""
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
        self._worker_count = (
            min(os.cpu_count() or 1, MAX_WORKERS) if worker_count is None else worker_count
        )
        self._timeout = timeout
        self._wall_timeout = wall_timeout or timeout * WALL_TIME_FACTOR
        self._fork_server = fork_server or ParserForkServer(
            memory_bytes, can_fork=self._worker_count != 1
        )
        self._keeps_fork_server = fork_server is not None
        self._workers: list[_ParserWorker] = []
        self._queue: deque[_ParseTask] = deque()
        self._starting: set[asyncio.Task[None]] = set()  # replacements of lost workers
        self._failed_starts = 0  # in a row
        self._start_error: BaseException | None = None  # why workers cannot be started

    async def __aenter__(self) -> Self:
        """Start the workers. They load while the first pages are fetched."""
        try:
            for _ in range(self._worker_count):
                await self._start_worker()
        except BaseException:
            await self._stop_workers()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_workers()

    async def _stop_workers(self) -> None:
        while self._starting:
            await asyncio.wait(self._starting)
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.stop()
        if self._keeps_fork_server:
            return
        is_loading = bool(workers) and not any(worker.has_started for worker in workers)
        await asyncio.to_thread(self._fork_server.close, is_loading=is_loading)

    async def _start_worker(self) -> None:
        pool_socket, worker_socket = socket.socketpair()
        with worker_socket:
            self._fork_server.fork_worker(worker_socket)
        worker = _ParserWorker(
            self._timeout, self._wall_timeout, self._dispatch_tasks, self._replace_worker
        )
        self._workers.append(worker)
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=pool_socket)

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
            self._queue.append(task)
            self._dispatch_tasks()
            return cast("ParsedT", await task.result)
        except (_ParserStopped, MemoryError, RecursionError) as error:
            is_stopped = isinstance(error, _ParserStopped)
            detail = str(error) if is_stopped else "parsing took too much memory"
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

    def _dispatch_tasks(self) -> None:
        """Give waiting tasks to the workers with the fewest tasks. Cancelled tasks are dropped."""
        while self._queue:
            if self._queue[0].result.cancelled():
                self._queue.popleft()
                continue
            free_workers = [worker for worker in self._workers if worker.is_free]
            if not free_workers:
                return
            min(free_workers, key=_ParserWorker.count_tasks).submit(self._queue.popleft())

    def _replace_worker(self, worker: _ParserWorker, unstarted_tasks: list[_ParseTask]) -> None:
        """Replace a worker that ended, and put its unstarted tasks back into the queue."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._queue.extendleft(reversed(unstarted_tasks))
        self._failed_starts = 0 if worker.has_started else self._failed_starts + 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            self._fail_waiting_tasks(
                RuntimeError(
                    "parser workers cannot be started; try: read their messages on standard error"
                )
            )
            return
        self._dispatch_tasks()
        start_task = asyncio.ensure_future(self._start_worker())
        self._starting.add(start_task)
        start_task.add_done_callback(self._finish_start)

    def _finish_start(self, start_task: asyncio.Task[None]) -> None:
        self._starting.discard(start_task)
        if not start_task.cancelled() and (error := start_task.exception()):
            self._fail_waiting_tasks(error)

    def _fail_waiting_tasks(self, error: BaseException) -> None:
        """Fail all waiting and future tasks, because no worker can be started."""
        self._start_error = error
        while self._queue:
            result = self._queue.popleft().result
            if not result.done():
                result.set_exception(error)


@dataclass(slots=True)
class _ParseTask:
    """A page to parse: the message for the worker and the future result."""

    message: bytes
    result: asyncio.Future[Any]


class _ParserStopped(Exception):  # noqa: N818  # always converted to FetchError
    """The process of a parser was killed or ended."""


class _ParserWorker(asyncio.Protocol):
    """The pool's side of a worker: its tasks and the time of the current one."""

    def __init__(
        self,
        timeout: float,
        wall_timeout: float,
        on_response: Callable[[], None],
        on_lost: Callable[[_ParserWorker, list[_ParseTask]], None],
    ) -> None:
        self._timeout = timeout
        self._wall_timeout = wall_timeout
        self._on_response = on_response
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._tasks: deque[_ParseTask] = deque()
        self._buffer = bytearray()
        self._pid = 0
        self._started_at = 0.0  # start time of the current task
        self._timeout_handle: asyncio.TimerHandle | None = None
        self._has_timed_out = False
        self._is_leaving = False
        self._transport: asyncio.Transport | None = None

    @property
    def has_started(self) -> bool:
        """Return True if the worker has sent its process id."""
        return bool(self._pid)

    @property
    def is_free(self) -> bool:
        """Return True if the worker has started and takes another task."""
        is_ending = self._has_timed_out or self._is_leaving
        return self.has_started and not is_ending and len(self._tasks) < MAX_TASKS_PER_WORKER

    def count_tasks(self) -> int:
        """Return the number of its tasks."""
        return len(self._tasks)

    def submit(self, task: _ParseTask) -> None:
        """Send a task to the worker."""
        if not self._tasks:
            self._started_at = self._loop.time()
        self._tasks.append(task)
        assert self._transport is not None
        self._transport.writelines((LENGTH_PREFIX.pack(len(task.message)), task.message))
        if self._timeout_handle is None:
            self._timeout_handle = self._loop.call_at(
                self._started_at + self._wall_timeout, self._check_timeout
            )

    def _check_timeout(self) -> None:
        """Kill the worker if it does not finish its task and does not use its CPU time.

        Scheduled once per timeout, not once per page.
        """
        self._timeout_handle = None
        due = self._started_at + self._wall_timeout
        if self._tasks and self._loop.time() >= due:
            self._has_timed_out = True
            self._kill()
        elif self._tasks:
            self._timeout_handle = self._loop.call_at(due, self._check_timeout)

    def stop(self) -> None:
        """End the worker.

        It is killed if it is parsing, because it does not notice a closed socket then.
        """
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._tasks:
            self._kill()
        if self._transport is not None:
            self._transport.abort()

    def _kill(self) -> None:
        """Kill the process, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect received data and handle complete messages."""
        self._buffer += data
        while len(self._buffer) >= LENGTH_PREFIX.size:
            (length,) = LENGTH_PREFIX.unpack_from(self._buffer)
            end = LENGTH_PREFIX.size + length
            if len(self._buffer) < end:
                return
            # our own worker
            message = pickle.loads(memoryview(self._buffer)[LENGTH_PREFIX.size : end])  # noqa: S301
            del self._buffer[:end]
            self._handle_message(message)

    def _handle_message(self, message: Any) -> None:
        """Handle the process id, which comes first, or the result of a task."""
        if not self._pid:
            self._pid = message
        else:
            self._finish_task(*message)
        self._on_response()

    def _finish_task(self, is_success: bool, value: Any, is_leaving: bool) -> None:
        """Set the result of the current task. A leaving worker parses no other one."""
        result = self._tasks.popleft().result
        self._started_at = self._loop.time()
        if not result.done():
            result.set_result(value) if is_success else result.set_exception(value)
        self._is_leaving = is_leaving
        if is_leaving and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """Fail the current task, unless the worker left, and return the others to the pool."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._tasks and not self._is_leaving:
            self._fail_current_task()
        self._on_lost(self, list(self._tasks))

    def _fail_current_task(self) -> None:
        # The kernel ends a worker at its limit of CPU time. A task that waited in the worker counts
        # from the response before it: if the pool handles that late, the detail is the general one.
        has_used_time = self._loop.time() - self._started_at >= self._timeout
        is_late = self._has_timed_out or has_used_time
        detail = TIMEOUT_DETAIL if is_late else "the parser process ended"
        current = self._tasks.popleft().result
        if not current.done():
            current.set_exception(_ParserStopped(detail))


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
