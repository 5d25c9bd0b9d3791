"""The ways into a website: https or http, with or without www, and past a bad certificate only to look.

A name that does not exist without `www.` may exist with it, or answer with it alone; a port that is shut on
https may be open on http. Each way costs one more request, and only where the registered one failed.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from probes.models.finding import Reason, Scalar
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import ask
from probes.parsing import html
from probes.urls import domains
from probes.website.page_analysis import Site, read_site

Opened = Generator[Ask, Page, tuple[Page, Site, dict[str, Scalar]]]


def open_site(url: str) -> Opened:
    """The page behind the registered address, or behind its other scheme or its name with or without www."""
    try:
        page, site = yield from ask(url, read_site, registered=True)
    except NoPage as trouble:
        if trouble.reason is Reason.TLS:
            return (yield from _past_certificate(url, trouble))
        return (yield from _other_door(url, trouble))
    return page, site, {}


def _other_door(url: str, trouble: NoPage) -> Opened:
    """A missing name is tried with or without www, a shut port by the other scheme; else trouble stands.

    `https` is False among the facts where it was shut and plain http is open.
    """
    if trouble.reason is Reason.NO_SUCH_HOST:
        doors = [_with_or_without_www(url)]
    elif trouble.reason in (Reason.NETWORK, Reason.TIMEOUT):
        doors = [_other_scheme(url), twin(url)]
    else:
        doors = []
    for door in filter(None, doors):
        try:
            page, site = yield from ask(door, read_site, registered=True)
        except NoPage as second:
            trouble = second if _says_more(second, trouble) else trouble
            continue
        if door == twin(url) and trouble.reason is not Reason.NO_SUCH_HOST and not _stands(page, site):
            continue
        shut = url.startswith("https:") and page.url.startswith("http:") and door == _other_scheme(url)
        return page, site, {"https": False} if shut else {}
    raise trouble


def _stands(page: Page, site: Site) -> bool:
    """Whether a site is there. That none is under its other name says nothing of one that did not answer."""
    return page.status < 400 and site.absence is None


def _says_more(second: NoPage, first: NoPage) -> bool:
    """A name that exists with www but does not answer is no missing name."""
    return first.reason is Reason.NO_SUCH_HOST and second.reason is not Reason.NO_SUCH_HOST


def _past_certificate(url: str, trouble: NoPage) -> Opened:
    """A certificate of a stranger's may be a good one at the other name; else it is looked past."""
    door = twin(url) if trouble.detail in _STRANGERS else None
    if door is not None:
        with suppress(NoPage):
            page, site = yield from ask(door, read_site, registered=True)
            if _stands(page, site):
                return page, site, {"tls": trouble.detail}
    return (yield from _unverified(url, trouble))


_STRANGERS = frozenset({"wrong_host", "self_signed", "untrusted", "handshake"})  # those of a host's own page


def _unverified(url: str, trouble: NoPage) -> Opened:
    """A second, marked look past a bad certificate: only to learn whether anything answers.

    A parking service or a suspended host has rarely a certificate; what it says is then asked again
    by plain http, where nothing was promised, and believed only from there.
    """
    facts: dict[str, Scalar] = {"tls": trouble.detail or "handshake"}
    try:
        page, site = yield from ask(url, read_site, registered=True, insecure=True)
        if site.absence and _other_scheme(url):
            page, site = yield from ask(_other_scheme(url) or url, read_site, registered=True)
            if site.absence:
                return page, site, facts
    except NoPage:
        raise trouble from None
    return replace(page, insecure=True), site, facts


def twin(url: str) -> str | None:
    """The address under the same domain's other name, with or without www; None for a name below a domain."""
    name = html.host(url)
    own = name.startswith("www.") or domains.registrable(name) == domains.plain(name)
    return _with_or_without_www(url) if own else None


def _with_or_without_www(url: str) -> str | None:
    parts = urlsplit(url)
    name = parts.netloc.removeprefix("www.") if parts.netloc.startswith("www.") else f"www.{parts.netloc}"
    return urlunsplit(parts._replace(netloc=name)) if "." in parts.netloc.removeprefix("www.") else None


def _other_scheme(url: str) -> str | None:
    """Http for https and the reverse, where no port was written."""
    parts = urlsplit(url)
    if parts.port:
        return None
    return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))


def transport(url: str, page: Page, known: Mapping[str, Scalar]) -> Generator[Ask, Page, dict[str, Scalar]]:
    """How the page came: https or not (if not `known`), its certificate's last day, seconds, another domain.

    What differs every night though nothing changed is left out: seconds are whole ones, and the days that a
    certificate has left are counted by who asks.
    """
    facts: dict[str, Scalar] = {"seconds": round(page.seconds)}
    if page.certificate_expires:
        facts["certificate_until"] = page.certificate_expires.isoformat()
    asked, reached = html.host(url), html.host(page.url)
    if not domains.same(asked, reached):
        facts["moved_to"] = domains.registrable(reached)
    if "https" in known:
        return facts
    secure = True if page.url.startswith("https:") else (yield from _answers_https(page.url))
    if secure is not None:
        facts["https"] = secure
    return facts


def _answers_https(url: str) -> Generator[Ask, Page, bool | None]:
    """Whether a site that came by http can be had by https; None if it may not be asked."""
    door = _other_scheme(url)
    if door is None:
        return None
    try:
        page, _ = yield from ask(door, read_nothing, registered=True)
    except NoPage as trouble:
        return False if trouble.reason in (Reason.NETWORK, Reason.TIMEOUT, Reason.TLS) else None
    return page.url.startswith("https:") and page.status < 400


def read_nothing(page: Page) -> int:
    """Only whether it answers."""
    return page.status
