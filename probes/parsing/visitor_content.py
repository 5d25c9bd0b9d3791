"""People who happen to stand on a page, commenting or following, cut out of what is kept of it. Pure.

A page is evidence of its owner, never of its visitors. What counts as theirs are elements and JSON lists that
are called so by the page itself (WordPress, Drupal, Blogger, the platforms' own markup and data, read
2026-11); what calls them otherwise is not known for theirs. Each pass reads the text once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from probes.text.lazy_regex import lazy_regex

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

VISITOR_WORDS = "comments?|commentlist|commenters?|followers?|guestbook|reviews?|testimonials?"
ELEMENT_TAG = lazy_regex(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)([^<>]*+)>")
"""Without giving back: what is no element after all would be tried in every way it can be parted."""
CONTAINER_TAGS = frozenset(
    "article aside dd div dl form li ol p section span table td tr ul".split()
)  # noqa: SIM905
"""Elements that may hold what a visitor left; a page's frame is none."""
NAMING_ATTRIBUTE = lazy_regex(
    r"""\b(?:id|class|itemprop)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)
VISITOR_CONTENT_NAME = lazy_regex(
    rf"(?:.*[-_])?(?:{VISITOR_WORDS}|recentcomments)(?:[-_].*)?", re.IGNORECASE
)
COMMENT_CONTROL_NAME = lazy_regex(
    r"(?:no|has|with)[-_].*|.*[-_](?:open|opened|closed|off|disabled|links?|counts?|number|icon|reply)",
    re.IGNORECASE,
)
"""Names that tell of comments and hold none: whether they are open, how many there are."""
RAW_TEXT_TAGS = frozenset({"script", "style", "textarea"})
"""Elements in which nothing is an element."""
VISITOR_LIST_KEY = lazy_regex(
    r'"[a-z_]*(?:comments?|commenters?|followers|following|friends|likers|reactors|replies|reviews?)"'
    r"\s*:\s*(?=[\[{])",
    re.IGNORECASE,
)
VISITOR_STEMS = (
    *(b"comment", b"follow", b"guestbook", b"review", b"testimonial"),
    *(b"friends", b"likers", b"reactors", b"replies"),
)
"""One of them is in the name of everything that is cut: most pages hold none where it would count."""
JSON_KEY_END = re.compile(rb'[a-z]{0,12}"\s*:\s*[\[{]')
TAG_NAME = re.compile(rb"<([a-z][a-z0-9]*)")
JSON_TOKEN = lazy_regex(r'[\[\]{}]|"(?:[^"\\]|\\.)*"')


def strip_visitor_content(body: bytes) -> bytes:
    """The body without what visitors left on it; the very same where nothing is known for theirs."""
    if not _may_have_visitor_content(body.lower()):
        return body
    text = body.decode("latin-1")  # byte for byte, whatever it is written in: markup is ASCII
    bare = _remove_spans(text, _find_visitor_lists(text), keep_brackets=True)
    bare = _remove_spans(bare, _find_visitor_elements(bare), keep_brackets=False)
    return body if bare == text else bare.encode("latin-1")


def _may_have_visitor_content(body: bytes) -> bool:
    """Whether something of a lower-case body may be called theirs, wherever it stands."""
    there = {
        number
        for number, _, _ in _build_stem_matcher().find_matches_as_indexes(body, overlapping=True)
    }
    return any(_is_stem_in_name(body, VISITOR_STEMS[number]) for number in there)


@cache
def _build_stem_matcher() -> BytesAhoCorasick:
    """What finds all of them in one pass, a third of the time of a search for each (2026-11)."""
    from ahocorasick_rs import BytesAhoCorasick  # noqa: PLC0415  # few commands keep pages

    return BytesAhoCorasick(VISITOR_STEMS)


def _is_stem_in_name(body: bytes, stem: bytes) -> bool:
    """Whether a stem stands in the key of a JSON list, or in a tag that may be called theirs.

    No part of the body is looked through twice, however often the stem is there.
    """
    at, before, end = body.find(stem), 0, -1
    while at >= 0:
        if JSON_KEY_END.match(body, at):
            return True
        start = body.rfind(b"<", before, at)  # none: a tag that was looked at, or none at all
        if start > end:
            end = body.find(b">", start)
            if end < 0:
                return JSON_KEY_END.search(body, at) is not None
        if (
            start >= 0
            and end > at
            and body.find(b"<", start + 1, end) < 0
            and _is_visitor_container(body[start:end])
        ):
            return True
        at, before = body.find(stem, at + 1), at
    return False


def _is_visitor_container(tag: bytes) -> bool:
    """Whether a tag may be one of a box that is called theirs."""
    found = TAG_NAME.match(tag)
    return (
        found is not None
        and found[1].decode() in CONTAINER_TAGS
        and _is_visitor_content(tag.decode("latin-1"))
    )


def _remove_spans(text: str, spans: Iterator[tuple[int, int]], *, keep_brackets: bool) -> str:
    """The text without these spans; of lists the brackets stay, so that it is JSON as before."""
    kept, at = [], 0
    for start, end in spans:
        kept.append(text[at:start])
        if keep_brackets:
            kept.append("[]" if text[start] == "[" else "{}")
        at = end
    return "".join([*kept, text[at:]])


def _find_visitor_lists(text: str) -> Iterator[tuple[int, int]]:
    """Where JSON holds lists of people: each from its bracket to the one that ends it."""
    at = 0
    while found := VISITOR_LIST_KEY.search(text, at):
        end = _find_list_end(text, found.end())
        yield found.end(), end
        at = end


def _find_list_end(text: str, start: int) -> int:
    depth = 0
    for token in JSON_TOKEN.finditer(text, start):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
            if depth == 0:
                return token.end()
    return len(text)


def _find_visitor_elements(text: str) -> Iterator[tuple[int, int]]:
    """Where elements are that visitors left; one that never ends goes to the end of the page."""
    resume, start, name, depth = 0, 0, "", 0
    for found in ELEMENT_TAG.finditer(text):
        tag, is_end = found[2].lower(), bool(found[1])
        if found.start() < resume:
            continue
        if tag in RAW_TEXT_TAGS and not is_end:
            resume = _find_raw_text_end(text, tag, found.end())
        elif name:
            depth += 0 if tag != name else -1 if is_end else 1
            if depth == 0:
                yield start, found.end()
                name = ""
        elif not is_end and tag in CONTAINER_TAGS and _is_visitor_content(found[3]):
            start, name, depth = found.start(), tag, 1
    if name:
        yield start, len(text)


def _find_raw_text_end(text: str, tag: str, start: int) -> int:
    end = re.compile(f"</{tag}", re.IGNORECASE).search(text, start)
    return end.start() if end else len(text)


def _is_visitor_content(attributes: str) -> bool:
    """Whether an element is called something of visitors, by its id, its classes or what it says it is."""
    for said in NAMING_ATTRIBUTE.finditer(attributes):
        for word in (said[1] or said[2] or said[3] or "").split():
            if VISITOR_CONTENT_NAME.fullmatch(word) and not COMMENT_CONTROL_NAME.fullmatch(word):
                return True
    return False
