"""Soft 404s: pages that say with 200 that they are not there, in whatever dress.

A publishing system keeps its menus and footers around "page not found", so neither size nor status tells.
What tells is the title, a heading, or the words of a main part that has little else to say; a sentence
counts only where it ends there ("the page was not found", not "the page was not found worth reading").
"""

from __future__ import annotations

import re

from probes.classify.soft_404_patterns import ASKED_THINGS, NOTHING, NUMBER, SAYING, SORRY, THINGS
from probes.models.finding import Reason
from probes.parsing.html import Document
from probes.text.lazy_regex import pattern

SHORT = 1_200  # characters of visible text: a page this short has little else to say
TINY = 400

# Up to the end, but for a question mark: a question states nothing.
_TAIL = r"(?:[\s\W_]{0,4}(?:404|410|error|erreur|fehler|erro|errore|page|خطأ))*[^\w?؟]*"
_LABEL = pattern(
    rf"\W*{SORRY}(?:status |code )?(?:(?:{NUMBER})[\s\W_]{{0,4}}{SORRY}(?:{SAYING})"
    rf"|{NUMBER}|{SAYING}|{NOTHING}){_TAIL}",
    re.IGNORECASE,
)
_THING = pattern(rf"\W*{SORRY}(?:{THINGS}){_TAIL}", re.IGNORECASE)
_SENTENCE = pattern(
    rf"(?:^|[.!?:…|–—-]\s*)\W{{0,3}}{SORRY}(?:(?:{NUMBER})[\s\W_]{{0,4}})?(?:{SAYING}|{ASKED_THINGS})"
    r"(?=\s*(?:$|[.!,;:…|–—(،؛]|(?:or|ou|oder|o|أو) |(?:on|sur) (?:this|our|ce|notre) |404))",
    re.IGNORECASE,
)
# Looser: enough on a page that says nothing else, or to ask the site about an address nobody made.
_SPEAKS = pattern(
    r"(?:page|site|document|file|article|content|url|link|resource)\W+(?:\w+\W+){0,8}?"
    r"(?:doesn.?t exist|does not exist|no longer exists?|was not found|could not be found|cannot be found|"
    r"can.?t be found|has been (?:deleted|removed)|was deleted|not be found on this server)"
    r"|(?:requested|404) (?:page|url|file)? ?not found"
    r"|404 (?:page )?not found|(?:error|erreur|fehler|erro|errore) 404|404 (?:error|erreur)|خطأ 404"
    r"|page (?:demandée|recherchée|que vous (?:cherchez|recherchez|demandez)).{0,40}(?:introuvable|"
    r"n.existe|pas été trouvée)"
    r"|page not found|(?:cette )?page (?:est )?introuvable|(?:cette )?page n.existe (?:pas|plus)|"
    rf"{SAYING}",
    re.IGNORECASE,
)
_PATH = pattern(
    r"(?:^|/)(?:error[_-]?)?(?:404|not-?_?found|page-introuvable|page-non-trouvee|erreur-?404|"
    r"pagenotfound|404_not_found)(?:\.\w{2,5})?/?$",
    re.IGNORECASE,
)
_TO_A_VISITOR = pattern(
    r"4(?:04|10)|\byou|requested|\berr(?:or|eur)|\bvous\b|demandée?|recherchée|المطلوب|طلبت|تبحث|solicitada|"
    r"busca|angeforderte|gesuchte|richiesta|procura",
    re.IGNORECASE,
)
# A film, a gallery, a song may be called so.
_VAGUE = pattern(r"\W*(?:(?:404|410)\W*|not found\W*|nothing (?:was )?found\W*)", re.IGNORECASE)
_NUMBER = pattern(r"(?:404|410)[ .!]*")
_NUMBERED = pattern(rf"\W*(?:404 not found|error 404|erreur 404|{NUMBER})\W*", re.IGNORECASE)


def segments(title: str) -> list[str]:
    """The parts of a title between its separators, spaces folded."""
    return [
        part.strip() for part in re.split(r"\s[|–—\-·•»›:]+\s|\s?[|»›]\s?|\s[-–]$|: ", title) if part.strip()
    ]


def gone(document: Document, *, root: bool) -> tuple[Reason, str] | None:
    """A soft 404, with the words that say so: title, then address, headings, and a main part of little else.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    if is_article(document):
        return None
    words: str | None = _in_title(document, root=root) or (None if root else _in_address(document))
    words = words or _thing(document) or _in_headings(document, root=root) or _in_words(document, root=root)
    if not words:
        return None
    # A front page that lists nothing says so with the words of an empty search.
    return (Reason.EMPTY if root and words.lower().startswith("nothing") else Reason.NOT_FOUND), words


def speaks_of_it(text: str) -> bool:
    """Whether a text speaks of a missing page at all."""
    return bool(_SPEAKS.search(text))


def is_article(document: Document) -> bool:
    """Whether a page tells machines when it was published, and has a story: an error page does neither."""
    headed = (schema for schema in document.schemas if "headline" in schema)
    dated = "article:published_time" in document.meta or any("datePublished" in schema for schema in headed)
    return bool(dated) and len(document.main) >= TINY


def _in_title(document: Document, *, root: bool) -> str | None:
    title, length = document.title, len(document.main)
    parts = (title,) if _tells(document, root=root) else (title, *segments(title))
    for part in parts:
        # Who is called "Not found" has a story to tell, and never says so again.
        named = (_VAGUE.fullmatch(part) and part != title) or _NUMBERED.fullmatch(part)
        if _LABEL.fullmatch(part) and not (named and length > SHORT):
            return part
    return _sentence(title) if length < TINY else None


def _thing(document: Document) -> str | None:
    """A post or a job that is missing: title and heading say so, or one of them over next to nothing."""
    title = [part for part in segments(document.title) if _THING.fullmatch(part)]
    heading = [said for said in document.headings[:1] if _THING.fullmatch(said)]
    told = next(iter(title + heading), None)
    return told if (title and heading) or len(document.main) < TINY // 2 else None


def _tells(document: Document, *, root: bool) -> bool:
    """Whether a page is a front page that tells of something."""
    return root and len(document.main) >= TINY // 2


def _in_address(document: Document) -> str | None:
    path = _PATH.search(document.url.partition("?")[0])
    said = (found[0] for found in _SPEAKS.finditer(document.text))  # a song says its number, too
    little = len(document.main) < SHORT
    return path[0] if path and (little or not all(map(_NUMBERED.fullmatch, said))) else None


def _in_headings(document: Document, *, root: bool) -> str | None:
    """A heading that says only this, over little else: a heading, or the first words of the main part."""
    for said in () if root else document.headings[:2]:
        if _LABEL.fullmatch(said) and not _is_name(said):
            return said  # whatever news follow
    if len(document.main) >= SHORT or (root and len(document.text) >= 3 * SHORT):
        return None
    first = [chunk.text for chunk in document.chunks if chunk.place in ("main", "article")][:1]
    return _over_little(document, first, root=root)


def _is_name(said: str) -> bool:
    """Whether a label is one that a song or a list of results may bear."""
    return _is_vague(said) or re.search(NOTHING, said, re.IGNORECASE) is not None


def _over_little(document: Document, first: list[str], *, root: bool) -> str | None:
    """A label, or a sentence of a heading, where the main part is short."""
    bare = not root and len(document.main) < TINY // 2  # a number that stands almost alone
    tells = _tells(document, root=root)
    for place, said in enumerate((*document.headings[:3], *first)):
        empty = re.search(NOTHING, said, re.IGNORECASE)
        alone = bare or not (_NUMBERED if tells else _NUMBER).fullmatch(said)
        if _LABEL.fullmatch(said) and alone and not (empty and place):
            return said
        if place < len(document.headings[:3]) and len(document.main) < TINY and _sentence(said):
            return said
    return None


def _in_words(document: Document, *, root: bool) -> str | None:
    """Words of a page, or of a main part amid menus, that is about nothing else.

    A front page of two sentences may tell of a lost document: there a visitor is spoken to, or all is said.
    """
    text, main = document.text, document.main
    if len(text) < 80 and _LABEL.fullmatch(text):
        return text
    if document.inner < 3 and len(text) < TINY:
        names = _NUMBERED if _tells(document, root=root) else _VAGUE
        loose = [said[0] for said in _SPEAKS.finditer(text) if not names.fullmatch(said[0])]
        words = next((said for said in loose if not root or _TO_A_VISITOR.search(said)), None)
        if words := words or _sentence(text):
            return words
    if len(main) < TINY:
        lines = (chunk.text for chunk in document.chunks if chunk.place in ("main", "article"))
        return next(filter(None, map(_sentence, lines)), None)
    return None


def _sentence(text: str) -> str | None:
    """The sentence of a text that says the page is missing; "Not found: the boy" says nothing of the page."""
    found = (said[0] for said in _SENTENCE.finditer(text))
    return next((said for said in found if not _is_vague(said.strip(" .!?:…|–—-"))), None)


def _is_vague(said: str) -> bool:
    return bool(_VAGUE.fullmatch(said) or _NUMBERED.fullmatch(said))
