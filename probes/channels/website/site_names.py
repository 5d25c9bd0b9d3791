"""The names of a site, and comparison of account names with them.

The names are in the title, the sharing metadata, the organisation's data and the first heading. The
probe does not know the association's name, so rules compare it later. A common word alone is never
proof that an account belongs to a site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from probes.links.identify import strip_key_prefix
from probes.links.normalize import get_host
from probes.parsing.json_data import get_text, list_schema_types
from probes.text.charset import clean_text
from probes.text.language import fold_text, split_words

if TYPE_CHECKING:  # an HTML parser takes 0.1 s to load, and the rules need only the texts
    from probes.parsing.html import Document

MAX_NAMES_CHARS = 300
"""Characters of all names of a site together."""
MAX_NAME_CHARS = 120
"""Characters of one of the names of a site."""
_ORGANIZATION_TYPE_PATTERN = re.compile(
    r"(?:website|ngo|organi[sz]ation|localbusiness|corporation|association|foundation|school)$",
    re.IGNORECASE,
)
_COPYRIGHT_PATTERN = re.compile(r"©|\(c\) ?(?:19|20)\d\d|copyright|حقوق|جميع الحقوق", re.IGNORECASE)


def join_site_names(document: Document) -> str:
    """Return the site's names, each once, the most reliable first, at most 300 characters."""
    names: dict[str, str] = {}
    for name in _iter_site_names(document):
        cleaned = clean_text(name, MAX_NAME_CHARS)
        names.setdefault(cleaned.casefold(), cleaned)
    return clean_text(" · ".join(filter(None, names.values())), MAX_NAMES_CHARS)


def _iter_site_names(document: Document) -> Iterator[str]:
    """Yield the names that a page gives its site, the most reliable first, or "" for a missing one.

    The last ones are texts with a copyright sign, which name the owner.
    """
    yield document.meta.get("og:site_name", "")
    for schema in document.json_ld:
        if any(map(_ORGANIZATION_TYPE_PATTERN.search, list_schema_types(schema))):
            yield from map(partial(get_text, schema), ("name", "legalName", "alternateName"))
    yield document.title
    yield document.meta.get("application-name", "")
    yield from document.headings[:1]
    text = document.text.lower()
    # Each match contains one of these, so most pages need no search.
    if any(sign in text for sign in ("©", "(c)", "copyr", "حقوق")):
        beginnings = (node.text[:MAX_NAME_CHARS] for node in document.text_nodes)
        yield from filter(_COPYRIGHT_PATTERN.search, beginnings)


# Words of many sites' titles and addresses, which do not distinguish any.
_COMMON_NAME_WORDS = split_words("""
    home homepage accueil index default main start welcome bienvenue official officiel site sites
    website web www page pages html htm php asp aspx jsp com org net portal portail intro الرئيسية
    رئيسية الصفحة صفحة الموقع موقع مرحبا
""")


def extract_name_tokens(text: str) -> frozenset[str]:
    """Return the folded words of a name that distinguish it, without the Arabic article.

    Words have at least three letters.
    """
    words = re.findall(r"(?:ال(?=[^\W_]{3}))?([^\W_]{3,})", fold_text(text))
    return frozenset(words) - _COMMON_NAME_WORDS


def is_similar_name(name: str, other_name: str) -> bool:
    """Return whether two names share a word, or a word of one contains a word of the other."""
    pairs = product(extract_name_tokens(name), extract_name_tokens(other_name))
    return any(_is_shared_word(own, other) for own, other in pairs)


# Words of thousands of associations and sites. Sharing one of them proves nothing.
_STOP_WORDS = split_words("""
    the and for les des une pour sur com org net www blog home news accueil official officiel site
    association asso page welcome bienvenue von der die das und web online assoc ong ngo
""")
_FREQUENT_WORDS = split_words("""
    maroc marocain marocaine morocco moroccan maghreb national nationale regional regionale centre
    center club forum union reseau network federation fondation foundation cooperative collectif
    developpement development femme femmes women jeune jeunes jeunesse youth enfance enfants culture
    sport sports sante education social sociale solidarite amis action actions
""")


def extract_site_name_words(document: Document) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words and initials of a site's name and the labels of its host.

    The distinctive ones come first, then the frequent ones.
    """
    name = fold_text(document.meta.get("og:site_name") or document.title)
    host_name = get_host(document.url).removeprefix("www.").rpartition(".")[0]
    labels = re.sub(r"[^\w.]", "", host_name).split(".")
    initials = "".join(re.findall(r"(?<![^\W\d_])[^\W\d_]", name))
    candidates = {*re.findall(r"[^\W\d_]{3,}", name), *labels, initials}
    words = frozenset(word for word in candidates if len(word) > 2) - _STOP_WORDS
    return words - _FREQUENT_WORDS, words & _FREQUENT_WORDS


def share_distinctive_word(
    key: str, site_name_words: tuple[frozenset[str], frozenset[str]]
) -> bool:
    """Return whether an account's key and a site share a distinctive word or two frequent ones."""
    name = re.sub(r"[\W_]", "", fold_text(strip_key_prefix(key)))
    distinctive_words, frequent_words = site_name_words
    has_distinctive_word = any(_is_shared_word(word, name) for word in distinctive_words)
    return has_distinctive_word or sum(word in name for word in frequent_words) > 1


def _is_shared_word(word: str, name: str) -> bool:
    shorter, longer = sorted((word, name), key=len)
    return word == name or (len(shorter) > 3 and shorter in longer)
