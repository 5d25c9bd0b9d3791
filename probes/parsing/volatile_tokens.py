"""Tokens: what a server writes anew into each answer though its page is the same.

Of 588 recorded answers 270 have something of the kind: nonces of WordPress, tokens in the forms of Drupal and
Joomla, the line with which a cache signs a page (the corpus, 2026-11). Where it changes, each is another page
by its digest. They stand in tags, scripts and comments; what stands between tags is compared to the byte.
"""

from __future__ import annotations

import re

BytesPair = tuple[bytes, bytes]

_VOLATILE_TAGS = (
    (
        re.compile(rb"(?i)input\b[^>]{0,400}?(?<![\w-])type\s{0,3}=\s{0,3}[\"']?hidden\b[^>]*>"),
        b"input type=hidden>",
    ),
    (
        re.compile(
            rb"(?i)meta\b[^>]{0,400}?(?<![\w-])name\s{0,3}=\s{0,3}[\"']?(?:csrf|xsrf)-[^>]*>"
        ),
        b"meta>",
    ),
    (
        re.compile(
            rb"(?i)!--(?!\[if|-?>)"
            rb"(?=(?:(?!--!?>)[^{]){0,900}?(?:cache|cachi|generated|served|queries|litespeed|rocket))"
            rb"(?:(?!--!?>)[^{]){0,900}-->"
        ),
        b"!---->",
    ),
)
"""What nobody is shown, and what is left of it: a form's fields, a script's token, what a cache says."""

_VOLATILE_VALUES = (
    re.compile(
        # A nonce, and no word that ends so: annonce, prononce, renonce, dénonce.
        rb"((?:(?<![A-Za-z\x80-\xff;])(?<!u00e9)(?:wp)?(?:[Nn]once|NONCE)|(?<=[a-z0-9])Nonce"
        rb"|(?i:token|csrf|xsrf))"
        rb"[\w.-]{0,40}(?:\\?[\"'])?\s{0,3}[:=]\s{0,3}\\?[\"'])[\w+/=.-]{6,400}"
    ),
    re.compile(
        rb"(?i)([\"'](?:timestamp|now|(?:server|current)_?time)[\"']\s?:\s?[\"']?)\d{10}(?:\d{3})?\b"
    ),
    re.compile(
        rb"(?i)(\.(?:css|js)\?[\w.=&;%-]{0,100}?\b(?:ver|ts|cb|rnd|nocache|_)=)\d{9,13}(?=[\"'&\s>])"
    ),
    re.compile(rb"((?:\bjs-)?\bview-dom-id-)[0-9a-f]{32,}"),
    re.compile(rb"(__CF\$cv\$params=)\{[^}]{0,400}\}"),
)
"""Values, each behind its name: secrets, a script's clock, what outwits caches of files, Drupal's views."""

_HIDDEN_TEXT_START = re.compile(rb"(?i)(?:script|style)(?=[\s>/])|!\[CDATA\[\s*(?:\*/|//)")
"""How a piece begins whose text nobody is shown. In a feed CDATA is text; in a script it is commented out."""

MAX_DIFFERENCES = 100
"""Places in which two answers may differ: a page of many forms has some dozens."""

LONG_SCRIPT_BYTES = 2_000
"""Bytes from which on a script is compared part by part: it may be half a megabyte, for one token in it."""

MAX_COMPARED_BYTES = 40_000
"""Bytes of all parts together that are looked through: the event loop waits, and a stranger wrote them."""


def equal_except_tokens(first: bytes, second: bytes) -> bool:
    """Whether two bodies are the same but for their tokens. Where that cannot be told they are not."""
    apart = _find_differing_parts(first, second, b"<")
    if apart is None:
        return False
    hidden: list[BytesPair] = []
    for mine, its in apart:
        (tag, text), (its_tag, its_text) = _split_hidden_part(mine), _split_hidden_part(its)
        parts = (
            _find_differing_parts(tag, its_tag, b",")
            if max(len(tag), len(its_tag)) > LONG_SCRIPT_BYTES
            else [(tag, its_tag)]
        )
        if parts is None or text != its_text:
            return False
        hidden += parts
    weight = sum(len(mine) + len(its) for mine, its in hidden)
    return weight <= MAX_COMPARED_BYTES and all(
        _strip_volatile_values(mine) == _strip_volatile_values(its) for mine, its in hidden
    )


def strip_tokens(piece: bytes) -> bytes:
    """What stands between two `<` of a body, without its tokens."""
    hidden, text = _split_hidden_part(piece)
    return _strip_volatile_values(hidden) + text


def _find_differing_parts(first: bytes, second: bytes, separator: bytes) -> list[BytesPair] | None:
    """The parts that are not the same; None where there are too many, or more in one of the two."""
    ones, others = first.split(separator), second.split(separator)
    if len(ones) != len(others):
        return None
    apart = [pair for pair in zip(ones, others, strict=True) if pair[0] != pair[1]]
    return apart if len(apart) <= MAX_DIFFERENCES else None


def _split_hidden_part(piece: bytes) -> BytesPair:
    """The tag of a piece, and the text that is shown behind it, as far as any is."""
    for tag, left in _VOLATILE_TAGS:
        if found := tag.match(piece):
            return left, piece[found.end() :]
    if _HIDDEN_TEXT_START.match(piece):
        return piece, b""
    end = 0 if piece.startswith(b"![CDATA[") else piece.find(b">") + 1
    return piece[:end], piece[end:]


def _strip_volatile_values(hidden: bytes) -> bytes:
    for value in _VOLATILE_VALUES:
        hidden = value.sub(rb"\1", hidden)
    return hidden
