"""TLS: certificate errors, failed handshakes."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from probes.http.fetcher import Fetcher
from tests.support.hostile_server.authority import HOST, NOW, Authority
from tests.support.hostile_server.fetching import (
    create_fetcher,
    describe_outcome,
    fetch_outcome,
    link_request,
)
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import answer

pytestmark = pytest.mark.slow  # sockets


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def serve_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(answer())
    await writer.drain()


@asynccontextmanager
async def serve_site(
    authority: Authority, context: ssl.SSLContext | None, serve: Any = serve_ok, **changes: Any
) -> AsyncIterator[tuple[Fetcher, str]]:
    """A fetcher that trusts the authority, and the address of a server that speaks so."""
    busy: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with open_fetcher(authority, **changes) as fetch:
        yield fetch, f"https://{HOST}:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await asyncio.gather(*filter(None, busy))
    await asyncio.sleep(0)


@asynccontextmanager
async def open_fetcher(authority: Authority, **changes: Any) -> AsyncIterator[Fetcher]:
    async with (
        NameServer({HOST: ["127.0.0.1"]}) as names,
        create_fetcher(nameservers=(names.address,), ca_file=authority.file, **changes) as fetch,
    ):
        yield fetch


@asynccontextmanager
async def serve_refusing_site(
    authority: Authority, context: ssl.SSLContext
) -> AsyncIterator[tuple[Fetcher, str]]:
    """Serve like `site`, from a thread: asyncio closes without the TLS alert of other servers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        ending = threading.Event()
        thread = threading.Thread(target=_refuse, args=(listening, context, ending))
        thread.start()
        async with open_fetcher(authority) as fetch:
            yield fetch, f"https://{HOST}:{listening.getsockname()[1]}/"
        ending.set()
        await asyncio.to_thread(thread.join)


def _refuse(listening: socket.socket, context: ssl.SSLContext, ending: threading.Event) -> None:
    while not ending.is_set():
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection, context.wrap_socket(connection, server_side=True) as speaking:
                speaking.recv(10_000)
                speaking.sendall(answer())


@pytest.mark.fault("F17", "F28")
@pytest.mark.parametrize(
    ("wrong", "detail", "names"),
    [
        ("expired", "expired", (HOST,)),
        ("not_yet_valid", "not_yet_valid", (HOST,)),
        ("self_signed", "self_signed", (HOST,)),
        ("untrusted", "untrusted", (HOST,)),
        ("incomplete_chain", "incomplete_chain", (HOST,)),
        ("wrong_host", "wrong_host", ("other.example",)),
        ("weak_key", "weak_key", (HOST,)),
        ("no_san", "wrong_host", ()),  # browsers stopped reading the common name in 2017
    ],
)
async def test_invalid_certificate_has_its_detail_and_is_accepted_only_if_insecure(
    authority: Authority, wrong: str, detail: str, names: tuple[str, ...]
) -> None:
    """The request is not repeated."""
    async with serve_site(authority, authority.context(wrong), max_retries=2) as (fetch, url):
        assert describe_outcome(await fetch_outcome(fetch, url)) == f"tls/{detail}"
        assert fetch.request_count == 1
        page = await fetch.get(link_request(url, insecure=True))
        assert (page.status, page.insecure, page.certificate_expires) == (200, True, None)
        assert page.certificate_names == names
        assert describe_outcome(await fetch_outcome(fetch, url)) == f"tls/{detail}"


@pytest.mark.parametrize("right", ["good", "chain"])
async def test_page_has_expiry_and_names_of_its_certificate(
    authority: Authority, right: str
) -> None:
    async with serve_site(authority, authority.context(right)) as (fetch, url):
        page = await fetch.get(link_request(url))
    assert (page.certificate_expires - NOW.date()).days == 60
    assert (page.certificate_names, page.insecure) == ((HOST,), False)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(b"\x30\x02\xa3\x00", id="an X.400 address"),
        pytest.param(b"\x30\x04\x82\x02\xc3\xa9", id="a name in UTF-8"),
        pytest.param(b"\x30\x05\x82", id="truncated"),
        pytest.param(b"\x30\x02\x82\x00", id="an empty name"),
    ],
)
async def test_malformed_names_of_a_certificate_do_not_stop_the_request(
    authority: Authority, names: bytes
) -> None:
    try:
        context = authority.context_with_names(names)
    except ssl.SSLError as error:  # OpenSSL 3.0 of Debian 12 does not serve a truncated name
        pytest.skip(f"this OpenSSL does not serve such a certificate: {error}")
    async with serve_site(authority, context) as (fetch, url):
        page = await fetch.get(link_request(url, insecure=True))
    assert (page.status, page.certificate_names) == (200, ())


def build_old_protocol_context(authority: Authority) -> ssl.SSLContext:
    context = authority.context("good")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= ssl.OP_NO_TLSv1_3 | ssl.OP_NO_TLSv1_2
    return context


def build_unknown_name_context(authority: Authority) -> ssl.SSLContext:
    context = authority.context("good")
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    return context


def build_client_certificate_context(authority: Authority) -> ssl.SSLContext:
    context = authority.context("good")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    return context


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("build_context", "outcomes"),
    [
        (build_unknown_name_context, {"tls/handshake"}),
        # In TLS 1.3 it says so after the handshake, and its reset may overtake the word.
        (build_client_certificate_context, {"tls/handshake", "network/reset"}),
    ],
)
async def test_refused_handshake_is_a_tls_error(
    authority: Authority, build_context: Any, outcomes: set[str]
) -> None:
    async with serve_refusing_site(authority, build_context(authority)) as (fetch, url):
        assert describe_outcome(await fetch_outcome(fetch, url)) in outcomes


@pytest.mark.fault("F18")
@pytest.mark.filterwarnings("ignore:ssl.OP_NO_:DeprecationWarning")
async def test_old_tls_version_is_accepted_by_insecure_request(authority: Authority) -> None:
    async with serve_refusing_site(authority, build_old_protocol_context(authority)) as (
        fetch,
        url,
    ):
        assert describe_outcome(await fetch_outcome(fetch, url)) == "tls/handshake"
        assert describe_outcome(await fetch_outcome(fetch, url, insecure=True)) == "200"


async def answer_in_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(answer())
    await writer.drain()
    writer.write_eof()
    await reader.read()


async def stall(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.transport.abort()


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("serve", "outcome"),
    [
        (answer_in_plain, "tls/handshake"),
        (stall, "timeout/connect"),  # the chain of causes contains an SSL error, too
        (close, "network/reset"),
    ],
)
async def test_server_without_tls_has_its_outcome(
    authority: Authority, serve: Any, outcome: str
) -> None:
    async with serve_site(authority, None, serve, connect_timeout=0.2) as (fetch, url):
        assert describe_outcome(await fetch_outcome(fetch, url)) == outcome


async def test_insecure_session_is_never_reused_for_verified_request(authority: Authority) -> None:
    async with serve_site(authority, authority.context("expired")) as (fetch, url):
        assert describe_outcome(await fetch_outcome(fetch, url, insecure=True)) == "200"
        await fetch._pool.aclose()
        assert describe_outcome(await fetch_outcome(fetch, url)) == "tls/expired"
