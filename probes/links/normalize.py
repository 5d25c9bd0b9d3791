"""Repairs typed links, and builds, splits and joins URLs.

A repair removes formulas, markup, wrong charsets and marks around an address. It changes how an
address is written, never where it leads. Hosts with a password, an ambiguous backslash or a lone
percent sign are rejected, because a reader and a browser see different hosts in them.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from html import unescape
from ipaddress import IPv6Address
from unicodedata import normalize
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

from probes.links.domains import MAX_HOST_CHARS, is_top_level_domain
from probes.text.charset import INVISIBLE_CHARACTERS

MAX_CELL_CHARS = 4_096
"""Characters of a cell in which links are searched."""

# Most links need no repair. This pattern recognises them ten times faster than the repairs.
CLEAN_URL = re.compile(
    r"https?://(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[A-Za-z0-9._~/@-]*[A-Za-z0-9_/])?"
    r"|https?://(?!w{4}|ww\.)(?:[a-z0-9-]+\.)+[a-z]{2,}/[A-Za-z0-9._~/@?=&#%+-]*[A-Za-z0-9_/]",
    re.ASCII,
)
_PRINTABLE_ASCII = re.compile(r"[!-~]+(?: [!-~]+)*")
# Shorter than `charset.IGNORABLE_CHARACTERS`: a repair never changes where a link leads, and a path
# may contain the other characters.
INVISIBLE_MARKS = re.compile(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff\x00-\x08\x0e-\x1f\x7f"
    "-\x84\x86-\x9f]"
)
_WHITESPACE = re.compile(r"[\s\u00a0\u3000]+")
_CONTINUATION_BYTES = "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"  # UTF-8 continuation bytes
_MOJIBAKE = re.compile(f"[ÃÂØÙ]{_CONTINUATION_BYTES}")
_MOJIBAKE_SEQUENCE = re.compile(f"[Â-ß]{_CONTINUATION_BYTES}|[à-ï]{_CONTINUATION_BYTES}{{2}}")

# =HYPERLINK("address";"text"), LIEN_HYPERTEXTE in French spreadsheets.
# An address may contain an apostrophe, so only the quotation mark that opened it closes it.
_HYPERLINK_FORMULA = re.compile(
    r"""(?i)^[=+@]*\s*(?:hyperlink|lien_hypertexte)\s*\(\s*(?:"([^"]*)"|'([^']*)')"""
)
_HTML_ANCHOR = re.compile(
    r"""(?i)<a\s[^<>]*href\s*=\s*(?:"([^"<>]+)|'([^'<>]+)|([^"'\s>][^"\s>]*))"""
)
_LINK_SYNTAXES = (("(", _HYPERLINK_FORMULA), ("<", _HTML_ANCHOR))
"""Link markup of spreadsheets and HTML, each with a mark it always contains."""

_HTML_ENTITY = re.compile(r"(?i)&(?:amp|nbsp|quot|lt|gt|#\d+|#x[0-9a-f]+);")
# Quotes, brackets and the marks of a list: `• annour.ma`, `2) annour.ma`.
_OPENING_MARKS = re.compile(
    r"^(?:[\s<(\[{\"'«“‘`*|]|[-–—•●▪◦‣·]\s+(?=\S)|[0-9]{1,2}[.)]\s+(?=[^\W\d]))+"
)
# A backslash at the end is no part of an address. Elsewhere it makes the host ambiguous.
_CLOSING_MARKS = ">)]}\"'»”’`*|.,;:?#،؛؟…·•\\"
# `annour.ma\agenda`. With an `@` after it, a browser and a reader see different hosts.
_HOST_AND_BACKSLASHES = re.compile(
    r"(?i)(?:https?:[/\\]{2})?(?:[\w-]+\.)+[a-z]{2,}\\[^@\s:]*[^@\s:\\]"
)


def repair_link_text(typed: str) -> str:
    """Return the text of a cell without formulas, markup, quotes and invisible characters."""
    text = typed[:MAX_CELL_CHARS].strip()
    if CLEAN_URL.fullmatch(text):
        return text
    if not _PRINTABLE_ASCII.fullmatch(text) or _HTML_ENTITY.search(text):
        text = INVISIBLE_MARKS.sub("", unescape_entities(_repair_charset(text)))
        text = _WHITESPACE.sub(" ", text).strip()
    if _HOST_AND_BACKSLASHES.fullmatch(text):
        text = text.replace("\\", "/")
    for mark, pattern in _LINK_SYNTAXES:
        markup = pattern.search(text) if mark in text else None
        if markup:
            text = (markup[markup.lastindex or 0] or "").strip()
    return trim_punctuation(normalize("NFC", text))


def strip_invisible(typed: str) -> str:
    """Return the visible characters of a typed text."""
    return INVISIBLE_MARKS.sub("", typed[:MAX_CELL_CHARS]).strip()


def unescape_entities(text: str) -> str:
    """Decode `&amp;` and numeric entities, also nested ones. `&copy=1` stays: it is a parameter."""
    while "&" in text:
        decoded = _HTML_ENTITY.sub(lambda match: unescape(match[0]), text)
        if len(decoded) == len(text):
            break
        text = decoded
    return text


def is_link_markup(text: str) -> bool:
    """Return True if a cell contains link markup, such as a HYPERLINK formula."""
    return any(pattern.search(text) for mark, pattern in _LINK_SYNTAXES if mark in text)


def _repair_charset(text: str) -> str:
    """Decode UTF-8 that was read as windows-1252 (`Ã©` for é), even several times."""
    previous = ""
    while _MOJIBAKE.search(text) and previous != text:
        previous, text = text, _MOJIBAKE_SEQUENCE.sub(_decode_mojibake, text)
    return text


def _decode_mojibake(match: re.Match[str]) -> str:
    """Return the characters whose bytes were read as windows-1252, or Latin-1 where undefined."""
    encoded = b"".join(
        letter.encode("cp1252", "ignore") or letter.encode("latin-1", "ignore")
        for letter in match[0]
    )
    try:
        return encoded.decode("utf-8")
    except UnicodeError:
        return match[0]


def trim_punctuation(text: str) -> str:
    """Remove quotes, brackets and punctuation around a text. Brackets that match inside stay."""
    text = _OPENING_MARKS.sub("", text.strip())
    while text and text[-1] in _CLOSING_MARKS:
        opening = {")": "(", "]": "["}.get(text[-1])
        if opening and text.count(opening) >= text.count(text[-1]):
            break
        text = text[:-1].rstrip()
    return text


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
# compiled at its first use, which takes 10 ms
_HOST_LABEL = (
    r"[A-Za-z0-9_\u00a1-\uffff](?:[A-Za-z0-9_\u00a1-\uffff-]{0,61}[A-Za-z0-9\u00a1-\uffff])?"
)
_IPV4_NUMBER = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_IPV4_ADDRESS = re.compile(rf"{_IPV4_NUMBER}(?:\.{_IPV4_NUMBER}){{3}}")
_TRACKING_PARAMETER = re.compile(
    r"(?i)(?:utm_\w+|fbclid|gclid|gclsrc|dclid|msclkid|yclid|twclid|igshid|igsh|mibextid|mc_cid"
    r"|mc_eid|_ga|_gl"
    r"|ref_src|ref_url|srsltid|wbraid|gbraid|li_fat_id|_hsenc|_hsmi|mkt_tok|spm|trk)"
)
_SCHEME_WITHOUT_MARKS = re.compile(r"(?i)^htt?p?s?(?=www\.)")  # httpwww.annour.ma
_WWW_IN_TEXT = re.compile(r"(?i)(?:^|[\s:(>])(www\.\S.*)")
# Without `www.` a host counts only with a path or after a colon. Other names contain dots too.
_HOST_IN_TEXT = re.compile(
    r"(?i)(?:[\s:(>](?=[^\s@/]{1,100}/)|:\s?(?=[^\s@/]{1,100}$))"
    r"((?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24}(?:/\S.*)?)$"
)
# Inside a path "and" may be part of a name (`company/some and company`), and half a name is another
# account. So a conjunction ends the path only before a link, while a punctuation mark always does.
_TEXT_AFTER_PATH = re.compile(
    r"(?i)\s+(?:\(|[-–—|/:]+\s|[a-z]+\s*:\s*(?:[@+(\d]|\S+[./])"
    r"|(?:(?:and|et|ou|or|&)\s+|و\s*)?(?:https?:|www\.|@\w|(?:[\w-]+\.)+[a-z]{2,}(?:[/\s]|$)))"
)
_MARKUP_CHARACTER = re.compile(r"[\"<>]")
"""Characters that no URL contains unescaped. Markup of a page or spreadsheet follows them."""
_TEXT_AFTER_HOST = re.compile(
    r"(?i)\s+(?:[-–(&|/]|and\b|et\b|ou\b|or\b|و|https?:|www\.|@|[a-z]+\s*:)"
)
# Browsers accept numbers in any notation and localhost. They are kept, and the SSRF guard refuses
# them.
_BRACKETED_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\])(:?)(\d*)$")
_NUMERIC_HOST = re.compile(r"(?i)localhost\.?|(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+))*")
_URL_PARTS = re.compile(
    r"(https?)://([A-Za-z0-9.:@_-]+)(/[!\"$->@-~]*)?(?:\?([!\"$-~]*))?(?:#([!-~]*))?"
)
"""Splits ordinary URLs as `urlsplit` does, in a tenth of the time."""
_USUAL_HOST = re.compile(r"https?://([A-Za-z0-9._-]+)(?:[/?#]|\Z)")
"""Finds a host without a port or a password in a third of that time."""
_UNESCAPED_SEGMENT = re.compile(r"[A-Za-z0-9_@-]*")
# Languages of the platforms' interfaces (ISO 639-1).
_LANGUAGE_CODES = """
    af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it
    ja ka kk km kn ko ku ky lo lt lv mk ml mn mr ms my nb ne nl nn no pa pl ps pt ro ru si sk sl so
    sq sr sv sw ta te th tl tr uk ur uz vi zh
"""
LOCALE = rf"(?:{'|'.join(_LANGUAGE_CODES.split())})(?:[_-][a-z]{{2}})?"
"""Matches a language with or without a country in lower case."""
_LOCALE_PATTERN = re.compile(f"(?i){LOCALE}")
MAX_INTERNAL_LINKS = 40
"""Links of a page to its own site that are compared."""
MAX_QUERY_CHARS = 60  # parked pages link to searches with longer queries
# Links that hosting notices have on their own host.
_BOILERPLATE_PATH = re.compile(r"privacy|terms|legal|lander|cgi-|login|cookie|^/*$")


@lru_cache(maxsize=256)
def is_clean_url(text: str) -> bool:
    """Return True for a URL that needs no repair."""
    host = text.split("/", 3)[2] if CLEAN_URL.fullmatch(text) else ""
    return bool(host) and parse_host(host) == host


def extract_url(text: str) -> str | None:
    """Return the URL in a repaired text, or None.

    `example.ma/page` counts too if its top-level domain exists.
    """
    if is_clean_url(text):
        return text
    text = _SCHEME_WITHOUT_MARKS.sub("", _skip_to_url(text))
    if text.startswith("//"):
        return _build_url("https", _WWW_PREFIX.sub("www.", text.lstrip("/")))
    scheme = ""
    while match := _HTTP_SCHEME.match(text):  # again and again, as in `http://https://…`
        scheme = "https" if _HTTPS_SCHEME.match(match[0]) else "http"
        text = text[match.end() :]
    is_host = not _OTHER_SCHEME.match(text) and _looks_like_host(text)
    if not scheme and not is_host:
        return None
    return _build_url(scheme or "https", _WWW_PREFIX.sub("www.", text))


def _skip_to_url(text: str) -> str:
    """Return the text from its URL on, for `Site web : https://…` or `voir annour.ma/agenda`."""
    scheme = _SCHEME_IN_TEXT.search(text)
    if scheme:
        if _may_precede_url(text[: scheme.start()]):
            text = text[scheme.start() :]
    elif " " in text:
        match = _WWW_IN_TEXT.search(text)
        if match is None and not _looks_like_host(text):
            match = _HOST_IN_TEXT.search(text)
        if match:
            text = trim_punctuation(match[1])
    return trim_punctuation(text) if _HTTP_SCHEME.match(text) else text


def _may_precede_url(before: str) -> bool:
    """Return whether a scheme after this text starts a URL, not a part of another path."""
    last_word = _HTTP_SCHEME.sub("", before.rpartition(" ")[2])
    has_path = "/" in last_word or "?" in last_word
    if has_path and _looks_like_host(last_word):
        return False
    return " " in before or before.endswith(tuple(">=|-(\"':،"))


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
    name, colon, digits = authority.partition(":")
    if bracketed:
        name, colon, digits = bracketed.groups("")
    host = parse_host(name) or _parse_numeric_host(name)
    if host is None or "\\" in rest:
        return None
    port = f"{colon}{digits}"
    if port and not (digits.isdecimal() and 0 < int(digits[:6]) < 65_536):
        return None
    if port == {"http": ":80", "https": ":443"}[scheme]:
        port = ""
    path = _clean_path(path)
    if not path and cut != "/":
        cut = ""
    return f"{scheme}://{host}{port}{cut}{path}"


def _clean_path(path: str) -> str:
    """Return the path without the text after it. Spaces inside a path become %20."""
    path = _MARKUP_CHARACTER.split(path, maxsplit=1)[0]
    kept = path.partition(" ")[0]
    if " " not in path:
        return path
    if not kept or kept.endswith((",", ";", ":")) or _TEXT_AFTER_PATH.match(path, len(kept)):
        return trim_punctuation(kept)
    return path.replace(" ", "%20")


def _split_authority(rest: str) -> tuple[str, str, str]:
    """Split off the authority.

    Returns it, the mark that ends it, and the rest without the words after it.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    authority = authority.strip()
    if " " in authority and _TEXT_AFTER_HOST.match(authority, authority.index(" ")):
        path = ""
    if not path:
        authority = authority.partition(" ")[0]
    return authority, path[:1], path[1:]


def _parse_numeric_host(name: str) -> str | None:
    """Return a numeric host, localhost or an IPv6 address in brackets, or None."""
    try:
        is_ipv6 = name.startswith("[") and bool(IPv6Address(name[1:-1]))
    except ValueError:
        return None
    return name.lower() if is_ipv6 or _NUMERIC_HOST.fullmatch(name) else None


@lru_cache(maxsize=16_384)
def parse_host(host: str) -> str | None:
    """Return a valid host in lower-case Unicode, or None. Repeated dots and commas are repaired.

    Letters are normalized as in browsers (`ⓕ` is f), so a letter that looks like a mark (`﹕`) does
    not end the host. `probes.links.domains.normalize_host` compares hosts without validation.
    """
    lower = normalize("NFKC", normalize("NFKC", INVISIBLE_MARKS.sub("", host).strip()).lower())
    host = re.sub(r"\.{2,}", ".", lower.replace(",", ".")).strip(".")
    if "." not in host or len(host) > MAX_HOST_CHARS:
        return None
    labels = list(map(_decode_label, host.split(".")))
    if not all(re.fullmatch(_HOST_LABEL, label) for label in labels):
        return None
    if labels[:-1] == ["www"]:
        return None  # `www.youtube.` was cut off; it is not the site of a TLD
    if _IPV4_ADDRESS.fullmatch(host) or is_top_level_domain(labels[-1]):
        return ".".join(labels)
    return None


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


def join_url(base: str, href: str) -> str:
    """Join a base URL and a link. A link that cannot be joined is returned unchanged."""
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def split_path(path: str) -> list[str]:
    """Return the non-empty segments of a path, decoded and without invisible characters."""
    return list(filter(None, map(decode_path_segment, path.split("/"))))


def parse_query(query: str) -> dict[str, str]:
    """Return the first value of each query parameter, decoded. Empty values are left out."""
    return dict(reversed(parse_qsl(query)))


def decode_path_segment(segment: str) -> str:
    """Decode one segment of a path and remove invisible characters."""
    if _UNESCAPED_SEGMENT.fullmatch(segment):
        return segment
    return INVISIBLE_MARKS.sub("", unquote(segment)).strip()


def is_locale(segment: str) -> bool:
    """Return True if a path segment is a language with or without a country: `fr`, `fr_FR`."""
    return len(segment) in (2, 5) and _LOCALE_PATTERN.fullmatch(segment) is not None


def strip_tracking(url: str) -> str:
    """Return the URL without its fragment, tracking parameters and parameters of punctuation."""
    address, _, query = url.partition("#")[0].partition("?")
    mark = "?"
    for pair in query.split("&"):
        # Escapes that are no UTF-8 can be letters of an older encoding such as windows-1256.
        has_letter_or_digit = any(
            letter.isalnum() or letter == "\ufffd" for letter in unquote(pair)
        )
        if has_letter_or_digit and not _TRACKING_PARAMETER.fullmatch(pair.partition("=")[0]):
            address = f"{address}{mark}{pair}"
            mark = "&"
    return trim_punctuation(address)


def make_absolute(base: str, href: str) -> str:
    """Return a link of a page as an absolute URL.

    One that cannot be joined is returned unchanged.
    """
    if not href.isprintable():
        href = INVISIBLE_CHARACTERS.sub("", href)
    href = href.strip()
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


@lru_cache(maxsize=256)
def get_host(url: str) -> str:
    """Return the host of a URL in lower case, or an empty string."""
    usual = _USUAL_HOST.match(url)
    return usual[1].lower() if usual else (parse_url(url).hostname or "").lower()


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
        is_other_page = len(query) <= MAX_QUERY_CHARS
        if not query:
            is_boilerplate = _BOILERPLATE_PATH.search(bare_path.lower()) is not None
            is_other_page = not is_boilerplate and f"/{bare_path}".rstrip("/") != current_path
        if is_other_page:
            pages.add(path)
        if len(pages) == MAX_INTERNAL_LINKS:
            break
    return len(pages)
