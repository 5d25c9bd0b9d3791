"""Whether an account's name and a site's have something in common. Pure, and never enough alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from probes.discovery.ignored_accounts import bare
from probes.parsing.html import Document, host
from probes.text.normalize import folded

# They stand in the names of thousands of associations and sites, so sharing one says nothing.
_COMMON = frozenset(
    """
    the and for les des une pour sur com org net www blog home news accueil official officiel site
    association asso page welcome bienvenue von der die das und web online assoc ong ngo
    """.split()  # noqa: SIM905
)
_FREQUENT = frozenset(
    """
    maroc marocain marocaine morocco moroccan maghreb national nationale regional regionale centre
    center club forum union reseau network federation fondation foundation cooperative collectif
    developpement development femme femmes women jeune jeunes jeunesse youth enfance enfants culture
    sport sports sante education social sociale solidarite amis action actions
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Words:
    """What a site calls itself: the telling words of its name and host, frequent ones, and both whole."""

    own: frozenset[str] = frozenset()
    frequent: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


def words_of(document: Document) -> Words:
    """The labels of a site's host, the words and initials of its name."""
    return _words_of(document.meta.get("og:site_name") or document.title, host(document.url))


@lru_cache(maxsize=8)
def _words_of(called: str, at: str) -> Words:
    name = folded(called)
    labels = [re.sub(r"[^\w]", "", label) for label in at.removeprefix("www.").split(".")[:-1]]
    initials = "".join(word[0] for word in re.findall(r"[^\W\d_]+", name))
    told = {*re.findall(r"[^\W\d_]{3,}", name), *labels, initials if len(initials) > 2 else ""}
    words = {word for word in told if len(word) > 2} - _COMMON
    return Words(frozenset(words - _FREQUENT), frozenset(words & _FREQUENT), _whole(name, labels))


def _whole(name: str, labels: list[str]) -> frozenset[str]:
    """A site's name, up to its slogan, and the labels of its host, each as an account may begin with it."""
    first = re.findall(r"[^\W\d_]+", re.split(r"[|:–—·]| - ", name)[0])
    joined = "".join(word for word in first if word not in _COMMON)
    return frozenset(one for one in (joined, *labels) if len(one) > 3)


def akin(key: str, words: Words) -> bool:
    """Whether an account's key holds a telling word of the site, or is held by one; or two frequent ones."""
    name = re.sub(r"[\W_]", "", folded(bare(key)))
    telling = any(
        (len(word) > 3 and word in name) or (len(name) > 3 and name in word) or word == name
        for word in words.own
    )
    return telling or sum(word in name for word in words.frequent) > 1


def bears(key: str, words: Words) -> bool:
    """Whether an account's key begins with the whole name of the site: an officer's shares a word of it."""
    return re.sub(r"[\W_]", "", folded(bare(key))).startswith(tuple(words.whole))


def words_in(name: str, words: Words) -> bool:
    """Whether a name, of whatever script, holds a telling word of the site, whole."""
    return bool(words.own & set(re.findall(r"[^\W\d_]{4,}", folded(name))))
