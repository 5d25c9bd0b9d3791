"""Unwraps URLs that carry another one: redirectors, login and consent pages, archives.

Association sites publish such URLs: a link copied while logged out leads to a login page that names
its target. Makes no network requests.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from probes.urls.normalize import extract_url, join_url, split_url
from probes.urls.repair import strip_invisible, trim_punctuation

# The end of the host, the beginning of the path, and the query parameters that may hold the target.
_REDIRECTORS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "facebook.com",
        (
            r"/l\.php|/flx/warn|/login|/checkpoint|/(?:cookie/)?consent|/(?:index\.php)?$"
            r"|/(?:v[\d.]+/)?(?:plugins|widgets)/(?:page|like|follow|fan|post|video)"
        ),
        ("u", "next", "href"),
    ),
    ("fb.com", r"/login|/l\.php", ("u", "next")),
    ("l.messenger.com", r"/l\.php", ("u",)),
    (
        "linkedin.com",
        r"/authwall|/uas/login|/login|/signup|/checkpoint|/redir|/safety/go",
        ("sessionRedirect", "session_redirect", "url"),
    ),
    ("twitter.com", r"/i/(?:flow|redirect)|/login|/account/", ("redirect_after_login", "url")),
    ("x.com", r"/i/(?:flow|redirect)|/login|/account/", ("redirect_after_login", "url")),
    ("publish.twitter.com", r"/", ("query", "url")),
    ("publish.x.com", r"/", ("query", "url")),
    ("l.instagram.com", r"/", ("u",)),
    ("instagram.com", r"/accounts/|/challenge|/consent|/linkshim", ("next", "u")),
    ("consent.youtube.com", r"/", ("continue",)),
    ("consent.google.com", r"/", ("continue",)),
    ("accounts.google.com", r"/", ("continue",)),
    ("accounts.youtube.com", r"/", ("continue",)),
    (
        "youtube.com",
        r"/(?:redirect|verify_|attribution_link|signin|supported_browsers|ml?$)",
        ("q", "u", "next", "next_url", "continue", ""),
    ),
    ("safelinks.protection.outlook.com", r"/", ("url",)),
    ("urldefense.com", r"/v[12]", ("u",)),
    ("urldefense.proofpoint.com", r"/v[12]", ("u",)),
    ("translate.google.com", r"/", ("u",)),
    ("l.threads.com", r"/", ("u",)),
    ("l.threads.net", r"/", ("u",)),
    ("l.wl.co", r"/l", ("u",)),  # WhatsApp
    ("out.reddit.com", r"/", ("url",)),
    ("slack-redir.net", r"/link", ("url",)),
    ("tiktok.com", r"/login|/link/|/oembed", ("redirect_url", "target", "url")),
    ("vk.com", r"/away", ("to",)),
    ("href.li", r"/", ("",)),
)
_GOOGLE_HOST = re.compile(r"(?:www\.)?google(?:\.[a-z]{2,3}){1,2}")
_ARCHIVE_PATH = re.compile(r"(?i)^/web/[0-9a-z_*]+/(.+)$")
_WRAPPER_MARK = re.compile(r"[?]|archive\.org")
"""A part of every URL that contains another one."""
MAX_WRAPPERS = 5
"""Addresses around an address that are removed."""
# `facebook.com/https://…`, `linkedin.com/company/www.linkedin.com/company/…`. Platforms have these
# segments before an account's name.
_PASTED_URL = re.compile(
    r"(?i)^https?://[^/?#]+/+"
    r"(?:(?:in|company|school|showcase|channel|c|user|groups|pages|people|profile)/+)?@?"
    r"(?:(?P<scheme>https?(?:[:;]|%3A)?/+)|(?=(?:[\w-]+\.)+[a-z]{2,}(?:/|$)))(?P<rest>.+)$"
)


def unwrap_url(url: str) -> str:
    """Return the URL inside a redirector, login, consent or archive URL, up to MAX_WRAPPERS."""
    for _ in range(MAX_WRAPPERS):
        if not _WRAPPER_MARK.search(url):
            break  # most links end here
        inner_urls = (_extract_inner_url(url, text) for text in _iter_inner_texts(url))
        inner_url = next(filter(None, inner_urls), None)
        if inner_url is None:
            break
        url = inner_url
    return url


def _iter_inner_texts(url: str) -> Iterator[str]:
    """Yield the parts of a URL that may be another one."""
    host, path, query, _ = split_url(url)
    if host in ("web.archive.org", "archive.org"):
        yield from _ARCHIVE_PATH.findall(url.partition(host)[2])
    for path_pattern, names in _find_redirectors(host):
        if query and path_pattern.match(path):
            values = {"": unquote(query), **dict(parse_qsl(query))}
            yield from (values.get(name, "") for name in names)


@lru_cache(maxsize=4_096)
def _find_redirectors(host: str) -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    if _GOOGLE_HOST.fullmatch(host):
        return [(re.compile(r"/url|/imgres|/amp/"), ("q", "url", "imgrefurl"))]
    return [
        (re.compile(path_pattern), names)
        for end, path_pattern, names in _REDIRECTORS
        if f".{host}".endswith(f".{end}")
    ]


def _extract_inner_url(url: str, text: str) -> str | None:
    """Return the URL in a part of another one, or None if it is none or the same URL."""
    target = trim_punctuation(strip_invisible(text))
    if re.match("/(?!/)", target):
        target = join_url(url, target)
    if "%3A%2F%2F" in target[:16]:
        target = unquote(target)
    inner_url = extract_url(target)
    return None if inner_url == url else inner_url


def find_pasted_url(url: str) -> tuple[str | None, bool]:
    """Find a URL that was pasted into the path of a platform's URL, where a name belongs.

    Returns it, or None, and True if it has its own scheme. Without one, a name that contains a full
    stop looks like a host.
    """
    match = _PASTED_URL.match(url)
    if match is None:
        return None, False
    if match["scheme"] is None:
        return extract_url(match["rest"]), False
    return extract_url(f"https://{match['rest']}"), True
