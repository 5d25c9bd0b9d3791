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

from auditor.demo.account_scenarios import TROUBLED
from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, as_json, bears, page, plain
from auditor.demo.pages.site import Habit
from auditor.demo.pages.site_variants import CHALLENGE

SHELL = (
    '<!DOCTYPE html><html dir="ltr" lang="en"><head><meta charset="utf-8"><title></title></head><body>'
    "<noscript><div><h1>JavaScript is not available.</h1><p>We’ve detected that "
    "JavaScript is disabled in this "
    "browser. Please enable JavaScript or switch to a supported browser to continue using "
    "x.com.</p></div></noscript>"
    '<div id="react-root"></div><div id="ScriptLoadFailure"><span>Something went wrong, '
    "but don’t fret — let’s give "
    "it another shot.</span></div></body></html>"
)


def answer(member: Member, _request: Request, _tonight: Tonight) -> Answer:
    """What the member's profile answers: nothing that tells."""
    if member.twitter == "blocked":
        return page(CHALLENGE, 403, server="cloudflare", cf_mitigated="challenge")
    return page(SHELL)


def other(request: Request) -> Answer:
    """The same shell for everybody else."""
    if request.path == "/robots.txt":
        return plain("User-agent: *\nDisallow: /\n")
    return page(SHELL)


MOST = 100
EPOCH = 1_288_834_974_657  # ms: the beginning of the numbers that hold a time
NAME = re.compile(r"[A-Za-z0-9_]{1,15}")
NAMELESS = {"intent", "malformed"}
HABITS = {"active": Habit(2, posts=60), "dormant": Habit(90, ended=4 * 365), "empty": Habit(posts=0)}
USUAL = Habit(11, posts=20)


@dataclass(frozen=True, slots=True)
class User:
    """An account as of a night. `state` is empty, or `protected` or `suspended`; `site` is where it leads."""

    id: str
    username: str
    name: str
    newest: datetime | None = None
    posts: int = 0
    state: str = ""
    site: str = ""


def users(members: Iterable[Member], tonight: Tonight) -> dict[str, User]:
    """Tonight's accounts by lower-case name and by number; a deleted one is nobody."""
    found = [_user(m, tonight) for m in members if m.twitter and m.twitter not in NAMELESS | {"deleted"}]
    return {key: user for user in found for key in (user.username.lower(), user.id)}


def canary(name: str, number: int, tonight: Tonight) -> User:
    """An account that has always been there."""
    return User(str(number), name, name, tonight.moment - timedelta(hours=20), 1284)


def _user(member: Member, tonight: Tonight) -> User:
    situation = member.twitter
    username, state = member.twitter_handle, ""
    if situation == "renamed" and tonight.number >= 5:  # the script's night
        username = f"{member.handle[:9]}_x{member.number}"
    if situation == "suspended" and 5 <= tonight.number < 20:  # the script's nights
        state = "suspended"
    elif situation == "protected":
        state = "protected"
    posts = HABITS.get(situation, USUAL).dates(tonight)
    newest = posts[0] if posts and not state else None
    site = member.site if member.website and situation != "dormant" else ""
    return User(member.twitter_id, username, member.name, newest, len(posts), state, site)


def answer_api_request(accounts: Mapping[str, User], request: Request, tonight: Tonight) -> Answer:
    """What the interface answers tonight."""
    if not bears(request, "twitter"):
        return problem(401, "Unauthorized", "Unauthorized")
    if tonight.number == TROUBLED["twitter"][0]:
        return problem(503, "Service Unavailable", "Service Unavailable")
    parameter = {"/2/users/by": "usernames", "/2/users": "ids"}.get(request.path, "")
    asked = request.query.get(parameter, "").split(",")
    usual = NAME if parameter == "usernames" else re.compile(r"[0-9]{1,19}")
    if not parameter or len(asked) > MOST or not all(map(usual.fullmatch, asked)):
        return problem(400, "Invalid Request", "One or more parameters to your request was invalid.")
    return _told(accounts, asked, parameter)


def problem(status: int, title: str, detail: str) -> Answer:
    """An error about the whole request."""
    return as_json({"title": title, "detail": detail, "type": "about:blank", "status": status}, status)


def _told(accounts: Mapping[str, User], asked: list[str], parameter: str) -> Answer:
    found = {one: accounts.get(one.lower()) for one in asked}
    data = [_item(user) for user in found.values() if user and user.state != "suspended"]
    errors = [
        _error(one, parameter, suspended=user is not None)
        for one, user in found.items()
        if user is None or user.state == "suspended"
    ]
    return as_json({**({"data": data} if data else {}), **({"errors": errors} if errors else {})})


def _item(user: User) -> dict[str, object]:
    newest = {"most_recent_post_id": post_id(user.newest)} if user.newest else {}
    link = {"url": f"https://t.co/p{user.id[-6:]}", "expanded_url": user.site}
    site = {"url": link["url"], "entities": {"url": {"urls": [link]}}} if user.site else {}
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "protected": user.state == "protected",
        "public_metrics": {"followers_count": 96, "following_count": 41, "tweet_count": user.posts},
        **site,
        **newest,
    }


def post_id(when: datetime) -> str:
    """The number of a post written at a moment."""
    return str((int(when.timestamp() * 1000) - EPOCH) << 22)


def _error(value: str, parameter: str, *, suspended: bool) -> dict[str, str]:
    missing = f"Could not find user with {parameter}: [{value}]."
    return {
        "value": value,
        "resource_id": value,
        "resource_type": "user",
        "parameter": parameter,
        "title": "Forbidden" if suspended else "Not Found Error",
        "detail": f"User has been suspended: [{value}]." if suspended else missing,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }
