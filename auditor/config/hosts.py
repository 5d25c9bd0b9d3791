"""Validate names of hosts in settings: a name or an IP address without scheme, port and path."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from auditor.config.loader import build_setting_error
from probes.urls.domains import MAX_HOST_CHARS, encode_domain

EXAMPLE_HOST = "presence.example.org"
HOST_NAME_PATTERN = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def validate_host(value: str) -> str:
    """Return a host name in lower case, or an IP address. Raises the error of a setting.

    A name in another script is refused with its ASCII form, in which browsers send it.
    """
    host = value.lower()
    if not is_host(host):
        message = "{value} is not a host name, which has no scheme, port and path"
        suggestion = f'"{_extract_host(host) or EXAMPLE_HOST}"'
        raise build_setting_error(message, suggestion, value=f'"{value}"')
    return host


def is_host(host: str) -> bool:
    """Return True for a host name in lower-case ASCII, or an IP address without brackets."""
    try:
        ip_address(host)
    except ValueError:
        is_name = HOST_NAME_PATTERN.fullmatch(host) is not None and len(host) <= MAX_HOST_CHARS
        return is_name and not host.rpartition(".")[2].isdigit()  # no other IPv4 address
    return True


def _extract_host(value: str) -> str:
    """Return the host in a URL or in a name with a port, or "" if there is none."""
    url = value if "//" in value else f"//{value}"
    try:
        host = encode_domain(urlsplit(url).hostname or "")
    except ValueError:
        return ""
    return host if is_host(host) else ""
