"""The accounts that an association's own page calls its own: proposed with their clue, never registered.

The clues (see `clues`) are weighed channel by channel: what is stated or stands in the owner's places
counts, more so where it is repeated or bears the site's name; what neither does is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from probes.discovery.signals import (
    HIDDEN_SOURCES,
    NUMERIC_ID_SOURCES,
    OWNER_PLACES,
    AccountClue,
    iter_account_clues,
)
from probes.discovery.site_names import (
    SiteNameWords,
    extract_site_name_words,
    share_distinctive_word,
)
from probes.models.finding import FoundLink
from probes.parsing.html import Anchor, Document, get_host
from probes.text.lazy_regex import lazy_regex

__all__ = ["OwnerHints", "find_owner_accounts", "find_owner_hints"]


@dataclass(frozen=True, slots=True)
class _AccountCandidate:
    """One account and everything that speaks for it."""

    clues: tuple[AccountClue, ...]
    has_site_name: bool

    @property
    def strongest_clue(self) -> AccountClue:
        return max(self.clues, key=lambda clue: clue.strength)

    @property
    def strength(self) -> int:
        return self.strongest_clue.strength

    @property
    def is_in_owner_place(self) -> bool:
        """Whether a visitor finds it in the owner's places."""
        return any(clue.source in OWNER_PLACES and clue.strength >= 3 for clue in self.clues)

    @property
    def is_only_in_metadata(self) -> bool:
        """Whether only statements that nobody sees speak for it."""
        return all(clue.source in HIDDEN_SOURCES for clue in self.clues)

    @property
    def is_only_in_text(self) -> bool:
        """Whether only the text of the page speaks for it."""
        return all(clue.source == "link" for clue in self.clues)

    @property
    def is_group(self) -> bool:
        return self.strongest_clue.account_key[1].startswith("group:")


def find_owner_accounts(
    document: Document, *, is_contact_page: bool = False
) -> tuple[FoundLink, ...]:
    """The accounts on other channels that the page presents as its owner's, strongest clue first."""
    by_account: dict[tuple[str, str], list[AccountClue]] = {}
    for clue in iter_account_clues(document, is_contact_page=is_contact_page):
        by_account.setdefault(clue.account_key, []).append(clue)
    words = extract_site_name_words(document)
    rivals = [
        _AccountCandidate(tuple(told), share_distinctive_word(at[1], words))
        for at, told in by_account.items()
    ]
    names = dict.fromkeys(at[0] for at in by_account)
    kept = [
        one
        for name in names
        for one in _select_candidates(
            [r for r in rivals if r.strongest_clue.account_key[0] == name]
        )
    ]
    return tuple(_to_found_link(one.strongest_clue, document.url) for one in kept)


def _to_found_link(clue: AccountClue, page_url: str) -> FoundLink:
    channel, key = clue.account_key
    return FoundLink(
        channel, key, clue.identity.canonical or "", clue.source, page_url, clue.snippet
    )


def _select_candidates(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Of one channel: what is stated or stands in the owner's places, else what bears the site's name."""
    strong, named = (
        [one for one in candidates if one.strength >= 3],
        [one for one in candidates if one.has_site_name],
    )
    top = max((one.strength for one in strong), default=0)
    chosen = (
        [one for one in strong if one.strength == top or one.has_site_name] if strong else named
    )
    for better in _CANDIDATE_FILTERS:
        chosen = better(chosen)
    return sorted(chosen, key=lambda one: -one.strength)


def _prefer_names_to_numeric_ids(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """A number in the head and a name on the page are one account as a rule."""
    return [
        one for one in candidates if one.strongest_clue.source not in NUMERIC_ID_SOURCES
    ] or candidates


def _prefer_visible_to_metadata(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """What visitors see is looked at and corrected; a statement of the head may be years old."""
    return (
        [one for one in candidates if not one.is_only_in_metadata]
        if any(one.is_in_owner_place for one in candidates)
        else candidates
    )


def _prefer_pages_to_groups(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """A group is where people meet; it is the account only of those who have no page."""
    return [one for one in candidates if not one.is_group] or candidates


def _prefer_site_name_in_lists(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """More than two are a list of friends: its namesakes are the owner's, and in the text no other is."""
    if len(candidates) < 3:
        return candidates
    return [one for one in candidates if one.has_site_name] or [
        one for one in candidates if one.strongest_clue.source != "link"
    ]


def _prefer_owner_place_to_text(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Beside the owner's own in its place, namesakes in the text are members, chapters or officers.

    Where the one in its place bears another name, one in the text may be the owner's; several are a list.
    """
    placed, told = (
        [one for one in candidates if not one.is_only_in_text],
        [one for one in candidates if one.is_only_in_text],
    )
    certain = any(one.has_site_name for one in placed) or len(told) > 1
    return placed if placed and certain else candidates


_CANDIDATE_FILTERS = (
    _prefer_names_to_numeric_ids,
    _prefer_visible_to_metadata,
    _prefer_pages_to_groups,
    _prefer_owner_place_to_text,
    _prefer_site_name_in_lists,
)


# --- Where else the owner may be found ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OwnerHints:
    """Where else to look for the owner's accounts: the page that tells of him, a video that is shown.

    `words` are the site's own, by which a video's maker is known to be its owner.
    """

    contact_url: str = ""
    video_url: str = ""
    site_name_words: SiteNameWords = field(default_factory=SiteNameWords)


_CONTACT_LINK_PATTERN = lazy_regex(
    r"contact|nous[- _]?(?:joindre|ecrire|écrire)|coordonn[ée]es|اتصل|تواصل|للاتصال", re.IGNORECASE
)
_ABOUT_LINK_PATTERN = lazy_regex(
    r"about|qui[- _]?sommes|[àa][- _]?propos|pr[ée]sentation|من[- _]?نحن|عن[- _]?الجمعية|تعريف",
    re.IGNORECASE,
)
_NON_PAGE_URL_PATTERN = lazy_regex(
    r"\.(?:pdf|docx?|jpe?g|png|zip|xlsx?)$|/(?:feed|wp-admin|wp-login)", re.IGNORECASE
)
_EMBEDDED_VIDEO_PATTERN = lazy_regex(
    r"https?://(?:www\.)?youtube(?:-nocookie)?\.com/embed/(?:videoseries\?(?:[^#]*&)?list=(PL[\w-]+)|([\w-]{11})(?=[?/&#]|$))"
)


def find_owner_hints(document: Document) -> OwnerHints:
    """What a page says of where its owner can be found."""
    return OwnerHints(
        _find_contact_url(document),
        _find_video_url(document.embeds),
        extract_site_name_words(document),
    )


def _find_contact_url(document: Document) -> str:
    """The site's own page of contacts, else the one that says who it is."""
    return next(
        (
            anchor.url
            for words in (_CONTACT_LINK_PATTERN, _ABOUT_LINK_PATTERN)
            for anchor in document.anchors
            if _matches_menu_link(anchor, words) and _is_internal_link(anchor, document.url)
        ),
        "",
    )


def _is_internal_link(anchor: Anchor, page_url: str) -> bool:
    target, here = anchor.url.partition("#")[0].rstrip("/"), page_url.partition("#")[0].rstrip("/")
    same = get_host(target).removeprefix("www.") == get_host(page_url).removeprefix("www.")
    return (
        same
        and target.startswith("http")
        and target != here
        and not _NON_PAGE_URL_PATTERN.search(target)
    )


def _matches_menu_link(anchor: Anchor, link_pattern: re.Pattern[str]) -> bool:
    """Whether a link's words are such, or its address: a headline that holds the word is no menu's entry."""
    short = len(anchor.text) <= _MENU_LINK_MAX_CHARS and link_pattern.search(anchor.text)
    return bool(
        short
        or (not anchor.text and link_pattern.search(anchor.url.rpartition("/")[2] or anchor.label))
    )


_MENU_LINK_MAX_CHARS = 30


def _find_video_url(embeds: Iterable[str]) -> str:
    """The first list of videos shown, else the first video, as a visitor would open it."""
    found = [match for url in embeds if (match := _EMBEDDED_VIDEO_PATTERN.match(url))]
    lists = [f"https://www.youtube.com/playlist?list={match[1]}" for match in found if match[1]]
    videos = [f"https://www.youtube.com/watch?v={match[2]}" for match in found if match[2]]
    return next(iter(lists + videos), "")
