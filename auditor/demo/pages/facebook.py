"""Facebook as it answers without an account: mostly walls and shells, sometimes a page with its meta tags.

A page that is restricted, deleted or merely hidden from strangers gets one and the same text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, page, plain, redirect
from auditor.demo.pages.site import Habit

ROBOTS = (
    "# Notice: Collection of data on Facebook through automated means is prohibited unless you have express\n"
    "# written permission from Facebook and may only be conducted for the limited purpose contained in it.\n"
    "User-agent: *\nDisallow: /\n"
)
LOGIN = (
    '<html lang="fr"><head><title>Se connecter à Facebook</title></head><body><form '
    'id="login_form" action="/login/">'
    '<input name="email" placeholder="Adresse e-mail ou numéro de téléphone"><input '
    'type="password" name="pass">'
    "</form></body></html>"
)
SHELL = (
    '<html lang="en"><head><title>Facebook</title></head><body><div id="mount"></div>'
    '<script>requireLazy(["CometRoot"])</script></body></html>'
)
RESTRICTED = (
    '<html lang="ar" dir="rtl"><head><title>فيسبوك</title></head><body><h2>هذا المحتوى غير متوفر حاليًا</h2>'
    "<p>عادةً ما يحدث هذا عندما يقوم المالك بمشاركة المحتوى مع مجموعة صغيرة من الأشخاص أو يغيّر من يمكنه رؤيته "
    "أو يحذفه.</p></body></html>"
)
CHALLENGE = (
    "<html><head><title>Client challenge</title></head><body><script>"
    'location.href="/__rd_verify_7f?challenge=1"</script></body></html>'
)
RENAMED_SUFFIX = "Maroc"
HABITS = {"slow": Habit(9, ended=60), "dormant": Habit(20, ended=400), "shell": Habit(20, ended=500)}
USUAL = Habit(5, posts=20)
LEFT_BEHIND = Habit(30, ended=1100)
WITHOUT_POSTS = {"plain", "bare", "in_site_column", "renamed"}
"""Situations whose page shows strangers no post."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as of a night: its number, its name, its posts newest first."""

    id: str
    name: str
    posts: Sequence[datetime] = ()


def answer(member: Member, request: Request, tonight: Tonight) -> Answer:
    """What the member's page answers tonight."""
    situation = member.facebook
    if situation == "walled_later":
        situation = "login_wall" if tonight.number >= 8 else "plain"  # the script's night
    elif situation == "challenged_later":
        situation = "challenge" if tonight.number >= 10 else "plain"  # the script's night
    if situation == "login_wall":
        return redirect(f"https://www.facebook.com/login/?next={quote(request.url, safe='')}", 302)
    if situation in WALLS:
        return page(WALLS[situation], 403 if situation == "challenge" else 200)
    if situation == "renamed" and not request.path.strip("/").endswith(RENAMED_SUFFIX):
        return redirect(f"https://www.facebook.com/{member.handle}{RENAMED_SUFFIX}")
    if situation == "duplicate" and request.path.strip("/").lower() == member.old_page.lower():
        return page(markup(old_page(member, tonight), request.url))
    shown = page_of(member, tonight)
    return page(markup(replace(shown, posts=()) if situation in WITHOUT_POSTS else shown, request.url))


def page_of(member: Member, tonight: Tonight) -> Shown:
    """The member's page as of tonight, whoever may see it."""
    return Shown(member.page_id, member.name, HABITS.get(member.facebook, USUAL).dates(tonight))


def old_page(member: Member, tonight: Tonight) -> Shown:
    """The page that a member with two of them left behind."""
    return Shown(f"{member.page_id}9", member.name, LEFT_BEHIND.dates(tonight))


def always(name: str, tonight: Tonight) -> Shown:
    """A page that has always been there."""
    number = "6155000000007" + ("78" if name.startswith("Biblio") else "77")
    return Shown(number, name, [tonight.moment - timedelta(days=age) for age in (1, 10, 32)])


WALLS = {
    "shell": SHELL,
    "group": SHELL,
    "challenge": CHALLENGE,
    **dict.fromkeys(("restricted", "hidden", "deleted"), RESTRICTED),
}


def other(request: Request) -> Answer:
    """What Facebook answers where no page of the cast is asked for."""
    if request.path == "/robots.txt":
        return plain(ROBOTS)
    if request.path.startswith("/login"):
        return page(LOGIN)
    return page(RESTRICTED)


def markup(shown: Shown, url: str) -> str:
    """The HTML of a page that is shown to strangers."""
    name, page_id, story = shown.name, shown.id, ""
    if shown.posts:
        moments = [int(when.timestamp()) for when in shown.posts[:3]]
        nodes = [{"__typename": "Story", "post_id": str(one * 7), "creation_time": one} for one in moments]
        data = {"timeline_list_feed_units": {"edges": [{"node": node} for node in nodes]}}
        story = f'<script type="application/json">{json.dumps(data)}</script>'
    profile = {
        "__isProfile": "User",
        "userID": page_id,
        "delegate_page": {"id": page_id, "is_business_page_active": False},
    }
    return (
        f'<!DOCTYPE html><html lang="fr"><head><title>{escape(name)} | Facebook</title>'
        f'<meta property="og:title" content="{escape(name)}"><meta property="og:url" content="{url}">'
        '<meta property="og:type" content="video.other"><meta property="og:description" '
        f'content="{escape(name)}. '
        f'1 284 J’aime · 31 en parlent. Association à but non lucratif">'
        f'<meta property="al:android:url" content="fb://profile/{page_id}"></head><body>'
        f'<script type="application/json">{json.dumps(profile)}</script>{story}</body></html>'
    )
