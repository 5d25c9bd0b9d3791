"""Typed text to an address: what people and their spreadsheets do to links, undone and never guessed at.

Repairs change how an address is written, never where it leads: a host with a password before it, a
backslash or a lone percent sign is refused, because a reader and a browser see two different hosts in it.

Addresses of links as a page means them: absolute, their host, and how many stay on its own site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from html import unescape
from ipaddress import IPv6Address
from unicodedata import normalize
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from probes.text.charset import INVISIBLE_CHARACTERS
from probes.text.lazy_regex import lazy_regex
from probes.urls.domains import is_top_level_domain

MAX_CELL_CHARS = 4_096  # characters of a cell that are read

# Most of what is typed needs no repair, and is told by one look: the rest is a tenth as fast.
_CLEAN_URL = lazy_regex(
    r"https?://(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[A-Za-z0-9._~/@-]*[A-Za-z0-9_/])?"
    r"|https?://(?!w{4}|ww\.)(?:[a-z0-9-]+\.)+[a-z]{2,}/[A-Za-z0-9._~/@?=&#%+-]*[A-Za-z0-9_/]",
    re.ASCII,
)
_PRINTABLE_ASCII = lazy_regex(r"[!-~]+(?: [!-~]+)*")
_INVISIBLE_CHARACTERS = lazy_regex(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
_WHITESPACE = lazy_regex(r"[\s\u00a0\u3000]+")
_FULLWIDTH_MAP = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3002: ord("."),
    0xFF61: ord("."),
}
_CONTINUATION_BYTES = (
    "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"  # bytes after a character's first
)
_MOJIBAKE = lazy_regex(f"[ÃÂØÙ]{_CONTINUATION_BYTES}")
_MOJIBAKE_SEQUENCE = lazy_regex(f"[Â-ß]{_CONTINUATION_BYTES}|[à-ï]{_CONTINUATION_BYTES}{{2}}")

# =HYPERLINK("address";"words"), LIEN_HYPERTEXTE in French sheets; Access writes words#address#.
# An apostrophe may stand in an address: what the opening mark was closes it.
_HYPERLINK_FORMULA = lazy_regex(
    r"""(?i)^[=+@]*\s*(?:hyperlink|lien_hypertexte)\s*\(\s*(?:"([^"]*)"|'([^']*)')"""
)
_ACCESS_HYPERLINK = lazy_regex(r"^[^#/]*#((?:https?://|www\.)[^#]+)#[^#]*$")
_MARKDOWN_LINK = lazy_regex(
    r"""\[[^\]]*\]\(\s*<?((?:[^()>"']|'(?=\S)|\([^()]*\))+?)>?(?:\s+["'][^)]*)?\s*\)"""
)
_HTML_ANCHOR = lazy_regex(
    r"""(?i)<a\s[^>]*href\s*=\s*(?:"([^"<>]+)|'([^'<>]+)|([^"'\s>][^"\s>]*))"""
)
_LINK_SYNTAXES = (
    ("(", _HYPERLINK_FORMULA),
    ("#", _ACCESS_HYPERLINK),
    ("](", _MARKDOWN_LINK),
    ("<", _HTML_ANCHOR),
)
"""A link in a sheet's, a page's or a note's own writing, each with a mark that it never lacks."""

_HTML_ENTITY = lazy_regex(r"(?i)&(?:amp|nbsp|quot|lt|gt|#\d+|#x[0-9a-f]+);")

# https// http:/ htpp:// ttps:// http;// http.// hhttp:// https::// http: //
_HTTP_SCHEME = lazy_regex(
    r"(?i)^(?:h{1,3}t{1,3}p{1,3}s?|t{1,2}ps?|h{1,2}t{0,1}ps?|hpt{1,2}ps?|httsp|htpts|hxxps?)\s*"
    r"(?:[:;.,]{1,3}\s*[/\\]{1,4}|[:;]{1,2}\s*(?=www\.)|/{2,3}:?|:(?=[^\s/.]+\.\S))\s*"
)
_HTTPS_SCHEME = lazy_regex(r"(?i)^[a-z]*s[a-z]{0,1}\s*[:;.,/\\]")
_OTHER_SCHEME = lazy_regex(r"(?i)^(?!(?:www|localhost)\b)([a-z][a-z0-9+.-]*):(?!//)(?!\d+(?:/|$))")
_SCHEME_IN_TEXT = lazy_regex(r"(?i)\bh?t{1,2}ps?\s?[:;]\s?/{1,3}\s?[^\s/]")
_WWW_PREFIX = lazy_regex(
    r"(?i)^w{2,5}(?:\s*[.,]\s*|\.{2,}|:?//?\.?|(?<=^www)\s+(?=\S+\.\S))(?=[^\s.,/:])"
)
_OPENING_MARKS, _CLOSING_MARKS = lazy_regex(r"^[\s<(\[{\"'«“‘`*|]+"), ">)]}\"'»”’`*|.,;:?#،؛؟…·•"
_HOST_LABEL = lazy_regex(
    r"(?i)[a-z0-9_\u00a1-\uffff](?:[a-z0-9_\u00a1-\uffff-]{0,61}[a-z0-9\u00a1-\uffff])?"
)
_IPV4_ADDRESS = lazy_regex(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_TRACKING_PARAMETER = lazy_regex(
    r"(?i)(?:utm_\w+|fbclid|gclid|gclsrc|dclid|msclkid|yclid|twclid|igshid|igsh|mibextid|mc_cid|mc_eid|_ga|_gl"
    r"|ref_src|ref_url|srsltid|wbraid|gbraid|li_fat_id|_hsenc|_hsmi|mkt_tok|spm|trk)"
)


def repair_link_text(typed: str) -> str:
    """The text of one cell without what is no part of a link: marks, formulas, quotes, a label before it."""
    text = typed[:MAX_CELL_CHARS].strip()
    if _CLEAN_URL.fullmatch(text):
        return text
    if not _PRINTABLE_ASCII.fullmatch(text) or ("&" in text and ";" in text):
        text = _repair_mojibake(text).translate(_FULLWIDTH_MAP)
        text = _WHITESPACE.sub(" ", _INVISIBLE_CHARACTERS.sub("", unescape_entities(text))).strip()
    for mark, form in _LINK_SYNTAXES:
        found = form.search(text) if mark in text else None
        text = (found[found.lastindex or 0] or "").strip() if found else text
    return trim_punctuation(normalize("NFC", text))


def strip_invisible(typed: str) -> str:
    """What is to be seen of a typed text."""
    return _INVISIBLE_CHARACTERS.sub("", typed[:MAX_CELL_CHARS]).strip()


def unescape_entities(text: str) -> str:
    """With `&amp;` and numbers undone, however often done, and nothing else: `&copy=1` is no entity."""
    once = _HTML_ENTITY.sub(lambda found: unescape(found[0]), text) if "&" in text else text
    return once if len(once) == len(text) else unescape_entities(once)


def is_link_markup(text: str) -> bool:
    """Whether a cell is one link in a sheet's, a page's or a note's own writing."""
    return any(form.search(text) for mark, form in _LINK_SYNTAXES if mark in text)


def _repair_mojibake(text: str) -> str:
    """Text that was UTF-8 and read as windows-1252 on its way (`Ã©` for é), read again, however often."""
    if not _MOJIBAKE.search(text):
        return text
    again = _MOJIBAKE_SEQUENCE.sub(lambda found: _decode_mojibake(found[0]), text)
    return again if again == text else _repair_mojibake(again)


def _decode_mojibake(text: str) -> str:
    try:
        return b"".join(map(_encode_cp1252, text)).decode("utf-8")
    except UnicodeError:
        return text


def _encode_cp1252(letter: str) -> bytes:
    """The byte of windows-1252, or the one that it leaves undefined."""
    try:
        return letter.encode("cp1252")
    except UnicodeError:
        return letter.encode("latin-1")


def trim_punctuation(text: str) -> str:
    """Without quotes, brackets and punctuation around it; a bracket opened inside keeps its end."""
    text = _OPENING_MARKS.sub("", text.strip())
    while text and text[-1] in _CLOSING_MARKS and not _has_opening_bracket(text):
        text = text[:-1].rstrip()
    return text


def _has_opening_bracket(text: str) -> bool:
    """Whether the bracket at the end has its beginning in the text."""
    opening = {")": "(", "]": "["}.get(text[-1])
    return opening is not None and text.count(opening) >= text.count(text[-1])


def extract_url(text: str, *, allow_missing_scheme: bool = True) -> str | None:
    """The address in a repaired text, or None where there is none.

    `loosely` also takes `example.ma/page` without a scheme, as long as the top-level domain exists.
    """
    if _CLEAN_URL.fullmatch(text) and parse_host(host := text.split("/", 3)[2]) == host:
        return text
    text = _TELEGRAM_APP_LINK.sub(r"https://t.me/", _skip_to_url(text))
    scheme = _HTTP_SCHEME.match(text)
    if scheme:
        secure = _HTTPS_SCHEME.match(scheme[0]) is not None
        rest = text[scheme.end() :]
        while inner := _HTTP_SCHEME.match(rest):  # http://https://…
            secure, rest = _HTTPS_SCHEME.match(inner[0]) is not None, rest[inner.end() :]
    elif text.startswith("//"):
        secure, rest = True, text.lstrip("/")
    elif _OTHER_SCHEME.match(text) or not (allow_missing_scheme and _looks_like_host(text)):
        return None
    else:
        secure, rest = True, text
    return _build_url("https" if secure else "http", _WWW_PREFIX.sub("www.", rest))


_TELEGRAM_APP_LINK = lazy_regex(
    r"(?i)^tg:/{0,2}resolve/?\?(?:[^#\s]*&)?domain=(?=\w)"
)  # as Telegram's own buttons link


def _skip_to_url(text: str) -> str:
    """From where the address begins: `Site web : https://…`, `our page www.…`."""
    found = _SCHEME_IN_TEXT.search(text)
    before = text[: found.start()] if found else ""
    if (
        found
        and before
        and (before[-1] in " :>=|-(\"'،" or " " in before)
        and not _ends_inside_url(before)
    ):
        text = text[found.start() :]
    elif not found and " " in text and (www := re.search(r"(?i)(?:^|[\s:(>])(www\.\S.*)", text)):
        text = trim_punctuation(www[1])
    if not _HTTP_SCHEME.match(text):
        return text
    return trim_punctuation(text)


def _ends_inside_url(before: str) -> bool:
    """Whether an address without a scheme has begun, whose path or query holds the link that follows."""
    last = _HTTP_SCHEME.sub("", before.rpartition(" ")[2])
    return ("/" in last or "?" in last) and _looks_like_host(last)


def _looks_like_host(text: str) -> bool:
    host = (
        re.split(r"[/?#\s]", _WWW_PREFIX.sub("www.", text), maxsplit=1)[0]
        .rpartition("@")[2]
        .partition(":")[0]
    )
    return "." in host.strip(".") and (
        is_top_level_domain(host.rpartition(".")[2].lower()) or bool(_WWW_PREFIX.match(text))
    )


def _build_url(scheme: str, rest: str) -> str | None:
    """Scheme, host and the rest as one address, or None where two readers could see two hosts in it."""
    authority, cut, path = _split_authority(rest)
    bracketed = _BRACKETED_HOST.match(authority)
    name, colon, port = bracketed.groups("") if bracketed else authority.partition(":")
    host = parse_host(name) or _parse_numeric_host(name)
    if host is None or "\\" in rest or (colon and not _is_valid_port(port)):
        return None
    shown = "" if port in ("", {"http": "80", "https": "443"}[scheme]) else f":{port}"
    path = _clean_path(path)
    return f"{scheme}://{host}{shown}{cut if path or cut == '/' else ''}{path}"


def _is_valid_port(port: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", port) is not None and 0 < int(port) < 65_536


def _clean_path(path: str) -> str:
    """What follows the host, up to the talk after it; spaces typed inside a path are kept as %20."""
    path = _MARKUP_CHARACTER.split(path, maxsplit=1)[0]
    kept = path.partition(" ")[0]
    if " " not in path:
        return path
    if not kept or kept.endswith((",", ";", ":")) or _TEXT_AFTER_PATH.match(path, len(kept)):
        return trim_punctuation(kept)
    return path.replace(" ", "%20")


# In a path "and" may be a part of a name (`company/some and company`), and half a name is another's: what is
# set off by a mark is talk, what a conjunction joins only where it is a link.
_TEXT_AFTER_PATH = lazy_regex(
    r"(?i)\s+(?:\(|[-–—|/]+\s|[a-z]+\s*:\s*(?:[@+(\d]|\S+[./])"
    r"|(?:(?:and|et|ou|or|&)\s+|و\s*)?(?:https?:|www\.|@\w|(?:[\w-]+\.)+[a-z]{2,}(?:[/\s]|$)))"
)


_MARKUP_CHARACTER = lazy_regex(
    r"[\"<>]"
)  # no address holds one as it stands: what follows is a page's or a sheet's


def _split_authority(rest: str) -> tuple[str, str, str]:
    """The authority, and what follows it with its first mark; words after a bare host are talk."""
    found = re.search(r"[/?#]", rest)
    authority, path = (rest[: found.start()], rest[found.start() :]) if found else (rest, "")
    authority = authority.strip()
    if " " in authority and _TEXT_AFTER_HOST.match(authority, authority.index(" ")):
        path = ""
    return authority if path else authority.partition(" ")[0], path[:1], path[1:]


_TEXT_AFTER_HOST = lazy_regex(
    r"(?i)\s+(?:[-–(&|/]|and\b|et\b|ou\b|or\b|و|https?:|www\.|@|[a-z]+\s*:)"
)


# Numbers and localhost are hosts to a browser, in any notation: kept as they are, for the guard to refuse.
_BRACKETED_HOST = lazy_regex(r"(\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\])(?:(:)(\d*))?$")
_NUMERIC_HOST = lazy_regex(r"(?i)localhost\.?|(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+))*")


def _parse_numeric_host(name: str) -> str | None:
    """A number or localhost as it was typed; in brackets only what is an IPv6 address."""
    if not name.startswith("["):
        return name.lower() if _NUMERIC_HOST.fullmatch(name) else None
    try:
        IPv6Address(name[1:-1])
    except ValueError:
        return None
    return name.lower()


@lru_cache(maxsize=16_384)
def parse_host(host: str) -> str | None:
    """A host in lower-case Unicode, or None where it is none: `xn--…` decoded, dots and commas mended.

    Letters are read as browsers read them (`ⓕ` is f), so a letter that stands for a mark (`﹕`) ends no host.
    """
    lower = normalize(
        "NFKC", normalize("NFKC", _INVISIBLE_CHARACTERS.sub("", host).strip()).lower()
    )
    host = re.sub(r"\.{2,}", ".", lower.replace(",", ".")).strip(".")
    if "." not in host or len(host) > 253:
        return None
    labels = [_decode_label(label) for label in host.split(".")]
    if not all(_HOST_LABEL.fullmatch(label) for label in labels) or (
        labels[0] == "www" and len(labels) == 2
    ):
        return None  # `www.youtube.` is a host cut short, not the site of a top-level domain
    if _IPV4_ADDRESS.fullmatch(host):
        return host if all(int(part) < 256 for part in host.split(".")) else None
    return ".".join(labels) if is_top_level_domain(labels[-1]) else None


def _decode_label(label: str) -> str:
    """The letters of `xn--…`, or the label itself where they are none that a name may be written in."""
    if not label.startswith("xn--"):
        return label
    try:
        letters = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return label if letters.isascii() or normalize("NFC", letters.lower()) != letters else letters


# --- Parts ---------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def parse_url(url: str) -> SplitResult:
    """The parts of any text as an address, all empty where it is none: unlike `urlsplit` it never raises."""
    plain = _URL_PARTS.fullmatch(url)
    if plain:
        return SplitResult(*plain.groups(""))
    try:
        return urlsplit(url)
    except ValueError:  # brackets that pretend to be an IPv6 address, letters that stand for marks
        return SplitResult("", "", "", "", "")


_URL_PARTS = lazy_regex(
    r"(https?)://([A-Za-z0-9.:@_-]+)(/[!\"$->@-~]*)?(?:\?([!\"$-~]*))?(?:#([!-~]*))?"
)
"""What `urlsplit` tells, of the addresses in which nothing is odd, in a tenth of the time."""


def join_url(base: str, href: str) -> str:
    """The address as seen from `base`; what cannot be joined stays as written."""
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def split_url(url: str) -> tuple[str, str, str, str]:
    """Host with its port, path, query and fragment of a cleaned address."""
    parts = parse_url(url)
    return parts.netloc, parts.path, parts.query, parts.fragment


def split_path(path: str) -> list[str]:
    """The parts of a path as a person reads them: decoded, without invisible marks and empty ones."""
    return list(filter(None, map(decode_path_segment, path.split("/"))))


def parse_query(query: str) -> dict[str, str]:
    """The first value of each name in a query, decoded; names without a value are left out."""
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if value:
            found.setdefault(_unquote_plus(name), _unquote_plus(value))
    return found


def _unquote_plus(text: str) -> str:
    return unquote(text.replace("+", " "))


_UNESCAPED_SEGMENT = lazy_regex(r"[A-Za-z0-9_@-]*")


def decode_path_segment(segment: str) -> str:
    """One part of a path as a person reads it."""
    if _UNESCAPED_SEGMENT.fullmatch(segment):
        return segment
    return _INVISIBLE_CHARACTERS.sub("", unquote(segment)).strip()


def strip_tracking(url: str) -> str:
    """The address without its fragment and the names that only tell where a visitor came from."""
    address, mark, query = url.partition("#")[0].partition("?")
    if not mark:
        return trim_punctuation(address)
    kept = [
        pair
        for pair in query.split("&")
        if pair and not _TRACKING_PARAMETER.fullmatch(pair.partition("=")[0])
    ]
    return trim_punctuation(f"{address}?{'&'.join(kept)}" if kept else address)


def make_absolute(base: str, href: str) -> str:
    """The address as seen from `base`; what cannot be joined stays as written."""
    href = href.strip() if href.isprintable() else INVISIBLE_CHARACTERS.sub("", href).strip()
    if href.startswith(("https://", "http://")) or not href:
        return href
    if href[0] == "/" and href[1:2] != "/" and "/." not in href:
        return (
            _get_origin(base) + href
        )  # most links; joining them by the book costs a fifth of all reading
    return join_url(base, href)


@lru_cache(maxsize=64)
def _get_origin(base: str) -> str:
    """Nothing where the base is no address: a page may declare any text as one."""
    return join_url(base, "/").removesuffix("/")


def get_host(url: str) -> str:
    """The host of an address, lower-case, or nothing."""
    return (parse_url(url).hostname or "").lower()


MAX_QUERY_CHARS = 60  # characters
# What a host's notice links to on the notice's own host.
_BOILERPLATE_PATH = lazy_regex(r"privacy|terms|legal|lander|cgi-|login|cookie|^/*$")


def count_internal_links(url: str, links: Iterable[str]) -> int:
    """How many other pages of the site at `url` these links lead to; forty are counted at most."""
    parts = parse_url(url)
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
        if len(query) > MAX_QUERY_CHARS or (
            not query and (same or _BOILERPLATE_PATH.search(plain.lower()))
        ):
            continue  # a parked page's searches carry long queries
        pages.add(path)
        if len(pages) == 40:
            break
    return len(pages)
