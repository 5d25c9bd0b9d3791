"""The X probe that reads public pages without an API key.

x.com answers requests for existing and missing accounts with the same empty page, and robots.txt
disallows all of them (2026-08, see docs/explanations/platforms.md). The finding is almost always
unknown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probes.channels._public_profile import (
    PublicProfile,
    find_message,
    get_meta,
    iter_script_objects,
    match_title,
    parse_localized_count,
    probe_public_profile,
)
from probes.channels.twitter.links import NAME
from probes.models.finding import Account
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

# "Amal (@amal_rabat) / X" or "… on X": the title of a page with content.
_TITLE_PATTERN = re.compile(
    r"(.{1,100}?) \(@([A-Za-z0-9_]{1,15})\)(?: (?:/|on|sur|على) (?:X|Twitter)| \| (?:X|Twitter))?"
)
_UNAVAILABLE_PATTERN = re.compile(
    r"(?i)this account doesn.t exist|account suspended|ce compte n.existe pas|compte suspendu"
    r"|هذا الحساب غير موجود"
)
_FOLLOWERS_REGEX = "followers|abonnes|متابع"


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile if the page's title names it. Almost always the page is empty."""
    soup = html.parse_soup(page)
    title = match_title(soup, _TITLE_PATTERN.match)
    if title is None:
        return PublicProfile(message=find_message(_UNAVAILABLE_PATTERN, soup.get_text(" ")))
    return PublicProfile(
        name=title[1].strip(),
        platform_id=_find_user_id(soup),
        followers=parse_localized_count(get_meta(soup, "og:description"), _FOLLOWERS_REGEX),
    )


def _find_user_id(soup: BeautifulSoup) -> str:
    for node in iter_script_objects(soup):
        user_id = str(node.get("identifier") or node.get("rest_id") or "")
        if user_id.isdecimal():
            return user_id
    return ""


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)
