"""The accounts that a website presents as its owner's. They are proposed, never registered.

`signals` yields the clues. For each channel, clues that are statements or in the owner's places
count, more so if they are repeated or have the site's name. Other accounts are left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, filterfalse, product
from operator import attrgetter

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

__all__ = ["OwnerHints", "find_owner_accounts", "find_owner_hints"]


@dataclass(frozen=True, slots=True)
class _AccountCandidate:
    """An account and all clues for it."""

    clues: tuple[AccountClue, ...]
    has_site_name: bool

    @property
    def strongest_clue(self) -> AccountClue:
        return max(self.clues, key=attrgetter("strength"))

    @property
    def strength(self) -> int:
        return self.strongest_clue.strength

    @property
    def sources(self) -> frozenset[str]:
        return frozenset(map(attrgetter("source"), self.clues))

    @property
    def is_in_owner_place(self) -> bool:
        """Return whether visitors see the account in the header, footer, menu or social icons."""
        likely_sources = {clue.source for clue in self.clues if clue.strength >= 3}
        return not OWNER_PLACES.isdisjoint(likely_sources)

    @property
    def is_only_in_metadata(self) -> bool:
        """Return whether all clues are in metadata that visitors do not see."""
        return self.sources <= HIDDEN_SOURCES

    @property
    def is_only_in_text(self) -> bool:
        """Return whether all clues are links in the text."""
        return self.sources == {"link"}

    @property
    def source(self) -> str:
        return self.strongest_clue.source

    @property
    def is_group(self) -> bool:
        return self.strongest_clue.account_key[1].startswith("group:")


def find_owner_accounts(
    document: Document, *, is_contact_page: bool = False
) -> tuple[FoundLink, ...]:
    """Return the accounts on other channels that the page presents as its owner's.

    They are grouped by channel, the strongest clue first.
    """
    clues_by_account: dict[tuple[str, str], list[AccountClue]] = {}
    for clue in iter_account_clues(document, is_contact_page=is_contact_page):
        clues_by_account.setdefault(clue.account_key, []).append(clue)
    site_name_words = extract_site_name_words(document)
    candidates_by_channel: dict[str, list[_AccountCandidate]] = {}
    for (channel, key), clues in clues_by_account.items():
        has_site_name = share_distinctive_word(key, site_name_words)
        candidate = _AccountCandidate(tuple(clues), has_site_name)
        candidates_by_channel.setdefault(channel, []).append(candidate)
    selected = chain.from_iterable(map(_select_candidates, candidates_by_channel.values()))
    return tuple(_to_found_link(candidate.strongest_clue, document.url) for candidate in selected)


def _to_found_link(clue: AccountClue, page_url: str) -> FoundLink:
    channel, key = clue.account_key
    return FoundLink(
        channel, key, clue.identity.canonical or "", clue.source, page_url, clue.snippet
    )


def _select_candidates(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Return the owner's accounts among those of one channel.

    These are the ones with a strong clue, or else those with the site's name.
    """
    ranked = sorted(candidates, key=attrgetter("strength"), reverse=True)
    top_strength = max(3, ranked[0].strength)
    strong = [candidate for candidate in ranked if candidate.strength >= 3] or ranked
    selected = [item for item in strong if item.has_site_name or item.strength == top_strength]
    for apply_filter in _CANDIDATE_FILTERS:
        selected = apply_filter(selected)
    return selected


def _prefer_names_to_numeric_ids(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Leave out ids in the head: as a rule they are the same account as a name on the page."""
    named = [candidate for candidate in candidates if candidate.source not in NUMERIC_ID_SOURCES]
    return named or candidates


def _prefer_visible_to_metadata(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Leave out metadata if there are visible accounts, because metadata may be years old."""
    if not any(map(attrgetter("is_in_owner_place"), candidates)):
        return candidates
    return list(filterfalse(attrgetter("is_only_in_metadata"), candidates))


def _prefer_pages_to_groups(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Leave out groups if there is a page. A group only counts for an owner without a page."""
    return list(filterfalse(attrgetter("is_group"), candidates)) or candidates


def _prefer_site_name_in_lists(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Select from a list of three or more, which are friends or members.

    The owner's accounts have the site's name. Without any such, links in the text are left out.
    """
    if len(candidates) < 3:
        return candidates
    named = list(filter(attrgetter("has_site_name"), candidates))
    return named or [candidate for candidate in candidates if candidate.source != "link"]


def _prefer_owner_place_to_text(candidates: list[_AccountCandidate]) -> list[_AccountCandidate]:
    """Leave out links in the text if the owner's account is in one of the owner's places.

    Similar names in the text are members, sections or officers. But if the account in the owner's
    place has another name, a single account in the text may be the owner's.
    """
    placed = list(filterfalse(attrgetter("is_only_in_text"), candidates))
    if any(map(attrgetter("has_site_name"), placed)):
        return placed
    if len(candidates) - len(placed) > 1:
        return placed or candidates
    return candidates


_CANDIDATE_FILTERS = (
    _prefer_names_to_numeric_ids,
    _prefer_visible_to_metadata,
    _prefer_pages_to_groups,
    _prefer_owner_place_to_text,
    _prefer_site_name_in_lists,
)


# --- Hints to other pages ---


@dataclass(frozen=True, slots=True)
class OwnerHints:
    """Other places to look for the owner's accounts: the contact page and an embedded video.

    `site_name_words` show whether the video's maker is the site's owner.
    """

    contact_url: str = ""
    video_url: str = ""
    site_name_words: SiteNameWords = field(default_factory=SiteNameWords)


_CONTACT_LINK_PATTERN = re.compile(
    r"contact|nous[- _]?(?:joindre|ecrire|écrire)|coordonn[ée]es|اتصل|تواصل|للاتصال", re.IGNORECASE
)
_ABOUT_LINK_PATTERN = re.compile(
    r"about|qui[- _]?sommes|[àa][- _]?propos|pr[ée]sentation|من[- _]?نحن|عن[- _]?الجمعية|تعريف",
    re.IGNORECASE,
)
_NON_PAGE_URL_PATTERN = re.compile(
    r"\.(?:pdf|docx?|jpe?g|png|zip|xlsx?)$|/(?:feed|wp-admin|wp-login)", re.IGNORECASE
)
_EMBEDDED_VIDEO_PATTERN = re.compile(
    r"https?://(?:www\.)?youtube(?:-nocookie)?\.com/embed/(?:videoseries\?(?:[^#]*&)?list=(PL[\w-]+)|([\w-]{11})(?=[?/&#]|$))"
)


def find_owner_hints(document: Document) -> OwnerHints:
    """Return where else a page suggests to look for its owner's accounts."""
    return OwnerHints(
        _find_contact_url(document),
        _find_video_url(document.embeds),
        extract_site_name_words(document),
    )


def _find_contact_url(document: Document) -> str:
    """Return the site's contact page, else its about page, else ""."""
    patterns = (_CONTACT_LINK_PATTERN, _ABOUT_LINK_PATTERN)
    for link_pattern, anchor in product(patterns, document.anchors):
        if _matches_menu_link(anchor, link_pattern) and _is_internal_link(anchor, document.url):
            return anchor.url
    return ""


def _is_internal_link(anchor: Anchor, page_url: str) -> bool:
    target = anchor.url.partition("#")[0].rstrip("/")
    if not target.startswith("http") or target == page_url.partition("#")[0].rstrip("/"):
        return False
    target_host = get_host(target).removeprefix("www.")
    is_same_host = target_host == get_host(page_url).removeprefix("www.")
    return is_same_host and not _NON_PAGE_URL_PATTERN.search(target)


def _matches_menu_link(anchor: Anchor, link_pattern: re.Pattern[str]) -> bool:
    """Return whether a short link text matches, or the address of a link without text.

    A headline with the word is no entry of a menu.
    """
    if anchor.text:
        is_short = len(anchor.text) <= _MENU_LINK_MAX_CHARS
        return is_short and link_pattern.search(anchor.text) is not None
    last_segment = anchor.url.rpartition("/")[2]
    return link_pattern.search(last_segment or anchor.label) is not None


_MENU_LINK_MAX_CHARS = 30


def _find_video_url(embeds: Iterable[str]) -> str:
    """Return the address of the first embedded playlist, else of the first video, else ""."""
    matches = filter(None, map(_EMBEDDED_VIDEO_PATTERN.match, embeds))
    match = min(matches, key=lambda match: match[1] is None, default=None)
    if match is None:
        return ""
    if match[1]:
        return f"https://www.youtube.com/playlist?list={match[1]}"
    return f"https://www.youtube.com/watch?v={match[2]}"
