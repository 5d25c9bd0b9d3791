"""Where bodies are read: a process that has loaded the readers once, and the workers that are forked from it.

The auditor's own process has threads and an event loop, and cannot be forked. It starts this one, and hands
it a socket for each worker that it wants. A worker is sent readers with pages, one after another, and answers
each; it ends with its socket. This process ends with its own, and all its workers then.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import pickle
import resource
import signal
import socket
import struct
import time
import traceback
from typing import Any

LENGTH_PREFIX = struct.Struct("!I")
"""Each message has its length in bytes before it."""


def main(control_fd: int, memory_bytes: int) -> None:
    """Fork a worker for each socket that comes in by the socket of this number."""
    with socket.socket(fileno=control_fd) as orders:
        import probes.runner.preload  # noqa: F401, PLC0415  # what every worker inherits

        tune_garbage_collector()
        workers: set[int] = set()
        while sockets := socket.recv_fds(orders, 1, 1)[1]:
            workers -= _reap_workers(workers)
            if not (pid := os.fork()):
                orders.close()
                _run_worker(sockets[0], memory_bytes)
            workers.add(pid)
            os.close(sockets[0])
    for pid in workers - _reap_workers(workers):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def tune_garbage_collector() -> None:
    """Let the collector of garbage leave alone what stays, and come more seldom: pages leave it little."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _reap_workers(workers: set[int]) -> set[int]:
    """Those of the workers that have ended. Until they are asked for here, nobody else gets their numbers."""
    return {pid for pid in workers if os.waitpid(pid, os.WNOHANG)[0]}


def _run_worker(socket_fd: int, memory_bytes: int) -> None:
    """Be a worker, and end. No worker outlives its socket, whatever it meets."""
    status = 1
    try:
        _limit_resources(memory_bytes)
        with (
            socket.socket(fileno=socket_fd) as door,
            contextlib.suppress(ConnectionError, EOFError),
        ):
            _send_message(door, os.getpid())
            while True:
                _send_message(door, _parse_message(_receive_message(door)))
        status = 0
    finally:
        os._exit(status)


def _limit_resources(memory_bytes: int) -> None:
    """Bound a new worker."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(
        resource.RLIMIT_CORE, (0, 0)
    )  # a worker that is ended leaves no gigabyte behind


def _parse_message(message: bytearray) -> tuple[bool, Any]:
    """What the reader makes of the page, and whether it made anything: else what it raised."""
    try:
        read, page, seconds = pickle.loads(message)  # noqa: S301  # of our own parent
        _, most = resource.getrlimit(
            resource.RLIMIT_CPU
        )  # for when nobody is left to stop this process
        resource.setrlimit(
            resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, most)
        )
        return True, read(page)
    except Exception as error:  # noqa: BLE001  # the parent's to raise
        error.add_note(traceback.format_exc())
        return False, _make_picklable(error)


def _make_picklable(error: Exception) -> Exception:
    """The error, or what it said, where it could not be made again on the other side."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # just written
    except Exception:  # noqa: BLE001  # whatever its own making raises
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _send_message(connection: socket.socket, payload: Any) -> None:
    """One message. What cannot be sent is told as such: it is a bug of the reader that made it."""
    try:
        message = pickle.dumps(payload, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001  # pickle raises whatever an object does
        message = pickle.dumps((False, TypeError(f"{payload!r:.200} cannot be sent: {error!r}")))
    connection.sendall(LENGTH_PREFIX.pack(len(message)) + message)


def _receive_message(connection: socket.socket) -> bytearray:
    """One message. Raises EOFError where none comes any more."""
    (length,) = LENGTH_PREFIX.unpack(_receive_exactly(connection, LENGTH_PREFIX.size))
    return _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, length: int) -> bytearray:
    message, got = bytearray(length), 0
    while got < length:
        more = connection.recv_into(memoryview(message)[got:])
        if not more:
            raise EOFError
        got += more
    return message
