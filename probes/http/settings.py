"""How to fetch: the `[fetch]` table of the configuration."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    NonNegativeFloat,
    PositiveFloat,
)

PRODUCT_NAME = "presence-auditor"  # the name that robots.txt files can speak to


def _validate_proxy(text: str | None) -> str | None:
    if text is None or text == "":
        return None
    url = httpx.URL(text)
    if url.scheme != "http" or not url.host:
        raise ValueError("a proxy is written http://host:port")
    return text


def _validate_header_text(text: str) -> str:
    """A header is one line (RFC 9110 §5.5), and we send it in ASCII, as httpx does."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(
            "each request is sent with it: no accents, only letters and signs of ASCII"
        )
    return text


HeaderText = Annotated[str, AfterValidator(_validate_header_text)]


@cache
def _get_product_version() -> str:
    try:
        return version(PRODUCT_NAME)
    except PackageNotFoundError:  # run from a bare checkout
        return "0"


class FetchOptions(BaseModel):
    """What `[fetch]` may say. Times are in seconds, sizes in bytes.

    `timeout` bounds all the network time of one try, redirects counted; waiting for a host's turn is
    not network time. `host_delay` is the rest of a host between two requests, `platform_delay` that of a
    platform's, with up to half as much again by chance; a shorter `host_delay` than a second shortens both,
    and with 0 (a bench's) no host rests. `give_up_after` so many refusals in a row a platform is left alone
    for the night. `robots = "links"` asks for a registered link once, as a link checker does, and
    obeys robots.txt for the rest; `"strict"` obeys it for all. `allow_networks` is the only exemption
    from the address guard. `dns_timeout` is for one of two tries. `nameservers` are asked instead of the
    system's; beside a `proxy` they have only to say which names lead inward.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    proxy: Annotated[str | None, AfterValidator(_validate_proxy)] = Field(
        default=None, repr=False
    )  # may hold a password
    ca_file: Path | None = None
    contact: HeaderText = ""
    user_agent: HeaderText = ""
    robots: Literal["links", "strict"] = "links"
    allow_networks: tuple[IPvAnyNetwork, ...] = ()
    nameservers: tuple[str, ...] = ()
    host_delay: NonNegativeFloat = 1.0
    platform_delay: NonNegativeFloat = 5.0
    platform_breaker_failures: int = Field(default=3, ge=1)
    concurrency: int = Field(default=50, ge=1)
    timeout: PositiveFloat = 20.0
    connect_timeout: PositiveFloat = 5.0
    dns_timeout: PositiveFloat = 1.0
    max_bytes: int = Field(default=2 * 1024 * 1024, ge=1)
    max_redirects: int = Field(default=8, ge=0)
    max_retries: int = Field(default=2, ge=0)
    retry_wait: NonNegativeFloat = 1.0
    max_retry_after: NonNegativeFloat = 30.0
    retry_budget: float = Field(default=0.1, ge=0, le=1)
    breaker_failures: int = Field(default=3, ge=1)
    second_pass_delay: NonNegativeFloat = 1800.0

    @property
    def effective_platform_delay(self) -> float:
        """Seconds of rest that a platform's host has."""
        return max(self.host_delay, self.platform_delay * min(1.0, self.host_delay))

    @property
    def effective_user_agent(self) -> str:
        """The honest User-Agent: who we are, and how to reach whoever runs us."""
        if self.user_agent:
            return self.user_agent
        contact = f"+{self.contact}" if self.contact else "link audit of a network of associations"
        return f"{PRODUCT_NAME}/{_get_product_version()} ({contact})"
