"""X as it answers without an account: one script shell for every name, there or not; Cloudflare for some.

X's API v2: accounts by name or by number, up to a hundred, and what is said against the others.

An answer of 200 tells of every account asked: in `data`, or in `errors`. The number of the newest post
holds its time (fact sheet 2026-08).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.demo.account_scenarios import API_FAILURES
from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    DemoRun,
    FakeRequest,
    FakeResponse,
    has_bearer_key,
    html_response,
    json_response,
    text_response,
)
from auditor.demo.pages.site import PublishingHabit
from auditor.demo.pages.site_variants import CLOUDFLARE_CHALLENGE_HTML

SHELL_HTML = (
    '<!DOCTYPE html><html dir="ltr" lang="en"><head><meta charset="utf-8"><title></title></head><body>'
    "<noscript><div><h1>JavaScript is not available.</h1><p>We’ve detected that "
    "JavaScript is disabled in this "
    "browser. Please enable JavaScript or switch to a supported browser to continue using "
    "x.com.</p></div></noscript>"
    '<div id="react-root"></div><div id="ScriptLoadFailure"><span>Something went wrong, '
    "but don’t fret — let’s give "
    "it another shot.</span></div></body></html>"
)


def respond_twitter(
    association: DemoAssociation, _request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """What the member's profile answers: nothing that tells."""
    if association.twitter == "blocked":
        return html_response(
            CLOUDFLARE_CHALLENGE_HTML, 403, server="cloudflare", cf_mitigated="challenge"
        )
    return html_response(SHELL_HTML)


def respond_other_twitter(request: FakeRequest) -> FakeResponse:
    """The same shell for everybody else."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /\n")
    return html_response(SHELL_HTML)


MAX_USERS_PER_REQUEST = 100
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # ms: the beginning of the numbers that hold a time
USERNAME_PATTERN = re.compile(r"[A-Za-z0-9_]{1,15}")
SCENARIOS_WITHOUT_USER = {"intent", "malformed"}
PUBLISHING_HABITS = {
    "active": PublishingHabit(2, post_count=60),
    "dormant": PublishingHabit(90, ended_days_ago=4 * 365),
    "empty": PublishingHabit(post_count=0),
}
DEFAULT_HABIT = PublishingHabit(11, post_count=20)


@dataclass(frozen=True, slots=True)
class FakeTwitterUser:
    """An account as of a night. `state` is empty, or `protected` or `suspended`; `site` is where it leads."""

    id: str
    username: str
    name: str
    newest_post_at: datetime | None = None
    post_count: int = 0
    state: str = ""
    site_url: str = ""


def build_twitter_users(
    associations: Iterable[DemoAssociation], demo_run: DemoRun
) -> dict[str, FakeTwitterUser]:
    """Tonight's accounts by lower-case name and by number; a deleted one is nobody."""
    found = [
        _build_user(m, demo_run)
        for m in associations
        if m.twitter and m.twitter not in SCENARIOS_WITHOUT_USER | {"deleted"}
    ]
    return {key: user for user in found for key in (user.username.lower(), user.id)}


def build_canary_user(name: str, user_id: int, demo_run: DemoRun) -> FakeTwitterUser:
    """An account that has always been there."""
    return FakeTwitterUser(
        str(user_id), name, name, demo_run.started_at - timedelta(hours=20), 1284
    )


def _build_user(association: DemoAssociation, demo_run: DemoRun) -> FakeTwitterUser:
    situation = association.twitter
    username, state = association.twitter_handle, ""
    if situation == "renamed" and demo_run.number >= 5:  # the script's night
        username = f"{association.handle[:9]}_x{association.number}"
    if situation == "suspended" and 5 <= demo_run.number < 20:  # the script's nights
        state = "suspended"
    elif situation == "protected":
        state = "protected"
    posts = PUBLISHING_HABITS.get(situation, DEFAULT_HABIT).list_post_dates(demo_run)
    newest = posts[0] if posts and not state else None
    site = association.site_url if association.website and situation != "dormant" else ""
    return FakeTwitterUser(
        association.twitter_id, username, association.name, newest, len(posts), state, site
    )


def respond_twitter_api(
    users_by_key: Mapping[str, FakeTwitterUser], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """What the interface answers tonight."""
    if not has_bearer_key(request, "twitter"):
        return build_twitter_error(401, "Unauthorized", "Unauthorized")
    if demo_run.number == API_FAILURES["twitter"][0]:
        return build_twitter_error(503, "Service Unavailable", "Service Unavailable")
    parameter = {"/2/users/by": "usernames", "/2/users": "ids"}.get(request.path, "")
    asked = request.query.get(parameter, "").split(",")
    usual = USERNAME_PATTERN if parameter == "usernames" else re.compile(r"[0-9]{1,19}")
    if not parameter or len(asked) > MAX_USERS_PER_REQUEST or not all(map(usual.fullmatch, asked)):
        return build_twitter_error(
            400, "Invalid Request", "One or more parameters to your request was invalid."
        )
    return _respond_user_lookup(users_by_key, asked, parameter)


def build_twitter_error(status: int, title: str, detail: str) -> FakeResponse:
    """An error about the whole request."""
    return json_response(
        {"title": title, "detail": detail, "type": "about:blank", "status": status}, status
    )


def _respond_user_lookup(
    users_by_key: Mapping[str, FakeTwitterUser], requested_users: list[str], parameter: str
) -> FakeResponse:
    found = {one: users_by_key.get(one.lower()) for one in requested_users}
    data = [_build_user_item(user) for user in found.values() if user and user.state != "suspended"]
    errors = [
        _build_lookup_error(one, parameter, is_suspended=user is not None)
        for one, user in found.items()
        if user is None or user.state == "suspended"
    ]
    return json_response(
        {**({"data": data} if data else {}), **({"errors": errors} if errors else {})}
    )


def _build_user_item(user: FakeTwitterUser) -> dict[str, object]:
    newest = (
        {"most_recent_post_id": make_post_id(user.newest_post_at)} if user.newest_post_at else {}
    )
    link = {"url": f"https://t.co/p{user.id[-6:]}", "expanded_url": user.site_url}
    site = {"url": link["url"], "entities": {"url": {"urls": [link]}}} if user.site_url else {}
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "protected": user.state == "protected",
        "public_metrics": {
            "followers_count": 96,
            "following_count": 41,
            "tweet_count": user.post_count,
        },
        **site,
        **newest,
    }


def make_post_id(posted_at: datetime) -> str:
    """The number of a post written at a moment."""
    return str((int(posted_at.timestamp() * 1000) - SNOWFLAKE_EPOCH_MS) << 22)


def _build_lookup_error(value: str, parameter: str, *, is_suspended: bool) -> dict[str, str]:
    missing = f"Could not find user with {parameter}: [{value}]."
    return {
        "value": value,
        "resource_id": value,
        "resource_type": "user",
        "parameter": parameter,
        "title": "Forbidden" if is_suspended else "Not Found Error",
        "detail": f"User has been suspended: [{value}]." if is_suspended else missing,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }
