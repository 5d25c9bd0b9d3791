"""Bytes to text: which charset a page is really in, and one line of it fit to store."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from probes.models.http import Page
from probes.text.lazy_regex import lazy_regex

MAX_PARSED_BYTES = 512 * 1024
"""Bytes of HTML or XML that are parsed: two megabytes of nested `<div>` cost seconds (measured 2026-11)."""

MAX_TITLE_CHARS = 300
"""Characters kept of a title."""

UNSTORABLE_CHARACTERS = lazy_regex(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)
"""C0 and C1 controls but tab and line ends (PostgreSQL refuses NUL), lone surrogates (no UTF-8 holds
them), bidirectional embeddings, overrides and isolates (they make a name read backwards). The plain marks
LRM, RLM and ALM stay: they are part of good Arabic typing."""

INVISIBLE_CHARACTERS = lazy_regex(
    r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)
_WHITESPACE = lazy_regex(r"\s+")


def clean_text(text: str, max_chars: int = MAX_TITLE_CHARS) -> str:
    """One line without control characters, bidi overrides or lone surrogates, cut at `limit` characters."""
    if text.isprintable() and "  " not in text:  # of all spaces only the plain one is printable
        return text.strip()[:max_chars]
    if not (line := " ".join(text.split())).isprintable():
        line = _WHITESPACE.sub(" ", INVISIBLE_CHARACTERS.sub(" ", line)).strip()
    return line[:max_chars]


def decode_body(page: Page) -> str:
    """The parsed part of the body as text: BOM, valid UTF-8, HTTP charset, meta, then a detector."""
    body = page.body[:MAX_PARSED_BYTES]
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=False)
    except UnicodeDecodeError:
        return body.decode(_find_declared_charset(page, body) or _guess_charset(body), "replace")


def _find_declared_charset(page: Page, body: bytes) -> str | None:
    """The charset that the header or the page names, if Python can decode it as text."""
    header = re.search(
        r"charset\s*=\s*[\"']?([\w.:-]+)", page.headers.get("content-type", ""), re.IGNORECASE
    )
    within = re.search(
        rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", body[:4096], re.IGNORECASE
    )
    for label in (header and header[1], within and within[1].decode("ascii", "ignore")):
        name = _resolve_charset_label(label) if label else None
        if name:
            return name
    return None


@lru_cache(maxsize=256)
def _resolve_charset_label(label: str) -> str | None:
    """The WHATWG reading of a charset label; latin-1 there means windows-1252. UTF-8 has failed already."""
    try:
        found = codecs.lookup(label)
    except (LookupError, UnicodeError, ValueError):
        return None
    if not getattr(found, "_is_text_encoding", True) or found.name in _IGNORED_CODECS:
        return None
    return "cp1252" if found.name in ("iso8859-1", "ascii") else found.name


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


def _guess_charset(body: bytes) -> str:
    """The detector's word on a page without a label; French ones are taken for cp1250 by it."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  # 20 ms to load, for few pages

    best = from_bytes(body[:32_768]).best()
    name = best.encoding if best else "cp1252"
    return "cp1252" if name in ("cp1250", "utf_8", "ascii", "mac_iceland", "cp775") else name
