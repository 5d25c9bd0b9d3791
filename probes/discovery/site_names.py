"""What a site calls itself: its title, the name it is shared under, its organisation, its first heading.

The probe does not know the association's name; whoever does can compare it with these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probes.parsing.html import Document
from probes.text import normalize
from probes.text.charset import clean
from probes.text.lazy_regex import pattern

LONGEST = 300  # characters of all names together
SEPARATOR = " · "
_ONE = 120  # characters of one name
_BODIES = pattern(
    r"(?:website|ngo|organi[sz]ation|localbusiness|corporation|association|foundation|school)$", re.IGNORECASE
)
_OWNER = pattern(r"©|\(c\) ?(?:19|20)\d\d|copyright|حقوق|جميع الحقوق", re.IGNORECASE)

_SIGNS = ("©", "(c)", "copyr", "حقوق")  # one of them is in each match: a page is soon seen to have none


def says(document: Document) -> str:
    """The site's own names, each once, the surest first: ` · ` between them, 300 characters at most."""
    names: dict[str, str] = {}
    for name in _names(document):
        tidy = clean(name, _ONE)
        names.setdefault(tidy.casefold(), tidy)
    return clean(SEPARATOR.join(filter(None, names.values())), LONGEST)


def _names(document: Document) -> Iterator[str]:
    yield document.meta.get("og:site_name", "")
    yield from _organisations(document)
    yield document.title
    yield document.meta.get("application-name", "")
    yield from document.headings[:1]
    said = document.text.lower()
    if signs := [sign for sign in _SIGNS if sign in said]:
        signed = re.compile("|".join(map(re.escape, signs)), re.IGNORECASE)
        texts = [chunk.text for chunk in document.chunks if signed.search(chunk.text, 0, _ONE)]
        yield from (text for text in texts if _OWNER.search(text[:_ONE]))


def _organisations(document: Document) -> Iterator[str]:
    """The names that JSON-LD gives to the site and to the body that publishes it."""
    for schema in document.schemas:
        kinds = schema.get("@type", "")
        if any(_BODIES.search(str(kind)) for kind in (kinds if isinstance(kinds, list) else [kinds])):
            told = (schema.get(key) for key in ("name", "legalName", "alternateName"))
            yield from (name for name in told if isinstance(name, str))


# Words that many sites' titles and addresses share: they tell nobody from another.
_COMMON = frozenset(
    """
    home homepage accueil index default main start welcome bienvenue official officiel site sites
    website web www page pages html htm php asp aspx jsp com org net portal portail intro الرئيسية
    رئيسية الصفحة صفحة الموقع موقع مرحبا
    """.split()  # noqa: SIM905
)


def tokens(text: str) -> frozenset[str]:
    """The words of a name by which it can be told from another, folded; two letters are no word."""
    words = re.findall(r"[^\W_]{3,}", normalize.folded(text))
    return frozenset(word.removeprefix("ال") if len(word) > 4 else word for word in words) - _COMMON


def akin(one: str, other: str) -> bool:
    """Whether two names, or a name and a host, share a word, or one holds a word of the other."""
    ours, theirs = tokens(one), tokens(other)
    return bool(ours & theirs) or any(
        (mine in yours or yours in mine)
        for mine in ours
        for yours in theirs
        if min(len(mine), len(yours)) > 3
    )
