"""Tokens: what a server writes anew into each answer though its page is the same. No probe reads them.

Three in ten recorded home pages have some: nonces of WordPress, tokens in the forms of Drupal and Joomla, the
line with which a cache signs a page (the corpus, 2026-11). By its digest each is another page every night.
"""

from __future__ import annotations

import re

_TAGS = (
    (re.compile(rb"(?i)input\b[^>]{0,400}?\btype\s{0,3}=\s{0,3}[\"']?hidden\b[^>]*>"), b"input type=hidden>"),
    (re.compile(rb"(?i)meta\b[^>]{0,400}?\bname\s{0,3}=\s{0,3}[\"']?(?:csrf|xsrf)-[^>]*>"), b"meta>"),
    (
        re.compile(
            rb"(?i)!--(?!\[if)(?=[^{]{0,900}?(?:cache|cachi|generated|served|queries|litespeed|rocket))"
            rb"[^{]{0,900}?-->"
        ),
        b"!---->",
    ),
)
"""What nobody is shown, and what is left of it: a form's fields, a script's token, what a cache says."""

_VALUES = (
    re.compile(
        rb"(?i)((?:nonce|token|csrf|xsrf)[\w.-]{0,40}(?:\\?[\"'])?\s{0,3}[:=]\s{0,3}\\?[\"'])"
        rb"[\w+/=.:~-]{6,400}"
    ),
    re.compile(rb"(?i)([\"'](?:timestamp|now|(?:server|current)_?time)[\"']\s?:\s?[\"']?)\d{10}(?:\d{3})?\b"),
    re.compile(rb"(?i)([?&;](?:ver|ts|cb|rnd|nocache|_)=)\d{9,13}(?=[\"'&\s>])"),
    re.compile(rb"((?:\bjs-)?\bview-dom-id-)[0-9a-f]{32,}"),
    re.compile(rb"(__CF\$cv\$params=)\{[^}]{0,400}\}"),
)
"""Values, each behind its name: secrets, a script's clock, what outwits caches, Drupal's views."""

MOST = 100
"""Places in which two answers may differ: a page of many forms has some dozens."""

LONG = 2_000
"""Bytes from which on a script is compared part by part: it may be half a megabyte, for one token in it."""


def alike(one: bytes, other: bytes) -> bool:
    """Whether two bodies are the same but for their tokens. Where that cannot be told they are not."""
    apart = _apart(one, other, b"<")
    return apart is not None and all(_agree(_untagged(mine), _untagged(its)) for mine, its in apart)


def without(piece: bytes) -> bytes:
    """What stands between two `<` of a body, without its tokens."""
    return _unvalued(_untagged(piece))


def _apart(one: bytes, other: bytes, at: bytes) -> list[tuple[bytes, bytes]] | None:
    """The parts that are not the same; None where there are too many, or more in one of the two."""
    ones, others = one.split(at), other.split(at)
    if len(ones) != len(others):
        return None
    apart = [pair for pair in zip(ones, others, strict=True) if pair[0] != pair[1]]
    return apart if len(apart) <= MOST else None


def _agree(mine: bytes, its: bytes) -> bool:
    if max(len(mine), len(its)) <= LONG:
        return _unvalued(mine) == _unvalued(its)
    apart = _apart(mine, its, b",")
    return apart is not None and all(
        max(map(len, pair)) <= LONG and _unvalued(pair[0]) == _unvalued(pair[1]) for pair in apart
    )


def _untagged(piece: bytes) -> bytes:
    for tag, left in _TAGS:
        if found := tag.match(piece):
            return left + piece[found.end() :]
    return piece


def _unvalued(part: bytes) -> bytes:
    for value in _VALUES:
        part = value.sub(rb"\1", part)
    return part
