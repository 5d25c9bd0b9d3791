"""The Facebook probe that reads public pages without an account.

Since 2023 such a visitor mostly gets a login wall or a page without content. The text "this content
isn't available" is shown for existing pages too. Therefore this probe never returns *absent*, and
only Facebook's own markers prove that a page exists (measured 2026-09 and 2026-10, see
docs/explanations/platforms.md).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from probes.channels._api_common import find_newest_post
from probes.channels._public_profile import (
    ENGLISH_HEADERS,
    PublicProfile,
    find_message,
    get_description,
    get_meta,
    get_title,
    iter_script_objects,
    parse_follower_count,
    probe_public_profile,
)
from probes.channels.facebook.links import NAME
from probes.classify import interstitials
from probes.models.finding import Account, Activity
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.parsing.json_data import get_text

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

_APP_URL_PATTERN = re.compile(r"fb://(?:page|profile|group)/(?:\?id=)?(\d+)")
# Titles of Facebook's own pages. The titles of its walls are in `interstitials`.
_GENERIC_TITLE_PATTERN = re.compile(
    r"(?i)(?:(?:facebook|فيسبوك|erreur|error|خطأ|log ?in|se connecter|connexion|تسجيل الدخول)"
    r"(?:\s*[|–-]\s*(?:facebook|فيسبوك))?|leaving facebook.*)?"
)
# Facebook shows these words on deleted, restricted and working pages (gallery-dl,
# facebook-scraper).
_UNAVAILABLE_PATTERN = re.compile(
    r"(?i)this (?:content|page) isn.t (?:currently )?available|the link you followed may be broken"
    r"|(?:page|content) not found|(?:ce contenu|cette page) n.est (?:pas|plus) disponible"
    r"|(?:page|contenu) introuvable"
    r"|(?:المحتوى|الصفحة) غير (?:متوفرة?|متاحة?)|(?:المحتوى|الصفحة) غير موجودة?"
    r"|لم يتم العثور على الصفحة"
)
_TITLE_SUFFIX_PATTERN = re.compile(r"(?i)(?:(?<!\s)\s++)?[|–-]\s*+(?:[^|]{0,200}\|\s*+)?facebook$")
_PROFILE_MARKERS = frozenset({"__isProfile", "delegate_page", "is_business_page_active"})


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile if its markers are there, else the message of the page."""
    soup = html.parse_soup(page)
    nodes = list(iter_script_objects(soup))
    title = get_title(soup)
    if not _has_account_markers(soup, title, nodes):
        return PublicProfile(message=find_message(_UNAVAILABLE_PATTERN, soup.get_text(" ")))
    newest, message = _find_newest_post(soup, nodes, page)
    return PublicProfile(
        name=_TITLE_SUFFIX_PATTERN.sub("", get_meta(soup, "og:title") or title),
        platform_id=_find_platform_id(soup, nodes),
        followers=parse_follower_count(get_description(soup)),
        last_activity=newest,
        message=message,
    )


def _find_platform_id(soup: BeautifulSoup, nodes: list[dict[str, Any]]) -> str:
    """Return the account's id, or "" if the page has none.

    It is in the address that opens the app, or else in the data of the page. Visitors without an
    account have the id 0.
    """
    app_urls = f"{get_meta(soup, 'al:android:url')} {get_meta(soup, 'al:ios:url')}"
    app_url = _APP_URL_PATTERN.search(app_urls)
    ids = [get_text(node, "delegate_page", "id") or get_text(node, "userID") for node in nodes]
    # An id of zeros is that of no account.
    ids_in_data = filter(re.compile(r"0*[1-9]\d*").fullmatch, ids)
    return app_url[1] if app_url else next(ids_in_data, "")


def _has_account_markers(soup: BeautifulSoup, title: str, nodes: list[dict[str, Any]]) -> bool:
    """Return whether the page shows an account.

    The sharing metadata name it, or the `<title>` does and the data are those of a profile. A page
    whose title says that there is none does not count, whatever else it contains.
    """
    if _UNAVAILABLE_PATTERN.search(title):
        return False
    if _is_account_title(get_meta(soup, "og:title")):
        return True
    has_profile = any(
        node.get("userVanity") or not _PROFILE_MARKERS.isdisjoint(node) for node in nodes
    )
    return has_profile and _is_account_title(title)


def _is_account_title(title: str) -> bool:
    """Return whether a title can be an account's name, not that of a wall or an error page."""
    title = " ".join(title.split())
    if _GENERIC_TITLE_PATTERN.fullmatch(title) or _UNAVAILABLE_PATTERN.search(title):
        return False
    return interstitials.match_wall_title(title) is None


def _find_newest_post(
    soup: BeautifulSoup, nodes: list[dict[str, Any]], page: Page
) -> tuple[Activity | None, str]:
    """Return the newest post, or the reason why it is unknown.

    A page usually contains the time of one post, the newest or a pinned one (RSS-Bridge 2026-08).
    A single old post may be a pinned one, so it does not prove inactivity. The page plugin contains
    several.
    """
    values = [node.get("creation_time") for node in nodes]
    values += [element["data-utime"] for element in soup.select("[data-utime]")]
    timestamps = set(filter(re.compile(r"\d{10}").fullmatch, map(str, values)))
    dates = [datetime.fromtimestamp(int(timestamp), UTC) for timestamp in timestamps]
    newest = find_newest_post(dates, page)
    if newest is None or len(dates) > 1:
        return newest, ""
    # A single older post may be a pinned one
    if page.fetched_at - newest.published_at > timedelta(days=30):
        return None, "the one post shown is old and may be a pinned one"
    return newest, ""


def probe(account: Account) -> ProbeGenerator:
    """Request the page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page, ENGLISH_HEADERS)
