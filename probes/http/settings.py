"""The `[fetch]` table of the configuration."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    NonNegativeFloat,
    PositiveFloat,
)

PRODUCT_NAME = "presence-auditor"  # the user agent that robots.txt can name


def _validate_proxy(text: str | None) -> str | None:
    if not text:
        return None
    url = urlsplit(text)
    if url.scheme != "http" or not url.hostname or not _has_valid_port(url):
        raise ValueError("not a proxy address; try: http://host:port")
    return text


def _has_valid_port(url: SplitResult) -> bool:
    try:
        return url.port is None or url.port >= 0
    except ValueError:
        return False


def _validate_header_text(text: str) -> str:
    """Return the text if it can be sent as a header: one line (RFC 9110 §5.5) of ASCII."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("not a header value; try: ASCII characters without accents")
    return text


HeaderText = Annotated[str, AfterValidator(_validate_header_text)]


@cache
def _get_product_version() -> str:
    try:
        return version(PRODUCT_NAME)
    except PackageNotFoundError:  # not installed
        return "0"


class FetchOptions(BaseModel):
    """Settings of the HTTP client. Times are in seconds, sizes in bytes.

    - `timeout` limits the network time of one attempt, redirects included. Waiting does not count.
    - `host_delay` is the delay between two requests to a host, `platform_delay` that of a
      platform's host, to which up to half is added at random. A `host_delay` below 1 shortens
      both, and 0 (for benchmarks) turns both off.
    - `platform_breaker_failures` refusals in a row stop all checks of a platform in this run.
    - `robots = "links"` requests a registered link once per run whatever robots.txt says,
      and obeys it for all other pages. `"strict"` always obeys it.
    - `allow_networks` lists the only exemptions from the SSRF guard.
    - `dns_timeout` is for one of two attempts.
    - `nameservers` replace those of the system. With a `proxy` they only serve to find forbidden
      addresses.
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
    host_breaker_failures: int = Field(default=3, ge=1)
    second_pass_delay: NonNegativeFloat = 1800.0

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
        return f"{PRODUCT_NAME}/{_get_product_version()} ({contact})"
