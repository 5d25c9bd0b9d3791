"""What a site calls itself: its title, the name it is shared under, its organisation, its first heading.

The probe does not know the association's name; whoever does can compare it with these.

Whether an account's name and a site's have something in common. Pure, and never enough alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from probes.text import language
from probes.text.charset import clean_text
from probes.text.language import fold_text
from probes.text.lazy_regex import lazy_regex
from probes.urls.normalize import get_host

if TYPE_CHECKING:  # an HTML parser takes 0.1 s to load, and the rules need only the texts
    from probes.parsing.html import Document

MAX_NAMES_CHARS = 300  # characters of all names together
NAME_SEPARATOR = " · "
_MAX_NAME_CHARS = 120  # characters of one name
_ORGANIZATION_TYPE_PATTERN = lazy_regex(
    r"(?:website|ngo|organi[sz]ation|localbusiness|corporation|association|foundation|school)$",
    re.IGNORECASE,
)
_COPYRIGHT_PATTERN = lazy_regex(r"©|\(c\) ?(?:19|20)\d\d|copyright|حقوق|جميع الحقوق", re.IGNORECASE)

_COPYRIGHT_LITERALS = (
    "©",
    "(c)",
    "copyr",
    "حقوق",
)  # one of them is in each match: a page is soon seen to have none


def join_site_names(document: Document) -> str:
    """The site's own names, each once, the surest first: ` · ` between them, 300 characters at most."""
    names: dict[str, str] = {}
    for name in _iter_site_names(document):
        tidy = clean_text(name, _MAX_NAME_CHARS)
        names.setdefault(tidy.casefold(), tidy)
    return clean_text(NAME_SEPARATOR.join(filter(None, names.values())), MAX_NAMES_CHARS)


def _iter_site_names(document: Document) -> Iterator[str]:
    yield document.meta.get("og:site_name", "")
    yield from _iter_organization_names(document)
    yield document.title
    yield document.meta.get("application-name", "")
    yield from document.headings[:1]
    said = document.text.lower()
    if signs := [sign for sign in _COPYRIGHT_LITERALS if sign in said]:
        signed = re.compile("|".join(map(re.escape, signs)), re.IGNORECASE)
        texts = [
            chunk.text
            for chunk in document.text_nodes
            if signed.search(chunk.text, 0, _MAX_NAME_CHARS)
        ]
        yield from (text for text in texts if _COPYRIGHT_PATTERN.search(text[:_MAX_NAME_CHARS]))


def _iter_organization_names(document: Document) -> Iterator[str]:
    """The names that JSON-LD gives to the site and to the body that publishes it."""
    for schema in document.json_ld:
        kinds = schema.get("@type", "")
        if any(
            _ORGANIZATION_TYPE_PATTERN.search(str(kind))
            for kind in (kinds if isinstance(kinds, list) else [kinds])
        ):
            told = (schema.get(key) for key in ("name", "legalName", "alternateName"))
            yield from (name for name in told if isinstance(name, str))


# Words that many sites' titles and addresses share: they tell nobody from another.
_COMMON_NAME_WORDS = frozenset(
    """
    home homepage accueil index default main start welcome bienvenue official officiel site sites
    website web www page pages html htm php asp aspx jsp com org net portal portail intro الرئيسية
    رئيسية الصفحة صفحة الموقع موقع مرحبا
    """.split()  # noqa: SIM905
)


def extract_name_tokens(text: str) -> frozenset[str]:
    """The words of a name by which it can be told from another, folded; two letters are no word."""
    words = re.findall(r"[^\W_]{3,}", language.fold_text(text))
    return (
        frozenset(word.removeprefix("ال") if len(word) > 4 else word for word in words)
        - _COMMON_NAME_WORDS
    )


def is_similar_name(name: str, other_name: str) -> bool:
    """Whether two names, or a name and a host, share a word, or one holds a word of the other."""
    ours, theirs = extract_name_tokens(name), extract_name_tokens(other_name)
    return bool(ours & theirs) or any(
        (mine in yours or yours in mine)
        for mine in ours
        for yours in theirs
        if min(len(mine), len(yours)) > 3
    )


# They stand in the names of thousands of associations and sites, so sharing one says nothing.
_STOP_WORDS = frozenset(
    """
    the and for les des une pour sur com org net www blog home news accueil official officiel site
    association asso page welcome bienvenue von der die das und web online assoc ong ngo
    """.split()  # noqa: SIM905
)
_FREQUENT_WORDS = frozenset(
    """
    maroc marocain marocaine morocco moroccan maghreb national nationale regional regionale centre
    center club forum union reseau network federation fondation foundation cooperative collectif
    developpement development femme femmes women jeune jeunes jeunesse youth enfance enfants culture
    sport sports sante education social sociale solidarite amis action actions
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class SiteNameWords:
    """What a site calls itself: the telling words of its name and host, frequent ones, and both whole."""

    distinctive: frozenset[str] = frozenset()
    frequent: frozenset[str] = frozenset()
    full_names: frozenset[str] = frozenset()


def extract_site_name_words(document: Document) -> SiteNameWords:
    """The labels of a site's host, the words and initials of its name."""
    return _build_site_name_words(
        document.meta.get("og:site_name") or document.title, get_host(document.url)
    )


@lru_cache(maxsize=8)
def _build_site_name_words(site_name: str, site_host: str) -> SiteNameWords:
    name = fold_text(site_name)
    labels = [
        re.sub(r"[^\w]", "", label) for label in site_host.removeprefix("www.").split(".")[:-1]
    ]
    initials = "".join(word[0] for word in re.findall(r"[^\W\d_]+", name))
    told = {*re.findall(r"[^\W\d_]{3,}", name), *labels, initials if len(initials) > 2 else ""}
    words = {word for word in told if len(word) > 2} - _STOP_WORDS
    return SiteNameWords(
        frozenset(words - _FREQUENT_WORDS),
        frozenset(words & _FREQUENT_WORDS),
        _build_full_names(name, labels),
    )


def _build_full_names(name: str, host_labels: list[str]) -> frozenset[str]:
    """A site's name, up to its slogan, and the labels of its host, each as an account may begin with it."""
    first = re.findall(r"[^\W\d_]+", re.split(r"[|:–—·]| - ", name)[0])
    joined = "".join(word for word in first if word not in _STOP_WORDS)
    return frozenset(one for one in (joined, *host_labels) if len(one) > 3)


def share_distinctive_word(key: str, site_name_words: SiteNameWords) -> bool:
    """Whether an account's key holds a telling word of the site, or is held by one; or two frequent ones."""
    name = re.sub(r"[\W_]", "", fold_text(strip_key_prefix(key)))
    telling = any(
        (len(word) > 3 and word in name) or (len(name) > 3 and name in word) or word == name
        for word in site_name_words.distinctive
    )
    return telling or sum(word in name for word in site_name_words.frequent) > 1


def starts_with_site_name(key: str, site_name_words: SiteNameWords) -> bool:
    """Whether an account's key begins with the whole name of the site: an officer's shares a word of it."""
    return re.sub(r"[\W_]", "", fold_text(strip_key_prefix(key))).startswith(
        tuple(site_name_words.full_names)
    )


def contains_distinctive_word(name: str, site_name_words: SiteNameWords) -> bool:
    """Whether a name, of whatever script, holds a telling word of the site, whole."""
    return bool(site_name_words.distinctive & set(re.findall(r"[^\W\d_]{4,}", fold_text(name))))


def strip_key_prefix(key: str) -> str:
    """The name in a key, without its kind: `u:name`, `@name`, `company/name`."""
    return re.sub(r"^(?:u:|id:|@|group:|[a-z]+/)", "", key).lower()
