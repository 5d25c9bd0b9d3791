"""The accounts that an association's own page calls its own: proposed with their clue, never registered.

The clues (see `clues`) are weighed channel by channel: what is stated or stands in the owner's places
counts, more so where it is repeated or bears the site's name; what neither does is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from probes.discovery.signals import NUMBERS, OWNERS, UNSEEN, Clue, clues
from probes.discovery.site_names import Words, akin, words_of
from probes.models.finding import FoundLink
from probes.parsing.html import Anchor, Document, host
from probes.text.lazy_regex import pattern

__all__ = ["Hints", "channels", "hints"]


@dataclass(frozen=True, slots=True)
class _Rival:
    """One account and everything that speaks for it."""

    clues: tuple[Clue, ...]
    named: bool

    @property
    def best(self) -> Clue:
        return max(self.clues, key=lambda clue: clue.strength)

    @property
    def strength(self) -> int:
        return self.best.strength

    @property
    def shown(self) -> bool:
        """Whether a visitor finds it in the owner's places."""
        return any(clue.source in OWNERS and clue.strength >= 3 for clue in self.clues)

    @property
    def hidden(self) -> bool:
        """Whether only statements that nobody sees speak for it."""
        return all(clue.source in UNSEEN for clue in self.clues)

    @property
    def told(self) -> bool:
        """Whether only the text of the page speaks for it."""
        return all(clue.source == "link" for clue in self.clues)

    @property
    def is_group(self) -> bool:
        return self.best.at[1].startswith("group:")


def channels(document: Document, *, contact: bool = False) -> tuple[FoundLink, ...]:
    """The accounts on other channels that the page presents as its owner's, strongest clue first."""
    by_account: dict[tuple[str, str], list[Clue]] = {}
    for clue in clues(document, contact=contact):
        by_account.setdefault(clue.at, []).append(clue)
    words = words_of(document)
    rivals = [_Rival(tuple(told), akin(at[1], words)) for at, told in by_account.items()]
    names = dict.fromkeys(at[0] for at in by_account)
    kept = [one for name in names for one in _chosen([r for r in rivals if r.best.at[0] == name])]
    return tuple(_found(one.best, document.url) for one in kept)


def _found(clue: Clue, page: str) -> FoundLink:
    channel, key = clue.at
    return FoundLink(channel, key, clue.identity.canonical or "", clue.source, page, clue.snippet)


def _chosen(rivals: list[_Rival]) -> list[_Rival]:
    """Of one channel: what is stated or stands in the owner's places, else what bears the site's name."""
    strong, named = [one for one in rivals if one.strength >= 3], [one for one in rivals if one.named]
    top = max((one.strength for one in strong), default=0)
    chosen = [one for one in strong if one.strength == top or one.named] if strong else named
    for better in _BETTER:
        chosen = better(chosen)
    return sorted(chosen, key=lambda one: -one.strength)


def _names_over_numbers(chosen: list[_Rival]) -> list[_Rival]:
    """A number in the head and a name on the page are one account as a rule."""
    return [one for one in chosen if one.best.source not in NUMBERS] or chosen


def _shown_over_hidden(chosen: list[_Rival]) -> list[_Rival]:
    """What visitors see is looked at and corrected; a statement of the head may be years old."""
    return [one for one in chosen if not one.hidden] if any(one.shown for one in chosen) else chosen


def _pages_over_groups(chosen: list[_Rival]) -> list[_Rival]:
    """A group is where people meet; it is the account only of those who have no page."""
    return [one for one in chosen if not one.is_group] or chosen


def _named_over_many(chosen: list[_Rival]) -> list[_Rival]:
    """More than two are a list of friends: its namesakes are the owner's, and in the text no other is."""
    if len(chosen) < 3:
        return chosen
    return [one for one in chosen if one.named] or [one for one in chosen if one.best.source != "link"]


def _placed_over_told(chosen: list[_Rival]) -> list[_Rival]:
    """Beside the owner's own in its place, namesakes in the text are members, chapters or officers.

    Where the one in its place bears another name, one in the text may be the owner's; several are a list.
    """
    placed, told = [one for one in chosen if not one.told], [one for one in chosen if one.told]
    certain = any(one.named for one in placed) or len(told) > 1
    return placed if placed and certain else chosen


_BETTER = (_names_over_numbers, _shown_over_hidden, _pages_over_groups, _placed_over_told, _named_over_many)


# --- Where else the owner may be found ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hints:
    """Where else to look for the owner's accounts: the page that tells of him, a video that is shown.

    `words` are the site's own, by which a video's maker is known to be its owner.
    """

    contact: str = ""
    video: str = ""
    words: Words = field(default_factory=Words)


_CONTACT = pattern(
    r"contact|nous[- _]?(?:joindre|ecrire|écrire)|coordonn[ée]es|اتصل|تواصل|للاتصال", re.IGNORECASE
)
_ABOUT = pattern(
    r"about|qui[- _]?sommes|[àa][- _]?propos|pr[ée]sentation|من[- _]?نحن|عن[- _]?الجمعية|تعريف", re.IGNORECASE
)
_NO_PAGE = pattern(r"\.(?:pdf|docx?|jpe?g|png|zip|xlsx?)$|/(?:feed|wp-admin|wp-login)", re.IGNORECASE)
_VIDEO = pattern(
    r"https?://(?:www\.)?youtube(?:-nocookie)?\.com/embed/(?:videoseries\?(?:[^#]*&)?list=(PL[\w-]+)|([\w-]{11})(?=[?/&#]|$))"
)


def hints(document: Document) -> Hints:
    """What a page says of where its owner can be found."""
    return Hints(_contact_page(document), _video(document.embeds), words_of(document))


def _contact_page(document: Document) -> str:
    """The site's own page of contacts, else the one that says who it is."""
    return next(
        (
            anchor.url
            for words in (_CONTACT, _ABOUT)
            for anchor in document.anchors
            if _says(anchor, words) and _is_inner(anchor, document.url)
        ),
        "",
    )


def _is_inner(anchor: Anchor, page: str) -> bool:
    target, here = anchor.url.partition("#")[0].rstrip("/"), page.partition("#")[0].rstrip("/")
    same = host(target).removeprefix("www.") == host(page).removeprefix("www.")
    return same and target.startswith("http") and target != here and not _NO_PAGE.search(target)


def _says(anchor: Anchor, words: re.Pattern[str]) -> bool:
    """Whether a link's words are such, or its address: a headline that holds the word is no menu's entry."""
    short = len(anchor.text) <= _SHORT and words.search(anchor.text)
    return bool(short or (not anchor.text and words.search(anchor.url.rpartition("/")[2] or anchor.label)))


_SHORT = 30


def _video(embeds: Iterable[str]) -> str:
    """The first list of videos shown, else the first video, as a visitor would open it."""
    found = [match for url in embeds if (match := _VIDEO.match(url))]
    lists = [f"https://www.youtube.com/playlist?list={match[1]}" for match in found if match[1]]
    videos = [f"https://www.youtube.com/watch?v={match[2]}" for match in found if match[2]]
    return next(iter(lists + videos), "")
