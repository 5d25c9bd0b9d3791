"""Websites: what a site's address names, whether it stands, and what it lacks."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from probes.model import Identity, Kind

NAME = "website"
HOSTS: frozenset[str] = frozenset()  # every host that no other channel owns
VERSION = 1

_FILE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|odt|ods|zip|rar|jpe?g|png|gif|webp|svg|mp[34]|avi|apk|csv)$", re.I
)
_SEARCH = re.compile(
    r"(?:[\w-]+\.)?(?:google\.[a-z.]{2,6}/(?:search|url)|bing\.com/search|duckduckgo\.com/|search\.yahoo\.com/)"
)
# Networks that are no association's own site, and have no channel of their own here.
_NETWORKS = frozenset(
    "instagram.com tiktok.com t.me telegram.me wa.me whatsapp.com threads.net threads.com pinterest.com"
    " snapchat.com vimeo.com dailymotion.com soundcloud.com flickr.com linktr.ee medium.com".split()  # noqa: SIM905
)


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell which site a cleaned address names: the host without `www.`, and the path if any."""
    parts = urlsplit(url)
    whole = parts.netloc
    host, path = whole.removeprefix("www."), unquote(parts.path).rstrip("/")
    canonical = f"https://{whole}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    if _SEARCH.match(f"{host}{parts.path}") and parts.query:
        return Identity(NAME, Kind.SEARCH, url=url)
    if _FILE.search(path):
        return Identity(NAME, Kind.FILE, url=url)
    note = "social" if host.partition("/")[0] in _NETWORKS else None
    return Identity(NAME, Kind.PAGE, f"{host}{path}", canonical, url, note)


def identify_bare(text: str) -> Identity | None:  # noqa: ARG001
    """A word without a dot names no site."""
    return None
