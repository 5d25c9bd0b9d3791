"""SSRF guard: allowed and refused URLs and addresses."""

from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.http import pool
from probes.http.connection import HttpConnection
from probes.http.fetcher import Fetcher, FetchOptions
from probes.http.request_chain import RedirectChain
from probes.http.ssrf_guard import SsrfGuard, is_public_address
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile
from tests.support.hostile_server.tricks import Site, recorded, zone

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


def is_allowed(guard: SsrfGuard, address: str, port: int) -> bool:
    """Return True if the guard lets the fetcher dial an address."""
    with suppress(FetchError):
        return bool(guard.check_address(address, port))
    return False


@pytest.mark.parametrize(
    "text",
    [
        "https://association.example/",
        "http://PUBLIC.Example:8080/a?b#c",
        "http://جمعية.example/",
        "http://under_score.example/",
        "http://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    ],
)
def test_ordinary_url_is_allowed(text: str) -> None:
    SsrfGuard().check_url(text)


@pytest.mark.fault("F01")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "//association.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "ws://association.example/",
        "http:127.0.0.1/",
        "http://someone@association.example/",
        "http://127.0.0.1\\@association.example/",
        "http://association.example/\r\nX: y",
        "http://asso ciation.example/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://１２７.０.０.１/",
        "http://[::1]/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://localhost/",
        "http://printer/",
        "http://printer.local/",
        "http://association.example:25/",
        "http://association.example:0/",
        "http://association.example:65536/",
        "http://./",
        "http://" + "a" * 64 + ".example/",
        "http://association.example/" + "a" * 5000,
    ],
)
def test_deceptive_url_is_refused_before_lookup(text: str) -> None:
    with pytest.raises(FetchError) as caught:
        SsrfGuard().check_url(text)
    assert caught.value.reason is Reason.UNSAFE_ADDRESS


@pytest.mark.fault("F01")
@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fec0::1",
        "3fff::1",
        "ff02::1",
        "::7f00:1",
    ],
)
def test_non_public_address_is_refused(text: str) -> None:
    """`is_global` of some Python releases calls most of these public."""
    assert not is_public_address(ip_address(text))


def test_exempted_network_is_allowed_on_any_port() -> None:
    guard = SsrfGuard([ip_network("127.0.0.0/8")])
    assert guard.check_address("127.0.0.1", 12345) == "127.0.0.1"
    guard.check_url("http://127.0.0.1:12345/")
    for text, port in (("10.0.0.1", 80), ("93.184.215.14", 25), ("::1", 80)):
        with pytest.raises(FetchError):
            guard.check_address(text, port)


@pytest.mark.parametrize(
    "text", ["http://intranet/", "http://files.lan:8000/", "http://site.example:9000/"]
)
def test_exemption_leaves_the_choice_to_the_dialled_address(text: str) -> None:
    """A name may lead into the exempted network, and any address outside of it is refused."""
    guard = SsrfGuard([ip_network("192.168.7.0/24")])
    guard.check_url(text)
    assert is_allowed(guard, "192.168.7.3", 9000)
    for address, port in (("192.168.8.3", 80), ("127.0.0.1", 80), ("93.184.215.14", 9000)):
        assert not is_allowed(guard, address, port)
    with pytest.raises(FetchError):
        SsrfGuard([ip_network("192.168.7.0/24")], is_behind_proxy=True).check_url(text)


def test_final_dot_of_host_is_dropped() -> None:
    assert (
        str(SsrfGuard().check_url("http://association.example./a"))
        == "http://association.example/a"
    )


@given(st.text(max_size=80) | st.from_regex(r"https?://[^\x00]{0,60}", fullmatch=True))
def test_guard_handles_any_text(text: str) -> None:
    with suppress(FetchError):
        url = SsrfGuard().check_url(text)
        assert url.scheme in {"http", "https"}
        assert url.raw_host


@given(st.text(max_size=60))
def test_redirect_handles_any_location(location: str) -> None:
    fetch = Fetcher(FetchOptions(), NOW)
    chain = RedirectChain(
        httpx.URL("https://association.example/a"), {}, insecure=False, max_bytes=1
    )
    with suppress(FetchError):
        fetch._sender.move_to_redirect(chain, location)


def test_spaces_in_path_are_encoded_and_in_host_refused() -> None:
    url = SsrfGuard().check_url(" http://association.example/a b ")
    assert str(url) == "http://association.example/a%20b"


@pytest.mark.slow
@pytest.mark.fault("F01", "F02", "F03")
async def test_no_recorded_trick_reaches_forbidden_address(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs each case through the whole fetcher without a network namespace. See also test_bed."""
    dialled: list[str] = []
    cases = recorded(shared)
    site = Site(cases)
    real = pool.open_connection

    async def dial(address: str, port: int, seconds: float | None) -> HttpConnection:
        dialled.append(address)
        return await real("127.0.0.1", server.port, seconds)

    monkeypatch.setattr(pool, "open_connection", dial)
    wrong: list[tuple[str, object]] = []
    async with (
        Hostile(lambda *_: site(server.heads[-1])) as server,
        NameServer(zone(cases)) as names,
    ):
        options = FetchOptions(
            nameservers=(names.address,), host_delay=0, max_retries=0, host_breaker_failures=99
        )
        for case in cases:
            dialled.clear()
            async with Fetcher(options, NOW) as fetcher:
                try:
                    outcome: Page | FetchError = await fetcher.get(
                        PageRequest(case["url"], is_registered_link=True)
                    )
                except FetchError as none:
                    outcome = none
            reached = [address for address in dialled if not is_public_address(ip_address(address))]
            allowed = isinstance(outcome, Page)
            soft = case["expected"] == "deny" and "soft" in case
            if reached or (allowed != (case["expected"] == "allow") and not soft):
                wrong.append((case["id"], str(outcome)))
    assert wrong == []
