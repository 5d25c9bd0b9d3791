"""Removes visitors' content (comments, followers, reviews) from pages before they are stored.

A page is evidence about its owner, never about its visitors. Elements and JSON lists count as
visitors' content if the page itself names them so (markup of WordPress, Drupal, Blogger and the
platforms, 2026-11). Other names are not recognised. Each pass reads the text once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from probes.models.http import Page

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick  # few commands store pages

VISITOR_WORDS = "comments?|commentlist|commenters?|followers?|guestbook|reviews?|testimonials?"
ELEMENT_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)([^<>]*+)>")
"""Possessive quantifiers avoid backtracking on text that is no element."""
CONTAINER_TAGS = frozenset(
    "article aside dd div dl form li ol p section span table td tr ul".split()  # noqa: SIM905
)
"""Elements that may contain visitors' content. `body` and `main` are not among them."""
NAMING_ATTRIBUTE = re.compile(
    r"""\b(?:id|class|itemprop)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)
VISITOR_CONTENT_NAME = re.compile(
    rf"(?:.*[-_])?(?:{VISITOR_WORDS}|recentcomments)(?:[-_].*)?", re.IGNORECASE
)
COMMENT_CONTROL_NAME = re.compile(
    r"(?:no|has|with)[-_].*|.*[-_](?:open|opened|closed|off|disabled|links?|counts?|number|icon"
    r"|reply)",
    re.IGNORECASE,
)
"""Names about comments that contain none: whether they are open, how many there are."""
VISITOR_LIST_KEY = re.compile(
    r'"[a-z_]*(?:comments?|commenters?|followers|following|friends|likers|reactors|replies|reviews?)"'
    r"\s*:\s*(?=[\[{])",
    re.IGNORECASE,
)
VISITOR_STEMS = (
    *(b"comment", b"follow", b"guestbook", b"review", b"testimonial"),
    *(b"friends", b"likers", b"reactors", b"replies"),
)
"""Every removed name contains one of these stems.

Most pages contain none, so they are checked first.
"""
JSON_KEY_END = re.compile(rb'[a-z]{0,12}"\s*:\s*[\[{]')
TAG_NAME = re.compile(rb"<([a-z][a-z0-9]*)")
JSON_TOKEN = re.compile(r'[\[\]{}]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A bracket or a string. An unterminated string extends to the end, so that none is read twice."""


def strip_visitor_content(body: bytes) -> bytes:
    """Return the body without visitors' content, or the same object if there is none."""
    lower_case_body = body.lower()
    matches = _build_stem_matcher().find_matches_as_indexes(lower_case_body, overlapping=True)
    stems = {VISITOR_STEMS[number] for number, _, _ in matches}
    if not any(_is_stem_in_name(lower_case_body, stem) for stem in stems):
        return body
    text = body.decode("latin-1")  # lossless for any encoding; the markup is ASCII
    stripped = _remove_spans(text, _find_visitor_lists(text), keep_brackets=True)
    stripped = _remove_spans(stripped, _find_visitor_elements(stripped), keep_brackets=False)
    return body if stripped == text else stripped.encode("latin-1")


def strip_page(page: Page) -> bytes | None:
    """Return the body without visitors' content, or None if there is none.

    Runs in a worker, because bodies are untrusted.
    """
    body = strip_visitor_content(page.body)
    return None if body is page.body else body


@cache
def _build_stem_matcher() -> BytesAhoCorasick:
    """Return a matcher for all stems.

    It takes a third of the time of separate searches (2026-11).
    """
    from ahocorasick_rs import BytesAhoCorasick  # few commands store pages  # noqa: PLC0415

    return BytesAhoCorasick(VISITOR_STEMS)


def _is_stem_in_name(body: bytes, stem: bytes) -> bool:
    """Return True if a stem is in the key of a JSON list or in the tag of a container.

    No part of the body is searched twice, however often the stem occurs.
    """
    position, previous_position, tag_end = body.find(stem), 0, -1
    while position >= 0:
        if JSON_KEY_END.match(body, position):
            return True
        tag_start = body.rfind(b"<", previous_position, position)  # -1 if already checked
        if tag_start > tag_end:
            tag_end = body.find(b">", tag_start)
            if tag_end < 0:
                return JSON_KEY_END.search(body, position) is not None
        is_in_tag = 0 <= tag_start < position < tag_end
        has_plain_tag = is_in_tag and body.find(b"<", tag_start + 1, tag_end) < 0
        name = TAG_NAME.match(body, tag_start) if has_plain_tag else None
        is_container = name is not None and name[1].decode() in CONTAINER_TAGS
        if is_container and _is_visitor_content(body[tag_start:tag_end].decode("latin-1")):
            return True
        position, previous_position = body.find(stem, position + 1), position
    return False


def _remove_spans(text: str, spans: Iterator[tuple[int, int]], *, keep_brackets: bool) -> str:
    """Remove spans from a text. `keep_brackets` leaves empty brackets, so JSON stays valid."""
    parts, position = [], 0
    for start, end in spans:
        parts.append(text[position:start])
        if keep_brackets:
            parts.append("[]" if text[start] == "[" else "{}")
        position = end
    return "".join([*parts, text[position:]])


def _find_visitor_lists(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of JSON lists of people, brackets included."""
    position = 0
    while key := VISITOR_LIST_KEY.search(text, position):
        position = _find_list_end(text, key.end())
        yield key.end(), position


def _find_list_end(text: str, start: int) -> int:
    """Return the position after a JSON list or object, or the end of the text."""
    depth = 0
    for token in JSON_TOKEN.finditer(text, start):
        change = _DEPTH_CHANGES.get(token[0], 0)
        depth += change
        if change < 0 and depth == 0:
            return token.end()
    return len(text)


_DEPTH_CHANGES = {"[": 1, "{": 1, "]": -1, "}": -1}


def _find_visitor_elements(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of elements with visitors' content. An unclosed one extends to the end."""
    tags = _iter_tags(text)
    for tag in tags:
        is_end, name, attributes = tag.groups()
        is_container = not is_end and name.lower() in CONTAINER_TAGS
        if is_container and _is_visitor_content(attributes):
            yield tag.start(), _find_element_end(tags, name.lower(), len(text))


def _iter_tags(text: str) -> Iterator[re.Match[str]]:
    """Yield the tags of elements, without what looks like tags in scripts and other raw text."""
    raw_text_end = 0
    for tag in ELEMENT_TAG.finditer(text):
        if tag.start() < raw_text_end:
            continue
        name, is_end = tag[2].lower(), bool(tag[1])
        if name in {"script", "style", "textarea"} and not is_end:
            end = re.compile(f"</{name}", re.IGNORECASE).search(text, tag.end())
            raw_text_end = end.start() if end else len(text)
        else:
            yield tag


def _find_element_end(tags: Iterator[re.Match[str]], name: str, text_end: int) -> int:
    """Return the position after the end tag of an open element, or `text_end` without one."""
    depth = 1
    for tag in tags:
        if tag[2].lower() != name:
            continue
        depth += -1 if tag[1] else 1
        if depth == 0:
            return tag.end()
    return text_end


def _is_visitor_content(attributes: str) -> bool:
    """Return True if the id, a class or the itemprop of an element names visitors' content."""
    for attribute in NAMING_ATTRIBUTE.finditer(attributes):
        value = attribute[1] or attribute[2] or attribute[3] or ""
        for name in value.split():
            if VISITOR_CONTENT_NAME.fullmatch(name) and not COMMENT_CONTROL_NAME.fullmatch(name):
                return True
    return False
