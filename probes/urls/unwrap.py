"""Addresses that carry another: redirectors, sign-in and consent pages, archives; unwrapped, asking nobody.

Association sites publish them: a link copied while signed out leads to a wall that names where it led.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from probes.text.lazy_regex import lazy_regex
from probes.urls.normalize import (
    extract_url,
    join_url,
    split_url,
    strip_invisible,
    trim_punctuation,
)

# The host's end, what its path begins with, and the query names that may hold the other address.
_REDIRECTORS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "facebook.com",
        r"/l\.php|/flx/warn|/login|/plugins/(?:page|like|follow|likebox|fan|post|video)",
        ("u", "next", "href"),
    ),
    ("fb.com", r"/login|/l\.php", ("u", "next")),
    (
        "linkedin.com",
        r"/authwall|/uas/login|/login|/signup|/checkpoint|/redir|/safety/go",
        ("sessionRedirect", "session_redirect", "url"),
    ),
    ("twitter.com", r"/i/flow/|/login|/account/", ("redirect_after_login",)),
    ("x.com", r"/i/flow/|/login|/account/", ("redirect_after_login",)),
    ("l.instagram.com", r"/", ("u",)),
    ("instagram.com", r"/accounts/login|/linkshim", ("next", "u")),
    ("consent.youtube.com", r"/", ("continue",)),
    ("consent.google.com", r"/", ("continue",)),
    ("accounts.google.com", r"/", ("continue",)),
    ("accounts.youtube.com", r"/", ("continue",)),
    ("youtube.com", r"/redirect", ("q",)),
    ("safelinks.protection.outlook.com", r"/", ("url",)),
    ("urldefense.com", r"/v[12]", ("u",)),
    ("urldefense.proofpoint.com", r"/v[12]", ("u",)),
    ("translate.google.com", r"/", ("u",)),
    ("out.reddit.com", r"/", ("url",)),
    ("slack-redir.net", r"/link", ("url",)),
    ("vk.com", r"/away", ("to",)),
    ("webcache.googleusercontent.com", r"/search", ("q",)),
    ("href.li", r"/", ("",)),
)
_GOOGLE_HOST = lazy_regex(r"(?:www\.)?google(?:\.[a-z]{2,3}){1,2}")
_ARCHIVE_PATH = lazy_regex(r"(?i)^/web/[0-9a-z_*]+/(.+)$")
# Google's cache: perhaps a code, the address, the words that were sought.
_GOOGLE_CACHE_QUERY = lazy_regex(r"(?i)^cache:(?:[\w-]{12}:)?(\S+).*$")
_MAX_DEPTH = 5


def unwrap_url(url: str) -> str:
    """The address that a redirector, sign-in, consent or archive address carries, to any depth of five."""
    for _ in range(_MAX_DEPTH):
        if "?" not in url and "archive.org" not in url:
            break
        inner = next(_iter_inner_urls(url), None)
        if inner is None:
            break
        url = inner
    return url


def _iter_inner_urls(url: str) -> Iterator[str]:
    host, path, query, fragment = split_url(url)
    if host in ("web.archive.org", "archive.org"):
        found = _ARCHIVE_PATH.match(
            "".join((path, "?" * bool(query), query, "#" * bool(fragment), fragment))
        )
        yield from _extract_inner_url(url, found[1] if found else "")
    if not query:
        return
    for end, start, names in _find_redirectors(host):
        if start.match(path):
            pairs = dict(parse_qsl(query))
            for name in names:
                yield from _extract_inner_url(url, pairs.get(name, "") if name else unquote(query))
            if end == "urldefense":
                return


@lru_cache(maxsize=4_096)
def _find_redirectors(host: str) -> tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...]:
    rows = [row for row in _REDIRECTORS if host == row[0] or host.endswith("." + row[0])]
    if _GOOGLE_HOST.fullmatch(host):
        rows = [("google", r"/url|/imgres|/amp/", ("q", "url", "imgrefurl"))]
    return tuple((end, re.compile(start), names) for end, start, names in rows)


def _extract_inner_url(url: str, value: str) -> Iterator[str]:
    value = _GOOGLE_CACHE_QUERY.sub(r"\1", trim_punctuation(strip_invisible(value)))
    if not value:
        return
    whole = join_url(url, value) if value.startswith("/") and not value.startswith("//") else value
    found = extract_url(unquote(whole) if "%3A%2F%2F" in whole[:16] else whole)
    if found is not None and found != url:
        yield found
