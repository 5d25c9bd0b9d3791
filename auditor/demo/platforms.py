"""The pages of the platforms without login, as visitors see them.

- Facebook mostly serves login and challenge pages, and sometimes a page with its meta tags.
  Restricted, deleted and hidden pages get the same text.
- X serves the same page of scripts for existing and missing accounts.
- LinkedIn refuses robots with status 999, for existing and missing pages.
- YouTube's pages have a `ytInitialData` object in the viewer's language. Ages have one unit.
- Instagram redirects to its login page or shows a page of scripts. TikTok has profile embeds,
  oEmbed and profile pages with a status code. WhatsApp and Telegram show the names of channels.

Observed from 2026-08 to 2026-11 (docs/explanations/platforms.md).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    SCENARIOS,
    UNRELIABLE_YOUTUBE_RUN,
    DemoRun,
    FakeRequest,
    FakeResponse,
    is_during,
    json_response,
    list_post_dates,
    redirect_response,
    render_page,
    text_response,
)

Accounts = Mapping[str, DemoAssociation]
"""The associations by the lower-case names and ids of their accounts on one platform."""

PlatformHandler = Callable[[Accounts, FakeRequest, DemoRun], FakeResponse]

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # epoch of the timestamps in X's post ids
DISALLOW_ALL = "User-agent: *\nDisallow: /\n"
ROBOTS_BY_HOST = {
    "www.facebook.com": (
        "# Notice: Collection of data on Facebook through automated means is prohibited unless "
        "you have express\n# written permission from Facebook and may only be conducted for the "
        f"limited purpose contained in it.\n{DISALLOW_ALL}"
    ),
    "x.com": DISALLOW_ALL,
    "www.linkedin.com": DISALLOW_ALL,
    "www.youtube.com": (
        "User-agent: *\nDisallow: /api/\nDisallow: /comment\nDisallow: /feeds/videos.xml\n"
        "Disallow: /results\nDisallow: /youtubei/\n"
    ),
    "www.instagram.com": DISALLOW_ALL,
    "www.tiktok.com": "User-agent: *\nDisallow: /inapp/\n",
    "www.whatsapp.com": "User-agent: *\nAllow: /\n",
    "t.me": "",
}


def _respond_page(scenario: Mapping[str, Any], **values: object) -> FakeResponse:
    """Return the page of a scenario, with its status and headers."""
    text = render_page(scenario["page"], scenario=scenario, **values)
    return text_response(text, scenario.get("status", 200), scenario.get("headers"))


def _respond_login(request: FakeRequest, path: str, target: str) -> FakeResponse:
    """Return a redirect to the login page of a platform."""
    return redirect_response(f"https://{request.host}{path}{quote(target, safe='')}", 302)


# --- Facebook ---


def respond_facebook(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return a Facebook page in this run."""
    name = request.path.strip("/").removeprefix("groups/")
    association = accounts.get(name.lower())
    if request.path.startswith("/login"):
        return text_response(render_page("facebook_login.html"))
    if association is None:
        return text_response(render_page("facebook_restricted.html"))
    scenario = association.get_scenario("facebook")
    first_run, later_name = scenario.get("later", (demo_run.number + 1, ""))
    if demo_run.number >= first_run:
        scenario = SCENARIOS["facebook"][later_name]
    if scenario.get("is_walled"):
        return _respond_login(request, "/login/?next=", request.url)
    if "page" in scenario:
        return _respond_page(scenario)
    page = build_facebook_page(association, demo_run, name)
    if association.facebook == "renamed" and name.lower() != page["username"].lower():
        return redirect_response(f"https://www.facebook.com/{page['username']}")
    if not scenario.get("has_visible_posts", True):
        page["posts"] = []
    return text_response(render_page("facebook_page.html", page=page, url=request.url))


def build_facebook_page(
    association: DemoAssociation, demo_run: DemoRun, name: str = ""
) -> dict[str, Any]:
    """Return an association's page in this run, or the older one of two if `name` is its own."""
    scenario, page_id = association.get_scenario("facebook"), association.facebook_page_id
    username = association.handle + ("Maroc" if association.facebook == "renamed" else "")
    posts = list_post_dates(scenario, demo_run, interval_days=5, count=20)
    if name.lower() in (association.old_facebook_handle.lower(), f"{page_id}9"):
        page_id, username = f"{page_id}9", association.old_facebook_handle
        posts = list_post_dates({}, demo_run, interval_days=30, ended_days_ago=1100)
    return {"id": page_id, "username": username, "name": association.name, "posts": posts}


# --- X, LinkedIn ---


def respond_twitter(accounts: Accounts, request: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the page of scripts, or a challenge."""
    association = accounts.get(request.path.strip("/").lower())
    scenario = association.get_scenario("twitter") if association else {}
    return _respond_page({"page": "x_shell.html", **scenario})


def build_twitter_user(association: DemoAssociation, demo_run: DemoRun) -> dict[str, Any]:
    """Return an association's account on X in this run."""
    scenario, username = association.get_scenario("twitter"), association.twitter_handle
    if demo_run.number >= scenario.get("renamed_in_run", demo_run.number + 1):
        username = association.new_twitter_handle
    posts = list_post_dates(scenario, demo_run, interval_days=11, count=20)
    is_suspended = is_during(scenario.get("suspended_runs", ()), demo_run)
    is_protected = is_during(scenario.get("protected_runs", ()), demo_run)
    has_site_link = association.website and scenario.get("has_site_link", True)
    return {
        "id": association.twitter_id,
        "username": username,
        "name": association.name,
        "newest_post_at": posts[0] if posts and not (is_suspended or is_protected) else None,
        "post_count": len(posts),
        "is_suspended": is_suspended,
        "is_protected": is_protected,
        "site_url": association.site_url if has_site_link else "",
    }


def make_post_id(posted_at: datetime) -> str:
    """Return the id of a post on X that is published at this time."""
    return str((int(posted_at.timestamp() * 1000) - SNOWFLAKE_EPOCH_MS) << 22)


def respond_linkedin(accounts: Accounts, request: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the page for guests, the signup page, or the refusal of robots."""
    association = accounts.get(request.path.strip("/").rsplit("/", 1)[-1])
    if request.path.startswith("/authwall"):
        return text_response(render_page("linkedin_authwall.html"))
    scenario = SCENARIOS["linkedin"][association.linkedin if association else "denied"]
    if "is_walled" in scenario:
        return _respond_login(request, "/authwall?sessionRedirect=", request.url)
    return _respond_page(scenario, association=association)


# --- YouTube ---


def respond_youtube(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return the page of a channel, or the 404 page for any other name."""
    name, _, tab = request.path.removeprefix("/channel").strip("/").partition("/")
    association = accounts.get(name.removeprefix("@").lower())
    if association is None or demo_run.number == UNRELIABLE_YOUTUBE_RUN:
        return text_response(render_page("youtube_missing.html"), 404)
    scenario = association.get_scenario("youtube")
    terminated_in_run = scenario.get("terminated_in_run")
    if terminated_in_run and demo_run.number >= terminated_in_run:
        return text_response(render_page("youtube_terminated.html"))
    if scenario.get("consent_run") == demo_run.number:
        return redirect_response(
            f"https://consent.youtube.com/m?continue={quote(request.url, safe='')}", 302
        )
    channel = build_youtube_channel(association, demo_run)
    if scenario.get("is_renamed") and "Officiel" not in request.path:
        return redirect_response(f"https://www.youtube.com/@{channel['handle']}/{tab}".rstrip("/"))
    return text_response(
        render_page("youtube_channel.html", channel=channel, is_videos_tab=tab == "videos")
    )


def respond_youtube_consent(_accounts: Accounts, _: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the consent page that YouTube serves in some countries."""
    return text_response(render_page("youtube_consent.html"))


def build_youtube_channel(association: DemoAssociation, demo_run: DemoRun) -> dict[str, Any]:
    """Return an association's channel in this run, with its uploads newest first."""
    scenario = association.get_scenario("youtube")
    return {
        "title": association.name,
        "id": association.youtube_channel_id,
        "handle": association.handle + ("Officiel" if scenario.get("is_renamed") else ""),
        "language": scenario["language"],
        "now": demo_run.started_at,
        "uploads": list_post_dates(scenario, demo_run),
    }


# --- The optional networks ---


def respond_instagram(accounts: Accounts, request: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the login page, a page of scripts, or the page of a shown account."""
    if request.path.startswith("/accounts/login"):
        return text_response(render_page("instagram_login.html"))
    key = request.path.strip("/").lower()
    association = accounts.get(key)
    scenario = SCENARIOS["instagram"][association.instagram if association else "deleted"]
    if "is_walled" in scenario:
        return _respond_login(request, "/accounts/login/?next=", request.path)
    return _respond_page(scenario, association=association, key=key)


def respond_tiktok(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return the profile embed, the oEmbed response, or the profile page of an account."""
    is_oembed = request.path == "/oembed"
    url = request.query.get("url", "") if is_oembed else request.path
    key = url.rpartition("@")[2].lower()
    association = accounts.get(key)
    scenario = association.get_scenario("tiktok") if association else {}
    values = {"association": association, "key": key, "scenario": scenario}
    if "page" in scenario:
        return _respond_page(scenario)
    if request.path.startswith("/embed/"):
        if "has_embed" not in scenario:
            return text_response(render_page("tiktok_missing.html"), 404)
        video_ids = [
            int(posted_at.timestamp()) << 32 | 7
            for posted_at in list_post_dates(scenario, demo_run)
        ]
        return text_response(
            render_page("tiktok_embed.html", posts=video_ids, path=request.path, **values)
        )
    status_code = scenario.get("status_code", 10221)
    if not is_oembed:
        return text_response(render_page("tiktok_profile.html", status_code=status_code, **values))
    if association is None or status_code != 0:
        return json_response({"code": 400, "message": "Something went wrong"}, 400)
    author = {"author_url": f"https://www.tiktok.com/@{key}", "author_name": association.name}
    return json_response({"version": "1.0", **author})


def respond_whatsapp(accounts: Accounts, request: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the page of a channel, or a message without a name."""
    key = request.path.rpartition("/")[2]
    association = accounts.get(key.lower())
    return _respond_page(
        SCENARIOS["whatsapp"][association.whatsapp if association else "unnamed"],
        association=association,
        key=key,
    )


def respond_telegram(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return the page or the preview of a channel, or the page of an unused name."""
    key = request.path.removeprefix("/s/").strip("/")
    association = accounts.get(key.lower())
    scenario = association.get_scenario("telegram") if association else {}
    if "has_preview" not in scenario:
        return text_response(render_page("telegram_unused.html", key=key))
    if not request.path.startswith("/s/"):
        return text_response(render_page("telegram_channel.html", association=association, key=key))
    posts = [
        (posted_at + timedelta(hours=1)).replace(microsecond=0).isoformat()
        for posted_at in reversed(list_post_dates(scenario, demo_run))
    ]
    return text_response(render_page("telegram_preview.html", association=association, posts=posts))


PLATFORMS: dict[str, tuple[str, PlatformHandler]] = {
    "www.facebook.com": ("facebook", respond_facebook),
    "x.com": ("twitter", respond_twitter),
    "www.linkedin.com": ("linkedin", respond_linkedin),
    "www.youtube.com": ("youtube", respond_youtube),
    "consent.youtube.com": ("youtube", respond_youtube_consent),
    "www.instagram.com": ("instagram", respond_instagram),
    "www.tiktok.com": ("tiktok", respond_tiktok),
    "www.whatsapp.com": ("whatsapp", respond_whatsapp),
    "t.me": ("telegram", respond_telegram),
}
"""The channel and the handler of each host."""
