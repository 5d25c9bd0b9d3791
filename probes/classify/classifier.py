"""What a page really is: suspended, parked, a default page, hijacked, a soft 404, a wall dressed as a site.

The words of `notices` and `hindrances` are matched against the title, the main headings and the visible
text of a page, and mean something only within the bound named beside them; those of `closures` only where the
page states them of itself: "coming soon" is a shop's banner on one page and an unfinished site on another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from probes.classify import interstitials, notices, parked_domains, self_statements, soft_404, spam
from probes.classify.notices import Sign
from probes.classify.soft_404 import SHORT, TINY, segments
from probes.models.finding import Reason
from probes.parsing.html import Document

MENU = 3  # other pages of the site that a page links to: with so many it belongs to somebody's site
START = 600  # characters of a main part that scripts of a parking service leave
EARLY = 140  # characters of text within which a page without a menu says what it is; later it tells of others
EARLIEST = 400  # the same for walls, whose mistakes accuse nobody
SCRAPS = 30
STORY = 200  # characters of a main part that a wall dressed as the site has not
_UNSURE = frozenset({Reason.BLOCKED, Reason.SERVER_ERROR, Reason.LOGIN_WALL})
_ENDED = frozenset({Reason.SUSPENDED, Reason.NOT_FOUND})
_IN_A_MENU = frozenset({Reason.EMPTY, Reason.DIRECTORY_LISTING})  # a publishing system says these itself


def absence(document: Document, *, root: bool) -> tuple[Reason, str] | None:
    """Why the page is no website of anybody, with the words that say so; None if nothing says so.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    for sign in (*notices.NOTICE_ABSENCES, *notices.CLOSURE_ABSENCES):
        words = _seen(sign, document)
        if words:
            return sign.reason, words
    if root and (words := parked_domains.notice(document)):
        return Reason.PARKED, words
    gone = soft_404.gone(document, root=root)
    if gone and interstitials.speaks_of_regions(document.text):
        return None
    return gone or spam.hijacked(document, whole=is_site(document) or soft_404.is_article(document))


def is_site(document: Document) -> bool:
    """Whether the page leads to other pages of its own: nobody builds a menu around a suspended account."""
    return document.inner >= MENU


def _seen(sign: Sign, document: Document) -> str | None:
    """The words of a sign where they mean what it says."""
    if sign.where == "address":
        return _leads_to(sign, document)
    if len(document.text) > sign.within:
        return None
    if sign.where == "source":
        own = is_site(document) or len(document.main) > START
        return None if own else _first(sign, document.sources)
    if is_site(document) and sign.reason not in _IN_A_MENU:
        return _all_it_says(sign, document)
    if sign.where == "listing":
        listed = _first(sign, (document.text, *document.headings[:1]))
        return _first(sign, (document.title,)) if listed else None
    return _early(sign, document) if sign.beside is None else _stated(sign, document, sign.beside)


def _first(sign: Sign, texts: Iterable[str]) -> str | None:
    """The words of a sign in the first text that holds them."""
    return next((found[0] for text in texts if (found := sign.words.search(text))), None)


def _leads_to(sign: Sign, document: Document) -> str | None:
    """The words of a sign in the page's address, or in one that it sends its visitors to at once."""
    refresh = document.meta.get("refresh", "")
    return _first(sign, (document.url, *document.frames, refresh if "=" in refresh else ""))


def _early(sign: Sign, document: Document) -> str | None:
    """The words of a sign on a page that says little else: in its title, its heading, early in its text."""
    if words := _first(sign, (document.title, *document.headings[:1])):
        return words
    found = sign.words.search(document.text) if sign.where != "title" else None
    early = found and (found.start() < EARLY or (found.start() < EARLIEST and sign.reason in _UNSURE))
    return found[0] if found and early else None


def _stated(sign: Sign, document: Document, beside: int) -> str | None:
    """The sentence by which a page says it of itself; who tells of a new site gives no notice of the old."""
    words = self_statements.made(sign.words, document, beside)
    return None if words and sign.reason in _ENDED and self_statements.moved(document) else words


def _all_it_says(sign: Sign, document: Document) -> str | None:
    """The words of a sign amid menus, where the main part is nothing but them."""
    found = sign.words.search(document.main)
    return found[0] if found and len(document.main) - len(found[0]) < SCRAPS else None


def trouble(document: Document) -> tuple[Reason, str] | None:
    """Why the page lets nothing be concluded, with the words that say so; None if it can be read."""
    text = document.text
    told = is_site(document) and len(document.main) > STORY  # a play may be called "Forbidden"
    for part in () if told else (document.title, *segments(document.title)):
        if interstitials.TITLES.fullmatch(part):
            return (
                Reason.SERVER_ERROR
                if re.search(r"maint|50\d|gateway|serv|database", part, re.IGNORECASE)
                else Reason.BLOCKED
            ), part
    for sign in interstitials.TROUBLES:
        words = _seen(sign, document)
        if words and (len(text) <= 700 or len(document.anchors) <= 10):
            return sign.reason, words
    return interstitials.before(document) or _bare(document, text)


def _bare(document: Document, text: str) -> tuple[Reason, str] | None:
    """A page without words: frames, scripts, or nothing at all."""
    if document.frames and len(text) < TINY:
        return Reason.UNREADABLE, "frames only"
    if len(text) >= 60 or document.images > 2 or len(document.anchors) > 3:
        return None
    if document.scripts or document.forms:
        return Reason.SCRIPT_ONLY, "no text without scripts"
    return (Reason.EMPTY, "no text") if len(text) < 20 and not document.images else None


def doubtful(document: Document) -> bool:
    """Whether a longer page speaks of a missing page somewhere: worth asking for one that nobody made."""
    text = document.text
    return len(text) < 5 * SHORT and soft_404.speaks_of_it(text)
