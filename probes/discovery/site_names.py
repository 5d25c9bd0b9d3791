"""The names of a site, and comparison of account names with them.

The names are in the title, the sharing metadata, the organisation's data and the first heading. The
probe does not know the association's name, so rules compare it later. A common word alone is never
proof that an account belongs to a site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import filterfalse, product, repeat, starmap
from typing import TYPE_CHECKING, Any

from probes.parsing.json_data import list_schema_types
from probes.text.charset import clean_text
from probes.text.keywords import split_words
from probes.text.language import fold_text
from probes.urls.normalize import get_host

if TYPE_CHECKING:  # an HTML parser takes 0.1 s to load, and the rules need only the texts
    from probes.parsing.html import Document

MAX_NAMES_CHARS = 300
"""Characters of all names of a site together."""
NAME_SEPARATOR = " · "
MAX_NAME_CHARS = 120
"""Characters of one of the names of a site."""
_ORGANIZATION_TYPE_PATTERN = re.compile(
    r"(?:website|ngo|organi[sz]ation|localbusiness|corporation|association|foundation|school)$",
    re.IGNORECASE,
)
_COPYRIGHT_PATTERN = re.compile(r"©|\(c\) ?(?:19|20)\d\d|copyright|حقوق|جميع الحقوق", re.IGNORECASE)

# Each match contains one of these, so most pages need no search.
_COPYRIGHT_LITERALS = ("©", "(c)", "copyr", "حقوق")


def join_site_names(document: Document) -> str:
    """Return the site's names, each once, the most reliable first, at most 300 characters."""
    names: dict[str, str] = {}
    for name in _iter_site_names(document):
        cleaned = clean_text(name, MAX_NAME_CHARS)
        names.setdefault(cleaned.casefold(), cleaned)
    return clean_text(NAME_SEPARATOR.join(filter(None, names.values())), MAX_NAMES_CHARS)


def _iter_site_names(document: Document) -> Iterator[str]:
    yield document.meta.get("og:site_name", "")
    yield from _iter_organization_names(document)
    yield document.title
    yield document.meta.get("application-name", "")
    yield from document.headings[:1]
    yield from _iter_copyright_texts(document)


def _iter_copyright_texts(document: Document) -> Iterator[str]:
    literals = list(filter(document.text.lower().__contains__, _COPYRIGHT_LITERALS))
    if not literals:
        return
    literal_pattern = re.compile("|".join(map(re.escape, literals)), re.IGNORECASE)
    for node in document.text_nodes:
        has_literal = literal_pattern.search(node.text, 0, MAX_NAME_CHARS)
        if has_literal and _COPYRIGHT_PATTERN.search(node.text[:MAX_NAME_CHARS]):
            yield node.text


def _iter_organization_names(document: Document) -> Iterator[str]:
    """Yield the names in JSON-LD of the site and of the organisation that publishes it."""
    for schema in filter(_is_organization, document.json_ld):
        for key in ("name", "legalName", "alternateName"):
            if isinstance(schema.get(key), str):
                yield schema[key]


def _is_organization(schema: Mapping[str, Any]) -> bool:
    return any(map(_ORGANIZATION_TYPE_PATTERN.search, list_schema_types(schema)))


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
    return any(starmap(_is_shared_word, pairs))


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


@dataclass(frozen=True, slots=True)
class SiteNameWords:
    """The words of a site's name and host: distinctive ones, frequent ones, and the full names."""

    distinctive: frozenset[str] = frozenset()
    frequent: frozenset[str] = frozenset()
    full_names: frozenset[str] = frozenset()


def extract_site_name_words(document: Document) -> SiteNameWords:
    """Return the words and initials of a site's name and the labels of its host."""
    return _build_site_name_words(
        document.meta.get("og:site_name") or document.title, get_host(document.url)
    )


@lru_cache(maxsize=8)
def _build_site_name_words(site_name: str, site_host: str) -> SiteNameWords:
    name = fold_text(site_name)
    host_name = site_host.removeprefix("www.").rpartition(".")[0]
    labels = re.sub(r"[^\w.]", "", host_name).split(".")
    initials = "".join(re.findall(r"(?<![^\W\d_])[^\W\d_]", name))
    candidates = {*re.findall(r"[^\W\d_]{3,}", name), *labels, initials}
    words = {word for word in candidates if len(word) > 2} - _STOP_WORDS
    return SiteNameWords(
        frozenset(words - _FREQUENT_WORDS),
        frozenset(words & _FREQUENT_WORDS),
        _build_full_names(name, labels),
    )


def _build_full_names(name: str, host_labels: list[str]) -> frozenset[str]:
    """Return the site's name without its slogan, and its host labels, as an account may begin."""
    main_part = re.split(r"[|:–—·]| - ", name)[0]
    words = re.findall(r"[^\W\d_]+", main_part)
    joined_name = "".join(filterfalse(_STOP_WORDS.__contains__, words))
    return frozenset(text for text in (joined_name, *host_labels) if len(text) > 3)


def share_distinctive_word(key: str, site_name_words: SiteNameWords) -> bool:
    """Return whether an account's key and a site share a distinctive word or two frequent ones."""
    name = _fold_key(key)
    if any(map(_is_shared_word, site_name_words.distinctive, repeat(name))):
        return True
    return sum(map(name.__contains__, site_name_words.frequent)) > 1


def _is_shared_word(word: str, name: str) -> bool:
    shorter, longer = sorted((word, name), key=len)
    return word == name or (len(shorter) > 3 and shorter in longer)


def _fold_key(key: str) -> str:
    """Return the name in a key without separators: `amalrabat` for `u:amal.rabat`."""
    return re.sub(r"[\W_]", "", fold_text(strip_key_prefix(key)))


def starts_with_site_name(key: str, site_name_words: SiteNameWords) -> bool:
    """Return whether an account's key begins with the site's full name.

    An officer's account may share a word of it.
    """
    return _fold_key(key).startswith(tuple(site_name_words.full_names))


def contains_distinctive_word(name: str, site_name_words: SiteNameWords) -> bool:
    """Return whether a name in any script contains a whole distinctive word of the site."""
    return bool(site_name_words.distinctive & set(re.findall(r"[^\W\d_]{4,}", fold_text(name))))


def strip_key_prefix(key: str) -> str:
    """Return the name in a key without its kind: `u:name`, `@name`, `company/name`."""
    return re.sub(r"^(?:u:|id:|@|group:|[a-z]+/)", "", key).lower()
