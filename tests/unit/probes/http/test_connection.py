"""Responses with several Content-Length values, in packets of every size (RFC 9110, 8.6)."""

import asyncio

import httpx
import pytest

from probes.http.connection import MAX_OVERHEAD_BYTES, HttpConnection

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

    def __init__(self) -> None:
        super().__init__()
        self.has_ended = False

    def write(self, data: bytes) -> None:
        """Send nothing."""

    def abort(self) -> None:
        """End the connection."""
        self.has_ended = True

    def is_closing(self) -> bool:
        """Return True after the end."""
        return self.has_ended


async def receive(response: bytes, packet_size: int) -> tuple[HttpConnection, bytes]:
    """Return the connection and the body after a response in packets of this size."""
    connection = HttpConnection()
    connection.connection_made(RecordingTransport())
    request = asyncio.ensure_future(connection.send_request(b"GET / HTTP/1.1\r\n\r\n"))
    await asyncio.sleep(0)
    for start in range(0, len(response), packet_size):
        connection.data_received(response[start : start + packet_size])
    await request
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


async def test_head_without_end_is_limited() -> None:
    lengths = b"Content-Length: 3\r\nX: "
    with pytest.raises(httpx.RemoteProtocolError, match="outside the body"):
        await receive(STATUS + lengths + b"y" * MAX_OVERHEAD_BYTES, 1000)


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
