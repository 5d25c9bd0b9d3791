"""What a page really is: suspended, parked, a default page, hijacked, a soft 404, a wall dressed as a site.

The words of `notices` and `hindrances` are matched against the title, the main headings and the visible
text of a page, and mean something only within the bound named beside them; those of `closures` only where the
page states them of itself: "coming soon" is a shop's banner on one page and an unfinished site on another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from probes.classify import interstitials, notices, self_statements, soft_404, spam
from probes.classify.notices import NoticePattern
from probes.classify.soft_404 import SHORT_PAGE_MAX_CHARS, TINY_PAGE_MAX_CHARS, split_title
from probes.models.finding import Reason
from probes.parsing.html import Document

MIN_NAVIGATION_LINKS = (
    3  # other pages of the site that a page links to: with so many it belongs to somebody's site
)
PARKING_PAGE_MAX_MAIN_CHARS = (
    600  # characters of a main part that scripts of a parking service leave
)
EARLY_TEXT_CHARS = 140  # characters of text within which a page without a menu says what it is; later it tells of others
EARLY_WALL_TEXT_CHARS = 400  # the same for walls, whose mistakes accuse nobody
MAX_CHARS_BESIDE_NOTICE = 30
MIN_STORY_CHARS = 200  # characters of a main part that a wall dressed as the site has not
_INCONCLUSIVE_REASONS = frozenset({Reason.BLOCKED, Reason.SERVER_ERROR, Reason.LOGIN_WALL})
_CLOSED_SITE_REASONS = frozenset({Reason.SUSPENDED, Reason.NOT_FOUND})
_REASONS_WITH_NAVIGATION = frozenset(
    {Reason.EMPTY, Reason.DIRECTORY_LISTING}
)  # a publishing system says these itself


def detect_absence(document: Document, *, is_home_page: bool) -> tuple[Reason, str] | None:
    """Why the page is no website of anybody, with the words that say so; None if nothing says so.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    for sign in (*notices.ABSENCE_NOTICES, *notices.SELF_STATED_ABSENCES):
        words = _match_notice(sign, document)
        if words:
            return sign.reason, words
    if is_home_page and (words := notices.find_parking_notice(document)):
        return Reason.PARKED, words
    gone = soft_404.detect_soft_404(document, is_home_page=is_home_page)
    if gone and interstitials.mentions_region_restriction(document.text):
        return None
    return gone or spam.detect_hijacked_page(
        document,
        has_navigation=has_site_navigation(document) or soft_404.is_dated_article(document),
    )


def has_site_navigation(document: Document) -> bool:
    """Whether the page leads to other pages of its own: nobody builds a menu around a suspended account."""
    return document.internal_link_count >= MIN_NAVIGATION_LINKS


def _match_notice(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign where they mean what it says."""
    if notice.location == "address":
        return _match_in_urls(notice, document)
    if len(document.text) > notice.max_page_chars:
        return None
    if notice.location == "source":
        own = has_site_navigation(document) or len(document.main_text) > PARKING_PAGE_MAX_MAIN_CHARS
        return None if own else _find_first_match(notice, document.script_sources)
    if has_site_navigation(document) and notice.reason not in _REASONS_WITH_NAVIGATION:
        return _match_main_text(notice, document)
    if notice.location == "listing":
        listed = _find_first_match(notice, (document.text, *document.headings[:1]))
        return _find_first_match(notice, (document.title,)) if listed else None
    return (
        _match_near_start(notice, document)
        if notice.max_other_chars is None
        else _match_self_statement(notice, document, notice.max_other_chars)
    )


def _find_first_match(notice: NoticePattern, texts: Iterable[str]) -> str | None:
    """The words of a sign in the first text that holds them."""
    return next((found[0] for text in texts if (found := notice.pattern.search(text))), None)


def _match_in_urls(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign in the page's address, or in one that it sends its visitors to at once."""
    refresh = document.meta.get("refresh", "")
    return _find_first_match(
        notice, (document.url, *document.frames, refresh if "=" in refresh else "")
    )


def _match_near_start(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign on a page that says little else: in its title, its heading, early in its text."""
    if words := _find_first_match(notice, (document.title, *document.headings[:1])):
        return words
    found = notice.pattern.search(document.text) if notice.location != "title" else None
    early = found and (
        found.start() < EARLY_TEXT_CHARS
        or (found.start() < EARLY_WALL_TEXT_CHARS and notice.reason in _INCONCLUSIVE_REASONS)
    )
    return found[0] if found and early else None


def _match_self_statement(
    notice: NoticePattern, document: Document, max_other_chars: int
) -> str | None:
    """The sentence by which a page says it of itself; who tells of a new site gives no notice of the old."""
    words = self_statements.find_self_statement(notice.pattern, document, max_other_chars)
    return (
        None
        if words
        and notice.reason in _CLOSED_SITE_REASONS
        and self_statements.mentions_new_site(document)
        else words
    )


def _match_main_text(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign amid menus, where the main part is nothing but them."""
    found = notice.pattern.search(document.main_text)
    return (
        found[0]
        if found and len(document.main_text) - len(found[0]) < MAX_CHARS_BESIDE_NOTICE
        else None
    )


def detect_inconclusive_page(document: Document) -> tuple[Reason, str] | None:
    """Why the page lets nothing be concluded, with the words that say so; None if it can be read."""
    text = document.text
    told = (
        has_site_navigation(document) and len(document.main_text) > MIN_STORY_CHARS
    )  # a play may be called "Forbidden"
    for part in () if told else (document.title, *split_title(document.title)):
        if interstitials.INTERSTITIAL_TITLES.fullmatch(part):
            return (
                Reason.SERVER_ERROR
                if re.search(r"maint|50\d|gateway|serv|database", part, re.IGNORECASE)
                else Reason.BLOCKED
            ), part
    for sign in interstitials.INTERSTITIAL_NOTICES:
        words = _match_notice(sign, document)
        if words and (len(text) <= 700 or len(document.anchors) <= 10):
            return sign.reason, words
    return interstitials.detect_consent_or_paywall(document) or _detect_page_without_text(
        document, text
    )


def _detect_page_without_text(document: Document, text: str) -> tuple[Reason, str] | None:
    """A page without words: frames, scripts, or nothing at all."""
    if document.frames and len(text) < TINY_PAGE_MAX_CHARS:
        return Reason.UNREADABLE, "frames only"
    if len(text) >= 60 or document.image_count > 2 or len(document.anchors) > 3:
        return None
    if document.script_count or document.form_count:
        return Reason.SCRIPT_ONLY, "no text without scripts"
    return (Reason.EMPTY, "no text") if len(text) < 20 and not document.image_count else None


def may_be_soft_404(document: Document) -> bool:
    """Whether a longer page speaks of a missing page somewhere: worth asking for one that nobody made."""
    text = document.text
    return len(text) < 5 * SHORT_PAGE_MAX_CHARS and soft_404.mentions_missing_page(text)
