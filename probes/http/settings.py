"""The `[fetch]` table of the configuration."""

import re
from contextlib import suppress
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork

_NAMESERVER_PATTERN = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]):([0-9]{1,5})")
PRODUCT_NAME = "presence-auditor"  # the user agent that robots.txt can name


def _validate_proxy(text: str | None) -> str | None:
    """Return the address of an HTTP proxy, or None for an empty text. Raises ValueError."""
    if not text:
        return None
    url = urlsplit(text)
    with suppress(ValueError):  # of the port
        if url.scheme == "http" and url.hostname and url.port != 0:
            return text
    raise ValueError("not a proxy address; try: http://host:port")


def _validate_header_text(text: str) -> str:
    """Return the text if it can be sent as a header: one line (RFC 9110 §5.5) of ASCII."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("not a header value; try: ASCII characters without accents")
    return text


def _validate_nameserver(text: str) -> str:
    """Return the text if it is an IP address, or one with a port. Raises ValueError."""
    match = _NAMESERVER_PATTERN.fullmatch(text)
    address, port = (match[1] or match[2], match[3]) if match else (text, "53")
    with suppress(ValueError):
        if not ip_address(address).is_unspecified and 0 < int(port) < 65_536:
            return text
    raise ValueError(
        f'"{text}" is not the IP address of a DNS server; '
        "try: 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53"
    )


Nameserver = Annotated[str, AfterValidator(_validate_nameserver)]
HeaderText = Annotated[str, AfterValidator(_validate_header_text)]


MAX_RETRY_WAIT_SECONDS = 30.0
"""Seconds between two attempts, unless the server asks for more."""


class FetchOptions(BaseModel):
    """Settings of the HTTP client. Times are in seconds, sizes in bytes.

    - `timeout` limits the network time of one attempt, redirects included. Waiting does not count.
    - `host_delay` is the delay between two requests to a host, `platform_delay` that of a
      platform's host, to which up to half is added at random. A `host_delay` below 1 shortens
      both, and 0 (for benchmarks) turns both off.
    - `platform_breaker_failures` refusals in a row stop all checks of a platform in this run.
    - `robots = "links"` requests a registered link once per run whatever robots.txt says,
      and obeys it for all other pages. `"strict"` always obeys it.
    - `allow_networks` lists the only exemptions from the SSRF guard: private networks, on every
      port. Local names may lead there, except behind a `proxy`.
    - `dns_timeout` is for one of two attempts.
    - `nameservers` replace those of the system. With a `proxy` they only serve to find forbidden
      addresses.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    proxy: Annotated[str | None, AfterValidator(_validate_proxy)] = Field(
        default=None, repr=False
    )  # may hold a password
    ca_file: Path | None = None
    contact: HeaderText = ""
    user_agent: HeaderText = ""
    robots: Literal["links", "strict"] = "links"
    allow_networks: tuple[IPvAnyNetwork, ...] = ()
    nameservers: tuple[Nameserver, ...] = ()
    host_delay: float = Field(default=1.0, ge=0, le=3600)
    platform_delay: float = Field(default=5.0, ge=0, le=3600)
    platform_breaker_failures: int = Field(default=3, ge=1, le=1000)
    concurrency: int = Field(default=50, ge=1, le=1000)
    timeout: float = Field(default=20.0, ge=0.01, le=600)
    connect_timeout: float = Field(default=5.0, ge=0.01, le=120)
    dns_timeout: float = Field(default=1.0, ge=0.01, le=60)
    max_bytes: int = Field(default=2 << 20, ge=1, le=32 << 20)
    max_redirects: int = Field(default=8, ge=0, le=30)
    max_retries: int = Field(default=2, ge=0, le=10)
    retry_wait: float = Field(default=1.0, ge=0, le=MAX_RETRY_WAIT_SECONDS)
    max_retry_after: float = Field(default=30.0, ge=0, le=3600)
    retry_budget: float = Field(default=0.1, ge=0, le=1)
    host_breaker_failures: int = Field(default=3, ge=1, le=1000)
    second_pass_delay: float = Field(default=1800.0, ge=0, le=86_400)

    @property
    def effective_platform_delay(self) -> float:
        """Return the delay between two requests to a platform's host."""
        return max(self.host_delay, self.platform_delay * min(1.0, self.host_delay))

    @property
    def effective_user_agent(self) -> str:
        """Return the User-Agent, which names the product and the operator's contact."""
        if self.user_agent:
            return self.user_agent
        contact = f"+{self.contact}" if self.contact else "link audit of a network of associations"
        return f"{PRODUCT_NAME}/{version(PRODUCT_NAME)} ({contact})"
