"""Validators of settings: names of hosts, addresses, and texts of a form.

They raise ValueError, whose text is the reason, then "; try: " and what to write instead.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator

from probes.links.domains import MAX_HOST_CHARS, encode_domain

HOST_NAME_PATTERN = (
    rf"(?=.{{1,{MAX_HOST_CHARS}}}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{{0,61}}[a-z0-9_])?\.)*"
    r"(?!\d+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
"""A host name in lower-case ASCII. If its last label is a number, it is no IPv4 address either.

The pattern is compiled at its first use, which takes 6 ms.
"""
MAIL_ADDRESS_PATTERN = re.compile(r'[^\x00-\x20<>,;"()@\x80-\U0010ffff]+@[^\x00-\x20<>,;"()@]+')


def require(is_valid: Callable[[str], object], reason: str, remedy: str) -> AfterValidator:
    """Return a validator of a text that may be empty. `{value}` in the reason is the text."""

    def validate(value: Any) -> Any:
        if value and not is_valid(value):
            raise ValueError(reason.replace("{value}", f'"{value}"') + f"; try: {remedy}")
        return value

    return AfterValidator(validate)


def is_mail_address(address: str) -> bool:
    """Return True if a text can be a mail address.

    It has one @ between two parts, an ASCII local part, and no spaces or separators.
    """
    return MAIL_ADDRESS_PATTERN.fullmatch(address) is not None


def is_web_address(url: str) -> bool:
    """Return True for an address that begins with http or https."""
    return urlsplit(url).scheme in {"http", "https"}


def validate_host(value: str) -> str:
    """Return a host name in lower case, or an IP address, without scheme, port and path.

    A name in another script is refused with its ASCII form, in which browsers send it.
    """
    host = value.lower()
    if is_host(host):
        return host
    try:
        suggestion = encode_domain(urlsplit(host if "//" in host else f"//{host}").hostname or "")
    except ValueError:
        suggestion = ""
    if not is_host(suggestion):
        suggestion = "presence.example.org"
    reason = f'"{value}" is not a host name, which has no scheme, port and path'
    raise ValueError(f'{reason}; try: "{suggestion}"')


def is_host(host: str) -> bool:
    """Return True for a host name in lower-case ASCII, or an IP address without brackets."""
    try:
        ip_address(host)
    except ValueError:
        return re.fullmatch(HOST_NAME_PATTERN, host) is not None
    return True


def validate_network(network: str) -> str:
    """Return an IP address or network."""
    try:
        ip_network(network)
    except ValueError:
        reason = f'"{network}" is not an IP address or network'
        raise ValueError(f"{reason}; try: 127.0.0.1 or 10.0.0.0/8") from None
    return network


Host = Annotated[str, AfterValidator(validate_host)]
IpNetwork = Annotated[str, AfterValidator(validate_network)]
WebAddress = Annotated[
    str,
    require(is_web_address, "not a web address", "https://…"),
    AfterValidator(lambda url: url.rstrip("/")),
]
