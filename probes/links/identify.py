"""Identifies which account each link points to. Makes no network requests.

A typed text becomes a cleaned URL, and the channel that owns its host identifies the account. Only
`resolve_short_link` sends a request, to find the target of a short link.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from urllib.parse import parse_qsl, unquote

from probes.links import cells, normalize
from probes.links.channel_registry import (
    WEBSITE_CHANNEL,
    find_channel_by_host,
    find_channel_by_url,
    is_name_of_platform_host,
    is_optional_channel,
    list_channels,
)
from probes.links.normalize import extract_url, join_url, strip_invisible, trim_punctuation
from probes.models.finding import Account, Identity, LinkKind, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import request_page
from probes.text.language import split_words

SHORTENER_HOSTS = split_words(cells.WORDS["shortener_hosts"])

EMPTY_CELL_NOTE = "empty"
"""The note for a cell with blanks and invisible characters only."""

# A handle with a remark: `@amal (notre compte)`, `@amal, Rabat`, `@amal Periscope: @amal`.
_HANDLE_WITH_REMARK = re.compile(r"^(@[\w.·-]{1,100})(?:\s*[(\[,]|\s+[-–—]\s|\s+\w+\s*:\s).*$")
# The end of an address: `amal?fref=ts`, `/company/amal?trk=x`. `profile.php?id=1` keeps its query.
_NAME_WITH_QUERY = re.compile(r"^(?!.*\.php\?)([@/\w.·-]{1,150})\?\w+=\S*$")
# Words of a cell that says that there is an account, or only which network it is on.
_WORDS_WITHOUT_NAME = frozenset(
    ("yes", "oui", "y", "ok", "نعم", "true", "vrai", "same", "idem", "link", "lien", "page")
).union(cells.CHANNEL_BY_LABEL)
_SEVERAL_WORDS = re.compile(r"(?=\S+\s)[^\W\d_][\w\s.,'’&()-]*")
_EMAIL_ADDRESS = re.compile(r"(?i)(?:mailto:)?[^\s@/]+@[^\s@/]+\.[a-z]{2,}")
MAX_INTERSTITIAL_BYTES = 64 * 1024
"""Bytes of a page of t.co or lnkd.in in which the target is searched."""
_INTERSTITIAL_TARGET = re.compile(
    rb"""(?i)http-equiv=["']?refresh["']?[^<>]{0,300}url=["']?(https?://[^"'>\s]+)"""
    rb"""|data-tracking-control-name=["']external_url_click["'][^<>]{0,1000}"""
    rb"""href=["'](https?://[^"']+)"""
)


def identify_link(typed: str, column: str | None = None) -> Identity:
    """Return the identity that a typed text names. Raises nothing, whatever the text.

    `column` is the channel of the spreadsheet column, if any. A handle alone (`@amal`) can be
    identified only in a column.
    """
    text = normalize.repair_link_text(typed)
    if normalize.is_clean_url(text):
        return _identify_text(text, column)
    visible_text = text or normalize.strip_invisible(typed)
    if not visible_text:
        return _build_invalid_identity(column, note=EMPTY_CELL_NOTE)
    if cells.is_none_answer(visible_text):
        return Identity(column or WEBSITE_CHANNEL, LinkKind.NONE)
    label, text = cells.split_label(cells.join_torn_host(text))
    if label is None:
        return _identify_text(text, column)
    if label not in list_channels() or _is_other_network(label, column):
        return _build_invalid_identity(column, note="other_network")
    return _identify_text(text, label)


def strip_key_prefix(key: str) -> str:
    """Return the name in a key without its kind: `u:name`, `@name`, `company/name`."""
    return re.sub(r"^(?:u:|id:|@|group:|[a-z]+/)", "", key).lower()


def _build_invalid_identity(column: str | None, note: str, url: str | None = None) -> Identity:
    return Identity(column or WEBSITE_CHANNEL, LinkKind.INVALID, url=url, note=note)


def _identify_text(text: str, column: str | None) -> Identity:
    """Identify a repaired text without its label."""
    if _is_handle(text, column):
        return _identify_without_url(text, column)
    url = normalize.extract_url(text)
    if url is None:
        return _identify_without_url(text, column)
    inner_url = unwrap_url(url)
    identity = _identify_url(inner_url, column)
    return identity.with_note("wrapped") if inner_url != url and identity.note is None else identity


def _is_other_network(channel: str, column: str | None) -> bool:
    """Return True if an optional channel is named in the column of another platform.

    It must be reported as a mistake, because that network may not be audited at all.
    """
    is_own_column = column in (None, WEBSITE_CHANNEL, channel)
    return not is_own_column and (not channel or is_optional_channel(channel))


def _is_handle(text: str, column: str | None) -> bool:
    """Return True for `@amal`, and in a platform's column for `amal.rabat`.

    `amal.ma` is a handle only in the column of a channel whose handles are domains.
    """
    if text.startswith("@"):
        return True
    if column is None or column == WEBSITE_CHANNEL:
        return False
    if "/" in text or text.lower().startswith(("http", "www.")):
        return False
    host = re.split("[?#]", text, maxsplit=1)[0].lower()
    if find_channel_by_host(host) not in (WEBSITE_CHANNEL, column):
        return False
    return _has_domain_handles(column) or host.rpartition(".")[2] not in cells.COMMON_TLDS


def _has_domain_handles(channel: str) -> bool:
    return getattr(list_channels().get(channel), "HANDLES_ARE_DOMAINS", False)


def _identify_without_url(text: str, column: str | None) -> Identity:
    """Identify a text without a URL: a handle in its channel's column, or an invalid text."""
    if column is None or column not in list_channels():
        return _build_invalid_identity(None, note=_explain_invalid_text(text))
    text = _NAME_WITH_QUERY.sub(r"\1", _HANDLE_WITH_REMARK.sub(r"\1", text))
    if text.lower() in _WORDS_WITHOUT_NAME:
        return _build_invalid_identity(column, note="no_address")
    identity = list_channels()[column].identify_bare(text)
    if identity.key is not None or identity.kind is LinkKind.PHONE:
        return identity
    return _build_invalid_identity(column, note=_explain_invalid_text(text))


def _explain_invalid_text(text: str) -> str:
    if _EMAIL_ADDRESS.fullmatch(text):
        return "email"
    return "name_only" if _SEVERAL_WORDS.fullmatch(text) else "no_address"


def _identify_url(url: str, column: str | None) -> Identity:
    """Identify a cleaned URL: a short link, a platform account or a website."""
    url = _extract_pasted_url(url)
    channel = find_channel_by_url(url)
    if channel == WEBSITE_CHANNEL:
        return _identify_website(url, column)
    name = next(iter(normalize.split_path(normalize.parse_url(url).path)), "")
    if _is_other_network(channel, column) or is_name_of_platform_host(name):
        return _build_invalid_identity(column or channel, note="other_network", url=url)
    return list_channels()[channel].identify(url)


def _extract_pasted_url(url: str) -> str:
    """Return the URL that was pasted into a platform's URL, or the URL itself."""
    channel = find_channel_by_url(url)
    if channel == WEBSITE_CHANNEL:
        return url
    pasted_url, has_scheme = find_pasted_url(url)
    if pasted_url is None:
        return url
    # Names may contain full stops, so without a scheme only the same platform counts, and a
    # handle that is a domain does not.
    is_same_platform = find_channel_by_url(pasted_url) == channel
    is_handle = _has_domain_handles(channel) and not normalize.parse_url(pasted_url).path
    return pasted_url if has_scheme or (is_same_platform and not is_handle) else url


def _identify_website(url: str, column: str | None) -> Identity:
    """Identify a URL of no platform: a short link, a lookalike of a platform, or a website."""
    host = normalize.get_host(url).removeprefix("www.")
    if host in SHORTENER_HOSTS:
        return Identity(column or WEBSITE_CHANNEL, LinkKind.SHORT_LINK, url=url)
    brand = find_imitated_brand(host)
    if brand is not None:
        channel = list_channels().get(brand, list_channels()[WEBSITE_CHANNEL])
        return _build_invalid_identity(channel.NAME, note="lookalike", url=url)
    if column not in (None, WEBSITE_CHANNEL):
        return _build_invalid_identity(column, note="other_site", url=url)
    return list_channels()[WEBSITE_CHANNEL].identify(normalize.strip_tracking(url))


@lru_cache(maxsize=16_384)
def find_imitated_brand(host: str) -> str | None:
    """Return the platform that a mistyped host means (`twiter.com`, `wwwfacebook.com`), or None."""
    labels = ["", *host.split(".")]
    name = labels[-2]
    if len(labels) >= 4 and len(name) <= 3:  # `facebok.com.ma`
        name = labels[-3]
    for spelling in (name, *_list_shortened(name)):  # one letter may be extra
        if spelling in _list_brands():
            return spelling
    return _map_misspellings_to_brands().get(name)


@cache
def _list_brands() -> list[str]:
    """Return the channels whose own host is their name."""
    return [name for name, channel in list_channels().items() if f"{name}.com" in channel.HOSTS]


@cache
def _map_misspellings_to_brands() -> dict[str, str]:
    """Return the brand for names with a letter missing, or with `www` before them.

    A replaced letter does not count.
    """
    brand_by_misspelling: dict[str, str] = {}
    for brand in _list_brands():
        misspellings = (f"www{brand}", *_list_shortened(brand))
        brand_by_misspelling |= dict.fromkeys(misspellings, brand)
    return brand_by_misspelling


def _list_shortened(name: str) -> list[str]:
    """Return a name without each of its letters."""
    return [name[:i] + name[i + 1 :] for i in range(len(name))]


def resolve_short_link(account: Account) -> Generator[PageRequest, Page, Account]:
    """Return the account that a short link leads to. Other accounts are returned without a request.

    In a probe: `account = yield from resolve_short_link(account)`. If the target is no account, the
    kind of the identity says so.
    """
    short = account.identity
    if short.kind is not LinkKind.SHORT_LINK or short.url is None:
        return account
    try:
        page, target = yield from request_page(
            short.url, parse_interstitial_target, is_registered_link=True
        )
    except FetchError as error:
        if error.reason is not Reason.WRONG_TARGET or not error.url:
            raise
        # The link led to a platform whose pages are not fetched because an API key is set.
        return replace(account, identity=identify_link(error.url))
    return replace(account, identity=identify_link(target or page.url))


def parse_interstitial_target(page: Page) -> str | None:
    """Return the target of an interstitial page of t.co or lnkd.in, or None."""
    match = _INTERSTITIAL_TARGET.search(page.body[:MAX_INTERSTITIAL_BYTES])
    target: bytes = (match[1] or match[2]) if match else b""
    return target.decode("utf-8", "replace").replace("&amp;", "&") or None


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
    _, host, path, query, _ = normalize.parse_url(url)
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
