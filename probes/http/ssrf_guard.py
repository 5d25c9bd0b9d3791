"""SSRF guard: which addresses may be contacted.

URLs are checked before a lookup and addresses before a connection. The forbidden networks are an
explicit table, because `is_global` of Python is no policy: it changes between patch releases and
calls multicast and cloud metadata addresses global (seen on 3.11 to 3.13, 2026-11).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NoReturn

import httpx

from probes.links.domains import MAX_HOST_CHARS
from probes.models.finding import Reason
from probes.models.http import FetchError

IpNetwork = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

# IANA's IPv4 special-purpose registry, and 168.63.129.16, the host agent of Azure, which is public
# there.
FORBIDDEN_IPV4_NETWORKS = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("168.63.129.16/32"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/4"),
    IPv4Network("240.0.0.0/4"),
)
# Only 2000::/3 is global unicast today, so mapped, translated, local and multicast addresses are
# excluded. Teredo, documentation and 6to4 are forbidden within it.
GLOBAL_IPV6_NETWORK = IPv6Network("2000::/3")
FORBIDDEN_IPV6_NETWORKS = (
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)

ALLOWED_PORTS = frozenset({80, 443, 8080, 8443})
MAX_URL_CHARS = 4096
"""Characters of an address that is requested."""
LABEL_LENGTHS = range(1, 64)
"""Possible numbers of characters in a label of a host name (RFC 1035)."""
LOCAL_TLDS = frozenset(
    {"localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "arpa"}
)
_DECEPTIVE_CHARACTER = re.compile(r"[\x00-\x20\x7f\\]")
_URL_AUTHORITY = re.compile(r"(?i)https?://[^/?#]+")
_NUMERIC_LABEL = re.compile(r"(?i)[0-9]+|0x[0-9a-f]*")


def refuse_address(detail: str, url: str | None = None) -> NoReturn:
    """Raise FetchError `unsafe_address`, which is never retried."""
    raise FetchError(Reason.UNSAFE_ADDRESS, detail, url=url)


def is_public_address(address: IpAddress) -> bool:
    """Return True if the address is public on the internet."""
    if isinstance(address, IPv4Address):
        return not _is_in_networks(address, FORBIDDEN_IPV4_NETWORKS)
    is_forbidden = _is_in_networks(address, FORBIDDEN_IPV6_NETWORKS)
    return address in GLOBAL_IPV6_NETWORK and not is_forbidden


def _is_in_networks(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address in network for network in networks)  # False for another IP version


class SsrfGuard:
    """The address policy. `allowed_networks` are exempted by the operator, e.g. an intranet.

    An exemption is for addresses. With one, local names and all ports pass `check_url`, because
    `check_address` judges each address that they lead to. Behind a proxy, which resolves names
    itself, they are refused: they could lead to any address that the proxy reaches.
    """

    def __init__(
        self, allowed_networks: Iterable[IpNetwork] = (), *, is_behind_proxy: bool = False
    ) -> None:
        self.allowed_networks = tuple(allowed_networks)
        self._checks_names = is_behind_proxy or not self.allowed_networks

    def check_address(self, text: str, port: int) -> str:
        """Return the address to dial.

        Raises FetchError if it is not public or the port is not allowed.

        Any port of an exempted network may be dialled. A zone id ("%eth0") is refused, because it
        names a network interface of this machine.
        """
        if "%" in text:
            refuse_address(f"{text} has a zone id")
        address = ip_address(text)
        if _is_in_networks(address, self.allowed_networks):
            return str(address)
        if not is_public_address(address):
            refuse_address(f"{address} is not a public address")
        if port not in ALLOWED_PORTS:
            refuse_address(f"port {port}")
        return str(address)

    def check_url(self, text: str) -> httpx.URL:
        """Return the parsed URL of a request or redirect. Raises FetchError `unsafe_address`.

        Refused are schemes other than http and https, credentials, backslashes and control
        characters (parsers disagree about the end of the host), numbers that are no plain IPv4
        address, names of the local network, and ports that are not allowed. A final dot of the host
        is dropped, and spaces in a path are encoded.
        """
        text = text.strip(" ")
        authority = _URL_AUTHORITY.match(text)
        if (
            authority is None
            or len(text) > MAX_URL_CHARS
            or _DECEPTIVE_CHARACTER.search(authority[0])
        ):
            refuse_address("not a web address", text[:MAX_URL_CHARS])
        text = authority[0] + text[authority.end() :].replace(" ", "%20")
        if _DECEPTIVE_CHARACTER.search(text):
            refuse_address("not a web address", text)
        try:
            url = _parse_url(text)
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchError(Reason.UNSAFE_ADDRESS, "not a web address", url=text) from error
        if url.userinfo:
            refuse_address("credentials in the address", text)
        host = get_ascii_host(url)
        self._check_host(host, get_port(url), text)
        return url.copy_with(host=host[:-1]) if host.endswith(".") else url

    def _check_host(self, host: str, port: int, text: str) -> None:
        labels = host.removesuffix(".").split(".")
        if ":" in host or _NUMERIC_LABEL.fullmatch(labels[-1]):
            # Browsers treat it as an address, so it must be a plain one.
            try:
                self.check_address(host, port)
            except ValueError as error:
                raise FetchError(Reason.UNSAFE_ADDRESS, "not a plain address", url=text) from error
            return
        has_valid_labels = set(map(len, labels)).issubset(LABEL_LENGTHS)
        if not has_valid_labels or len(host) > MAX_HOST_CHARS or "%" in host:
            refuse_address("not a host name", text)
        if not self._checks_names:
            return
        if len(labels) == 1 or labels[-1] in LOCAL_TLDS:
            refuse_address("a name of the local network", text)
        if port not in ALLOWED_PORTS:
            refuse_address(f"port {port}", text)


_parse_url = lru_cache(maxsize=1_000)(httpx.URL)
"""Parses a URL. Cached, because parsing takes a tenth of the time of a request (2026-11)."""


def get_ascii_host(url: httpx.URL) -> str:
    """Return the host as it is sent. `url.host` raises errors for a malformed `xn--` label."""
    return url.raw_host.decode("ascii")


def get_port(url: httpx.URL) -> int:
    """Return the port to dial. An explicit port 0 is kept."""
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80
