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
from probes.models.http import NoPage, Page
from probes.runner.parser_worker import LENGTH

R = TypeVar("R")
DEADLINE = 5.0  # seconds for one body
MEMORY = 1 << 30  # bytes of address space for one worker
MOST_WORKERS = 8
AHEAD = 2  # pages that a worker has at once: the next one waits where it is read
MOST_FAILED = 3  # workers in a row that end before they come: then none ever will


class ReaderPool:
    """Readers at work. Use it as an async context; the workers start with it and end with it.

    `workers=0` reads in this process, for tests: nothing is stopped then. `deadline` is for one body,
    in seconds. A `workshop` that is given stays when the pool ends, for the next one.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        deadline: float = DEADLINE,
        memory: int = MEMORY,
        workshop: Workshop | None = None,
    ) -> None:
        self._wanted = min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers
        self._deadline = deadline
        self._workshop = workshop or Workshop(memory)
        self._stays = workshop is not None
        self._workers: list[_Worker] = []
        self._waiting: deque[_Task] = deque()
        self._hiring: set[asyncio.Task[None]] = set()  # in place of those that were lost
        self._failed = 0  # so many in a row ended before they came
        self._trouble: BaseException | None = None  # why no worker comes any more

    async def __aenter__(self) -> Self:
        """Start the workers; they come while the first pages are on their way."""
        try:
            for _ in range(self._wanted):
                await self._hire()
        except BaseException:
            await self._dismiss()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._dismiss()

    async def _dismiss(self) -> None:
        while self._hiring:
            await asyncio.wait(self._hiring)
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.dismiss()
        if self._stays:
            return
        came = any(worker.came for worker in workers)
        await asyncio.to_thread(self._workshop.close, loading=bool(workers) and not came)

    async def _hire(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._workshop.send(theirs)
        worker = _Worker(self._deadline, self._give, self._lost)
        self._workers.append(worker)
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)

    async def read(self, read: Callable[[Page], R], page: Page) -> R:
        """What the reader makes of the page.

        Raises NoPage `unreadable`, with the page's status, where the reader took too long, too much
        memory, or its process with it. A reader's own exception is a bug and comes through.
        """
        try:
            if not self._wanted:
                return read(page)
            if self._trouble is not None:
                raise self._trouble
            message = pickle.dumps((read, page, self._deadline), pickle.HIGHEST_PROTOCOL)
            task = _Task(message, asyncio.get_running_loop().create_future())
            self._waiting.append(task)
            self._give()
            return cast("R", await task.reading)
        except (_Stopped, MemoryError, RecursionError) as error:
            why = str(error) if isinstance(error, _Stopped) else "reading took too much memory"
            raise NoPage(Reason.UNREADABLE, why, status=page.status, url=page.url, hops=page.hops) from error

    def _give(self) -> None:
        """What waits, and is still waited for, to whoever has the least to do."""
        while self._waiting:
            if self._waiting[0].reading.cancelled():
                self._waiting.popleft()
                continue
            free = [worker for worker in self._workers if worker.is_free]
            if not free:
                return
            min(free, key=_Worker.has).take(self._waiting.popleft())

    def _lost(self, worker: _Worker, left: list[_Task]) -> None:
        """A worker has ended: what it had not begun waits again, and another one comes."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        self._waiting.extendleft(reversed(left))
        self._failed = 0 if worker.came else self._failed + 1
        if self._failed >= MOST_FAILED:
            self._give_up(
                RuntimeError("readers cannot be started; see what they wrote to the standard error")
            )
            return
        self._give()
        hiring = asyncio.ensure_future(self._hire())
        self._hiring.add(hiring)
        hiring.add_done_callback(self._hired)

    def _hired(self, hiring: asyncio.Task[None]) -> None:
        self._hiring.discard(hiring)
        if not hiring.cancelled() and (error := hiring.exception()):
            self._give_up(error)

    def _give_up(self, trouble: BaseException) -> None:
        """No worker will come: whoever waits, and whoever asks from now on, is told why."""
        self._trouble = trouble
        while self._waiting:
            if not (reading := self._waiting.popleft().reading).done():
                reading.set_exception(trouble)


@dataclass(slots=True)
class _Task:
    """A page that is read: the message for the worker, and what will be known of it."""

    message: bytes
    reading: asyncio.Future[Any]


class _Stopped(Exception):  # noqa: N818  # told as NoPage, never as an error
    """A reader whose process was ended, or ended by itself."""


class _Worker(asyncio.Protocol):
    """A worker as it is seen from here: what it has to read, and how long it has been at it."""

    def __init__(
        self,
        deadline: float,
        answered: Callable[[], None],
        lost: Callable[[_Worker, list[_Task]], None],
    ) -> None:
        self._deadline, self._answered, self._lost = deadline, answered, lost
        self._loop = asyncio.get_running_loop()
        self._tasks: deque[_Task] = deque()
        self._buffer = bytearray()
        self._pid = 0
        self._since = 0.0  # when it began what it is reading
        self._watch: asyncio.TimerHandle | None = None
        self._late = False
        self._transport: asyncio.Transport | None = None

    @property
    def came(self) -> bool:
        """Whether it has told that it is there."""
        return bool(self._pid)

    @property
    def is_free(self) -> bool:
        """Whether it is there, and has room for another page."""
        return self.came and not self._late and len(self._tasks) < AHEAD

    def has(self) -> int:
        """How many pages it has."""
        return len(self._tasks)

    def take(self, task: _Task) -> None:
        """Read this page next."""
        if not self._tasks:
            self._since = self._loop.time()
        self._tasks.append(task)
        assert self._transport is not None
        self._transport.writelines((LENGTH.pack(len(task.message)), task.message))
        if self._watch is None:
            self._watch = self._loop.call_at(self._since + self._deadline, self._look)

    def _look(self) -> None:
        """Whether it is too long at one page. Set once a deadline, not once a page: most are never late."""
        self._watch = None
        due = self._since + self._deadline
        if self._tasks and self._loop.time() >= due:
            self._late = True
            self._kill()
        elif self._tasks:
            self._watch = self._loop.call_at(due, self._look)

    def dismiss(self) -> None:
        """Let it end: at once where it is reading, for then it does not listen."""
        if self._watch is not None:
            self._watch.cancel()
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
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            end = LENGTH.size + length
            if len(self._buffer) < end:
                return
            told = pickle.loads(memoryview(self._buffer)[LENGTH.size : end])  # noqa: S301  # see workshop
            del self._buffer[:end]
            self._told(told)

    def _told(self, told: Any) -> None:
        """That it is there, first of all; then what it read, page by page."""
        if not self._pid:
            self._pid = told
        else:
            good, result = told
            reading = self._tasks.popleft().reading
            self._since = self._loop.time()
            if not reading.done():
                reading.set_result(result) if good else reading.set_exception(result)
        self._answered()

    def connection_lost(self, _: Exception | None) -> None:
        """It has ended, and with it what it was reading."""
        if self._watch is not None:
            self._watch.cancel()
        why = "reading took too long" if self._late else "the reader's process ended"
        begun = self._tasks.popleft().reading if self._tasks else None
        if begun is not None and not begun.done():
            begun.set_exception(_Stopped(why))
        self._lost(self, list(self._tasks))


class Workshop:
    """The process that workers are forked from, started when the first one is wanted.

    It loads for a second or two. Whoever uses several pools, one after another, keeps it as a context.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._door: socket.socket | None = None

    def start(self) -> None:
        """Have it load, if it does not yet; that is waited for by the first worker alone."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()

    def send(self, worker: socket.socket) -> None:
        """Have a worker forked that reads what comes by this socket, by a new process if need be."""
        self.start()
        assert self._door is not None
        try:
            socket.send_fds(self._door, [b"+"], [worker.fileno()])
        except ConnectionError:  # it ended meanwhile
            self.close()
            self._start()
            socket.send_fds(self._door, [b"+"], [worker.fileno()])

    def _start(self) -> None:
        """In a session of its own: Ctrl-C is the auditor's to answer."""
        self._door, theirs = socket.socketpair()
        with theirs:
            code = f"import sys; sys.path[:] = {sys.path!r}; from probes.runner import parser_worker;"
            self._process = subprocess.Popen(  # noqa: S603  # this very program
                [sys.executable, "-c", f"{code} parser_worker.main({theirs.fileno()}, {self._memory})"],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def close(self, *, loading: bool = False) -> None:
        """End it, and all workers with it; at once while it is still `loading` and has none."""
        if self._door is not None:
            self._door.close()
        if self._process is not None:
            if loading:
                self._process.kill()
            self._process.wait()
        self._door = self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
