"""The Facebook probe that reads public pages without an account.

Since 2023 such a visitor mostly gets a login wall or a page without content. The text "this content
isn't available" is shown for existing pages too. Therefore this probe never returns *absent*, and
only Facebook's own markers prove that a page exists (measured 2026-09 and 2026-10, see
docs/explanations/platforms.md).
"""

from __future__ import annotations

from datetime import timedelta

from probes.channels._public_profile import (
    ENGLISH_HEADERS,
    PublicProfile,
    find_newest_timestamp,
    parse_localized_count,
    probe_public_profile,
)
from probes.channels.facebook.links import NAME
from probes.classify import interstitials
from probes.models.finding import Account, Activity
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex

# --- Parsers (pure functions; they run in a worker process that can be stopped) ---
_PLATFORM_ID_PATTERN = lazy_regex(
    r"\"delegate_page\":\{\"id\":\"(\d+)\"|\"userID\":\"([1-9]\d+)\"|fb://(?:page|profile|"
    r"group)/(?:\?id=)?(\d+)"
)
_PROFILE_MARKER_PATTERN = lazy_regex(
    r"\"__isProfile\"|\"delegate_page\"|\"is_business_page_active\"|\"userVanity\":\"[^\"]"
)
# Titles of Facebook's own pages. The titles of its walls are in `interstitials`.
_GENERIC_TITLE_PATTERN = lazy_regex(
    r"(?i)(?:(?:facebook|فيسبوك|erreur|error|خطأ|log ?in|se connecter|connexion|تسجيل الدخول)"
    r"(?:\s*[|–-]\s*(?:facebook|فيسبوك))?|leaving facebook.*)?"
)
# Facebook shows these words on deleted, restricted and working pages (gallery-dl,
# facebook-scraper).
_UNAVAILABLE_PATTERN = lazy_regex(
    r"(?i)this (?:content|page) isn.t (?:currently )?available|the link you followed may be broken"
    r"|(?:page|content) not found|(?:ce contenu|cette page) n.est (?:pas|plus) disponible"
    r"|(?:page|contenu) introuvable"
    r"|(?:المحتوى|الصفحة) غير (?:متوفرة?|متاحة?)|(?:المحتوى|الصفحة) غير موجودة?"
    r"|لم يتم العثور على الصفحة"
)
_FOLLOWERS_REGEX = "followers|abonnes|people follow|personnes suivent|متابع"
_TITLE_SUFFIX_PATTERN = lazy_regex(r"(?i)(?:(?<!\s)\s++)?[|–-]\s*+(?:[^|]{0,200}\|\s*+)?facebook$")


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile if its markers are there, else the message of the page."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    if not _has_account_markers(head, text):
        unavailable = _UNAVAILABLE_PATTERN.search(f"{head.title} {text[:200_000]}")
        return PublicProfile(message=unavailable[0] if unavailable else "")
    title = head.meta.get("og:title", "") or head.title
    ids = _PLATFORM_ID_PATTERN.search(text)
    description = f"{head.meta.get('og:description', '')} {head.meta.get('description', '')}"
    newest, message = _find_newest_post(text, page)
    return PublicProfile(
        name=_TITLE_SUFFIX_PATTERN.sub("", title),
        platform_id=next(filter(None, ids.groups()), "") if ids else "",
        followers=parse_localized_count(description, _FOLLOWERS_REGEX),
        last_activity=newest,
        message=message,
    )


def _has_account_markers(head: html.Document, text: str) -> bool:
    """Return whether the page shows an account. A page with contradicting marks does not count."""
    if _UNAVAILABLE_PATTERN.search(head.title):
        return False
    if _is_account_title(head.meta.get("og:title", "")):
        return True
    return bool(_PROFILE_MARKER_PATTERN.search(text)) and _is_account_title(head.title)


def _is_account_title(title: str) -> bool:
    """Return whether a title can be an account's name, not that of a wall or an error page."""
    title = " ".join(title.split())
    if _GENERIC_TITLE_PATTERN.fullmatch(title) or _UNAVAILABLE_PATTERN.search(title):
        return False
    return interstitials.match_wall_title(title) is None


# A page usually contains the time of one post, the newest or a pinned one (RSS-Bridge 2026-08). The
# page plugin contains several.
_POST_TIMESTAMP_PATTERN = lazy_regex(
    r"\"creation_time\"\s*:\s*(\d{10})\b|data-utime=[\"'](\d{10})\b"
)


_MAX_SINGLE_POST_AGE = timedelta(days=30)


def _find_newest_post(markup: str, page: Page) -> tuple[Activity | None, str]:
    """Return the newest post, or the reason why it is unknown.

    A single old post may be a pinned one, so it does not prove inactivity.
    """
    timestamps = {float(match[1] or match[2]) for match in _POST_TIMESTAMP_PATTERN.finditer(markup)}
    newest = find_newest_timestamp(timestamps, page)
    if newest is None or len(timestamps) > 1:
        return newest, ""
    if page.fetched_at - newest.published_at > _MAX_SINGLE_POST_AGE:
        return None, "the one post shown is old and may be a pinned one"
    return newest, ""


# --- Probe ---


def probe(account: Account) -> ProbeGenerator:
    """Request the page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page, ENGLISH_HEADERS)
