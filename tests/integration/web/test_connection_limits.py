"""Connections have deadlines and are limited in number, so no client shuts out the others."""

import asyncio
import logging
import resource
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.scheduling import open_web_socket
from auditor.web import server
from auditor.web.app import create_app
from auditor.web.middleware import MEGABYTE
from auditor.web.server import ConnectionGuard, ConnectionPhase, WebServer, compute_max_connections

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PAGE_REQUEST = b"GET /en/login HTTP/1.1\r\nHost: localhost\r\n\r\n"
LOGIN_HEAD = (
    b"POST /en/login HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\n"
)
REFUSED_HEAD = LOGIN_HEAD.replace(b"/en/login", b"/en/nowhere")


MAX_TEST_SECONDS = 60
"""A test that waits in vain fails after this time."""


class FakeClock:
    """Seconds that pass only when a test says so."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def app(tmp_path):
    with App.open(Config.model_validate({"storage": {"folder": tmp_path}})) as opened:
        yield opened


def build_guard(max_connections=40, per_client=40, proxies=()):
    return ConnectionGuard(
        max_connections, per_client, tuple(map(ip_network, proxies)), clock=FakeClock()
    )


class Pages:
    """The served application, whose guard has a fake clock."""

    def __init__(self, guard, address):
        self.guard = guard
        self._address = address
        self.writers = []

    async def connect(self, content=b"", source="127.0.0.1"):
        """Open a connection from a loopback address and send something."""
        reader, writer = await asyncio.open_connection(*self._address, local_addr=(source, 0))
        self.writers.append(writer)
        writer.write(content)
        return reader, writer

    async def get_status(self, content=PAGE_REQUEST, **options):
        """Return the status of the answer to a request on a new connection."""
        reader, writer = await self.connect(content, **options)
        status = await read_status(reader)
        writer.close()
        return status

    async def wait_for_phases(self, **expected):
        """Wait until the connections are in these phases."""
        while self.count_phases() != expected:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.001)

    def count_phases(self):
        return Counter(connection.phase.name for connection in self.guard.connections)

    def pass_time(self, seconds):
        """Let time pass, and close the connections that are overdue then."""
        self.guard.clock.seconds += seconds
        self.guard.close_overdue()


async def read_status(reader):
    """Return the status of an answer, or None if the connection is closed without one."""
    try:
        line = await reader.readline()
    except ConnectionResetError:
        return None
    return int(line.split()[1]) if line else None


@asynccontextmanager
async def serve_pages(app, guard):
    with open_web_socket(app.config.web.model_copy(update={"port": 0})) as sock:
        address = sock.getsockname()
        web_server = WebServer(create_app(app, lambda: NOW), guard)
        serving = asyncio.create_task(web_server.serve([sock]))
        pages = Pages(guard, address)
        try:
            async with asyncio.timeout(MAX_TEST_SECONDS):
                yield pages
        finally:
            for writer in pages.writers:
                writer.transport.abort()
            for connection in list(guard.connections):
                connection.close()
            web_server.should_exit = True
            await serving


@pytest.mark.fault("F72")
@pytest.mark.parametrize(
    ("content", "phase", "seconds"),
    [
        (b"", "WAITING", server.MAX_WAITING_SECONDS),
        (b"GET /en/login HTTP/1.1\r\nHost: lo", "WAITING", server.MAX_WAITING_SECONDS),
        (LOGIN_HEAD, "RECEIVING", server.MAX_BODY_SECONDS),
        (REFUSED_HEAD, "DISCARDING", server.MAX_DISCARDING_SECONDS),
    ],
    ids=["silent", "head", "body", "refused body"],
)
async def test_unfinished_request_is_closed_at_its_deadline(app, content, phase, seconds):
    async with serve_pages(app, build_guard()) as pages:
        reader, _writer = await pages.connect(content)
        await pages.wait_for_phases(**{phase: 1})
        pages.pass_time(seconds - 1)
        pages.pass_time(1)
        assert pages.count_phases() == {phase: 1}
        pages.pass_time(1)
        assert pages.count_phases() == {}
        await asyncio.wait_for(reader.read(), 30)
        assert await pages.get_status() == 200


@pytest.mark.fault("F72")
@pytest.mark.parametrize(
    ("content", "drip", "phase"),
    [
        (b"GET /en/login HTTP/1.1\r\n", b"X-A: b\r\n", "WAITING"),
        (LOGIN_HEAD, b"x", "RECEIVING"),
        (REFUSED_HEAD, b"x", "DISCARDING"),
    ],
    ids=["head", "body", "refused body"],
)
async def test_dripping_request_is_closed_at_its_deadline(app, content, drip, phase):
    async with serve_pages(app, build_guard()) as pages:
        _reader, writer = await pages.connect(content)
        await pages.wait_for_phases(**{phase: 1})
        for _ in range(8):
            writer.write(drip)
            await asyncio.sleep(0)
            pages.pass_time(5)
        assert pages.count_phases() == {}


async def test_body_at_the_lowest_rate_is_read(app):
    async with serve_pages(app, build_guard()) as pages:
        head = LOGIN_HEAD.replace(b"9000", b"16384")
        reader, _writer = await pages.connect(head)
        await pages.wait_for_phases(RECEIVING=1)
        (connection,) = pages.guard.connections
        for _ in range(3):
            connection.data_received(b"x" * 4096)
            pages.pass_time(server.MAX_BODY_SECONDS / 3 + 1)
            assert pages.count_phases() == {"RECEIVING": 1}
        connection.data_received(b"x" * 4096)
        assert await read_status(reader) is not None


@pytest.mark.fault("F72")
async def test_client_that_does_not_read_its_response_is_disconnected(app):
    async with serve_pages(app, build_guard()) as pages:
        await pages.connect()
        await pages.wait_for_phases(WAITING=1)
        (connection,) = pages.guard.connections
        connection.transport.write(b"x" * 32 * MEGABYTE)
        await asyncio.sleep(0)
        pages.pass_time(0)
        unread_bytes = connection.transport.get_write_buffer_size()
        assert unread_bytes > 0
        seconds = server.MAX_READING_SECONDS + unread_bytes / server.LOWEST_BYTES_PER_SECOND
        pages.pass_time(seconds - 1)
        pages.pass_time(1)
        assert pages.count_phases() == {"WAITING": 1}
        pages.pass_time(1)
        assert pages.count_phases() == {}


async def test_next_request_has_its_own_deadline(app):
    async with serve_pages(app, build_guard()) as pages:
        reader, writer = await pages.connect(PAGE_REQUEST)
        assert await read_status(reader) == 200
        pages.pass_time(server.MAX_WAITING_SECONDS - 1)
        writer.write(PAGE_REQUEST)
        await reader.readuntil(b"HTTP/1.1 200 OK")
        await pages.wait_for_phases(WAITING=1)
        pages.pass_time(server.MAX_WAITING_SECONDS - 1)
        assert pages.count_phases() == {"WAITING": 1}


@pytest.mark.fault("F73")
async def test_idle_connection_makes_room_for_a_page(app, caplog):
    guard = build_guard(max_connections=20, per_client=20)
    async with serve_pages(app, guard) as pages:
        streams = [await pages.connect(source=f"127.0.0.{n}") for n in range(1, 21)]
        await pages.wait_for_phases(WAITING=20)
        assert not caplog.messages
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert await pages.get_status() == 200
        assert caplog.messages == ["connections are refused: there are 20"]
        assert await streams[0][0].read() == b""
        guard.clock.seconds += server.LOG_INTERVAL_SECONDS
        while len(guard.connections) < 20:
            streams.append(await pages.connect())
            await asyncio.sleep(0.01)
        assert await pages.get_status() == 200
        assert len(caplog.messages) == 2


@pytest.mark.fault("F73")
async def test_requests_that_are_answered_are_not_closed_for_others(app):
    guard = build_guard(max_connections=2)
    async with serve_pages(app, guard) as pages:
        [await pages.connect() for _ in range(2)]
        await pages.wait_for_phases(WAITING=2)
        for connection in guard.connections:
            connection.phase = ConnectionPhase.ANSWERING
        assert await pages.get_status() == 503


@pytest.mark.fault("F73")
@pytest.mark.parametrize("count", [31, 32, 33])
async def test_client_has_a_limit_of_connections(app, caplog, count):
    guard = build_guard(max_connections=400, per_client=32)
    async with serve_pages(app, guard) as pages:
        streams = [await pages.connect(source="127.0.0.9") for _ in range(count - 1)]
        await pages.wait_for_phases(WAITING=min(count - 1, 32))
        is_refused = count > 32
        assert await pages.get_status(source="127.0.0.9") == (503 if is_refused else 200)
        assert await pages.get_status() == 200
        assert caplog.messages == (
            ["connections are refused: one client has 32"] if is_refused else []
        )
        for _, writer in streams:
            writer.close()
        await pages.wait_for_phases()
        assert await pages.get_status(source="127.0.0.9") == 200


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_longest_waiting_connection_is_closed_at_the_limit(app, step):
    guard = build_guard(max_connections=20, per_client=20)
    async with serve_pages(app, guard) as pages:
        reader, _ = await pages.connect(source="127.0.0.2")
        await pages.wait_for_phases(WAITING=1)
        for number in range(1, 19 + step):
            await pages.connect(source=f"127.0.0.{number + 2}")
        await pages.wait_for_phases(WAITING=19 + step)
        assert await pages.get_status() == 200
        await asyncio.sleep(0)
        assert reader.at_eof() is (step > 0)


@pytest.mark.fault("F73")
async def test_client_with_200_connections_shuts_out_no_other(app):
    guard = build_guard(max_connections=100, per_client=32)
    async with serve_pages(app, guard) as pages:
        [await pages.connect(source="127.0.0.9") for _ in range(200)]
        await pages.wait_for_phases(WAITING=32)
        assert await pages.get_status() == 200


async def test_connections_of_a_trusted_proxy_are_limited_in_all_only(app):
    guard = build_guard(max_connections=40, per_client=32, proxies=["127.0.0.9"])
    async with serve_pages(app, guard) as pages:
        [await pages.connect(source="127.0.0.9") for _ in range(40)]
        await pages.wait_for_phases(WAITING=40)


@pytest.mark.parametrize(
    ("files", "expected"),
    [(resource.RLIM_INFINITY, 400), (4096, 400), (906, 400), (905, 399), (522, 16), (64, 16)],
)
def test_connections_leave_file_descriptors_to_the_run(monkeypatch, files, expected):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert compute_max_connections(Config()) == expected


async def test_invalid_requests_are_logged_once_a_minute(app, caplog):
    upgrade = PAGE_REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    async with serve_pages(app, build_guard()) as pages:
        for _ in range(5):
            assert await pages.get_status(b"nonsense\r\n\r\n") == 400
            assert await pages.get_status(upgrade) == 200
        messages = Counter(caplog.messages)
        pages.guard.clock.seconds += server.LOG_INTERVAL_SECONDS
        assert await pages.get_status(b"nonsense\r\n\r\n") == 400
    assert messages == {"Invalid HTTP request received.": 1, "Unsupported upgrade request.": 1}
    assert Counter(caplog.messages)["Invalid HTTP request received."] == 2


async def test_body_with_two_lengths_ends_the_connection(app):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = LOGIN_HEAD.replace(b"9000", b"4\r\nTransfer-Encoding: chunked")
    async with serve_pages(app, build_guard()) as pages:
        reader, _writer = await pages.connect(head + b"0\r\n\r\n" + smuggled)
        answers = await reader.read()
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("excess", [-1, 0, 1])
async def test_head_has_a_limit(app, excess):
    async with serve_pages(app, build_guard()) as pages:
        head = PAGE_REQUEST.replace(b"\r\n\r\n", b"\r\nX-A: %s")
        filling = server.MAX_HEAD_BYTES - len(head) + len(b"%s") + excess
        reader, writer = await pages.connect(head % (b"a" * filling))
        if excess > 0:
            assert await read_status(reader) == 400
        else:
            writer.write(b"\r\n\r\n")
            assert await read_status(reader) == 200


def forward(head, address):
    """Return the head of a request as a proxy sends it for a client."""
    forwarded = b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: %s\r\n" % address
    return head.replace(b"\r\n", forwarded, 1)


@pytest.mark.fault("F73")
@pytest.mark.parametrize("count", [7, 8, 9])
async def test_client_behind_a_proxy_has_a_limit_of_requests(tmp_path, count):
    web = {"trusted_proxies": ["127.0.0.1"], "max_connections_per_client": 8}
    settings = {"storage": {"folder": tmp_path}, "web": web | {"allowed_hosts": ["audit.lan"]}}
    with App.open(Config.model_validate(settings)) as app:
        page = PAGE_REQUEST.replace(b"localhost", b"audit.lan")
        login = LOGIN_HEAD.replace(b"localhost", b"audit.lan")
        async with serve_pages(app, build_guard(proxies=["127.0.0.1"])) as pages:
            for _ in range(count - 1):
                await pages.connect(forward(login, b"203.0.113.1"))
            await pages.wait_for_phases(RECEIVING=count - 1)
            expected = 200 if count <= 8 else 429
            assert await pages.get_status(forward(page, b"203.0.113.1")) == expected
            assert await pages.get_status(forward(page, b"203.0.113.2")) == 200


MALFORMED_CHUNK = b"5;x\r\na=b&c\rXX\r\n\r\n"
CHUNKED_HEAD = b"/en/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("host", [b"localhost", b"elsewhere.example"])
@pytest.mark.parametrize("method", [b"HEAD ", b"POST ", b"DELETE "])
async def test_malformed_request_is_no_error_in_the_log(app, caplog, method, host):
    async with serve_pages(app, build_guard()) as pages:
        with caplog.at_level(logging.WARNING):
            for content in (MALFORMED_CHUNK, b"\r\nGET\r\n\r\n"):
                head = CHUNKED_HEAD.replace(b"localhost", host)
                reader, writer = await pages.connect(method + head + content)
                assert await read_status(reader) is not None
                await reader.read()
                writer.close()
            await pages.wait_for_phases()
    assert caplog.messages == ["Invalid HTTP request received."]


async def test_malformed_body_after_the_response_closes_the_connection(app, caplog):
    async with serve_pages(app, build_guard()) as pages:
        head = b"POST " + CHUNKED_HEAD.replace(b"/en/login", b"/en/nowhere")
        reader, writer = await pages.connect(head)
        assert await read_status(reader) == 404
        await pages.wait_for_phases(DISCARDING=1)
        writer.write(MALFORMED_CHUNK)
        await reader.read()
        await pages.wait_for_phases()
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]
