"""The ways into a website: https or http, with or without www, and past a bad certificate only to look.

A name that does not exist without `www.` may exist with it, or answer with it alone; a port that is shut on
https may be open on http. Each way costs one more request, and only where the registered one failed.

Where else a site names its owner's accounts: on its page of contacts, and as the maker of its videos.

Both are asked for only where the home page leaves a channel open, both obey robots.txt, and no trouble
there says anything of the site.
"""

from __future__ import annotations

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
    """The page behind the registered address, or behind its other scheme or its name with or without www."""
    try:
        page, site = yield from request_page(url, analyze_site_page, is_registered_link=True)
    except FetchError as trouble:
        if trouble.reason is Reason.TLS:
            return (yield from _open_despite_certificate(url, trouble))
        return (yield from _open_alternative_url(url, trouble))
    return page, site, {}


def _open_alternative_url(url: str, error: FetchError) -> OpenSiteGenerator:
    """A missing name is tried with or without www, a shut port by the other scheme; else trouble stands.

    `https` is False among the facts where it was shut and plain http is open.
    """
    if error.reason is Reason.NO_SUCH_HOST:
        doors = [_toggle_www(url)]
    elif error.reason in (Reason.NETWORK, Reason.TIMEOUT):
        doors = [_toggle_scheme(url), build_www_twin_url(url)]
    else:
        doors = []
    for door in filter(None, doors):
        try:
            page, site = yield from request_page(door, analyze_site_page, is_registered_link=True)
        except FetchError as second:
            error = second if _is_more_informative(second, error) else error
            continue
        if (
            door == build_www_twin_url(url)
            and error.reason is not Reason.NO_SUCH_HOST
            and not _is_working_site(page, site)
        ):
            continue
        shut = (
            url.startswith("https:")
            and page.url.startswith("http:")
            and door == _toggle_scheme(url)
        )
        return page, site, {"https": False} if shut else {}
    raise error


def _is_working_site(page: Page, site: SiteAnalysis) -> bool:
    """Whether a site is there. That none is under its other name says nothing of one that did not answer."""
    return page.status < 400 and site.absence is None


def _is_more_informative(new_error: FetchError, previous_error: FetchError) -> bool:
    """A name that exists with www but does not answer is no missing name."""
    return (
        previous_error.reason is Reason.NO_SUCH_HOST and new_error.reason is not Reason.NO_SUCH_HOST
    )


def _open_despite_certificate(url: str, error: FetchError) -> OpenSiteGenerator:
    """A certificate of a stranger's may be a good one at the other name; else it is looked past."""
    door = build_www_twin_url(url) if error.detail in _FOREIGN_CERTIFICATE_ERRORS else None
    if door is not None:
        with suppress(FetchError):
            page, site = yield from request_page(door, analyze_site_page, is_registered_link=True)
            if _is_working_site(page, site):
                return page, site, {"tls_error": error.detail}
    return (yield from _open_unverified(url, error))


_FOREIGN_CERTIFICATE_ERRORS = frozenset(
    {"wrong_host", "self_signed", "untrusted", "handshake"}
)  # those of a host's own page


def _open_unverified(url: str, error: FetchError) -> OpenSiteGenerator:
    """A second, marked look past a bad certificate: only to learn whether anything answers.

    A parking service or a suspended host has rarely a certificate; what it says is then asked again
    by plain http, where nothing was promised, and believed only from there.
    """
    facts: dict[str, FactValue] = {"tls_error": error.detail or "handshake"}
    try:
        page, site = yield from request_page(
            url, analyze_site_page, is_registered_link=True, insecure=True
        )
        if site.absence and _toggle_scheme(url):
            page, site = yield from request_page(
                _toggle_scheme(url) or url, analyze_site_page, is_registered_link=True
            )
            if site.absence:
                return page, site, facts
    except FetchError:
        raise error from None
    return replace(page, insecure=True), site, facts


def build_www_twin_url(url: str) -> str | None:
    """The address under the same domain's other name, with or without www; None for a name below a domain."""
    name = html.get_host(url)
    own = name.startswith("www.") or domains.get_registrable_domain(name) == domains.normalize_host(
        name
    )
    return _toggle_www(url) if own else None


def _toggle_www(url: str) -> str | None:
    parts = urlsplit(url)
    name = (
        parts.netloc.removeprefix("www.")
        if parts.netloc.startswith("www.")
        else f"www.{parts.netloc}"
    )
    return (
        urlunsplit(parts._replace(netloc=name))
        if "." in parts.netloc.removeprefix("www.")
        else None
    )


def _toggle_scheme(url: str) -> str | None:
    """Http for https and the reverse, where no port was written."""
    parts = urlsplit(url)
    if parts.port:
        return None
    return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))


def check_transport(
    url: str, page: Page, known_facts: Mapping[str, FactValue]
) -> Generator[PageRequest, Page, dict[str, FactValue]]:
    """How the page came: https or not (if not `known`), its certificate's last day, seconds, another domain.

    What differs every night though nothing changed is left out: seconds are whole ones, and the days that a
    certificate has left are counted by who asks.
    """
    facts: dict[str, FactValue] = {"seconds": round(page.elapsed_seconds)}
    if page.certificate_expires:
        facts["certificate_expires_on"] = page.certificate_expires.isoformat()
    asked, reached = html.get_host(url), html.get_host(page.url)
    if not domains.is_same_domain(asked, reached):
        facts["moved_to"] = domains.get_registrable_domain(reached)
    if "https" in known_facts:
        return facts
    secure = True if page.url.startswith("https:") else (yield from _supports_https(page.url))
    if secure is not None:
        facts["https"] = secure
    return facts


def _supports_https(url: str) -> Generator[PageRequest, Page, bool | None]:
    """Whether a site that came by http can be had by https; None if it may not be asked."""
    door = _toggle_scheme(url)
    if door is None:
        return None
    try:
        page, _ = yield from request_page(door, get_page_status, is_registered_link=True)
    except FetchError as trouble:
        return False if trouble.reason in (Reason.NETWORK, Reason.TIMEOUT, Reason.TLS) else None
    return page.url.startswith("https:") and page.status < 400


def get_page_status(page: Page) -> int:
    """Only whether it answers."""
    return page.status
