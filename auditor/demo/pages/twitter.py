"""X pages without login, and X's API v2.

Without login, X serves the same script page for existing and missing accounts, and a Cloudflare
challenge for some. The API looks up to 100 accounts up by name or id. A response with status 200
lists every requested account in `data` or in `errors`. The id of the newest post encodes its time
(docs/explanations/platforms.md, observed 2026-08).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.demo.account_scenarios import API_FAILURES
from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    CLOUDFLARE_CHALLENGE_HTML,
    DemoRun,
    FakeRequest,
    FakeResponse,
    has_bearer_key,
    html_response,
    json_response,
    text_response,
)
from auditor.demo.pages.site import PublishingHabit

SHELL_HTML = (
    '<!DOCTYPE html><html dir="ltr" lang="en"><head><meta charset="utf-8"><title></title></head>'
    "<body>"
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
    """Return the script page, or a challenge, for an association's profile."""
    if association.twitter == "blocked":
        return html_response(
            CLOUDFLARE_CHALLENGE_HTML, 403, server="cloudflare", cf_mitigated="challenge"
        )
    return html_response(SHELL_HTML)


def respond_other_twitter(request: FakeRequest) -> FakeResponse:
    """Return robots.txt, or the script page for any other name."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /\n")
    return html_response(SHELL_HTML)


MAX_USERS_PER_REQUEST = 100
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # epoch of the timestamps in post ids
USERNAME_PATTERN = re.compile(r"[A-Za-z0-9_]{1,15}")
USER_ID_PATTERN = re.compile(r"[0-9]{1,19}")
SCENARIOS_WITHOUT_USER = {"intent", "malformed", "deleted"}
PUBLISHING_HABITS = {
    "active": PublishingHabit(2, post_count=60),
    "dormant": PublishingHabit(90, ended_days_ago=4 * 365),
    "empty": PublishingHabit(post_count=0),
}
DEFAULT_HABIT = PublishingHabit(11, post_count=20)


@dataclass(frozen=True, slots=True)
class FakeTwitterUser:
    """An account in one run. `state` is empty, `protected` or `suspended`."""

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
    """Return the existing accounts in this run by lower-case name and by id."""
    users: dict[str, FakeTwitterUser] = {}
    for association in associations:
        if association.twitter and association.twitter not in SCENARIOS_WITHOUT_USER:
            user = _build_user(association, demo_run)
            users |= {user.username.lower(): user, user.id: user}
    return users


def build_canary_user(name: str, user_id: int, demo_run: DemoRun) -> FakeTwitterUser:
    """Return the account of a canary."""
    return FakeTwitterUser(
        str(user_id), name, name, demo_run.started_at - timedelta(hours=20), 1284
    )


def _build_user(association: DemoAssociation, demo_run: DemoRun) -> FakeTwitterUser:
    scenario_name = association.twitter
    username, state = association.twitter_handle, ""
    if scenario_name == "renamed" and demo_run.number >= 5:  # as in account_scenarios
        username = f"{association.handle[:9]}_x{association.number}"
    if scenario_name == "suspended" and 5 <= demo_run.number < 20:  # as in account_scenarios
        state = "suspended"
    elif scenario_name == "protected":
        state = "protected"
    posts = PUBLISHING_HABITS.get(scenario_name, DEFAULT_HABIT).list_post_dates(demo_run)
    newest_post_at = posts[0] if posts and not state else None
    has_site_link = association.website and scenario_name != "dormant"
    site_url = association.site_url if has_site_link else ""
    return FakeTwitterUser(
        association.twitter_id,
        username,
        association.name,
        newest_post_at,
        len(posts),
        state,
        site_url,
    )


def respond_twitter_api(
    users_by_key: Mapping[str, FakeTwitterUser], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the response of the API in this run."""
    if not has_bearer_key(request, "twitter"):
        return build_twitter_error(401, "Unauthorized", "Unauthorized")
    if demo_run.number == API_FAILURES["twitter"][0]:
        return build_twitter_error(503, "Service Unavailable", "Service Unavailable")
    parameter = {"/2/users/by": "usernames", "/2/users": "ids"}.get(request.path, "")
    requested_users = request.query.get(parameter, "").split(",")
    pattern = USERNAME_PATTERN if parameter == "usernames" else USER_ID_PATTERN
    are_valid = all(map(pattern.fullmatch, requested_users))
    if not parameter or len(requested_users) > MAX_USERS_PER_REQUEST or not are_valid:
        return build_twitter_error(
            400, "Invalid Request", "One or more parameters to your request was invalid."
        )
    return _respond_user_lookup(users_by_key, requested_users, parameter)


def build_twitter_error(status: int, title: str, detail: str) -> FakeResponse:
    """Return an error for the whole request."""
    return json_response(
        {"title": title, "detail": detail, "type": "about:blank", "status": status}, status
    )


def _respond_user_lookup(
    users_by_key: Mapping[str, FakeTwitterUser], requested_users: list[str], parameter: str
) -> FakeResponse:
    data: list[dict[str, object]] = []
    errors: list[dict[str, str]] = []
    for name in dict.fromkeys(requested_users):
        user = users_by_key.get(name.lower())
        if user is None or user.state == "suspended":
            errors.append(_build_lookup_error(name, parameter, is_suspended=user is not None))
        else:
            data.append(_build_user_item(user))
    response: dict[str, object] = {}
    if data:
        response["data"] = data
    if errors:
        response["errors"] = errors
    return json_response(response)


def _build_user_item(user: FakeTwitterUser) -> dict[str, object]:
    item: dict[str, object] = {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "protected": user.state == "protected",
        "public_metrics": {
            "followers_count": 96,
            "following_count": 41,
            "tweet_count": user.post_count,
        },
    }
    if user.site_url:
        link = {"url": f"https://t.co/p{user.id[-6:]}", "expanded_url": user.site_url}
        item |= {"url": link["url"], "entities": {"url": {"urls": [link]}}}
    if user.newest_post_at:
        item["most_recent_post_id"] = make_post_id(user.newest_post_at)
    return item


def make_post_id(posted_at: datetime) -> str:
    """Return the id of a post published at this time."""
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
