"""X's API v2: whether an account is there, and when it last posted.

Up to 100 accounts are one request, and each costs what a user's and a post's reading cost. An answer of 200
tells of every account asked: in `data`, or in `errors` with the reason. The newest post's own number holds
its time, so the post is not asked for. Facts from the fact sheet (openapi 2.167, 2026-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from probes.channels import api_common
from probes.channels.public_profile import wrong_target
from probes.models.finding import Account, Activity, Finding, Kind, Reason
from probes.models.http import Answer, Call, Interface, Page
from probes.models.probe import Steps, ask, present
from probes.parsing.json_data import at, list_of
from probes.text.lazy_regex import pattern

INTERFACE = Interface(host="api.x.com", header="Authorization", unit="USD", budget=2.0, prefix="Bearer ")

_EACH = 0.015  # USD: a user 0.010, and at most a post 0.005 for the expansion
_BY_NAME = Call(INTERFACE, join="usernames", most=100, each=_EACH)
_BY_ID = Call(INTERFACE, join="ids", most=100, each=_EACH)
_USERS = "https://api.x.com/2/users"
_FIELDS = "created_at,public_metrics,protected,verified,url,entities,withheld"

_NUMBER = pattern(r"[0-9]{1,19}")
_HANDLE = pattern(r"[A-Za-z0-9_]{1,15}")  # one name that cannot be spoils the call for a hundred


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def read_users(page: Page) -> Answer:
    """The accounts of an answer by name and by id, and what is said against others."""
    data = api_common.document(page)
    if (refusal := _refusal(page, data)) is not None:
        return Answer(refusal=refusal)
    users = [user for item in list_of(data.get("data")) if (user := _user(item))]
    items = {user["username"].lower(): user for user in users} | {user["id"]: user for user in users}
    faults = dict(fault for error in list_of(data.get("errors")) if (fault := _fault(error)))
    if page.status < 400:
        whole = isinstance(data.get("data"), list) or isinstance(data.get("errors"), list)
        return Answer(items, faults, whole=whole) if whole else api_common.by_status(page)
    detail = api_common.text(data.get("detail")) or api_common.text(data.get("title"))
    told = api_common.by_status(page, detail)
    return replace(told, faults=faults if page.status in (400, 404) else {}, of_one=page.status == 400)


def _refusal(page: Page, data: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Why we are not answered at all: a spent cap or limit, no credits, no enrolment, a bad token."""
    problem = api_common.text(data.get("type")).rpartition("/")[2]
    detail = api_common.text(data.get("detail")) or api_common.text(data.get("title")) or str(page.status)
    if problem in ("usage-capped", "rate-limit-exceeded") or page.status == 429:
        return Reason.RATE_LIMITED, detail
    if problem in ("client-forbidden", "unsupported-authentication", "credits") or page.status in (401, 402):
        return Reason.NOT_CONFIGURED, detail
    return None


def _user(item: Any) -> dict[str, Any] | None:
    """An account, cut to what is needed; None for what is none."""
    own, username = at(item, "id"), at(item, "username")
    if not isinstance(own, str) or not _NUMBER.fullmatch(own):
        return None
    if not isinstance(username, str) or not _HANDLE.fullmatch(username):
        return None
    figures = at(item, "public_metrics")
    return {
        "id": own,
        "username": username,
        "name": api_common.text(at(item, "name")),
        "private": at(item, "protected") is True,
        "posts": api_common.count(at(figures, "tweet_count")),
        "followers": api_common.count(at(figures, "followers_count")),
        "newest": _moment(at(item, "most_recent_post_id") or at(item, "most_recent_tweet_id")),
        "withheld": [api_common.text(land) for land in list_of(at(item, "withheld", "country_codes"))][:50],
        "sites": _sites(item),
    }


def _sites(item: Any) -> list[str]:
    """Where the account's link and its text lead: they are shortened there, their entities tell the whole."""
    link, text = (
        [at(entity, "expanded_url") for entity in list_of(at(item, "entities", place, "urls"))[:10]]
        for place in ("url", "description")
    )
    told = [*(link or [at(item, "url")]), *text]
    return [url for url in told if isinstance(url, str) and 0 < len(url) < api_common.LONGEST]


_EPOCH = 1_288_834_974_657  # ms: 2010-11-04, when posts began to be numbered by their time
_FIRST_TIMED = 30_000_000_000


def _moment(number: Any) -> datetime | None:
    """When the post of this number was written; older ones were numbered one by one."""
    post = api_common.count(number) or 0
    if post <= _FIRST_TIMED:
        return None
    return datetime.fromtimestamp(((post >> 22) + _EPOCH) // 1000, UTC)


def _fault(error: Any) -> tuple[str, str] | None:
    """The account that an error of an answer is about, and what it says. Others are about posts."""
    value = at(error, "value") or at(error, "resource_id")
    about = (at(error, "resource_type") or "user", at(error, "parameter") or "ids")
    if not isinstance(value, str) or about[0] != "user" or about[1] not in _ASKED:
        return None
    return (
        value.lower(),
        f"{api_common.text(at(error, 'title'))}: {api_common.text(at(error, 'detail'))}".strip(": "),
    )


_ASKED = ("ids", "usernames", "id", "username")


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> Steps:
    """Ask for the account by its number where that is known, else by its name.

    Facts: `posts`, all it ever wrote and did not delete; `links_read`, whether every address it gives tells
    where it leads.
    """
    identity = account.identity
    number, handle = _known_number(account), _handle(account)
    if identity.kind is not Kind.PROFILE or not (number or handle):
        return wrong_target(identity)
    if number is None:
        return (yield from _by_name(account, handle))
    url = api_common.address(_USERS, ids=number, **_QUERY)
    page, answer = yield from ask(url, read_users, call=_BY_ID)
    user = answer.items.get(number)
    if user and user["id"] == number:
        return _described(account, page, user)
    told = _against(page, answer, number, _BY_ID)
    if told[0] is Reason.NOT_FOUND and handle:
        return (yield from _by_name(account, handle, lost=number))
    return api_common.against(account, page, told, number)


_QUERY = {"user.fields": _FIELDS, "expansions": "most_recent_post_id"}


def _known_number(account: Account) -> str | None:
    known = account.known.platform_id if account.known else None
    key = account.identity.key or ""
    told = key.removeprefix("id:") if key.startswith("id:") else known or ""
    return told if _NUMBER.fullmatch(told) else None


def _handle(account: Account) -> str:
    key = account.identity.key or ""
    return key if _HANDLE.fullmatch(key) else ""


def _by_name(account: Account, handle: str, lost: str | None = None) -> Steps:
    """Ask by name. `lost` is the number that the account had, and that X knows no more."""
    url = api_common.address(f"{_USERS}/by", usernames=handle, **_QUERY)
    page, answer = yield from ask(url, read_users, call=_BY_NAME)
    user = answer.items.get(handle)
    if user is None or user["username"].lower() != handle:
        return api_common.against(account, page, _against(page, answer, handle, _BY_NAME), lost)
    if lost not in (None, user["id"]):
        return _taken(page, user)
    return _described(account, page, user)


def _against(page: Page, answer: Answer, value: str, call: Call) -> tuple[Reason, str]:
    """What is said against this account; what is said of none is no word against it."""
    said = answer.faults.get(value)
    if said is None or answer.refusal:
        return api_common.complaint(page, answer, call)
    words = said.lower()
    if "has been suspended" in words:  # with its blanks, no name can say so
        return Reason.SUSPENDED, said
    missing = words.startswith("not found") or "could not find user" in words
    return (Reason.NOT_FOUND if missing else Reason.BLOCKED), said


def _taken(page: Page, user: Mapping[str, Any]) -> Finding:
    """Another account has the name: its number tells so, and nothing else of it is told as ours."""
    detail = f"another account answers under this name: {user['id']} {user['name']}".strip()
    finding = present(page, reason=Reason.RENAMED, platform_id=user["id"], detail=detail)
    return replace(finding, final_url=f"https://x.com/i/user/{user['id']}")


def _described(account: Account, page: Page, user: Mapping[str, Any]) -> Finding:
    reason, detail = _remark(_handle(account), user)
    shown_at = f"https://x.com/{user['username']}"
    whens = api_common.believable([user["newest"]] if user["newest"] else [], page)
    finding = present(
        page,
        reason=reason,
        name=user["name"] or None,
        platform_id=user["id"],
        last_activity=Activity(whens[0], "post_id") if whens else None,
        followers=user["followers"],
        links=api_common.websites(user["sites"], "profile_link", shown_at),
        facts={"links_read": api_common.all_told(user["sites"])}
        | ({} if user["posts"] is None else {"posts": user["posts"]}),
        detail=detail,
    )
    return replace(finding, final_url=shown_at)


def _remark(handle: str, user: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """What is to be said of an account that is there."""
    withheld = f"withheld in {', '.join(user['withheld'])}" if user["withheld"] else ""
    if user["private"]:
        return Reason.PRIVATE, withheld
    if handle and user["username"].lower() != handle:
        return Reason.RENAMED, f"answers as @{user['username']}"
    return (Reason.EMPTY if user["posts"] == 0 else None), withheld
