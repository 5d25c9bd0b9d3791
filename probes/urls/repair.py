"""Repairs the text of typed links: formulas, markup, wrong charsets, marks around an address.

A repair changes how an address is written, never where it leads.
"""

import re
from html import unescape
from unicodedata import normalize

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
        text = INVISIBLE_MARKS.sub("", unescape_entities(_repair_mojibake(text)))
        text = _WHITESPACE.sub(" ", text).strip()
    if _HOST_AND_BACKSLASHES.fullmatch(text):
        text = text.replace("\\", "/")
    return trim_punctuation(normalize("NFC", _extract_from_markup(text)))


def _extract_from_markup(text: str) -> str:
    """Return the address in link markup, or the text if it has none."""
    for mark, pattern in _LINK_SYNTAXES:
        if mark in text and (match := pattern.search(text)):
            text = (match[match.lastindex or 0] or "").strip()
    return text


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


def _repair_mojibake(text: str) -> str:
    """Decode UTF-8 that was read as windows-1252 (`Ã©` for é), even several times."""
    while _MOJIBAKE.search(text):
        decoded = _MOJIBAKE_SEQUENCE.sub(lambda match: _decode_mojibake(match[0]), text)
        if decoded == text:
            break
        text = decoded
    return text


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
