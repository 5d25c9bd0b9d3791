"""SSRF guard: every spelling of an address is judged by the same table."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.http.ssrf_guard import (
    ALLOWED_PORTS,
    FORBIDDEN_IPV4_NETWORKS,
    FORBIDDEN_IPV6_NETWORKS,
    GLOBAL_IPV6_NETWORK,
    IpAddress,
    IpNetwork,
    SsrfGuard,
    is_public_address,
)
from probes.models.http import FetchError

FOUR_AND_MORE = {
    "mapped": 0xFFFF << 32,
    "compatible": 0,
    "translated": 0xFFFF << 48,
    "nat64": 0x64FF9B << 96,
    "local nat64": 0x64FF9B << 96 | 1 << 80,
}
"""How an IPv4 address hides in the last bits of an IPv6 one."""
DIGITS = ("０１２３４５６７８９", "⓪①②③④⑤⑥⑦⑧⑨", "٠١٢٣٤٥٦٧٨٩", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
DOTS = "。．｡"


def is_allowed(guard: SsrfGuard, address: str, port: int) -> bool:
    """Return True if the guard lets the fetcher dial an address."""
    with suppress(FetchError):
        return bool(guard.check_address(address, port))
    return False


def edges(blocks: Iterable[IpNetwork]) -> list[IpAddress]:
    """The first and the last address of each block, and their neighbours."""
    ends = {end for block in blocks for end in (block[0], block[-1])}
    last = {4: IPv4Network("0.0.0.0/0")[-1], 6: IPv6Network("::/0")[-1]}
    near = [
        *ends,
        *(end + 1 for end in ends if end != last[end.version]),
        *(end - 1 for end in ends if int(end)),
    ]
    return sorted(near, key=int)


FOURS = st.sampled_from(edges(FORBIDDEN_IPV4_NETWORKS)) | st.integers(0, 2**32 - 1).map(IPv4Address)
SIXES = st.one_of(
    st.sampled_from(edges((GLOBAL_IPV6_NETWORK, *FORBIDDEN_IPV6_NETWORKS))),
    st.integers(0, 2**128 - 1).map(IPv6Address),
    st.integers(int(GLOBAL_IPV6_NETWORK[0]), int(GLOBAL_IPV6_NETWORK[-1])).map(IPv6Address),
    st.builds(
        lambda high, four: IPv6Address(high | int(four)),
        st.sampled_from([*FOUR_AND_MORE.values()]),
        FOURS,
    ),
    st.builds(
        lambda four, low: IPv6Address(0x2002 << 112 | int(four) << 80 | low),
        FOURS,
        st.integers(0, 2**16),
    ),
)


@st.composite
def fours(draw: st.DrawFn) -> str:
    """An IPv4 address in one to four parts, as the C library reads them, each in any base."""
    number = int(draw(FOURS))
    count = draw(st.integers(1, 4))
    parts = [number >> 24 - 8 * place & 0xFF for place in range(count - 1)]
    parts.append(number & (1 << 8 * (5 - count)) - 1)
    return ".".join(draw(st.sampled_from(_bases(part))) for part in parts) + draw(
        st.sampled_from(["", "."])
    )


def _bases(part: int) -> list[str]:
    return [
        f"{part}",
        f"{part:#x}",
        f"{part:#X}",
        f"0{part:o}",
        f"0000{part:o}",
        f"0x0000{part:x}",
        f"{part:03}",
    ]


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """Draw a spelling with other digits, with other dots, or percent-encoded."""
    text = draw(fours())
    digits = draw(st.sampled_from(DIGITS))
    table = str.maketrans("0123456789", digits)
    ways = [
        text.translate(table),
        text.replace(".", draw(st.sampled_from(DOTS))),
        quote(text, safe=""),
    ]
    return draw(st.sampled_from([*ways, "".join(f"%{ord(letter):02x}" for letter in text)]))


@st.composite
def sixes(draw: st.DrawFn) -> str:
    """An IPv6 address: long, short, loud, with its last four bytes as IPv4 or in a zone."""
    address = draw(SIXES)
    high, low = address.exploded[:30], IPv4Address(int(address) & 0xFFFFFFFF)
    ways = [
        str(address),
        address.exploded,
        address.exploded.upper(),
        f"{high}{low}",
        f"{address}%25eth0",
    ]
    if not int(address) >> 48:
        ways.append(f"::{int(address) >> 32 & 0xFFFF:x}:{low}")
    return f"[{draw(st.sampled_from(ways))}]"


SPELLED = st.one_of(fours(), disguised(), sixes())
PORTED = st.sampled_from(["", ":80", ":443", ":", ":8080", ":0", ":22", ":65535"])


@pytest.mark.fault("F01")
@given(
    SPELLED, PORTED, st.sampled_from(["", "/", "/a?b#c", "?@public.example", "#@public.example"])
)
def test_no_spelling_of_forbidden_address_passes(host: str, port: str, rest: str) -> None:
    with suppress(FetchError):
        url = SsrfGuard().check_url(f"http://{host}{port}{rest}")
        assert (url.port or 80) in ALLOWED_PORTS
        literal = url.raw_host.decode()
        try:
            assert is_public_address(ip_address(literal))
        except ValueError:  # a name; then no library may take it for an address
            with pytest.raises(OSError, match="illegal IP"):
                socket.inet_aton(literal)


@pytest.mark.fault("F01")
@given(FOURS | SIXES)
def test_plain_spelling_passes_only_for_public_address(address: IpAddress) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    try:
        url = SsrfGuard().check_url(f"http://{host}/")
    except FetchError:
        assert not is_public_address(address)
    else:
        assert is_public_address(address)
        assert ip_address(url.raw_host.decode()) == address


@pytest.mark.fault("F01")
@given(FOURS | SIXES, st.integers(0, 65535))
def test_resolved_address_is_dialled_only_if_public(address: IpAddress, port: int) -> None:
    assert is_allowed(SsrfGuard(), str(address), port) == (
        is_public_address(address) and port in ALLOWED_PORTS
    )
    assert not is_allowed(SsrfGuard(), f"{address}%1", port)


# What the interpreter calls global and we do not, in one release or another (3.11 to 3.13), and why
# not.
STRICTER = {
    "168.63.129.16/32": "Azure's host agent, which IANA calls public",
    "192.0.0.0/24": "IETF protocol assignments; Oracle's metadata is among them",
    "192.88.99.0/24": "relays of 6to4, given up",
    "224.0.0.0/4": "multicast",
    "::/3": "mapped, compatible, translated and NAT64 addresses, which lead to IPv4 ones",
    "4000::/2": "not given to anybody yet",
    "8000::/2": "not given to anybody yet",
    "c000::/2": "not given to anybody yet; below it private, local and multicast ones",
    "2001::/23": "IETF protocol assignments; Teredo is among them, which leads to IPv4 addresses",
    "2002::/16": "6to4, which leads to IPv4 addresses",
    "3fff::/20": "documentation, since 2024",
}
EXPLAINED = [IPv4Network(block) if "." in block else IPv6Network(block) for block in STRICTER]


@pytest.mark.fault("F01")
@given(FOURS | SIXES)
def test_table_is_stricter_than_ipaddress(address: IpAddress) -> None:
    if is_public_address(address):
        assert address.is_global
    elif address.is_global:
        assert any(address in block for block in EXPLAINED if block.version == address.version)
