"""Compares page bodies without volatile tokens.

Such tokens change with every response of an unchanged page. Of 588 recorded responses 270 contain
such tokens: nonces of WordPress, form tokens of Drupal and Joomla, the signature of a cache
(2026-11). Tokens occur in tags, scripts and comments. Visible text is compared byte by byte.
"""

import re
from itertools import chain

from probes.models.http import Page

BytesPair = tuple[bytes, bytes]

_VOLATILE_TAGS = (
    (
        re.compile(rb"(?i)\Ainput\b[^>]{0,400}?(?<![\w-])type\s{0,3}=\s{0,3}[\"']?hidden\b[^>]*>"),
        b"input type=hidden>",
    ),
    (
        re.compile(
            rb"(?i)\Ameta\b[^>]{0,400}?(?<![\w-])name\s{0,3}=\s{0,3}[\"']?(?:csrf|xsrf)-[^>]*>"
        ),
        b"meta>",
    ),
    (
        re.compile(
            rb"(?i)\A!--(?!\[if|-?>)"
            rb"(?=(?:(?!--!?>)[^{]){0,900}?(?:cache|cachi|generated|served|queries|litespeed"
            rb"|rocket))"
            rb"(?:(?!--!?>)[^{]){0,900}-->"
        ),
        b"!---->",
    ),
)
"""Invisible tags and comments with volatile content, and their replacement for the comparison."""

_VOLATILE_VALUES = (
    re.compile(
        # A nonce, but not French words that end with it: annonce, prononce, renonce, dénonce.
        rb"((?:(?<![A-Za-z\x80-\xff;])(?<!u00e9)(?:wp)?(?:[Nn]once|NONCE)|(?<=[a-z0-9])Nonce"
        rb"|(?i:token|csrf|xsrf))"
        rb"[\w.-]{0,40}(?:\\?[\"'])?\s{0,3}[:=]\s{0,3}\\?[\"'])[\w+/=.-]{6,400}"
    ),
    re.compile(
        rb"(?i)([\"'](?:timestamp|now|(?:server|current)_?time)[\"']\s?:\s?[\"']?)\d{10}"
        rb"(?:\d{3})?\b"
    ),
    re.compile(
        rb"(?i)(\.(?:css|js)\?[\w.=&;%-]{0,100}?\b(?:ver|ts|cb|rnd|nocache"
        rb"|_)=)\d{9,13}(?=[\"'&\s>])"
    ),
    re.compile(rb"((?:\bjs-)?\bview-dom-id-)[0-9a-f]{32,}"),
    re.compile(rb"(__CF\$cv\$params=)\{[^}]{0,400}\}"),
)
"""Volatile values behind their names, such as nonces, timestamps and cache busters."""

_HIDDEN_TEXT_START = re.compile(rb"(?i)(?:script|style)(?=[\s>/])|!\[CDATA\[\s*(?:\*/|//)")
"""The start of a piece with invisible text.

CDATA is text in a feed, but commented out in a script.
"""

MAX_DIFFERENCES = 100
"""Maximum number of differing parts. A page with many forms has some dozens."""

LONG_SCRIPT_BYTES = 2_000
"""Longer scripts are compared in parts, because one token may be in half a megabyte."""

MAX_COMPARED_BYTES = 40_000
"""Maximum size of all differing parts.

The comparison blocks the event loop, and the input is untrusted.
"""


def equal_except_tokens(first: bytes, second: bytes) -> bool:
    """Return True if two bodies differ in volatile tokens only. Too many differences give False."""
    differing_pieces = _find_differing_parts(first, second, b"<")
    if differing_pieces is None:
        return False
    hidden_parts: list[BytesPair] = []
    for first_piece, second_piece in differing_pieces:
        first_hidden, first_text = _split_hidden_part(first_piece)
        second_hidden, second_text = _split_hidden_part(second_piece)
        if first_text != second_text:
            return False
        if max(len(first_hidden), len(second_hidden)) > LONG_SCRIPT_BYTES:
            parts = _find_differing_parts(first_hidden, second_hidden, b",")
            if parts is None:
                return False
            hidden_parts += parts
        else:
            hidden_parts.append((first_hidden, second_hidden))
    if sum(map(len, chain.from_iterable(hidden_parts))) > MAX_COMPARED_BYTES:
        return False
    for first_part, second_part in hidden_parts:
        if _strip_volatile_values(first_part) != _strip_volatile_values(second_part):
            return False
    return True


def is_same_page(previous_body: bytes, page: Page) -> bool:
    """Return `equal_except_tokens` for a page. Runs in a worker, because bodies are untrusted."""
    return equal_except_tokens(previous_body, page.body)


def strip_tokens(piece: bytes) -> bytes:
    """Return the piece of a body between two `<` without its volatile tokens."""
    hidden, text = _split_hidden_part(piece)
    return _strip_volatile_values(hidden) + text


def _find_differing_parts(first: bytes, second: bytes, separator: bytes) -> list[BytesPair] | None:
    """Return the differing parts, or None if there are too many or the numbers of parts differ."""
    first_parts, second_parts = first.split(separator), second.split(separator)
    if len(first_parts) != len(second_parts):
        return None
    pairs = zip(first_parts, second_parts, strict=True)
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    if len(differing) > MAX_DIFFERENCES:
        return None
    return differing


def _split_hidden_part(piece: bytes) -> BytesPair:
    """Split a piece into its invisible part and the visible text after it."""
    for pattern, replacement in _VOLATILE_TAGS:
        if match := pattern.match(piece):
            return replacement, piece[match.end() :]
    if _HIDDEN_TEXT_START.match(piece):
        return piece, b""
    if piece.startswith(b"![CDATA["):
        return b"", piece
    end = piece.find(b">") + 1
    return piece[:end], piece[end:]


def _strip_volatile_values(hidden: bytes) -> bytes:
    for pattern in _VOLATILE_VALUES:
        hidden = pattern.sub(rb"\1", hidden)
    return hidden
