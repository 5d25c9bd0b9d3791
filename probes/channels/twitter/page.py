"""The X probe that reads public pages without an API key.

x.com answers requests for existing and missing accounts with the same empty page, and robots.txt
disallows all of them (2026-08, see docs/explanations/platforms.md). The finding is almost always
unknown.
"""

from __future__ import annotations

from probes.channels._public_profile import (
    PublicProfile,
    parse_localized_count,
    probe_public_profile,
)
from probes.channels.twitter.links import NAME
from probes.models.finding import Account
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex

# "Amal (@amal_rabat) / X" or "… on X": the title of a page with content.
_TITLE_PATTERN = lazy_regex(
    r"(.{1,100}?) \(@([A-Za-z0-9_]{1,15})\)(?: (?:/|on|sur|على) (?:X|Twitter)| \| (?:X|Twitter))?"
)
_USER_ID_PATTERN = lazy_regex(r"\"(?:identifier|rest_id)\"\s*:\s*\"(\d+)\"")
_UNAVAILABLE_PATTERN = lazy_regex(
    r"(?i)this account doesn.t exist|account suspended|ce compte n.existe pas|compte suspendu"
    r"|هذا الحساب غير موجود"
)
_FOLLOWERS_REGEX = "followers|abonnes|متابع"


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile if the page's title names it. Almost always the page is empty."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    title = _TITLE_PATTERN.match(head.meta.get("og:title", "")) or _TITLE_PATTERN.match(head.title)
    if title is None:
        unavailable = _UNAVAILABLE_PATTERN.search(text[:100_000])
        return PublicProfile(message=unavailable[0] if unavailable else "")
    user_id = _USER_ID_PATTERN.search(text)
    return PublicProfile(
        name=title[1].strip(),
        platform_id=user_id[1] if user_id else "",
        followers=parse_localized_count(head.meta.get("og:description", ""), _FOLLOWERS_REGEX),
    )


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)
