"""Connections: several Content-Length values (RFC 9110, 8.6), packets of every size, limits."""

import asyncio
import gzip
import zlib
from unittest.mock import AsyncMock, Mock

import httpx
import pytest

from probes.http import pool
from probes.http.connection import MAX_OVERHEAD_BYTES, MAX_UNREAD_BYTES, BodyDecoder, HttpConnection
from probes.http.host_state import MAX_CRAWL_DELAY_SECONDS, HostState
from probes.http.pool import MAX_DIALED_ADDRESSES, MAX_IDLE_SECONDS, ConnectionPool
from probes.http.ssrf_guard import SsrfGuard
from tests.support.hostile_server.fetching import create_fetcher, link_request
from tests.support.hostile_server.server import Hostile

STATUS = b"HTTP/1.1 200 OK\r\n"
BODY = b"ok!"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
ACCEPTED_LENGTHS = [
    b"Content-Length: 3\r\nContent-Length: 3\r\n",
    b"Content-Length: 3\r\nX: y\r\ncontent-length:3 \r\nContent-Length: 3\r\nY: z\r\n",
    b"Content-Length: 3\nContent-Length: 3\n",
]
REFUSED_LENGTHS = [
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\nContent-Length: 3\r\n",
    b"Content-Length: 3, 4\r\n",
    b"Content-Length: 3, 3\r\nContent-Length: 2\r\n",
    b"Content-Length: 3\r\nContent-Length: 03\r\n",
    b"Content-Length: 3, +3\r\n",
    b"Content-Length: 3,\r\n",
    b"Content-Length: 3\r\nContent-Length:\r\n",
    b"Content-Length: 3\r\nContent-Length: 3\r\n 3\r\n",
    b"Content-Length: 3\r\nX: y\r\nContent-Length: 3\r\n 3\r\n",
    b"Content-Length: 3\r\nX: y\rContent-Length: 3\r\n",
    b"Content-Length: 3\r\nContent-Length : 3\r\n",
]


class RecordingTransport(asyncio.Transport):
    """A transport that sends nothing and remembers whether it was closed."""

    has_ended = False
    is_reading = True

    def write(self, data: bytes) -> None:
        """Send nothing."""

    def abort(self) -> None:
        """End the connection."""
        self.has_ended = True

    def pause_reading(self) -> None:
        """Read no more for now."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """Read again."""
        self.is_reading = True

    def is_closing(self) -> bool:
        """Return True after the end."""
        return self.has_ended


async def receive_head(response: bytes, packet_size: int = 10**9) -> HttpConnection:
    """Return the connection after a response in packets of this size. Its body is not read."""
    connection = HttpConnection()
    connection.connection_made(RecordingTransport())
    request = asyncio.ensure_future(connection.send_request(b"GET / HTTP/1.1\r\n\r\n"))
    await asyncio.sleep(0)
    for start in range(0, len(response), packet_size):
        connection.data_received(response[start : start + packet_size])
    await request
    return connection


async def receive(response: bytes, packet_size: int) -> tuple[HttpConnection, bytes]:
    """Return the connection and the body after a response in packets of this size."""
    connection = await receive_head(response, packet_size)
    return connection, b"".join([piece async for piece in connection.iter_body()])


@pytest.mark.parametrize("packet_size", [1, 7, 1000])
@pytest.mark.parametrize("lengths", ACCEPTED_LENGTHS)
async def test_equal_content_lengths_are_accepted(lengths: bytes, packet_size: int) -> None:
    text = b"Content-Length: 9"
    connection, body = await receive(STATUS + lengths + b"\r\n" + BODY, packet_size)
    assert (connection.status, body) == (200, BODY)
    assert not connection.make_idle()
    assert (await receive(STATUS + b"Content-Length: 17\r\n\r\n" + text, packet_size))[1] == text


async def test_response_after_equal_content_lengths_is_not_read() -> None:
    connection, body = await receive(STATUS + ACCEPTED_LENGTHS[0] + b"\r\n" + BODY + EVIL, 1000)
    assert body == BODY
    assert not connection.make_idle()


@pytest.mark.parametrize("packet_size", [1, 7, 1000])
@pytest.mark.parametrize("lengths", REFUSED_LENGTHS)
async def test_several_content_lengths_are_refused(lengths: bytes, packet_size: int) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await receive(STATUS + lengths + b"\r\n" + BODY, packet_size)


@pytest.mark.parametrize("packet_size", [1, 9, 1000])
async def test_body_that_looks_like_a_head_is_kept(packet_size: int) -> None:
    body = b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n"
    lengths = b"Content-Length: %d\r\n" % len(body) * 2
    assert (await receive(STATUS + lengths + b"\r\n" + body, packet_size))[1] == body


async def test_repeated_length_beside_chunks_is_ignored() -> None:
    lengths = b"Content-Length: 9\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await receive(STATUS + lengths + b"3\r\nok!\r\n0\r\n\r\n", 5))[1] == BODY


async def test_head_with_repeated_lengths_without_end_is_limited() -> None:
    lengths = b"Content-Length: 3\r\nContent-Length: 3\r\nX: "
    with pytest.raises(httpx.RemoteProtocolError, match="outside the body"):
        await receive(STATUS + lengths + b"y" * MAX_OVERHEAD_BYTES, 1000)


# --- Limits ---


@pytest.mark.parametrize("excess", [0, 1])
async def test_reading_pauses_while_too_much_of_a_body_is_unread(excess):
    body = b"x" * (MAX_UNREAD_BYTES + excess)
    connection = await receive_head(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + body)
    assert connection._transport.is_reading is not bool(excess)
    assert await anext(connection.iter_body()) == body
    assert connection._transport.is_reading


@pytest.mark.slow
@pytest.mark.parametrize(("idle_seconds", "connections"), [(-1, 1), (1, 2)])
async def test_connection_that_was_idle_for_long_is_not_used_again(idle_seconds, connections):
    async with Hostile() as server, create_fetcher() as fetch:
        await fetch.get(link_request(server.url("ok")))
        [connection] = fetch._pool._idle_connections.values()
        connection.idle_since -= MAX_IDLE_SECONDS + idle_seconds
        await fetch.get(link_request(server.url("ok")))
        assert server.connections == connections


async def test_first_addresses_of_a_name_are_dialled(monkeypatch):
    addresses = [f"93.184.215.{number}" for number in range(MAX_DIALED_ADDRESSES + 1)]
    resolver = Mock(resolve=AsyncMock(return_value=addresses))
    dial = AsyncMock(side_effect=ConnectionRefusedError)
    monkeypatch.setattr(pool, "open_connection", dial)
    with pytest.raises(ConnectionRefusedError):
        await ConnectionPool(SsrfGuard(), resolver, None, None)._dial("annour.ma", 80, 1)
    assert [call.args[0] for call in dial.call_args_list] == addresses[:-1]


@pytest.mark.parametrize("excess", [-1, 1])
def test_crawl_delay_is_applied_up_to_the_limit(excess):
    host = HostState("annour.ma", crawl_delay=1, host_breaker_failures=3)
    host.apply_crawl_delay(MAX_CRAWL_DELAY_SECONDS + excess)
    assert host.crawl_delay == MAX_CRAWL_DELAY_SECONDS + min(excess, 0)


@pytest.mark.parametrize(
    ("following", "is_cut"),
    [
        (b"", False),
        (gzip.compress(b"more"), True),
        (b"\r\n", False),
        (b"\0" * 8, False),
        (b"\x1f", False),
        (b"garbage", False),
    ],
    ids=["nothing", "a member", "a line end", "padding", "half a mark", "garbage"],
)
@pytest.mark.parametrize("step", [1, 7, 1_000])
@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_body_with_another_gzip_member_is_cut(compress, following, is_cut, step):
    """Browsers ignore any other data after the first one."""
    decoder = BodyDecoder("gzip", 1_000)
    data = compress(b"page") + following
    for start in range(0, len(data), step):
        decoder.feed(data[start : start + step])
    assert (bytes(decoder.data), decoder.truncated) == (b"page", is_cut)
