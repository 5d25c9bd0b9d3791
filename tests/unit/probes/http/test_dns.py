"""DNS resolution, failing name servers, and requests through a proxy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from probes.http.dns import DNS_ATTEMPTS, DnsResolver
from probes.http.fetcher import FetchOptions
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


@pytest.mark.fault("F05")
@pytest.mark.parametrize(
    ("dns_reply", "expected"),
    [
        ("NXDOMAIN", "no_such_host/the name does not exist"),
        ({"A": "SERVFAIL", "AAAA": "SERVFAIL"}, "network/dns"),
        ({"A": "NXDOMAIN", "AAAA": "SERVFAIL"}, "network/dns"),
        ({"A": "REFUSED", "AAAA": "REFUSED"}, "network/dns"),
        ({"A": [], "AAAA": []}, "network/the name has no address"),
        ("silent", "timeout/dns"),
    ],
)
async def test_only_proven_absence_is_no_such_host(dns_reply: object, expected: str) -> None:
    async with (
        NameServer({"site.example": dns_reply}) as names,
        create_fetcher(nameservers=(names.address,), dns_timeout=0.1) as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, "http://site.example/")) == expected


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


@pytest.mark.fault("F05")
@pytest.mark.parametrize("dns_reply", ["NXDOMAIN", "SERVFAIL", "silent"])
async def test_name_server_that_denies_every_name_proves_nothing(dns_reply: str) -> None:
    """A closed network's, seen 2026-11."""
    async with (
        NameServer({"com": dns_reply}) as names,
        create_fetcher(nameservers=(names.address,), dns_timeout=0.1) as fetch,
    ):
        outcome = describe_outcome(await fetch_outcome(fetch, "http://site.example/"))
        assert outcome == "network/the name server denies every name"


@pytest.mark.fault("F05")
@pytest.mark.parametrize(
    ("dns_reply", "requests"),
    [("NXDOMAIN", 1), ({"A": "SERVFAIL", "AAAA": "SERVFAIL"}, 3), ("silent", 3)],
)
async def test_missing_name_is_not_retried(dns_reply: object, requests: int) -> None:
    """The failures of a name server are."""
    async with (
        NameServer({"site.example": dns_reply}) as names,
        create_fetcher(nameservers=(names.address,), dns_timeout=0.05, max_retries=2) as fetch,
    ):
        await fetch_outcome(fetch, "http://site.example/")
        assert fetch.request_count == requests


async def test_one_record_type_is_enough() -> None:
    """Many answer for A and fail for AAAA."""
    zone = {"site.example": {"A": ["127.0.0.1"], "AAAA": "SERVFAIL"}}
    async with (
        Hostile() as server,
        NameServer(zone) as names,
        create_fetcher(nameservers=(names.address,)) as fetch,
    ):
        assert (
            describe_outcome(await fetch_outcome(fetch, server.url("ok", "site.example"))) == "200"
        )


@pytest.mark.fault("F01")
async def test_one_forbidden_address_refuses_the_name() -> None:
    async with (
        NameServer({"site.example": ["127.0.0.1", "10.0.0.5"]}) as names,
        create_fetcher(nameservers=(names.address,)) as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, "http://site.example/")).startswith(
            "unsafe_address/10.0.0.5"
        )


@pytest.mark.fault("F02")
async def test_name_is_resolved_once_per_connection() -> None:
    """The fetcher connects to the checked address and does not resolve the name again."""
    zone: dict[str, object] = {"site.example": [["127.0.0.1"], ["10.0.0.5"]]}
    async with (
        Hostile() as server,
        NameServer(zone) as names,
        create_fetcher(nameservers=(names.address,)) as fetch,
    ):
        assert (
            describe_outcome(await fetch_outcome(fetch, server.url("ok", "site.example"))) == "200"
        )
        assert names.asked["site.example"] == 1


async def test_next_address_is_tried_after_refusal() -> None:
    zone: dict[str, object] = {"site.example": ["127.0.0.9", "127.0.0.1"]}
    async with (
        Hostile() as server,
        NameServer(zone) as names,
        create_fetcher(nameservers=(names.address,)) as fetch,
    ):
        assert (
            describe_outcome(await fetch_outcome(fetch, server.url("ok", "site.example"))) == "200"
        )


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


@pytest.mark.fault("F04")
def test_lookup_takes_two_seconds_at_most() -> None:
    assert DNS_ATTEMPTS * FetchOptions().dns_timeout <= 2


@asynccontextmanager
async def proxy(script: Callable[[str], bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that answers each request line by the script; the lines it saw."""
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


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("proxy_status", "expected"),
    [
        (NXDOMAIN, Reason.NO_SUCH_HOST),
        ('cache.example; error=dns_error; rcode="NXDOMAIN"', Reason.NO_SUCH_HOST),
        ("cache.example; error=dns_error; rcode=SERVFAIL", Reason.NETWORK),
        ("cache.example; error=dns_timeout", Reason.NETWORK),
        ("cache.example; error=connection_refused", Reason.NETWORK),
    ],
)
async def test_only_proxy_status_proves_missing_name(
    scheme: str, proxy_status: str, expected: Reason
) -> None:
    """RFC 9209 through a tunnel and through plain forwarding."""
    async with (
        proxy(lambda _: refusal(proxy_status=proxy_status)) as (address, _),
        create_fetcher(proxy=address) as fetch,
    ):
        none = await fetch_outcome(fetch, f"{scheme}://site.example/")
    assert isinstance(none, FetchError)
    assert none.reason is expected


async def test_refused_tunnel_is_a_network_error() -> None:
    async with (
        proxy(lambda _: refusal("403 Forbidden")) as (address, _),
        create_fetcher(proxy=address) as fetch,
    ):
        assert (
            describe_outcome(await fetch_outcome(fetch, "https://site.example/")) == "network/proxy"
        )


async def test_proxy_authentication_is_a_network_error() -> None:
    required = "407 Proxy Authentication Required"
    async with (
        proxy(lambda _: refusal(required)) as (address, _),
        create_fetcher(proxy=address) as fetch,
    ):
        assert (
            describe_outcome(await fetch_outcome(fetch, "http://site.example/")) == "network/proxy"
        )
        assert (
            describe_outcome(await fetch_outcome(fetch, "https://site.example/")) == "network/proxy"
        )


async def test_error_page_through_proxy_belongs_to_the_site() -> None:
    async with proxy(lambda _: refusal()) as (address, _), create_fetcher(proxy=address) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, "http://site.example/")) == "502"


async def test_proxy_status_counts_only_with_a_proxy() -> None:
    """The header comes from the site's own cache then."""
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
            none = await fetch_outcome(fetch, url)
            assert isinstance(none, FetchError)
            assert none.reason is Reason.UNSAFE_ADDRESS
        assert lines == []
        page = await fetch.get(link_request("http://site.example/a?b"))
    assert (page.status, lines) == (200, ["GET http://site.example/a?b HTTP/1.1"])


@pytest.mark.fault("F01")
async def test_locally_forbidden_name_is_not_sent_to_proxy() -> None:
    """Where they are named; what they do not know, or not in time, is the proxy's to find."""
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
                assert (
                    describe_outcome(await fetch_outcome(fetch, f"http://{host}.example/")) == "200"
                )
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


def test_proxy_setting_must_be_a_url() -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        FetchOptions(proxy="socks5://127.0.0.1:1")


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
