"""Facebook: whose page a link names, and what its public page shows to someone without an account.

Since 2023 a visitor without an account mostly meets a login wall or a page without content, and the words
"this content isn't available" stand on pages that exist too: so Facebook never proves an absence here, and
only its own markers on the page prove that it is there (fact sheet, measured 2026-09 and 2026-10).
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

# --- What does a page say? (pure, run where it can be stopped) -------------------------------------


_PLATFORM_ID_PATTERN = lazy_regex(
    r"\"delegate_page\":\{\"id\":\"(\d+)\"|\"userID\":\"([1-9]\d+)\"|fb://(?:page|profile|group)/(?:\?id=)?(\d+)"
)
_PROFILE_MARKER_PATTERN = lazy_regex(
    r"\"__isProfile\"|\"delegate_page\"|\"is_business_page_active\"|\"userVanity\":\"[^\"]"
)
# Titles of Facebook's own pages; those of its walls stand in `walls`.
_GENERIC_TITLE_PATTERN = lazy_regex(
    r"(?i)(?:(?:facebook|فيسبوك|erreur|error|خطأ|log ?in|se connecter|connexion|تسجيل الدخول)"
    r"(?:\s*[|–-]\s*(?:facebook|فيسبوك))?|leaving facebook.*)?"
)
# The same words stand on deleted, restricted and perfectly good pages (gallery-dl, facebook-scraper).
_UNAVAILABLE_PATTERN = lazy_regex(
    r"(?i)this (?:content|page) isn.t (?:currently )?available|the link you followed may be broken"
    r"|(?:page|content) not found|(?:ce contenu|cette page) n.est (?:pas|plus) disponible"
    r"|(?:page|contenu) introuvable"
    r"|(?:المحتوى|الصفحة) غير (?:متوفرة?|متاحة?)|(?:المحتوى|الصفحة) غير موجودة?|لم يتم العثور على الصفحة"
)
_FOLLOWERS_REGEX = "followers|abonnes|people follow|personnes suivent|متابع"
_TITLE_SUFFIX_PATTERN = lazy_regex(r"(?i)\s*[|–-]\s*(?:[^|]*\|\s*)?facebook$")


def parse_profile_page(page: Page) -> PublicProfile:
    """The markers of a page that exists, and the words of one that is not shown."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    title = head.meta.get("og:title", "")
    ids = _PLATFORM_ID_PATTERN.search(text)
    described = f"{head.meta.get('og:description', '')} {head.meta.get('description', '')}"
    marked = _is_account_title(title) or (
        bool(_PROFILE_MARKER_PATTERN.search(text)) and _is_account_title(head.title)
    )
    marked = marked and not _UNAVAILABLE_PATTERN.search(
        head.title
    )  # what says both is not understood
    unavailable = _UNAVAILABLE_PATTERN.search(f"{head.title} {text[:200_000]}")
    newest, why = _find_newest_post(text, page) if marked else (None, "")
    return PublicProfile(
        name=_TITLE_SUFFIX_PATTERN.sub("", title or head.title) if marked else "",
        platform_id=next(filter(None, ids.groups()), "") if ids and marked else "",
        followers=parse_localized_count(described, _FOLLOWERS_REGEX) if marked else None,
        last_activity=newest,
        message=unavailable[0] if unavailable and not marked else why,
    )


def _is_account_title(title: str) -> bool:
    """Whether a title can be an account's name: it is no shell's, no wall's and no absence's."""
    title = " ".join(title.split())
    own = _GENERIC_TITLE_PATTERN.fullmatch(title) or _UNAVAILABLE_PATTERN.search(title)
    return not own and interstitials.match_wall_title(title) is None


# A page carries one post's time as a rule, its newest's or a pinned one's (RSS-Bridge 2026-08); the plugin
# carries several.
_POST_TIMESTAMP_PATTERN = lazy_regex(
    r"\"creation_time\"\s*:\s*(\d{10})\b|data-utime=[\"'](\d{10})\b"
)


_MAX_SINGLE_POST_AGE = timedelta(days=30)


def _find_newest_post(markup: str, page: Page) -> tuple[Activity | None, str]:
    """The newest post, or why none is told: one old post alone may be pinned, and proves no silence."""
    moments = {float(found[1] or found[2]) for found in _POST_TIMESTAMP_PATTERN.finditer(markup)}
    newest = find_newest_timestamp(moments, page)
    if (
        newest
        and len(moments) == 1
        and newest.published_at < page.fetched_at - _MAX_SINGLE_POST_AGE
    ):
        return None, "the one post shown is old and may be a pinned one"
    return newest, ""


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> ProbeGenerator:
    """Ask once for the page's own address, and believe only positive markers."""
    return probe_public_profile(account, NAME, parse_profile_page, ENGLISH_HEADERS)
