"""Meta's Graph API: pages by name or number, up to fifty in one call, which one of them can spoil for all.

A name that is nobody's is error 803, which lists all such names; a page that is hidden, and a number that
is nobody's, are error 100/33, which does not say which of the two (fact sheet, v25, 2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.demo.account_scenarios import TROUBLED
from auditor.demo.api_keys import bears
from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, as_json
from auditor.demo.pages import facebook

MOST = 50
NO_PAGES = {"group", "shared", "share_button", "none_typed"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as of a night, its posts newest first."""

    id: str
    username: str
    name: str
    posts: Sequence[datetime] = ()
    hidden: bool = False


def pages(members: Iterable[Member], tonight: Tonight) -> dict[str, Page]:
    """Tonight's pages by number and by lower-case name, an old name too."""
    there = [m for m in members if m.facebook and m.facebook not in NO_PAGES and not _deleted(m, tonight)]
    found = {name: _page(member, tonight) for member in there for name in (_name(member), member.page_id)}
    old = [(m, facebook.old_page(m, tonight)) for m in there if m.facebook == "duplicate"]
    left_behind = {
        name: Page(shown.id, member.old_page, shown.name, shown.posts)
        for member, shown in old
        for name in (member.old_page.lower(), shown.id)
    }
    return found | left_behind


def canary(name: str, tonight: Tonight) -> Page:
    """A page that has always been there."""
    shown = facebook.always(name, tonight)
    return Page(shown.id, name, shown.name, shown.posts)


def _deleted(member: Member, tonight: Tonight) -> bool:
    return member.facebook == "deleted" or (member.facebook == "restricted" and tonight.number >= 16)


def _name(member: Member) -> str:
    return member.handle.lower()


def _page(member: Member, tonight: Tonight) -> Page:
    renamed = facebook.RENAMED_SUFFIX if member.facebook == "renamed" else ""
    shown = facebook.page_of(member, tonight)
    return Page(shown.id, member.handle + renamed, shown.name, shown.posts, member.facebook == "hidden")


def answer(found: Mapping[str, Page], request: Request, tonight: Tonight) -> Answer:
    """What the interface answers tonight."""
    if not bears(request, "facebook"):
        return error(190, "Invalid OAuth access token - Cannot parse access token")
    if tonight.number == TROUBLED["facebook"][0]:
        return error(2, "An unexpected error has occurred. Please retry your request later.", status=500)
    asked = [one for one in request.query.get("ids", "").split(",") if one]
    if not asked or len(asked) > MOST:
        return error(100, f"(#100) Between 1 and {MOST} ids are expected. Provided: {len(asked)}.")
    return _spoilt(found, asked) or as_json(
        {one: _node(found[_key(one)], request.query.get("fields", "")) for one in asked}
    )


def error(code: int, message: str, subcode: int | None = None, status: int = 400) -> Answer:
    """An error of the whole call."""
    told: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if subcode:
        told["error_subcode"] = subcode
    return as_json({"error": {**told, "fbtrace_id": "Apractice"}}, status)


def _spoilt(found: Mapping[str, Page], asked: Sequence[str]) -> Answer | None:
    """The error for what cannot be shown: all names that are nobody's, else the first page that is hidden."""
    if nobody := [one for one in asked if not one.isdigit() and _key(one) not in found]:
        return error(803, f"(#803) Some of the aliases you requested do not exist: {','.join(nobody)}")
    for one in asked:
        if _key(one) not in found or found[_key(one)].hidden:
            told = (
                f"Unsupported get request. Object with ID '{one}' does not exist, cannot be loaded due to "
                "missing permissions, or does not support this operation."
            )
            return error(100, told, 33)
    return None


def _key(asked: str) -> str:
    return asked.lower().replace(".", "")


def _node(page: Page, fields: str) -> dict[str, object]:
    """A page with the fields that were asked for; its id comes always."""
    link = f"https://www.facebook.com/{page.username}"
    limit = re.search(r"published_posts(?:\.limit\((\d+)\))?", fields)
    posts = [
        {"created_time": f"{when:%Y-%m-%dT%H:%M:%S}+0000", "id": f"{page.id}_{at}"}
        for at, when in enumerate(page.posts)
    ]
    node: dict[str, object] = {
        "name": page.name,
        "username": page.username,
        "link": link,
        "fan_count": 1284,
        "followers_count": 1310,
        "is_published": True,
        "published_posts": {"data": posts[: int(limit[1]) if limit and limit[1] else 25]},
    }
    wanted = set(re.findall(r"[a-z_]+", re.sub(r"\.limit\(\d+\)|\{[^}]*\}", "", fields)))
    return {"id": page.id, **{name: value for name, value in node.items() if name in wanted}}
