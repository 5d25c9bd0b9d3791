"""Facebook as it answers without an account: mostly walls and shells, sometimes a page with its meta tags.

A page that is restricted, deleted or merely hidden from strangers gets one and the same text.

Meta's Graph API: pages by name or number, up to fifty in one call, which one of them can spoil for all.

A name that is nobody's is error 803, which lists all such names; a page that is hidden, and a number that
is nobody's, are error 100/33, which does not say which of the two (fact sheet, v25, 2026).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from auditor.demo.account_scenarios import API_FAILURES
from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    DemoRun,
    FakeRequest,
    FakeResponse,
    has_bearer_key,
    html_response,
    json_response,
    redirect_response,
    text_response,
)
from auditor.demo.pages.site import PublishingHabit

ROBOTS_TXT = (
    "# Notice: Collection of data on Facebook through automated means is prohibited unless you have express\n"
    "# written permission from Facebook and may only be conducted for the limited purpose contained in it.\n"
    "User-agent: *\nDisallow: /\n"
)
LOGIN_HTML = (
    '<html lang="fr"><head><title>Se connecter à Facebook</title></head><body><form '
    'id="login_form" action="/login/">'
    '<input name="email" placeholder="Adresse e-mail ou numéro de téléphone"><input '
    'type="password" name="pass">'
    "</form></body></html>"
)
SHELL_HTML = (
    '<html lang="en"><head><title>Facebook</title></head><body><div id="mount"></div>'
    '<script>requireLazy(["CometRoot"])</script></body></html>'
)
RESTRICTED_HTML = (
    '<html lang="ar" dir="rtl"><head><title>فيسبوك</title></head><body><h2>هذا المحتوى غير متوفر حاليًا</h2>'
    "<p>عادةً ما يحدث هذا عندما يقوم المالك بمشاركة المحتوى مع مجموعة صغيرة من الأشخاص أو يغيّر من يمكنه رؤيته "
    "أو يحذفه.</p></body></html>"
)
CHALLENGE_HTML = (
    "<html><head><title>Client challenge</title></head><body><script>"
    'location.href="/__rd_verify_7f?challenge=1"</script></body></html>'
)
RENAMED_SUFFIX = "Maroc"
PUBLISHING_HABITS = {
    "slow": PublishingHabit(9, ended_days_ago=60),
    "dormant": PublishingHabit(20, ended_days_ago=400),
    "shell": PublishingHabit(20, ended_days_ago=500),
}
DEFAULT_HABIT = PublishingHabit(5, post_count=20)
OLD_PAGE_HABIT = PublishingHabit(30, ended_days_ago=1100)
SCENARIOS_WITHOUT_POSTS = {"plain", "bare", "in_site_column", "renamed"}
"""Situations whose page shows strangers no post."""


@dataclass(frozen=True, slots=True)
class FakePage:
    """A page as of a night: its number, its name, its posts newest first."""

    id: str
    name: str
    posts: Sequence[datetime] = ()


def respond_facebook(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """What the member's page answers tonight."""
    situation = association.facebook
    if situation == "walled_later":
        situation = "login_wall" if demo_run.number >= 8 else "plain"  # the script's night
    elif situation == "challenged_later":
        situation = "challenge" if demo_run.number >= 10 else "plain"  # the script's night
    if situation == "login_wall":
        return redirect_response(
            f"https://www.facebook.com/login/?next={quote(request.url, safe='')}", 302
        )
    if situation in WALL_HTML_BY_SCENARIO:
        return html_response(
            WALL_HTML_BY_SCENARIO[situation], 403 if situation == "challenge" else 200
        )
    if situation == "renamed" and not request.path.strip("/").endswith(RENAMED_SUFFIX):
        return redirect_response(f"https://www.facebook.com/{association.handle}{RENAMED_SUFFIX}")
    if (
        situation == "duplicate"
        and request.path.strip("/").lower() == association.old_facebook_handle.lower()
    ):
        return html_response(
            render_facebook_page(build_old_facebook_page(association, demo_run), request.url)
        )
    shown = build_facebook_page(association, demo_run)
    return html_response(
        render_facebook_page(
            replace(shown, posts=()) if situation in SCENARIOS_WITHOUT_POSTS else shown, request.url
        )
    )


def build_facebook_page(association: DemoAssociation, demo_run: DemoRun) -> FakePage:
    """The member's page as of tonight, whoever may see it."""
    return FakePage(
        association.facebook_page_id,
        association.name,
        PUBLISHING_HABITS.get(association.facebook, DEFAULT_HABIT).list_post_dates(demo_run),
    )


def build_old_facebook_page(association: DemoAssociation, demo_run: DemoRun) -> FakePage:
    """The page that a member with two of them left behind."""
    return FakePage(
        f"{association.facebook_page_id}9",
        association.name,
        OLD_PAGE_HABIT.list_post_dates(demo_run),
    )


def build_canary_page(name: str, demo_run: DemoRun) -> FakePage:
    """A page that has always been there."""
    number = "6155000000007" + ("78" if name.startswith("Biblio") else "77")
    return FakePage(
        number, name, [demo_run.started_at - timedelta(days=age) for age in (1, 10, 32)]
    )


WALL_HTML_BY_SCENARIO = {
    "shell": SHELL_HTML,
    "group": SHELL_HTML,
    "challenge": CHALLENGE_HTML,
    **dict.fromkeys(("restricted", "hidden", "deleted"), RESTRICTED_HTML),
}


def respond_other_facebook(request: FakeRequest) -> FakeResponse:
    """What Facebook answers where no page of the cast is asked for."""
    if request.path == "/robots.txt":
        return text_response(ROBOTS_TXT)
    if request.path.startswith("/login"):
        return html_response(LOGIN_HTML)
    return html_response(RESTRICTED_HTML)


def render_facebook_page(fake_page: FakePage, url: str) -> str:
    """The HTML of a page that is shown to strangers."""
    name, page_id, story = fake_page.name, fake_page.id, ""
    if fake_page.posts:
        moments = [int(when.timestamp()) for when in fake_page.posts[:3]]
        nodes = [
            {"__typename": "Story", "post_id": str(one * 7), "creation_time": one}
            for one in moments
        ]
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


MAX_IDS_PER_REQUEST = 50
SCENARIOS_WITHOUT_PAGE = {"group", "shared", "share_button", "none_typed"}


@dataclass(frozen=True, slots=True)
class FakeGraphPage:
    """A page as of a night, its posts newest first."""

    id: str
    username: str
    name: str
    posts: Sequence[datetime] = ()
    is_hidden: bool = False


def build_graph_pages(
    associations: Iterable[DemoAssociation], demo_run: DemoRun
) -> dict[str, FakeGraphPage]:
    """Tonight's pages by number and by lower-case name, an old name too."""
    there = [
        m
        for m in associations
        if m.facebook and m.facebook not in SCENARIOS_WITHOUT_PAGE and not _is_deleted(m, demo_run)
    ]
    found = {
        name: _build_graph_page(member, demo_run)
        for member in there
        for name in (_get_page_key(member), member.facebook_page_id)
    }
    old = [(m, build_old_facebook_page(m, demo_run)) for m in there if m.facebook == "duplicate"]
    left_behind = {
        name: FakeGraphPage(shown.id, member.old_facebook_handle, shown.name, shown.posts)
        for member, shown in old
        for name in (member.old_facebook_handle.lower(), shown.id)
    }
    return found | left_behind


def build_canary_graph_page(name: str, demo_run: DemoRun) -> FakeGraphPage:
    """A page that has always been there."""
    shown = build_canary_page(name, demo_run)
    return FakeGraphPage(shown.id, name, shown.name, shown.posts)


def _is_deleted(association: DemoAssociation, demo_run: DemoRun) -> bool:
    return association.facebook == "deleted" or (
        association.facebook == "restricted" and demo_run.number >= 16
    )


def _get_page_key(association: DemoAssociation) -> str:
    return association.handle.lower()


def _build_graph_page(association: DemoAssociation, demo_run: DemoRun) -> FakeGraphPage:
    renamed = RENAMED_SUFFIX if association.facebook == "renamed" else ""
    shown = build_facebook_page(association, demo_run)
    return FakeGraphPage(
        shown.id,
        association.handle + renamed,
        shown.name,
        shown.posts,
        association.facebook == "hidden",
    )


def respond_graph_api(
    pages_by_key: Mapping[str, FakeGraphPage], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """What the interface answers tonight."""
    if not has_bearer_key(request, "facebook"):
        return build_graph_error(190, "Invalid OAuth access token - Cannot parse access token")
    if demo_run.number == API_FAILURES["facebook"][0]:
        return build_graph_error(
            2, "An unexpected error has occurred. Please retry your request later.", status=500
        )
    asked = [one for one in request.query.get("ids", "").split(",") if one]
    if not asked or len(asked) > MAX_IDS_PER_REQUEST:
        return build_graph_error(
            100,
            f"(#100) Between 1 and {MAX_IDS_PER_REQUEST} ids are expected. Provided: {len(asked)}.",
        )
    return _find_graph_error(pages_by_key, asked) or json_response(
        {
            one: _build_graph_node(
                pages_by_key[_normalize_page_key(one)], request.query.get("fields", "")
            )
            for one in asked
        }
    )


def build_graph_error(
    code: int, message: str, error_subcode: int | None = None, status: int = 400
) -> FakeResponse:
    """An error of the whole call."""
    told: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if error_subcode:
        told["error_subcode"] = error_subcode
    return json_response({"error": {**told, "fbtrace_id": "Apractice"}}, status)


def _find_graph_error(
    pages_by_key: Mapping[str, FakeGraphPage], requested_ids: Sequence[str]
) -> FakeResponse | None:
    """The error for what cannot be shown: all names that are nobody's, else the first page that is hidden."""
    if nobody := [
        one
        for one in requested_ids
        if not one.isdigit() and _normalize_page_key(one) not in pages_by_key
    ]:
        return build_graph_error(
            803, f"(#803) Some of the aliases you requested do not exist: {','.join(nobody)}"
        )
    for one in requested_ids:
        if (
            _normalize_page_key(one) not in pages_by_key
            or pages_by_key[_normalize_page_key(one)].is_hidden
        ):
            told = (
                f"Unsupported get request. Object with ID '{one}' does not exist, cannot be loaded due to "
                "missing permissions, or does not support this operation."
            )
            return build_graph_error(100, told, 33)
    return None


def _normalize_page_key(requested_id: str) -> str:
    return requested_id.lower().replace(".", "")


def _build_graph_node(graph_page: FakeGraphPage, fields: str) -> dict[str, object]:
    """A page with the fields that were asked for; its id comes always."""
    link = f"https://www.facebook.com/{graph_page.username}"
    limit = re.search(r"published_posts(?:\.limit\((\d+)\))?", fields)
    posts = [
        {"created_time": f"{when:%Y-%m-%dT%H:%M:%S}+0000", "id": f"{graph_page.id}_{at}"}
        for at, when in enumerate(graph_page.posts)
    ]
    node: dict[str, object] = {
        "name": graph_page.name,
        "username": graph_page.username,
        "link": link,
        "fan_count": 1284,
        "followers_count": 1310,
        "is_published": True,
        "published_posts": {"data": posts[: int(limit[1]) if limit and limit[1] else 25]},
    }
    wanted = set(re.findall(r"[a-z_]+", re.sub(r"\.limit\(\d+\)|\{[^}]*\}", "", fields)))
    return {"id": graph_page.id, **{name: value for name, value in node.items() if name in wanted}}
