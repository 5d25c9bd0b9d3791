"""What a page really is: suspended, parked, a default page, hijacked, a soft 404, a wall dressed as a site.

The words of `notices` and `hindrances` are matched against the title, the main headings and the visible
text of a page, and mean something only within the bound named beside them: "coming soon" is a shop's
banner on a long page and an unfinished site on a short one.
"""

from __future__ import annotations

import re

from probes import hindrances, missing, notices, spam
from probes.missing import SHORT, TINY, segments
from probes.model import Reason
from probes.notices import Sign
from probes.read import Document

MENU = 3  # other pages of the site that a page links to: with so many it belongs to somebody's site
START = 600  # characters of a main part that scripts of a parking service leave
EARLY = 140  # characters of text within which a page without a menu says what it is; later it tells of others
EARLIEST = 400  # the same for walls, whose mistakes accuse nobody
SCRAPS = 30
STORY = 200  # characters of a main part that a wall dressed as the site has not
_UNSURE = frozenset({Reason.BLOCKED, Reason.SERVER_ERROR, Reason.LOGIN_WALL})
_IN_A_MENU = frozenset({Reason.EMPTY, Reason.DIRECTORY_LISTING})  # a publishing system says these itself


def absence(document: Document, *, root: bool) -> tuple[Reason, str] | None:
    """Why the page is no website of anybody, with the words that say so; None if nothing says so.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    for sign in notices.ABSENCES:
        words = _seen(sign, document)
        if words:
            return sign.reason, words
    return missing.gone(document, root=root) or spam.hijacked(document, whole=is_site(document))


def is_site(document: Document) -> bool:
    """Whether the page leads to other pages of its own: nobody builds a menu around a suspended account."""
    return document.inner >= MENU


def _seen(sign: Sign, document: Document) -> str | None:
    """The words of a sign on a page that says little else: in its title, its headings, early in its text."""
    text = document.text
    if sign.where == "address":
        found = sign.words.search(document.url) or next(
            filter(None, map(sign.words.search, document.frames)), None
        )
        return found[0] if found else None
    if len(text) > sign.within:
        return None
    if sign.where == "source":
        own = is_site(document) or len(document.main) > START
        return None if own else next((f[0] for s in document.sources if (f := sign.words.search(s))), None)
    if is_site(document) and sign.reason not in _IN_A_MENU:
        return _all_it_says(sign, document)
    for place in (document.title,) if sign.where == "title" else (document.title, *document.headings[:1]):
        if found := sign.words.search(place):
            return found[0]
    found = sign.words.search(text) if sign.where != "title" else None
    early = found and (found.start() < EARLY or (found.start() < EARLIEST and sign.reason in _UNSURE))
    return found[0] if found and early else None


def _all_it_says(sign: Sign, document: Document) -> str | None:
    """The words of a sign amid menus, where the main part is nothing but them."""
    found = sign.words.search(document.main)
    return found[0] if found and len(document.main) - len(found[0]) < SCRAPS else None


def trouble(document: Document) -> tuple[Reason, str] | None:
    """Why the page lets nothing be concluded, with the words that say so; None if it can be read."""
    text = document.text
    told = is_site(document) and len(document.main) > STORY  # a play may be called "Forbidden"
    for part in () if told else (document.title, *segments(document.title)):
        if hindrances.TITLES.fullmatch(part):
            return (
                Reason.SERVER_ERROR
                if re.search(r"maint|50\d|gateway|serv|database", part, re.IGNORECASE)
                else Reason.BLOCKED
            ), part
    for sign in hindrances.TROUBLES:
        words = _seen(sign, document)
        if words and (len(text) <= 700 or len(document.anchors) <= 10):
            return sign.reason, words
    return _bare(document, text)


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
    return len(text) < 5 * SHORT and missing.speaks_of_it(text)
