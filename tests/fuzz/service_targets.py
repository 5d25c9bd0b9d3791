"""Fuzz targets of files and of what the network answers below the level of a page.

Each is a function of bytes that raises only for a bug.
"""

import asyncio
import functools
import io
import os
import resource
import signal
import tempfile
import zipfile
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

from auditor.registry import workbook_reader
from auditor.registry.workbook_reader import UPLOAD_LIMITS
from probes.http.connection import BodyDecoder, HttpConnection
from probes.http.host_state import parse_retry_after
from probes.models.http import FetchError
from storage.errors import OneLineError
from tests.support.spreadsheets import write_ods, write_xlsx
from tests.support.web_server import NOW

MAX_BODY_BYTES = 1 << 20
READER_MEMORY_BYTES = 1 << 30
READER_SECONDS = 5
EXPECTED_READER_SIGNALS = {signal.SIGABRT, signal.SIGXCPU, signal.SIGKILL}
"""Signals that end a reader of workbooks beyond its memory or time (`workbook_reader`)."""

_resources = ExitStack()
"""What the targets opened: an event loop."""


def close_resources() -> None:
    """Close what the targets opened. They can be called again."""
    _resources.close()
    _get_loop.cache_clear()


@functools.cache
def _get_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    _resources.callback(loop.close)
    _resources.callback(lambda: _run(loop.shutdown_default_executor()))
    return loop


def _run(steps: Coroutine[Any, Any, Any]) -> Any:
    return _get_loop().run_until_complete(steps)


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what is written to it. The protocol learns in a step of the loop that
    it is closed.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 8000)})
        self.written = bytearray()
        self._protocol = protocol
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the data."""
        self.written += data

    def close(self) -> None:
        """Close the connection."""
        if not self._is_closing:
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)
        self._is_closing = True

    abort = close

    def is_closing(self) -> bool:
        """Return True after `close`."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Return 0: everything is sent."""
        return 0

    def pause_reading(self) -> None:
        """Ignore the request: all data is received at once."""

    def resume_reading(self) -> None:
        """Ignore the request: all data is received at once."""


# --- responses of servers


def fuzz_response(data: bytes) -> None:
    """Read bytes as the response to a request, and decode its body."""
    _run(_read_response(data))


async def _read_response(data: bytes) -> None:
    connection = HttpConnection()
    transport = RecordingTransport(connection)
    connection.connection_made(transport)
    sending = asyncio.ensure_future(connection.send_request(b"GET / HTTP/1.1\r\n\r\n"))
    await asyncio.sleep(0)
    connection.data_received(data)
    transport.close()
    with suppress(httpx.HTTPError, FetchError):
        await sending
        await _decode_body(connection)
    connection.make_idle()


async def _decode_body(connection: HttpConnection) -> None:
    """Read the headers and the body as the fetcher does."""
    response = httpx.Response(connection.status, headers=connection.headers)
    parse_retry_after(response.headers.get("retry-after", ""), NOW)
    decoder = BodyDecoder(response.headers.get("content-encoding", ""), MAX_BODY_BYTES)
    async for chunk in connection.iter_body():
        decoder.feed(chunk)
    assert len(decoder.data) <= MAX_BODY_BYTES


# --- files of operators and coordinators


def assert_one_line(error: OneLineError) -> None:
    """Check that an error is one line."""
    assert "\n" not in str(error)


@functools.cache
def _build_workbook(kind: str) -> dict[str, bytes]:
    """Return the parts of a workbook with a few cells."""
    rows = [["Nom", "Facebook"], ["Nour", ("page", "https://www.facebook.com/nour")], ["#N/A", "x"]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"a.{kind}")
        if kind == "ods":
            write_ods(file, [["Nom", "Facebook"], ["Nour", "https://www.facebook.com/nour"]])
        else:
            write_xlsx(file, Associations=rows)
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in sorted(archive.namelist())}


def list_workbook_seeds(kind: str) -> list[bytes]:
    """Return each part of a workbook, after the number of the part."""
    return [bytes([n]) + part for n, part in enumerate(_build_workbook(kind).values())]


def fuzz_workbook(kind: str, data: bytes) -> None:
    """Read a workbook, one part of which is replaced. The first byte selects the part.

    Exceptions of a reader are expected: it is a separate process. It must end within its limits.
    """
    parts = dict(_build_workbook(kind))
    if data:
        parts[list(parts)[data[0] % len(parts)]] = data[1:]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    ended_by = _read_in_child(file.getvalue())
    assert not ended_by or ended_by in EXPECTED_READER_SIGNALS, ended_by


def _read_in_child(workbook: bytes) -> int:
    """Read a workbook in a child process with limits. Return the signal that ended it, or 0."""
    pid = os.fork()
    if not pid:
        _read_and_exit(workbook)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


def _read_and_exit(workbook: bytes) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (READER_SECONDS, READER_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (READER_MEMORY_BYTES, READER_MEMORY_BYTES))
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    with suppress(BaseException):
        workbook_reader.read_workbook(workbook, UPLOAD_LIMITS)
    os._exit(0)
