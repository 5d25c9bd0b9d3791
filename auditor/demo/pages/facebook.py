"""Facebook pages without login, and Meta's Graph API.

Without login, Facebook mostly serves login and challenge pages, and sometimes a page with its meta
tags. Restricted, deleted and hidden pages get the same text. The API looks up to 50 pages up by
name or id, and one page can make the whole request fail. Error 803 lists all names that do not
exist. Error 100/33 is returned for a hidden page and for an unknown id alike
(docs/explanations/platforms.md, Graph API v25, 2026).
"""

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
    "# Notice: Collection of data on Facebook through automated means is prohibited unless you "
    "have express\n"
    "# written permission from Facebook and may only be conducted for the limited purpose "
    "contained in it.\n"
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
    '<html lang="ar" dir="rtl"><head><title>فيسبوك</title></head><body>'
    "<h2>هذا المحتوى غير متوفر حاليًا</h2>"
    "<p>عادةً ما يحدث هذا عندما يقوم المالك بمشاركة المحتوى مع مجموعة صغيرة من الأشخاص أو يغيّر من "
    "يمكنه رؤيته أو يحذفه.</p></body></html>"
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
"""Scenarios whose page shows no posts without login."""
LATER_SCENARIOS = {"walled_later": (8, "login_wall"), "challenged_later": (10, "challenge")}
"""The run in which a page that was plain begins to play another scenario (account_scenarios.py)."""


@dataclass(frozen=True, slots=True)
class FakePage:
    """A page in one run, with its posts newest first."""

    id: str
    name: str
    posts: Sequence[datetime] = ()


def _get_scenario_of_run(scenario_name: str, demo_run: DemoRun) -> str:
    """Return the scenario that a page plays in this run, if it changes from one to another."""
    if scenario_name not in LATER_SCENARIOS:
        return scenario_name
    first_run, later_scenario_name = LATER_SCENARIOS[scenario_name]
    return later_scenario_name if demo_run.number >= first_run else "plain"


def respond_facebook(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the response of an association's page in this run."""
    scenario_name = _get_scenario_of_run(association.facebook, demo_run)
    if scenario_name == "login_wall":
        return redirect_response(
            f"https://www.facebook.com/login/?next={quote(request.url, safe='')}", 302
        )
    if scenario_name in WALL_HTML_BY_SCENARIO:
        status = 403 if scenario_name == "challenge" else 200
        return html_response(WALL_HTML_BY_SCENARIO[scenario_name], status)
    name = request.path.strip("/")
    if scenario_name == "renamed" and not name.endswith(RENAMED_SUFFIX):
        return redirect_response(f"https://www.facebook.com/{association.handle}{RENAMED_SUFFIX}")
    page = build_facebook_page(association, demo_run)
    if scenario_name == "duplicate" and name.lower() == association.old_facebook_handle.lower():
        page = build_old_facebook_page(association, demo_run)
    elif scenario_name in SCENARIOS_WITHOUT_POSTS:
        page = replace(page, posts=())
    return html_response(render_facebook_page(page, request.url))


def build_facebook_page(association: DemoAssociation, demo_run: DemoRun) -> FakePage:
    """Return an association's page in this run, also if it is not public."""
    return FakePage(
        association.facebook_page_id,
        association.name,
        PUBLISHING_HABITS.get(association.facebook, DEFAULT_HABIT).list_post_dates(demo_run),
    )


def build_old_facebook_page(association: DemoAssociation, demo_run: DemoRun) -> FakePage:
    """Return the older page of an association with two pages."""
    return FakePage(
        f"{association.facebook_page_id}9",
        association.name,
        OLD_PAGE_HABIT.list_post_dates(demo_run),
    )


def build_canary_page(name: str, demo_run: DemoRun) -> FakePage:
    """Return the page of a canary."""
    page_id = "6155000000007" + ("78" if name.startswith("Biblio") else "77")
    return FakePage(
        page_id, name, [demo_run.started_at - timedelta(days=age) for age in (1, 10, 32)]
    )


WALL_HTML_BY_SCENARIO = {
    "shell": SHELL_HTML,
    "group": SHELL_HTML,
    "challenge": CHALLENGE_HTML,
    **dict.fromkeys(("restricted", "hidden", "deleted"), RESTRICTED_HTML),
}


def respond_other_facebook(request: FakeRequest) -> FakeResponse:
    """Return the response to a request for any other page."""
    if request.path == "/robots.txt":
        return text_response(ROBOTS_TXT)
    if request.path.startswith("/login"):
        return html_response(LOGIN_HTML)
    return html_response(RESTRICTED_HTML)


def render_facebook_page(fake_page: FakePage, url: str) -> str:
    """Return the HTML of a public page."""
    name, page_id, story = fake_page.name, fake_page.id, ""
    if fake_page.posts:
        edges = []
        for published_at in fake_page.posts[:3]:
            timestamp = int(published_at.timestamp())
            story_node = {
                "__typename": "Story",
                "post_id": str(timestamp * 7),
                "creation_time": timestamp,
            }
            edges.append({"node": story_node})
        data = {"timeline_list_feed_units": {"edges": edges}}
        story = f'<script type="application/json">{json.dumps(data)}</script>'
    profile = {
        "__isProfile": "User",
        "userID": page_id,
        "delegate_page": {"id": page_id, "is_business_page_active": False},
    }
    return (
        f'<!DOCTYPE html><html lang="fr"><head><title>{escape(name)} | Facebook</title>'
        f'<meta property="og:title" content="{escape(name)}">'
        f'<meta property="og:url" content="{url}">'
        '<meta property="og:type" content="video.other"><meta property="og:description" '
        f'content="{escape(name)}. '
        f'1 284 J’aime · 31 en parlent. Association à but non lucratif">'
        f'<meta property="al:android:url" content="fb://profile/{page_id}"></head><body>'
        f'<script type="application/json">{json.dumps(profile)}</script>{story}</body></html>'
    )


MAX_IDS_PER_REQUEST = 50
DEFAULT_POST_LIMIT = 25
SCENARIOS_WITHOUT_PAGE = {"group", "shared", "share_button", "none_typed"}


@dataclass(frozen=True, slots=True)
class FakeGraphPage:
    """A page of the API in one run, with its posts newest first."""

    id: str
    username: str
    name: str
    posts: Sequence[datetime] = ()
    is_hidden: bool = False


def build_graph_pages(
    associations: Iterable[DemoAssociation], demo_run: DemoRun
) -> dict[str, FakeGraphPage]:
    """Return the existing pages in this run by id and by lower-case name."""
    pages: dict[str, FakeGraphPage] = {}
    for association in associations:
        if not association.facebook or association.facebook in SCENARIOS_WITHOUT_PAGE:
            continue
        if _is_deleted(association, demo_run):
            continue
        page = _build_graph_page(association, demo_run)
        pages |= {association.handle.lower(): page, page.id: page}
        if association.facebook == "duplicate":
            old_page = _build_old_graph_page(association, demo_run)
            pages |= {old_page.username.lower(): old_page, old_page.id: old_page}
    return pages


def build_canary_graph_page(name: str, demo_run: DemoRun) -> FakeGraphPage:
    """Return the page of a canary."""
    page = build_canary_page(name, demo_run)
    return FakeGraphPage(page.id, name, page.name, page.posts)


def _is_deleted(association: DemoAssociation, demo_run: DemoRun) -> bool:
    return association.facebook == "deleted" or (
        association.facebook == "restricted" and demo_run.number >= 16
    )


def _build_graph_page(association: DemoAssociation, demo_run: DemoRun) -> FakeGraphPage:
    suffix = RENAMED_SUFFIX if association.facebook == "renamed" else ""
    page = build_facebook_page(association, demo_run)
    return FakeGraphPage(
        page.id,
        association.handle + suffix,
        page.name,
        page.posts,
        association.facebook == "hidden",
    )


def _build_old_graph_page(association: DemoAssociation, demo_run: DemoRun) -> FakeGraphPage:
    page = build_old_facebook_page(association, demo_run)
    return FakeGraphPage(page.id, association.old_facebook_handle, page.name, page.posts)


def respond_graph_api(
    pages_by_key: Mapping[str, FakeGraphPage], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the response of the API in this run."""
    if not has_bearer_key(request, "facebook"):
        return build_graph_error(190, "Invalid OAuth access token - Cannot parse access token")
    if demo_run.number == API_FAILURES["facebook"][0]:
        return build_graph_error(
            2, "An unexpected error has occurred. Please retry your request later.", status=500
        )
    requested_ids = list(filter(None, request.query.get("ids", "").split(",")))
    if not requested_ids or len(requested_ids) > MAX_IDS_PER_REQUEST:
        return build_graph_error(
            100,
            f"(#100) Between 1 and {MAX_IDS_PER_REQUEST} ids are expected. "
            f"Provided: {len(requested_ids)}.",
        )
    error = _find_graph_error(pages_by_key, requested_ids)
    if error is not None:
        return error
    fields = request.query.get("fields", "")
    nodes = {}
    for page_id in requested_ids:
        page = pages_by_key[_normalize_page_key(page_id)]
        nodes[page_id] = _build_graph_node(page, fields)
    return json_response(nodes)


def build_graph_error(
    code: int, message: str, error_subcode: int | None = None, status: int = 400
) -> FakeResponse:
    """Return an error for the whole request."""
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if error_subcode:
        error["error_subcode"] = error_subcode
    return json_response({"error": {**error, "fbtrace_id": "demo-trace"}}, status)


def _find_graph_error(
    pages_by_key: Mapping[str, FakeGraphPage], requested_ids: Sequence[str]
) -> FakeResponse | None:
    """Return the error for all unknown names, or for the first hidden page or unknown id."""
    unknown_names = [
        name
        for name in requested_ids
        if not name.isdigit() and _normalize_page_key(name) not in pages_by_key
    ]
    if unknown_names:
        names = ",".join(unknown_names)
        return build_graph_error(
            803, f"(#803) Some of the aliases you requested do not exist: {names}"
        )
    for page_id in requested_ids:
        page = pages_by_key.get(_normalize_page_key(page_id))
        if page is None or page.is_hidden:
            message = (
                f"Unsupported get request. Object with ID '{page_id}' does not exist, cannot be "
                "loaded due to missing permissions, or does not support this operation."
            )
            return build_graph_error(100, message, 33)
    return None


def _normalize_page_key(requested_id: str) -> str:
    return requested_id.lower().replace(".", "")


def _build_graph_node(graph_page: FakeGraphPage, fields: str) -> dict[str, object]:
    """Return the id and the requested fields of a page."""
    link = f"https://www.facebook.com/{graph_page.username}"
    limit_match = re.search(r"published_posts\.limit\((\d+)\)", fields)
    limit = int(limit_match[1]) if limit_match else DEFAULT_POST_LIMIT
    posts = [
        {"created_time": f"{created_at:%Y-%m-%dT%H:%M:%S}+0000", "id": f"{graph_page.id}_{index}"}
        for index, created_at in enumerate(graph_page.posts[:limit])
    ]
    node: dict[str, object] = {
        "name": graph_page.name,
        "username": graph_page.username,
        "link": link,
        "fan_count": 1284,
        "followers_count": 1310,
        "is_published": True,
        "published_posts": {"data": posts},
    }
    requested_fields = set(re.findall(r"[a-z_]+", re.sub(r"\.limit\(\d+\)|\{[^}]*\}", "", fields)))
    selected = {name: value for name, value in node.items() if name in requested_fields}
    return {"id": graph_page.id, **selected}
