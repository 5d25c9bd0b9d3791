"""Variants of a website's URL, requested if the registered one fails.

A host without `www.` may exist only with it, a closed HTTPS port may be open for HTTP, and a page
behind an invalid certificate may show whether the site exists. Each variant costs one more request.
"""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from probes.models.finding import FactValue, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import request_page
from probes.parsing import html
from probes.urls import domains
from probes.website.page_analysis import SiteAnalysis, analyze_site_page

OpenSiteGenerator = Generator[PageRequest, Page, tuple[Page, SiteAnalysis, dict[str, FactValue]]]


def open_site(url: str) -> OpenSiteGenerator:
    """Return the page at the registered address, or at a variant of it if that fails.

    Raises FetchError if no variant works.
    """
    try:
        page, site = yield from request_page(url, analyze_site_page, is_registered_link=True)
    except FetchError as error:
        if error.reason is Reason.TLS:
            return (yield from _open_despite_certificate(url, error))
        return (yield from _open_alternative_url(url, error))
    return page, site, {}


def _open_alternative_url(url: str, error: FetchError) -> OpenSiteGenerator:
    """Request a missing host with or without www, and a closed port with the other scheme.

    The fact `https` is False if HTTPS is closed and HTTP is open. Raises the most informative
    FetchError if no variant works.
    """
    is_missing_host = error.reason is Reason.NO_SUCH_HOST
    twin_url, other_scheme_url = build_www_twin_url(url), _toggle_scheme(url)
    variants: tuple[str | None, ...] = ()
    if is_missing_host:
        variants = (_toggle_www(url),)
    elif error.reason in (Reason.NETWORK, Reason.TIMEOUT):
        variants = (other_scheme_url, twin_url)
    for variant in filter(None, variants):
        try:
            page, site = yield from request_page(
                variant, analyze_site_page, is_registered_link=True
            )
        except FetchError as variant_error:
            if is_missing_host and variant_error.reason is not Reason.NO_SUCH_HOST:
                error = variant_error
            continue
        if not is_missing_host and variant == twin_url and not _is_working_site(page, site):
            continue
        uses_http = variant == other_scheme_url and page.url.startswith("http:")
        return page, site, {"https": False} if uses_http and url.startswith("https:") else {}
    raise error


def _is_working_site(page: Page, site: SiteAnalysis) -> bool:
    """Return whether a site exists.

    Its absence at one host name says nothing about another host name that did not respond.
    """
    return page.status < 400 and site.absence is None


def _open_despite_certificate(url: str, error: FetchError) -> OpenSiteGenerator:
    """Request the twin host, whose certificate may be valid; else ignore the certificate."""
    twin_url = build_www_twin_url(url)
    if twin_url is not None and error.detail in _FOREIGN_CERTIFICATE_ERRORS:
        with suppress(FetchError):
            page, site = yield from request_page(
                twin_url, analyze_site_page, is_registered_link=True
            )
            if _is_working_site(page, site):
                return page, site, {"tls_error": error.detail}
    return (yield from _open_unverified(url, error))


# The certificate errors of a hosting company's own page.
_FOREIGN_CERTIFICATE_ERRORS = frozenset({"wrong_host", "self_signed", "untrusted", "handshake"})


def _open_unverified(url: str, error: FetchError) -> OpenSiteGenerator:
    """Request the page without verifying the certificate, to learn whether anything responds.

    Parking services and suspended hosts rarely have a valid certificate. Their pages are requested
    again over HTTP and only trusted from there. Raises the first FetchError if nothing responds.
    """
    facts: dict[str, FactValue] = {"tls_error": error.detail or "handshake"}
    http_url = _toggle_scheme(url)
    try:
        page, site = yield from request_page(
            url, analyze_site_page, is_registered_link=True, insecure=True
        )
        if site.absence and http_url:
            page, site = yield from request_page(
                http_url, analyze_site_page, is_registered_link=True
            )
            if site.absence:
                return page, site, facts
    except FetchError:
        raise error from None
    return replace(page, insecure=True), site, facts


def build_www_twin_url(url: str) -> str | None:
    """Return the same address with or without www. None for other subdomains."""
    host = html.get_host(url)
    is_domain = domains.get_registrable_domain(host) == domains.normalize_host(host)
    return _toggle_www(url) if host.startswith("www.") or is_domain else None


def _toggle_www(url: str) -> str | None:
    parts = urlsplit(url)
    bare_host = parts.netloc.removeprefix("www.")
    if "." not in bare_host:
        return None
    host = bare_host if parts.netloc.startswith("www.") else f"www.{parts.netloc}"
    return urlunsplit(parts._replace(netloc=host))


def _toggle_scheme(url: str) -> str | None:
    """Return the address with http instead of https or the reverse. None if it has a port."""
    parts = urlsplit(url)
    if parts.port:
        return None
    return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))


def check_transport(
    url: str, page: Page, known_facts: Mapping[str, FactValue]
) -> Generator[PageRequest, Page, dict[str, FactValue]]:
    """Return the facts about how the page was transferred.

    `seconds`: the load time. `certificate_expires_on`: the certificate's last day. `moved_to`:
    another domain. `https`: whether the site supports HTTPS. No value changes in every run: seconds
    are whole numbers, and rules count the days until the certificate expires.
    """
    facts: dict[str, FactValue] = {"seconds": round(page.elapsed_seconds)}
    if page.certificate_expires:
        facts["certificate_expires_on"] = page.certificate_expires.isoformat()
    requested_host, final_host = html.get_host(url), html.get_host(page.url)
    if not domains.is_same_domain(requested_host, final_host):
        facts["moved_to"] = domains.get_registrable_domain(final_host)
    if "https" in known_facts:
        return facts
    supports_https = yield from _supports_https(page.url)
    if supports_https is not None:
        facts["https"] = supports_https
    return facts


def _supports_https(url: str) -> Generator[PageRequest, Page, bool | None]:
    """Return whether a site supports HTTPS, or None if unknown.

    If it was reached over HTTP, its address with HTTPS is requested.
    """
    if url.startswith("https:"):
        return True
    https_url = _toggle_scheme(url)
    if https_url is None:
        return None
    try:
        page, _ = yield from request_page(https_url, get_page_status, is_registered_link=True)
    except FetchError as error:
        is_unsupported = error.reason in (Reason.NETWORK, Reason.TIMEOUT, Reason.TLS)
        return False if is_unsupported else None
    return page.url.startswith("https:") and page.status < 400


def get_page_status(page: Page) -> int:
    """Return the status of a page whose body is not needed."""
    return page.status
