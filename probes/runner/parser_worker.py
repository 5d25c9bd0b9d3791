"""The fork server and its parser workers.

The auditor has threads and an event loop, so it cannot be forked. It starts this process, which
loads all parsers once, and sends it a socket for each worker. A worker receives parsers with pages,
responds to each, and ends when its socket is closed. When the fork server ends, so do its workers.

The process of a pool with one worker does not fork but becomes the worker. This saves 20 MB.
"""

import contextlib
import gc
import importlib
import math
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedRWPair
from typing import Any, NoReturn

from probes.classify import classifier, interstitials
from probes.links import channel_registry
from probes.links.domains import load_suffix_list
from probes.models.finding import Reason
from probes.models.http import Page, PageParser
from probes.parsing.visitor_content import strip_page

PRELOADED_MODULES = (
    "bs4",
    "htmldate",
    "lxml.etree",
    "probes.http.robots",
    "probes.parsing.feeds",
    "probes.parsing.html",
)
"""What parsers need. They are named here because nothing else may import them so early."""


@dataclass(frozen=True, slots=True)
class PageReader:
    """Does all that concerns a body in one task of a worker, so that it is sent there once."""

    parser: PageParser

    def __call__(
        self, page: Page
    ) -> tuple[object, tuple[Reason | None, Reason | None], bytes | None]:
        """Return the `parsed`, `walls` and `shortened_body` of a page."""
        return self.parser(page), interstitials.detect_walls(page), strip_page(page)


SAMPLE_LINKS = 2_500


def build_sample_body() -> bytes:
    """Return a large page: half a megabyte, the most that is parsed, with 10,000 tags."""
    paragraph = b'<p><a href="/page">' + 170 * b"x" + b"</a></p>"
    return b"<!doctype html><title>Sample</title>" + SAMPLE_LINKS * paragraph


def parse_sample(page: Page) -> int:
    """Parse a page in both ways that probes do, and return the number of its links."""
    from probes.parsing import html  # noqa: PLC0415  # workers load it early, others never

    return min(len(html.parse_document(page).anchors), len(html.parse_soup(page).find_all("a")))


MIN_FREE_BYTES = 64 << 20
"""Address space that must be free for a page. The worst ones take 46 MiB (measured 2026-11)."""

LENGTH_PREFIX = struct.Struct("!I")
"""The length in bytes before each message."""


def main(control_fd: int, memory_bytes: int, *, can_fork: bool) -> None:
    """Run the fork server: fork a worker for each socket received through the control socket.

    Without `can_fork`, the process itself becomes the worker of the first socket.
    """
    with socket.socket(fileno=control_fd) as control_socket:
        preload_parsers()
        gc.collect()
        gc.freeze()  # loaded modules are not garbage, and each collection would search them
        workers: set[int] = set()
        while sockets := socket.recv_fds(control_socket, 1, 1)[1]:
            workers -= _reap_workers(workers)
            pid = os.fork() if can_fork else 0
            if pid == 0:  # this process is the worker
                control_socket.close()
                _run_worker(sockets[0], memory_bytes)
            workers.add(pid)
            os.close(sockets[0])
    for pid in workers - _reap_workers(workers):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def preload_parsers() -> None:
    """Load parsers, channels, the public suffix list and tables. Workers inherit them."""
    for name in PRELOADED_MODULES:
        importlib.import_module(name)
    channel_registry.list_channels()
    load_suffix_list()
    classifier.load_tables()


def _reap_workers(workers: set[int]) -> set[int]:
    """Return the ids of workers that have ended. The system does not reuse an id before this."""
    return {pid for pid in workers if os.waitpid(pid, os.WNOHANG)[0]}


def _run_worker(socket_fd: int, memory_bytes: int) -> NoReturn:
    """Run a worker until its socket is closed, then exit the process."""
    status = 1
    try:
        _limit_resources(memory_bytes)
        with (
            socket.socket(fileno=socket_fd) as pool_socket,
            pool_socket.makefile("rwb") as stream,
            contextlib.suppress(ConnectionError),
        ):
            _send_message(stream, pickle.dumps(os.getpid()))
            _answer_messages(stream)
        status = 0
    finally:
        os._exit(status)


def _answer_messages(stream: BufferedRWPair) -> None:
    """Parse the page of each message, until the socket is closed or little memory is free.

    The last response says that the worker is leaving.
    """
    is_leaving = False
    while not is_leaving and (prefix := stream.read(LENGTH_PREFIX.size)):
        is_success, value = _parse_message(stream.read(*LENGTH_PREFIX.unpack(prefix)))
        is_leaving = not _has_free_memory()
        _send_message(stream, _pickle_response(is_success, value, is_leaving=is_leaving))


def _limit_resources(memory_bytes: int) -> None:
    """Limit the memory of a worker, disable core dumps, and let the CPU timer end the process."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _has_free_memory() -> bool:
    """Return True if a page fits into the free address space. It is reserved and not used."""
    try:
        mmap.mmap(-1, MIN_FREE_BYTES, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ).close()
    except OSError:
        return False
    return True


def _parse_message(message: bytes) -> tuple[bool, Any]:
    """Parse the page of a message. Returns True and the result, or False and the exception."""
    try:
        parser, page, timeout = pickle.loads(message)  # noqa: S301  # from the parent process
        # If memory runs out in lxml, it can return an empty document without an error.
        if not _has_free_memory():
            raise MemoryError("a page may not fit into the free memory")  # noqa: TRY301
        with _limit_cpu_time(timeout):
            return True, parser(page)
    except Exception as error:  # noqa: BLE001  # raised by the parent
        error.add_note(traceback.format_exc())
        return False, _make_picklable(error)


@contextlib.contextmanager
def _limit_cpu_time(seconds: float) -> Iterator[None]:
    """End this process if the block takes more CPU time.

    A timeout of wall time would depend on the load of the machine. The timer ends the process also
    in C code and without its parent. RLIMIT_CPU is for results that take long to pickle.
    """
    _, hard_limit = resource.getrlimit(resource.RLIMIT_CPU)
    soft_limit = math.ceil(time.process_time() + seconds) + 1
    if hard_limit != resource.RLIM_INFINITY:
        soft_limit = min(soft_limit, hard_limit)
    resource.setrlimit(resource.RLIMIT_CPU, (soft_limit, hard_limit))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _make_picklable(error: Exception) -> Exception:
    """Return the error, or a RuntimeError with its traceback if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own data
    except Exception:  # noqa: BLE001  # pickle calls its constructor
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _pickle_response(is_success: bool, value: Any, *, is_leaving: bool) -> bytes:
    """Return the response. A result that cannot be pickled is replaced by a TypeError."""
    try:
        return pickle.dumps((is_success, value, is_leaving), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001  # pickle runs code of the object
        fault = TypeError(f"{value!r:.200} cannot be pickled: {error!r}")
        return pickle.dumps((False, fault, is_leaving))


def _send_message(stream: BufferedRWPair, message: bytes) -> None:
    stream.write(LENGTH_PREFIX.pack(len(message)) + message)
    stream.flush()
