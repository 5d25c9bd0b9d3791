"""DNS resolution, failing name servers, and requests through a proxy."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from probes.http.dns import DnsResolver
from probes.models.finding import Reason
from probes.models.http import FetchError, PageRequest
from tests.support.hostile_server.fetching import (
    NOW,
    create_fetcher,
    describe_outcome,
    fetch_outcome,
    link_request,
)
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer

pytestmark = pytest.mark.slow  # sockets


@pytest.mark.fault("F01", "F05")
@pytest.mark.parametrize(
    ("zone", "expected", "requests"),
    [
        ({"site.example": "NXDOMAIN"}, "no_such_host/the name does not exist", 1),
        ({"site.example": {"A": "SERVFAIL", "AAAA": "SERVFAIL"}}, "network/dns", 3),
        ({"site.example": {"A": "NXDOMAIN", "AAAA": "SERVFAIL"}}, "network/dns", 3),
        ({"site.example": {"A": "REFUSED", "AAAA": "REFUSED"}}, "network/dns", 3),
        ({"site.example": {"A": [], "AAAA": []}}, "network/the name has no address", 3),
        ({"site.example": "silent"}, "timeout/dns", 3),
        ({"com": "NXDOMAIN"}, "network/the name server denies every name", 3),
        ({"com": "SERVFAIL"}, "network/the name server denies every name", 3),
        ({"com": "silent"}, "network/the name server denies every name", 3),
        (
            {"site.example": ["127.0.0.1", "10.0.0.5"]},
            "unsafe_address/10.0.0.5 is not a public address",
            1,
        ),
    ],
)
async def test_only_proven_absence_is_no_such_host_and_not_retried(
    zone: dict[str, object], expected: str, requests: int
) -> None:
    """A name server that denies every name is that of a closed network, seen 2026-11."""
    async with (
        NameServer(zone) as names,
        create_fetcher(nameservers=(names.address,), dns_timeout=0.05, max_retries=2) as fetch,
    ):
        outcome = await fetch_outcome(fetch, "http://site.example/")
        assert (describe_outcome(outcome), fetch.request_count) == (expected, requests)


@pytest.mark.fault("F05")
@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"", id="only a number"),
        pytest.param(b"\x81\x80" + bytes(range(200)), id="random bytes"),
        pytest.param(b"\x81\x80\0\1\0\1\0\0\0\0\x01a\xc0\x0c", id="truncated"),
    ],
)
async def test_malformed_response_affects_only_its_name(response: bytes) -> None:
    """c-ares closes the connection, and all lookups that wait on it fail."""
    good = [f"n{number}.example" for number in range(40)]
    zone: dict[str, object] = {name: ["127.0.0.1"] for name in good}
    async with NameServer(zone | {"bad.example": response}) as names:
        resolver = DnsResolver([names.address])
        lookups = map(resolver.resolve, [*good[:20], "bad.example", *good[20:]])
        outcomes = await asyncio.gather(*lookups, return_exceptions=True)
        await resolver.close()
    error = outcomes.pop(20)
    assert outcomes == [["127.0.0.1"]] * len(good)
    assert isinstance(error, FetchError)
    assert str(error) == "network: dns"


@pytest.mark.fault("F02")
@pytest.mark.parametrize(
    "dns_reply",
    [
        pytest.param({"A": ["127.0.0.1"], "AAAA": "SERVFAIL"}, id="one type of record"),
        pytest.param([["127.0.0.1"], ["10.0.0.5"]], id="another address at the second question"),
        pytest.param(["127.0.0.9", "127.0.0.1"], id="a first address that refuses"),
    ],
)
async def test_name_is_asked_once_and_its_checked_addresses_are_dialled(dns_reply: object) -> None:
    async with (
        Hostile() as server,
        NameServer({"site.example": dns_reply}) as names,
        create_fetcher(nameservers=(names.address,)) as fetch,
    ):
        outcome = await fetch_outcome(fetch, server.url("ok", "site.example"))
        assert (describe_outcome(outcome), names.asked["site.example"]) == ("200", 1)


@pytest.mark.fault("F04")
async def test_silent_names_do_not_delay_others() -> None:
    zone: dict[str, object] = {f"dead{number}.example": "silent" for number in range(50)}
    zone["alive.example"] = ["93.184.215.14"]
    async with NameServer(zone) as server:
        names = DnsResolver((server.address,), timeout=0.3)
        dead = [asyncio.create_task(names.resolve(f"dead{number}.example")) for number in range(50)]
        await asyncio.sleep(0)
        started = time.monotonic()
        assert await names.resolve("alive.example") == ["93.184.215.14"]
        assert time.monotonic() - started < 0.3  # before the first of the silent ones is given up
        results = await asyncio.gather(*dead, return_exceptions=True)
        assert time.monotonic() - started < 2
        assert {getattr(result, "reason", None) for result in results} == {Reason.TIMEOUT}
        await names.close()


@asynccontextmanager
async def proxy(script: Callable[[str], bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """Run a proxy that answers by the script. Yield its address and the request lines it gets."""
    lines: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines.append(head.split("\r\n")[0])
        writer.write(script(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://someone:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}", lines
    server.close()


def refusal(status: str = "502 Bad Gateway", proxy_status: str = "") -> bytes:
    return answer(
        b"no", status, f"Proxy-Status: {proxy_status}\r\n".encode() if proxy_status else b""
    )


NXDOMAIN = "cache.example; error=dns_error; rcode=NXDOMAIN"
MISSING = "no_such_host/the proxy reports that the name does not exist"
AUTHENTICATION = "407 Proxy Authentication Required"


@pytest.mark.parametrize(
    ("schemes", "response", "expected"),
    [
        ("http https", refusal(proxy_status=NXDOMAIN), MISSING),
        (
            "http https",
            refusal(proxy_status='cache.example; error=dns_error; rcode="NXDOMAIN"'),
            MISSING,
        ),
        (
            "http https",
            refusal(proxy_status="cache.example; error=dns_error; rcode=SERVFAIL"),
            "network/proxy",
        ),
        ("http https", refusal(proxy_status="cache.example; error=dns_timeout"), "network/proxy"),
        ("http https", refusal(AUTHENTICATION), "network/proxy"),
        ("https", refusal("403 Forbidden"), "network/proxy"),
        ("http", refusal(), "502"),
    ],
)
async def test_only_proxy_status_proves_missing_name(
    schemes: str, response: bytes, expected: str
) -> None:
    """The proxy says so by RFC 9209, in a tunnel and in plain forwarding."""
    async with proxy(lambda _: response) as (address, _), create_fetcher(proxy=address) as fetch:
        for scheme in schemes.split():
            outcome = await fetch_outcome(fetch, f"{scheme}://site.example/")
            assert describe_outcome(outcome) == expected


async def test_proxy_status_counts_only_with_a_proxy() -> None:
    """Without a proxy, the header comes from the site's own cache."""
    async with (
        Hostile(lambda *_: refusal(proxy_status=NXDOMAIN)) as server,
        create_fetcher() as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "502"


@pytest.mark.fault("F01")
@pytest.mark.parametrize("networks", [(), ("192.168.7.0/24",)], ids=["no exemption", "exemption"])
async def test_urls_are_checked_before_the_proxy_is_contacted(networks: tuple[str, ...]) -> None:
    """The proxy resolves, so the guard can only judge what is written.

    An exemption is for addresses. A name may lead to any other address that the proxy reaches.
    """
    options = {"allow_networks": networks}
    async with (
        proxy(lambda _: answer()) as (address, lines),
        create_fetcher(proxy=address, **options) as fetch,
    ):
        for url in (
            "http://169.254.169.254/",
            "https://localhost/",
            "http://2130706433/",
            "http://printer/",
            "http://files.lan/",
            "http://site.example:6379/",
        ):
            outcome = describe_outcome(await fetch_outcome(fetch, url))
            assert outcome.startswith("unsafe_address/")
        assert lines == []
        page = await fetch.get(link_request("http://site.example/a?b"))
    assert (page.status, lines) == (200, ["GET http://site.example/a?b HTTP/1.1"])


@pytest.mark.fault("F01")
async def test_locally_forbidden_name_is_not_sent_to_proxy() -> None:
    """The proxy resolves only names that the local name servers do not know, or not in time."""
    zone = {
        "inward.example": ["10.0.0.5"],
        "dumb.example": "silent",
        "good.example": ["93.184.215.14"],
    }
    async with NameServer(zone) as names, proxy(lambda _: answer()) as (address, lines):
        settings = {"allow_networks": (), "nameservers": (names.address,), "dns_timeout": 0.05}
        async with create_fetcher(proxy=address, **settings) as fetch:
            for scheme in ("http", "https"):
                none = await fetch_outcome(fetch, f"{scheme}://inward.example/")
                assert describe_outcome(none) == "unsafe_address/10.0.0.5 is not a public address"
            assert lines == []
            for host in ("dumb", "good", "unheard"):
                await fetch.get(link_request(f"http://{host}.example/"))
    assert len(lines) == 3


async def test_proxy_password_is_sent_only_to_the_proxy() -> None:
    heads: list[str] = []

    def script(head: str) -> bytes:
        heads.append(head)
        return refusal("403 Forbidden")

    async with proxy(script) as (address, _), create_fetcher(proxy=address) as fetch:
        await fetch_outcome(fetch, "https://site.example/")
    assert "Proxy-Authorization: Basic c29tZW9uZTpzZWNyZXQ=" in heads[0]
    assert heads[0].startswith("CONNECT site.example:443 HTTP/1.1")


async def test_proxy_that_is_down_is_a_network_error() -> None:
    async with create_fetcher(proxy="http://127.0.0.1:1") as fetch:
        assert (
            describe_outcome(await fetch_outcome(fetch, "https://site.example/"))
            == "network/refused"
        )


NAME_SERVERS = PageRequest("dns:annour.org?type=NS")
PARKED_ZONE: dict[str, object] = {
    "annour.org": {"NS": ["NS2.SedoParking.com", "ns1.sedoparking.com"], "A": ["91.195.240.12"]}
}


async def test_answer_to_a_dns_question_is_a_page_with_one_record_a_line() -> None:
    async with (
        NameServer(PARKED_ZONE) as names,
        create_fetcher(nameservers=(names.address,)) as fetch,
    ):
        page = await fetch.get(NAME_SERVERS)
        addresses = await fetch.get(PageRequest("dns:annour.org?type=A"))
    assert page.body == b"ns1.sedoparking.com\nns2.sedoparking.com\n"
    assert (page.url, page.status, page.fetched_at) == (NAME_SERVERS.url, 200, NOW)
    assert addresses.body == b"91.195.240.12\n"
    assert fetch.request_count == 0


@pytest.mark.parametrize(
    ("dns_reply", "expected"),
    [
        ({"NS": []}, "200"),
        ({"NS": "SERVFAIL"}, "network/dns"),
        ("NXDOMAIN", "network/dns"),
        ("silent", "timeout/dns"),
    ],
)
async def test_failed_dns_question_has_its_reason(dns_reply: object, expected: str) -> None:
    async with (
        NameServer({"annour.org": dns_reply}) as names,
        create_fetcher(nameservers=(names.address,), dns_timeout=0.05) as fetch,
    ):
        outcome = await fetch_outcome(fetch, NAME_SERVERS.url)
    assert describe_outcome(outcome) == expected


async def test_no_dns_question_is_asked_behind_a_proxy() -> None:
    async with (
        NameServer(PARKED_ZONE) as names,
        create_fetcher(proxy="http://127.0.0.1:1", nameservers=(names.address,)) as fetch,
    ):
        outcome = await fetch_outcome(fetch, NAME_SERVERS.url)
    assert describe_outcome(outcome).startswith("not_configured/")
    assert not names.asked_name_servers


@pytest.mark.parametrize(
    "url", ["dns:localhost?type=NS", "dns:annour.org?type=ANY", "dns://1.1.1.1/annour.org?type=NS"]
)
async def test_only_questions_for_names_and_addresses_are_asked(url: str) -> None:
    async with NameServer({}) as names, create_fetcher(nameservers=(names.address,)) as fetch:
        outcome = await fetch_outcome(fetch, url)
    assert describe_outcome(outcome) == "unsafe_address/not a DNS question"
    assert not names.asked
