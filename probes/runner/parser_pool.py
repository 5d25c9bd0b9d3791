"""Worker processes that read bodies, where a reader that hangs or swells can be stopped.

A thread cannot be killed and would hold the interpreter: 400,000 nested tags cost seconds in any parser.
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
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from probes.runner.parser_worker import LENGTH_PREFIX

ParsedT = TypeVar("ParsedT")
PARSE_TIMEOUT_SECONDS = 5.0  # seconds for one body
WORKER_MEMORY_BYTES = 1 << 30  # bytes of address space for one worker
MOST_WORKERS = 8
MAX_TASKS_PER_WORKER = 2  # pages that a worker has at once: the next one waits where it is read
MAX_FAILED_STARTS = 3  # workers in a row that end before they come: then none ever will


class ParserPool:
    """Readers at work. Use it as an async context; the workers start with it and end with it.

    `workers=0` reads in this process, for tests: nothing is stopped then. `deadline` is for one body,
    in seconds. A `workshop` that is given stays when the pool ends, for the next one.
    """

    def __init__(
        self,
        worker_count: int | None = None,
        *,
        timeout: float = PARSE_TIMEOUT_SECONDS,
        memory_bytes: int = WORKER_MEMORY_BYTES,
        fork_server: ParserForkServer | None = None,
    ) -> None:
        self._worker_count = (
            min(os.cpu_count() or 1, MOST_WORKERS) if worker_count is None else worker_count
        )
        self._timeout = timeout
        self._fork_server = fork_server or ParserForkServer(memory_bytes)
        self._keeps_fork_server = fork_server is not None
        self._workers: list[_ParserWorker] = []
        self._queue: deque[_ParseTask] = deque()
        self._starting: set[asyncio.Task[None]] = set()  # in place of those that were lost
        self._failed_starts = 0  # so many in a row ended before they came
        self._start_error: BaseException | None = None  # why no worker comes any more

    async def __aenter__(self) -> Self:
        """Start the workers; they come while the first pages are on their way."""
        try:
            for _ in range(self._worker_count):
                await self._start_worker()
        except BaseException:
            await self._stop_workers()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop_workers()

    async def _stop_workers(self) -> None:
        while self._starting:
            await asyncio.wait(self._starting)
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.stop()
        if self._keeps_fork_server:
            return
        came = any(worker.has_started for worker in workers)
        await asyncio.to_thread(self._fork_server.close, is_loading=bool(workers) and not came)

    async def _start_worker(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._fork_server.fork_worker(theirs)
        worker = _ParserWorker(self._timeout, self._dispatch_tasks, self._replace_worker)
        self._workers.append(worker)
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)

    async def parse(self, parser: Callable[[Page], ParsedT], page: Page) -> ParsedT:
        """What the reader makes of the page.

        Raises NoPage `unreadable`, with the page's status, where the reader took too long, too much
        memory, or its process with it. A reader's own exception is a bug and comes through.
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
            why = (
                str(error) if isinstance(error, _ParserStopped) else "reading took too much memory"
            )
            raise FetchError(
                Reason.UNREADABLE, why, status=page.status, url=page.url, hops=page.hops
            ) from error

    def _dispatch_tasks(self) -> None:
        """What waits, and is still waited for, to whoever has the least to do."""
        while self._queue:
            if self._queue[0].result.cancelled():
                self._queue.popleft()
                continue
            free = [worker for worker in self._workers if worker.is_free]
            if not free:
                return
            min(free, key=_ParserWorker.count_tasks).submit(self._queue.popleft())

    def _replace_worker(self, worker: _ParserWorker, unstarted_tasks: list[_ParseTask]) -> None:
        """A worker has ended: what it had not begun waits again, and another one comes."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._queue.extendleft(reversed(unstarted_tasks))
        self._failed_starts = 0 if worker.has_started else self._failed_starts + 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            self._fail_waiting_tasks(
                RuntimeError("readers cannot be started; see what they wrote to the standard error")
            )
            return
        self._dispatch_tasks()
        hiring = asyncio.ensure_future(self._start_worker())
        self._starting.add(hiring)
        hiring.add_done_callback(self._finish_start)

    def _finish_start(self, start_task: asyncio.Task[None]) -> None:
        self._starting.discard(start_task)
        if not start_task.cancelled() and (error := start_task.exception()):
            self._fail_waiting_tasks(error)

    def _fail_waiting_tasks(self, error: BaseException) -> None:
        """No worker will come: whoever waits, and whoever asks from now on, is told why."""
        self._start_error = error
        while self._queue:
            if not (reading := self._queue.popleft().result).done():
                reading.set_exception(error)


@dataclass(slots=True)
class _ParseTask:
    """A page that is read: the message for the worker, and what will be known of it."""

    message: bytes
    result: asyncio.Future[Any]


class _ParserStopped(Exception):  # noqa: N818  # told as NoPage, never as an error
    """A reader whose process was ended, or ended by itself."""


class _ParserWorker(asyncio.Protocol):
    """A worker as it is seen from here: what it has to read, and how long it has been at it."""

    def __init__(
        self,
        timeout: float,
        on_response: Callable[[], None],
        on_lost: Callable[[_ParserWorker, list[_ParseTask]], None],
    ) -> None:
        self._deadline, self._answered, self._lost = timeout, on_response, on_lost
        self._loop = asyncio.get_running_loop()
        self._tasks: deque[_ParseTask] = deque()
        self._buffer = bytearray()
        self._pid = 0
        self._started_at = 0.0  # when it began what it is reading
        self._timeout_handle: asyncio.TimerHandle | None = None
        self._has_timed_out = False
        self._transport: asyncio.Transport | None = None

    @property
    def has_started(self) -> bool:
        """Whether it has told that it is there."""
        return bool(self._pid)

    @property
    def is_free(self) -> bool:
        """Whether it is there, and has room for another page."""
        return (
            self.has_started and not self._has_timed_out and len(self._tasks) < MAX_TASKS_PER_WORKER
        )

    def count_tasks(self) -> int:
        """How many pages it has."""
        return len(self._tasks)

    def submit(self, task: _ParseTask) -> None:
        """Read this page next."""
        if not self._tasks:
            self._started_at = self._loop.time()
        self._tasks.append(task)
        assert self._transport is not None
        self._transport.writelines((LENGTH_PREFIX.pack(len(task.message)), task.message))
        if self._timeout_handle is None:
            self._timeout_handle = self._loop.call_at(
                self._started_at + self._deadline, self._check_timeout
            )

    def _check_timeout(self) -> None:
        """Whether it is too long at one page. Set once a deadline, not once a page: most are never late."""
        self._timeout_handle = None
        due = self._started_at + self._deadline
        if self._tasks and self._loop.time() >= due:
            self._has_timed_out = True
            self._kill()
        elif self._tasks:
            self._timeout_handle = self._loop.call_at(due, self._check_timeout)

    def stop(self) -> None:
        """Let it end: at once where it is reading, for then it does not listen."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._tasks:
            self._kill()
        if self._transport is not None:
            self._transport.abort()

    def _kill(self) -> None:
        """End its process; it may have ended by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It was asked for."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Something of its answers."""
        self._buffer += data
        while len(self._buffer) >= LENGTH_PREFIX.size:
            (length,) = LENGTH_PREFIX.unpack_from(self._buffer)
            end = LENGTH_PREFIX.size + length
            if len(self._buffer) < end:
                return
            told = pickle.loads(memoryview(self._buffer)[LENGTH_PREFIX.size : end])  # noqa: S301  # see workshop
            del self._buffer[:end]
            self._handle_message(told)

    def _handle_message(self, message: Any) -> None:
        """That it is there, first of all; then what it read, page by page."""
        if not self._pid:
            self._pid = message
        else:
            good, result = message
            reading = self._tasks.popleft().result
            self._started_at = self._loop.time()
            if not reading.done():
                reading.set_result(result) if good else reading.set_exception(result)
        self._answered()

    def connection_lost(self, _: Exception | None) -> None:
        """It has ended, and with it what it was reading."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        why = "reading took too long" if self._has_timed_out else "the reader's process ended"
        begun = self._tasks.popleft().result if self._tasks else None
        if begun is not None and not begun.done():
            begun.set_exception(_ParserStopped(why))
        self._lost(self, list(self._tasks))


class ParserForkServer:
    """The process that workers are forked from, started when the first one is wanted.

    It loads for a second or two. Whoever uses several pools, one after another, keeps it as a context.
    """

    def __init__(self, memory_bytes: int = WORKER_MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._control_socket: socket.socket | None = None

    def start(self) -> None:
        """Have it load, if it does not yet; that is waited for by the first worker alone."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start_process()

    def fork_worker(self, worker_socket: socket.socket) -> None:
        """Have a worker forked that reads what comes by this socket, by a new process if need be."""
        self.start()
        assert self._control_socket is not None
        try:
            socket.send_fds(self._control_socket, [b"+"], [worker_socket.fileno()])
        except ConnectionError:  # it ended meanwhile
            self.close()
            self._start_process()
            socket.send_fds(self._control_socket, [b"+"], [worker_socket.fileno()])

    def _start_process(self) -> None:
        """In a session of its own: Ctrl-C is the auditor's to answer."""
        self._control_socket, theirs = socket.socketpair()
        with theirs:
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; from probes.runner import parser_worker;"
            )
            self._process = subprocess.Popen(  # noqa: S603  # this very program
                [
                    sys.executable,
                    "-c",
                    f"{code} parser_worker.main({theirs.fileno()}, {self._memory_bytes})",
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def close(self, *, is_loading: bool = False) -> None:
        """End it, and all workers with it; at once while it is still `loading` and has none."""
        if self._control_socket is not None:
            self._control_socket.close()
        if self._process is not None:
            if is_loading:
                self._process.kill()
            self._process.wait()
        self._control_socket = self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
