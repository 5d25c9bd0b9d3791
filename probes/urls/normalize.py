"""Repairs typed links, builds normalized URLs from them, and splits and joins URLs.

A repair changes how an address is written, never where it leads. Hosts with a password, an
ambiguous backslash or a lone percent sign are rejected, because a reader and a browser see
different hosts in them.
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
from probes.urls.domains import is_top_level_domain

MAX_CELL_CHARS = 4_096

# Most links need no repair. This pattern recognises them ten times faster than the repairs.
_CLEAN_URL = re.compile(
    r"https?://(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[A-Za-z0-9._~/@-]*[A-Za-z0-9_/])?"
    r"|https?://(?!w{4}|ww\.)(?:[a-z0-9-]+\.)+[a-z]{2,}/[A-Za-z0-9._~/@?=&#%+-]*[A-Za-z0-9_/]",
    re.ASCII,
)
_PRINTABLE_ASCII = re.compile(r"[!-~]+(?: [!-~]+)*")
_INVISIBLE_CHARACTERS = re.compile(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff\x00-\x08\x0e-\x1f\x7f"
    "-\x84\x86-\x9f]"
)
_WHITESPACE = re.compile(r"[\s\u00a0\u3000]+")
_FULLWIDTH_MAP = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3002: ord("."),
    0xFF61: ord("."),
}
_CONTINUATION_BYTES = "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"  # UTF-8 continuation bytes
_MOJIBAKE = re.compile(f"[ÃÂØÙ]{_CONTINUATION_BYTES}")
_MOJIBAKE_SEQUENCE = re.compile(f"[Â-ß]{_CONTINUATION_BYTES}|[à-ï]{_CONTINUATION_BYTES}{{2}}")

# =HYPERLINK("address";"text"), LIEN_HYPERTEXTE in French spreadsheets. Access writes text#address#.
# An address may contain an apostrophe, so only the quotation mark that opened it closes it.
_HYPERLINK_FORMULA = re.compile(
    r"""(?i)^[=+@]*\s*(?:hyperlink|lien_hypertexte)\s*\(\s*(?:"([^"]*)"|'([^']*)')"""
)
_ACCESS_HYPERLINK = re.compile(r"^[^#/]*#((?:https?://|www\.)[^#]+)#[^#]*$")
_MARKDOWN_WORD = r"""(?:[^\s()>"']|'(?=\S)|\([^()]*+\))++"""
_MARKDOWN_LINK = re.compile(
    rf"""\[[^\[\]]*+\]\(\s*+<?\s*+({_MARKDOWN_WORD}(?:\s++(?!["']){_MARKDOWN_WORD})*+)"""
    r"""(?:\s*+>)?(?:\s++["'][^)]{0,300}+)?\s*+\)"""
)
_HTML_ANCHOR = re.compile(
    r"""(?i)<a\s[^<>]*href\s*=\s*(?:"([^"<>]+)|'([^'<>]+)|([^"'\s>][^"\s>]*))"""
)
_LINK_SYNTAXES = (
    ("(", _HYPERLINK_FORMULA),
    ("#", _ACCESS_HYPERLINK),
    ("](", _MARKDOWN_LINK),
    ("<", _HTML_ANCHOR),
)
"""Link markup of spreadsheets, Access, Markdown and HTML, each with a mark it always contains."""

_HTML_ENTITY = re.compile(r"(?i)&(?:amp|nbsp|quot|lt|gt|#\d+|#x[0-9a-f]+);")

# https// http:/ htpp:// hppt:// htt:// ttps:// http;// http.// hhttp:// https::// http: //
_HTTP_SCHEME = re.compile(
    r"(?i)^(?:h{1,3}t{1,3}p{1,3}(?:ss?|[a-z])?|t{1,2}ps?|h{1,2}t{0,1}ps?|hp{1,2}t{1,2}p?s?|htts?"
    r"|httsp|htpts|hxxps?)\s*"
    r"(?:[:;.,]{1,3}\s*[/\\]{1,4}|[:;]{1,2}\s*(?=www\.)|/{2,3}:?|:(?=[^\s/.]+\.\S))\s*"
)
_HTTPS_SCHEME = re.compile(r"(?i)^[a-z]*s[a-z]{0,1}\s*[:;.,/\\]")
_OTHER_SCHEME = re.compile(r"(?i)^(?!(?:www|localhost)\b)([a-z][a-z0-9+.-]*):(?!//)(?!\d+(?:/|$))")
_SCHEME_IN_TEXT = re.compile(r"(?i)\bh?t{1,2}ps?\s?[:;]\s?/{1,3}\s?[^\s/]")
# www, www.. wwww. www:// www:annour.ma
_WWW_PREFIX = re.compile(
    r"(?i)^w{2,5}(?:\s*[.,]\s*|\.{2,}|:?//?\.?|(?<=^www)\s+(?=\S+\.\S)"
    r"|:(?=[^\W\d_][^\s/@:]*\.[^\s/@:]+(?:[/?#\s]|$)))(?=[^\s.,/:])"
)
# Quotes, brackets and the marks of a list: `• annour.ma`, `2) annour.ma`.
_OPENING_MARKS = re.compile(
    r"^(?:[\s<(\[{\"'«“‘`*|]|[-–—•●▪◦‣·]\s+(?=\S)|[0-9]{1,2}[.)]\s+(?=[^\W\d]))+"
)
# A backslash at the end is no part of an address. Elsewhere it makes the host ambiguous.
_CLOSING_MARKS = ">)]}\"'»”’`*|.,;:?#،؛؟…·•\\"
_HOST_LABEL = re.compile(
    r"[A-Za-z0-9_\u00a1-\uffff](?:[A-Za-z0-9_\u00a1-\uffff-]{0,61}[A-Za-z0-9\u00a1-\uffff])?"
)
_IPV4_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_TRACKING_PARAMETER = re.compile(
    r"(?i)(?:utm_\w+|fbclid|gclid|gclsrc|dclid|msclkid|yclid|twclid|igshid|igsh|mibextid|mc_cid"
    r"|mc_eid|_ga|_gl"
    r"|ref_src|ref_url|srsltid|wbraid|gbraid|li_fat_id|_hsenc|_hsmi|mkt_tok|spm|trk)"
)


def repair_link_text(typed: str) -> str:
    """Return the text of a cell without formulas, markup, quotes and invisible characters."""
    text = typed[:MAX_CELL_CHARS].strip()
    if _CLEAN_URL.fullmatch(text):
        return text
    if not _PRINTABLE_ASCII.fullmatch(text) or ("&" in text and ";" in text):
        text = _repair_characters(text)
    if "\\" in text:
        text = _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).replace("\\/", "/")
        if _HOST_AND_BACKSLASHES.fullmatch(text):
            text = text.replace("\\", "/")
    return trim_punctuation(normalize("NFC", _extract_from_markup(text)))


_JSON_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
"""`\\/` and `\\u0026` in text that was copied from a page's source."""


# `annour.ma\agenda`. With an `@` after it, a browser and a reader see different hosts.
_HOST_AND_BACKSLASHES = re.compile(
    r"(?i)(?:https?:[/\\]{2})?(?:[\w-]+\.)+[a-z]{2,}\\[^@\s:]*[^@\s:\\]"
)


def _repair_characters(text: str) -> str:
    text = _repair_mojibake(text).translate(_FULLWIDTH_MAP)
    return _WHITESPACE.sub(" ", _INVISIBLE_CHARACTERS.sub("", unescape_entities(text))).strip()


def _extract_from_markup(text: str) -> str:
    """Return the address in link markup, or the text if it has none."""
    for mark, pattern in _LINK_SYNTAXES:
        match = pattern.search(text) if mark in text else None
        if match:
            text = (match[match.lastindex or 0] or "").strip()
    return text


def strip_invisible(typed: str) -> str:
    """Return the visible characters of a typed text."""
    return _INVISIBLE_CHARACTERS.sub("", typed[:MAX_CELL_CHARS]).strip()


def unescape_entities(text: str) -> str:
    """Decode `&amp;` and numeric entities, also nested ones. `&copy=1` stays: it is a parameter."""
    decoded = _HTML_ENTITY.sub(lambda match: unescape(match[0]), text) if "&" in text else text
    return decoded if len(decoded) == len(text) else unescape_entities(decoded)


def is_link_markup(text: str) -> bool:
    """Return True if a cell contains link markup, such as a HYPERLINK formula."""
    return any(pattern.search(text) for mark, pattern in _LINK_SYNTAXES if mark in text)


def _repair_mojibake(text: str) -> str:
    """Decode UTF-8 that was read as windows-1252 (`Ã©` for é), even several times."""
    if not _MOJIBAKE.search(text):
        return text
    decoded = _MOJIBAKE_SEQUENCE.sub(lambda match: _decode_mojibake(match[0]), text)
    return decoded if decoded == text else _repair_mojibake(decoded)


def _decode_mojibake(text: str) -> str:
    try:
        return b"".join(map(_encode_cp1252, text)).decode("utf-8")
    except UnicodeError:
        return text


def _encode_cp1252(letter: str) -> bytes:
    """Return the byte of a letter in windows-1252, or in Latin-1 where that is undefined."""
    try:
        return letter.encode("cp1252")
    except UnicodeError:
        return letter.encode("latin-1")


def trim_punctuation(text: str) -> str:
    """Remove quotes, brackets and punctuation around a text. Brackets that match inside stay."""
    text = _OPENING_MARKS.sub("", text.strip())
    while text and text[-1] in _CLOSING_MARKS and not _has_opening_bracket(text):
        text = text[:-1].rstrip()
    return text


def _has_opening_bracket(text: str) -> bool:
    """Return True if the bracket at the end of a text was opened inside it."""
    opening = {")": "(", "]": "["}.get(text[-1])
    return opening is not None and text.count(opening) >= text.count(text[-1])


def extract_url(text: str, *, allow_missing_scheme: bool = True) -> str | None:
    """Return the URL in a repaired text, or None.

    With `allow_missing_scheme`, `example.ma/page` counts too if its top-level domain exists.
    """
    if _CLEAN_URL.fullmatch(text) and parse_host(host := text.split("/", 3)[2]) == host:
        return text
    text = _SCHEME_WITHOUT_MARKS.sub("", _replace_app_link(_skip_to_url(text)))
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


_SCHEME_WITHOUT_MARKS = re.compile(r"(?i)^htt?p?s?(?=www\.)")  # httpwww.annour.ma


def _replace_app_link(text: str) -> str:
    """Return the web address of a link that opens an app, or the text if it is none."""
    if not _APP_SCHEME.match(text):
        return text
    for pattern, address in _APP_LINKS:
        text = pattern.sub(address, text)
    return text


_APP_SCHEME = re.compile(r"(?i)(?:tg|whatsapp|fb|twitter|instagram):")
_APP_LINKS = (
    (re.compile(r"(?i)^tg:/{0,2}resolve/?\?(?:[^#\s]*&)?domain=(?=\w)"), "https://t.me/"),
    (re.compile(r"(?i)^tg:/{0,2}join/?\?invite=(?=\w)"), "https://t.me/+"),
    (re.compile(r"(?i)^whatsapp:/{0,2}channel/"), "https://whatsapp.com/channel/"),
    # To a telephone number, or to share a text.
    (re.compile(r"(?i)^whatsapp:/{0,2}send/?\?"), "https://api.whatsapp.com/send?"),
    (re.compile(r"(?i)^fb://(?:page|profile)/(?=\d)"), "https://www.facebook.com/"),
    (re.compile(r"(?i)^twitter://user\?screen_name=(?=\w)"), "https://x.com/"),
    (re.compile(r"(?i)^instagram://user\?username=(?=\w)"), "https://www.instagram.com/"),
)


def _skip_to_url(text: str) -> str:
    """Return the text from its URL on, for `Site web : https://…` or `our page www.…`."""
    scheme = _SCHEME_IN_TEXT.search(text)
    before = text[: scheme.start()] if scheme else ""
    if (
        scheme
        and before
        and (before[-1] in " :>=|-(\"'،" or " " in before)
        and not _ends_inside_url(before)
    ):
        text = text[scheme.start() :]
    elif not scheme and " " in text:
        text = _skip_to_host(text)
    if not _HTTP_SCHEME.match(text):
        return text
    return trim_punctuation(text)


def _skip_to_host(text: str) -> str:
    """Return the text from its host on, for `our page www.…` or `voir annour.ma/agenda`."""
    match = _WWW_IN_TEXT.search(text)
    if match is None and not _looks_like_host(text):
        match = _HOST_IN_TEXT.search(text)
    return trim_punctuation(match[1]) if match else text


_WWW_IN_TEXT = re.compile(r"(?i)(?:^|[\s:(>])(www\.\S.*)")
# Without `www.` a host counts only with a path or after a colon. Other names contain dots too.
_HOST_IN_TEXT = re.compile(
    r"(?i)(?:[\s:(>](?=[^\s@/]{1,100}/)|:\s?(?=[^\s@/]{1,100}$))"
    r"((?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24}(?:/\S.*)?)$"
)


def _ends_inside_url(before: str) -> bool:
    """Return True if the next link is in the path or query of a URL without a scheme."""
    last = _HTTP_SCHEME.sub("", before.rpartition(" ")[2])
    return ("/" in last or "?" in last) and _looks_like_host(last)


def _looks_like_host(text: str) -> bool:
    authority = re.split(r"[/?#\s]", _WWW_PREFIX.sub("www.", text), maxsplit=1)[0]
    host = authority.rpartition("@")[2].partition(":")[0].rstrip(",;")
    if "." not in host.strip("."):
        return False
    last_label = host.rpartition(".")[2].lower()
    return is_top_level_domain(last_label) or _WWW_PREFIX.match(text) is not None


def _build_url(scheme: str, rest: str) -> str | None:
    """Return the URL of a scheme and the rest, or None if its host is invalid or ambiguous."""
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
    """Return the path without the text after it. Spaces inside a path become %20."""
    path = _MARKUP_CHARACTER.split(path, maxsplit=1)[0]
    kept = path.partition(" ")[0]
    if " " not in path:
        return path
    if not kept or kept.endswith((",", ";", ":")) or _TEXT_AFTER_PATH.match(path, len(kept)):
        return trim_punctuation(kept)
    return path.replace(" ", "%20")


# Inside a path "and" may be part of a name (`company/some and company`), and half a name is another
# account. So a conjunction ends the path only before a link, while a punctuation mark always does.
_TEXT_AFTER_PATH = re.compile(
    r"(?i)\s+(?:\(|[-–—|/:]+\s|[a-z]+\s*:\s*(?:[@+(\d]|\S+[./])"
    r"|(?:(?:and|et|ou|or|&)\s+|و\s*)?(?:https?:|www\.|@\w|(?:[\w-]+\.)+[a-z]{2,}(?:[/\s]|$)))"
)


_MARKUP_CHARACTER = re.compile(r"[\"<>]")
"""Characters that no URL contains unescaped. Markup of a page or spreadsheet follows them."""


def _split_authority(rest: str) -> tuple[str, str, str]:
    """Split off the authority.

    Returns it, the mark that ends it, and the rest without the words after it.
    """
    end = re.search(r"[/?#]", rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    authority = authority.strip()
    if " " in authority and _TEXT_AFTER_HOST.match(authority, authority.index(" ")):
        path = ""
    return authority if path else authority.partition(" ")[0], path[:1], path[1:]


_TEXT_AFTER_HOST = re.compile(
    r"(?i)\s+(?:[-–(&|/]|and\b|et\b|ou\b|or\b|و|https?:|www\.|@|[a-z]+\s*:)"
)


# Browsers accept numbers in any notation and localhost. They are kept, and the SSRF guard refuses
# them.
_BRACKETED_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\])(?:(:)(\d*))?$")
_NUMERIC_HOST = re.compile(r"(?i)localhost\.?|(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+))*")


def _parse_numeric_host(name: str) -> str | None:
    """Return a numeric host, localhost or an IPv6 address in brackets, or None."""
    if not name.startswith("["):
        return name.lower() if _NUMERIC_HOST.fullmatch(name) else None
    try:
        IPv6Address(name[1:-1])
    except ValueError:
        return None
    return name.lower()


@lru_cache(maxsize=16_384)
def parse_host(host: str) -> str | None:
    """Return a valid host in lower-case Unicode, or None. Repeated dots and commas are repaired.

    Letters are normalized as in browsers (`ⓕ` is f), so a letter that looks like a mark (`﹕`) does
    not end the host. `probes.urls.domains.normalize_host` compares hosts without validation.
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
        return None  # `www.youtube.` was cut off; it is not the site of a TLD
    if _IPV4_ADDRESS.fullmatch(host):
        return host if all(int(part) < 256 for part in host.split(".")) else None
    return ".".join(labels) if is_top_level_domain(labels[-1]) else None


def _decode_label(label: str) -> str:
    """Decode an `xn--` label. An invalid one is returned unchanged."""
    if not label.startswith("xn--"):
        return label
    try:
        letters = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return label if letters.isascii() or normalize("NFC", letters.lower()) != letters else letters


@lru_cache(maxsize=256)
def parse_url(url: str) -> SplitResult:
    """Split a URL. Returns empty parts for an invalid one; unlike `urlsplit` it never raises."""
    match = _URL_PARTS.fullmatch(url)
    if match:
        return SplitResult(*match.groups(""))
    try:
        return urlsplit(url)
    except ValueError:  # an invalid IPv6 address, or letters that normalize to marks
        return SplitResult("", "", "", "", "")


_URL_PARTS = re.compile(
    r"(https?)://([A-Za-z0-9.:@_-]+)(/[!\"$->@-~]*)?(?:\?([!\"$-~]*))?(?:#([!-~]*))?"
)
"""Splits ordinary URLs as `urlsplit` does, in a tenth of the time."""


def join_url(base: str, href: str) -> str:
    """Join a base URL and a link. A link that cannot be joined is returned unchanged."""
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def split_url(url: str) -> tuple[str, str, str, str]:
    """Return the authority, path, query and fragment of a cleaned URL."""
    parts = parse_url(url)
    return parts.netloc, parts.path, parts.query, parts.fragment


def split_path(path: str) -> list[str]:
    """Return the non-empty segments of a path, decoded and without invisible characters."""
    return list(filter(None, map(decode_path_segment, path.split("/"))))


def parse_query(query: str) -> dict[str, str]:
    """Return the first value of each query parameter, decoded. Empty values are left out."""
    parameters: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if value:
            parameters.setdefault(_unquote_plus(name), _unquote_plus(value))
    return parameters


def _unquote_plus(text: str) -> str:
    return unquote(text.replace("+", " "))


_UNESCAPED_SEGMENT = re.compile(r"[A-Za-z0-9_@-]*")


def decode_path_segment(segment: str) -> str:
    """Decode one segment of a path and remove invisible characters."""
    if _UNESCAPED_SEGMENT.fullmatch(segment):
        return segment
    return _INVISIBLE_CHARACTERS.sub("", unquote(segment)).strip()


# Languages of the platforms' interfaces (ISO 639-1).
_LANGUAGE_CODES = """
    af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it
    ja ka kk km kn ko ku ky lo lt lv mk ml mn mr ms my nb ne nl nn no pa pl ps pt ro ru si sk sl so
    sq sr sv sw ta te th tl tr uk ur uz vi zh
"""
LOCALE = rf"(?:{'|'.join(_LANGUAGE_CODES.split())})(?:[_-][a-z]{{2}})?"
"""Matches a language with or without a country in lower case."""
_LOCALE_PATTERN = re.compile(f"(?i){LOCALE}")


def is_locale(segment: str) -> bool:
    """Return True if a path segment is a language with or without a country: `fr`, `fr_FR`."""
    return len(segment) in (2, 5) and _LOCALE_PATTERN.fullmatch(segment) is not None


def strip_tracking(url: str) -> str:
    """Return the URL without its fragment and tracking parameters."""
    address, mark, query = url.partition("#")[0].partition("?")
    if not mark:
        return trim_punctuation(address)
    pairs = [
        pair
        for pair in query.split("&")
        if pair and not _TRACKING_PARAMETER.fullmatch(pair.partition("=")[0])
    ]
    return trim_punctuation(f"{address}?{'&'.join(pairs)}" if pairs else address)


def make_absolute(base: str, href: str) -> str:
    """Return a link of a page as an absolute URL.

    One that cannot be joined is returned unchanged.
    """
    href = href.strip() if href.isprintable() else INVISIBLE_CHARACTERS.sub("", href).strip()
    if href.startswith(("https://", "http://")) or not href:
        return href
    if href[0] == "/" and href[1:2] != "/" and "/." not in href:
        # Most links. Joining them with `urljoin` takes a fifth of the parsing time.
        return _get_origin(base) + href
    return join_url(base, href)


@lru_cache(maxsize=64)
def _get_origin(base: str) -> str:
    """Return scheme and host of a base URL, or an empty string if it is invalid."""
    return join_url(base, "/").removesuffix("/")


def get_host(url: str) -> str:
    """Return the host of a URL in lower case, or an empty string."""
    return (parse_url(url).hostname or "").lower()


MAX_INTERNAL_LINKS = 40
MAX_QUERY_CHARS = 60  # parked pages link to searches with longer queries
# Links that hosting notices have on their own host.
_BOILERPLATE_PATH = re.compile(r"privacy|terms|legal|lander|cgi-|login|cookie|^/*$")


def count_internal_links(url: str, links: Iterable[str]) -> int:
    """Count the links to other pages of the site at `url`, up to MAX_INTERNAL_LINKS."""
    parts = parse_url(url)
    current_path, site = parts.path.rstrip("/"), parts.netloc.lower()
    own_hosts = {site, f"www.{site}", site.removeprefix("www.")}
    pages: set[str] = set()
    for link in links:
        scheme, _, rest = link.partition("#")[0].partition("://")
        name, _, path = rest.partition("/")
        if scheme not in ("http", "https") or name.lower() not in own_hosts:
            continue
        bare_path, _, query = path.partition("?")
        if len(query) > MAX_QUERY_CHARS:
            continue
        is_current_page = f"/{bare_path}".rstrip("/") == current_path
        if not query and (is_current_page or _BOILERPLATE_PATH.search(bare_path.lower())):
            continue
        pages.add(path)
        if len(pages) == MAX_INTERNAL_LINKS:
            break
    return len(pages)
