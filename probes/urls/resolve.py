"""Addresses of links as a page means them: absolute, their host, and how many stay on its own site."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from probes.text.charset import UNSEEN
from probes.text.lazy_regex import pattern
from probes.urls import normalize


def absolute(base: str, href: str) -> str:
    """The address as seen from `base`; what cannot be joined stays as written."""
    href = href.strip() if href.isprintable() else UNSEEN.sub("", href).strip()
    if href.startswith(("https://", "http://")) or not href:
        return href
    if href[0] == "/" and href[1:2] != "/" and "/." not in href:
        return _origin(base) + href  # most links; joining them by the book costs a fifth of all reading
    return normalize.joined(base, href)


@lru_cache(maxsize=64)
def _origin(base: str) -> str:
    """Nothing where the base is no address: a page may declare any text as one."""
    return normalize.joined(base, "/").removesuffix("/")


def host(url: str) -> str:
    """The host of an address, lower-case, or nothing."""
    return (normalize.parted(url).hostname or "").lower()


QUERY = 60  # characters
# What a host's notice links to on the notice's own host.
_NOTICE = pattern(r"privacy|terms|legal|lander|cgi-|login|cookie|^/*$")


def leading_inside(url: str, links: Iterable[str]) -> int:
    """How many other pages of the site at `url` these links lead to; forty are counted at most."""
    parts = normalize.parted(url)
    here, own = parts.path.rstrip("/"), {parts.netloc.lower(), f"www.{parts.netloc.lower()}"}
    own.add(parts.netloc.lower().removeprefix("www."))
    pages: set[str] = set()
    for link in links:
        scheme, _, rest = link.partition("#")[0].partition("://")
        name, _, path = rest.partition("/")
        if scheme not in ("http", "https") or name.lower() not in own:
            continue
        plain, _, query = path.partition("?")
        same = f"/{plain}".rstrip("/") == here
        if len(query) > QUERY or (not query and (same or _NOTICE.search(plain.lower()))):
            continue  # a parked page's searches carry long queries
        pages.add(path)
        if len(pages) == 40:
            break
    return len(pages)
