"""Fuzz targets of the service: what clients send to its pages, what operators write, and what the
network answers below the level of a page.

Each is a function of bytes that raises only for a bug.
"""

import asyncio
import functools
import io
import logging
import os
import resource
import signal
import tempfile
import zipfile
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import h11
import httpx
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from auditor.app import App
from auditor.config.schema import Config, load_config
from auditor.registry import workbook_reader
from auditor.registry.workbook_reader import UPLOAD_LIMITS
from auditor.web.app import build_server_config, create_app
from probes.http.connection import BodyDecoder, HttpConnection
from probes.http.dns import DnsResolver
from probes.http.host_state import parse_retry_after
from probes.links.domains import DNS_URL_PATTERN
from probes.models.http import FetchError
from storage.errors import OneLineError
from tests.support.hostile_server.names import NameServer
from tests.support.spreadsheets import write_ods, write_xlsx
from tests.support.web_server import NOW

MAX_BODY_BYTES = 1 << 20
READER_MEMORY_BYTES = 1 << 30
READER_SECONDS = 5
EXPECTED_READER_SIGNALS = {signal.SIGABRT, signal.SIGXCPU, signal.SIGKILL}
"""Signals that end a reader of workbooks beyond its memory or time (`workbook_reader`)."""
DNS_SECONDS = 0.05


_resources = ExitStack()
"""What the targets opened: an event loop, a database and a name server."""


def close_resources() -> None:
    """Close what the targets opened. They can be called again."""
    _resources.close()
    for opened in (_get_loop, _record_errors, _start_name_server, _serve_pages):
        opened.cache_clear()


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


def fuzz_dns(data: bytes) -> None:
    """Resolve a name with a name server that answers these bytes to every question."""
    DNS_URL_PATTERN.fullmatch(data.decode("utf-8", "replace"))
    server = _start_name_server()
    server.zone["nour.example"] = data
    for address in _run(_resolve(server)):
        ip_address(address)


@functools.cache
def _start_name_server() -> NameServer:
    server: NameServer = _run(NameServer({}).__aenter__())
    _resources.callback(lambda: _run(server.__aexit__(None, None, None)))
    return server


async def _resolve(server: NameServer) -> list[str]:
    resolver = DnsResolver([server.address], timeout=DNS_SECONDS)
    try:
        return await resolver.resolve("nour.example")
    except FetchError:
        return []
    finally:
        await resolver.close()


# --- requests of clients


@functools.cache
def _serve_pages() -> uvicorn.Config:
    """Return the configuration of a server with an empty database."""
    folder = _resources.enter_context(tempfile.TemporaryDirectory())
    settings = {"storage": {"folder": folder}}
    app = _resources.enter_context(App.open(Config.model_validate(settings)))
    config = build_server_config(create_app(app, lambda: NOW), app.config)
    config.load()
    return config


class ErrorRecorder(logging.Handler):
    """Keeps the logged errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, unless uvicorn names an error of the client."""
        if record.name == "uvicorn.error":
            return
        self.lines.append(self.format(record))


@functools.cache
def _record_errors() -> ErrorRecorder:
    recorder = ErrorRecorder()
    logging.getLogger().addHandler(recorder)
    _resources.callback(logging.getLogger().removeHandler, recorder)
    return recorder


def fuzz_request(data: bytes) -> None:
    """Send bytes as a request to the pages. No answer is a server error, and none is logged."""
    recorder = _record_errors()
    answer = _run(_send_request(data, _serve_pages()))
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]
    assert not recorder.lines


async def _send_request(data: bytes, config: uvicorn.Config) -> bytes:
    state = ServerState()
    connection = H11Protocol(config, state, {}, asyncio.get_running_loop())
    transport = RecordingTransport(connection)
    connection.connection_made(transport)
    if data:
        with suppress(h11.LocalProtocolError):  # uvicorn answers a malformed body twice
            connection.data_received(data)
    waiting_states = {h11.IDLE, h11.SEND_BODY}
    while connection.conn.their_state not in waiting_states and state.tasks:  # noqa: ASYNC110
        await asyncio.sleep(0)
    transport.close()
    await asyncio.sleep(0)
    if state.tasks:
        await asyncio.wait(state.tasks)
    return bytes(transport.written)


# --- files of operators and coordinators


def assert_one_line(error: OneLineError) -> None:
    """Check that an error is one line."""
    assert "\n" not in str(error)


def fuzz_config(data: bytes) -> None:
    """Read a configuration. An error is one line."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.toml")
        file.write_bytes(data)
        try:
            load_config(file, {})
        except OneLineError as error:
            assert_one_line(error)


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
