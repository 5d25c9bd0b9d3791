"""Decodes page bodies to text and cleans single lines of text for storage."""

import codecs
import re
from functools import lru_cache

from probes.models.http import Page

MAX_PARSED_BYTES = 512 * 1024
"""Size limit for parsing HTML and XML.

Two megabytes of nested `<div>` take seconds (measured 2026-11).
"""

MAX_DECLARATION_BYTES = 4_096
"""Bytes of a body in which its encoding is searched."""
MAX_GUESSED_BYTES = 32_768
"""Bytes of a body from which its encoding is guessed, if none is declared."""
MAX_TITLE_CHARS = 300
"""Maximum length of a stored title."""

UNSTORABLE_CHARACTERS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
"""Characters that are removed before storage.

These are C0 and C1 controls except tab and line ends (PostgreSQL refuses NUL), lone surrogates
(UTF-8 cannot encode them), noncharacters (no workbook keeps them), and bidirectional embeddings,
overrides and isolates (they reverse a name). The plain marks LRM, RLM and ALM stay, because Arabic
text needs them.
"""

_INVISIBLE_RANGES = (
    r"\x00-\x1f\x7f-\x9f\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
INVISIBLE_CHARACTERS = re.compile(f"[{_INVISIBLE_RANGES}]+")
"""Characters without a glyph, also the tags that hide a text in another one.

The joiners ZWNJ and ZWJ stay, because Persian and emoji need them, and so do the variation
selectors of emoji.
"""

IGNORABLE_CHARACTERS = (
    rf"[{_INVISIBLE_RANGES}\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\ufff0-\ufff8"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e0fff]"
)
"""Invisible characters and all others that a font may ignore, as in a name of a user.

They are Unicode's Default_Ignorable_Code_Point without the joiners and the blank letters. The
pattern is compiled at its first use, which takes 13 ms.
"""
BLANK_LETTERS = re.compile(r"[\u115f\u1160\u2800\u3164\uffa0]")
"""Letters that look like a space: the fillers of Hangul, and the Braille pattern without dots."""
JOINERS = re.compile(r"[\u200c\u200d]")
"""The joiners ZWNJ and ZWJ."""
STRAY_JOINERS = re.compile(r"(?<![\u0620-\u06ff])[\u200c\u200d]|[\u200c\u200d](?![\u0620-\u06ff])")
"""Joiners that are not between Arabic letters, where Persian spelling needs them."""
_WHITESPACE = re.compile(r"\s+")


def clean_text(text: str, max_chars: int = MAX_TITLE_CHARS) -> str:
    """Return the text as one line of at most `max_chars` without control or bidi characters."""
    if text.isprintable() and "  " not in text:  # the plain space is the only printable one
        return text.strip()[:max_chars]
    line = " ".join(text.split())
    if not line.isprintable():
        line = _WHITESPACE.sub(" ", INVISIBLE_CHARACTERS.sub(" ", line)).strip()
    return line[:max_chars]


def is_cut_at_the_parsed_size(page: Page) -> bool:
    """Return True if only the beginning of the page is parsed."""
    return page.truncated or len(page.body) > MAX_PARSED_BYTES


def decode_body(page: Page) -> str:
    """Return the first MAX_PARSED_BYTES of the body as text.

    The charset comes from the BOM, else UTF-8 if it is valid, else the HTTP header, the page's own
    declaration, and a detector.
    """
    body = page.body[:MAX_PARSED_BYTES]
    for byte_order_mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(byte_order_mark):
            return body[len(byte_order_mark) :].decode(encoding, "replace")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=False)
    except UnicodeDecodeError:
        charset = _find_declared_charset(page, body) or _guess_charset(body)
    return body.decode(charset, "replace")


def _guess_charset(body: bytes) -> str:
    """Return the charset that a detector finds, or windows-1252 for one of its usual mistakes."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  # slow to import

    best = from_bytes(body[:MAX_GUESSED_BYTES]).best()
    if best is None or best.encoding in {"cp1250", "utf_8", "ascii", "mac_iceland", "cp775"}:
        return "cp1252"
    return best.encoding


_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _find_declared_charset(page: Page, body: bytes) -> str | None:
    """Return the charset that the HTTP header or the page declares, or None if it is unknown."""
    header = re.search(
        r"charset\s*+=\s*+[\"']?([\w.:-]+)", page.headers.get("content-type", ""), re.IGNORECASE
    )
    in_page = re.search(
        rb"(?:charset|encoding)\s*+=\s*+(?:[\"']\s*+)?([\w.:-]+)",
        body[:MAX_DECLARATION_BYTES],
        re.IGNORECASE,
    )
    charset = _resolve_charset_label(header[1]) if header else None
    if charset is None and in_page:
        charset = _resolve_charset_label(in_page[1].decode("ascii", "ignore"))
    return charset


@lru_cache(maxsize=256)
def _resolve_charset_label(label: str) -> str | None:
    """Return the Python codec of a charset label as WHATWG defines it, or None.

    Latin-1 means windows-1252 there. UTF-8 gives None, because decoding with it has failed already.
    """
    try:
        codec = codecs.lookup(label)
    except (LookupError, UnicodeError, ValueError):
        return None
    is_text_codec = getattr(codec, "_is_text_encoding", True)
    if not is_text_codec or codec.name in _IGNORED_CODECS:
        return None
    return _WINDOWS_CODECS.get(codec.name, codec.name)


_WINDOWS_CODECS = dict.fromkeys(("iso8859-1", "ascii"), "cp1252")


_IGNORED_CODECS = frozenset(
    {
        "utf-8",
        "utf-16",
        "utf-32",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "raw_unicode_escape",
    }
)
