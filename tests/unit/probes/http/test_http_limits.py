"""Connections, names and hosts of a run have limits."""

import asyncio
import gzip
import zlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from probes.http import pool
from probes.http.connection import (
    MAX_CODING_CHARS,
    MAX_OVERHEAD_BYTES,
    MAX_UNREAD_BYTES,
    BodyDecoder,
    HttpConnection,
)
from probes.http.dns import MAX_RECORDS, DnsResolver
from probes.http.host_state import (
    MAX_CRAWL_DELAY_SECONDS,
    MAX_PARSED_RETRY_AFTER_SECONDS,
    MAX_RETRY_AFTER_CHARS,
    HostState,
    parse_retry_after,
)
from probes.http.pool import (
    MAX_DIALED_ADDRESSES,
    MAX_IDLE_CONNECTIONS,
    MAX_IDLE_SECONDS,
    ConnectionPool,
)
from probes.http.ssrf_guard import SsrfGuard
from probes.models.http import FetchError
from tests.support.hostile_server.fetching import create_fetcher, link_request
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer

STEPS = (-1, 0, 1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Transport(asyncio.Transport):
    """A transport that records whether it reads and whether it is open."""

    def __init__(self):
        super().__init__()
        self.is_reading = self.is_open = True

    def write(self, data):
        pass

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def abort(self):
        self.is_open = False

    def is_closing(self):
        return not self.is_open


async def receive(*pieces):
    """Return a connection that received a response in pieces, its transport and its request."""
    connection, transport = HttpConnection(), Transport()
    connection.connection_made(transport)
    request = asyncio.create_task(connection.send_request(b""))
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    return connection, transport, request


# --- Connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
async def test_response_with_more_bytes_outside_the_body_is_refused(step):
    start = b"HTTP/1.1 200 OK\r\nX: "
    filling = b"y" * (MAX_OVERHEAD_BYTES - len(start) + step)
    _, transport, request = await receive(start, filling)
    if step <= 0:
        assert transport.is_open
        request.cancel()
    else:
        with pytest.raises(httpx.RemoteProtocolError, match="too much data outside the body"):
            await request
        assert not transport.is_open


@pytest.mark.parametrize("step", STEPS)
async def test_reading_pauses_while_too_much_of_a_body_is_unread(step):
    body = b"x" * (MAX_UNREAD_BYTES + step)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"
    connection, transport, request = await receive(head, body)
    await request
    assert transport.is_reading is (step <= 0)
    assert await anext(connection.iter_body()) == body
    assert transport.is_reading


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_an_unknown_coding_is_quoted(step):
    coding = "x" * (MAX_CODING_CHARS + step)
    with pytest.raises(FetchError) as caught:
        BodyDecoder(coding, 1_000)
    assert caught.value.detail == f"coding {coding[:MAX_CODING_CHARS]}"


@pytest.mark.parametrize("step", STEPS)
async def test_longest_idle_connection_is_closed(step):
    """The first host needs a second connection if more hosts were requested than are kept."""
    hosts = [f"a{number}.example" for number in range(MAX_IDLE_CONNECTIONS + step)]
    async with (
        Hostile(lambda *_: answer()) as server,
        NameServer({host: ["127.0.0.1"] for host in hosts}) as names,
        create_fetcher(nameservers=(names.address,), dns_timeout=9) as fetch,
    ):
        for host in [*hosts, hosts[0]]:
            await fetch.get(link_request(server.url("ok", host)))
        assert server.connections == len(hosts) + (1 if step > 0 else 0)


@pytest.mark.parametrize("step", STEPS)
async def test_connection_that_was_idle_for_long_is_not_used_again(step):
    async with Hostile() as server, create_fetcher() as fetch:
        await fetch.get(link_request(server.url("ok")))
        [connection] = fetch._pool._idle_connections.values()
        connection.idle_since -= MAX_IDLE_SECONDS + step - 0.5
        await fetch.get(link_request(server.url("ok")))
        assert server.connections == (1 if step <= 0 else 2)


# --- Names ----------------------------------------------------------------------------------------


class Resolver:
    def __init__(self, addresses):
        self.addresses = addresses

    async def resolve(self, _):
        return self.addresses


@pytest.mark.parametrize("step", STEPS)
async def test_first_addresses_of_a_name_are_dialled(monkeypatch, step):
    addresses = [f"93.184.215.{number}" for number in range(MAX_DIALED_ADDRESSES + step)]
    dialled = []

    async def refuse(address, *_):
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(pool, "open_connection", refuse)
    with pytest.raises(ConnectionRefusedError):
        await ConnectionPool(SsrfGuard(), Resolver(addresses), None, None)._dial("annour.ma", 80, 1)
    assert dialled == addresses[:MAX_DIALED_ADDRESSES]


@pytest.mark.parametrize("step", STEPS)
async def test_first_records_of_each_type_are_read(step):
    count = MAX_RECORDS + step
    zone = {
        "A": [f"93.184.215.{number}" for number in range(count)],
        "AAAA": [f"2606:2800::{number}" for number in range(1, count + 1)],
    }
    async with NameServer({"annour.example": zone}) as server:
        resolver = DnsResolver((server.address,), timeout=9)
        addresses = await resolver.resolve("annour.example")
        await resolver.close()
    assert addresses == zone["A"][:MAX_RECORDS] + zone["AAAA"][:MAX_RECORDS]


# --- Hosts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_crawl_delay_is_applied_up_to_the_limit(step):
    host = HostState("annour.ma", crawl_delay=1, host_breaker_failures=3)
    host.apply_crawl_delay(MAX_CRAWL_DELAY_SECONDS + step)
    assert host.crawl_delay == min(MAX_CRAWL_DELAY_SECONDS, MAX_CRAWL_DELAY_SECONDS + step)


@pytest.mark.parametrize("step", STEPS)
def test_retry_after_is_read_up_to_the_limit(step):
    seconds = int(MAX_PARSED_RETRY_AFTER_SECONDS) + step
    moment = NOON + timedelta(seconds=seconds)
    expected = min(seconds, MAX_PARSED_RETRY_AFTER_SECONDS)
    assert parse_retry_after(str(seconds), NOON) == expected
    assert parse_retry_after(f"{moment:%a, %d %b %Y %H:%M:%S} GMT", NOON) == expected


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_retry_after_is_read(step):
    text = "7".rjust(MAX_RETRY_AFTER_CHARS + step, "0")
    assert parse_retry_after(text, NOON) == (7 if step <= 0 else 0)


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
