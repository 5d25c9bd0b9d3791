"""Meta's Graph API: whether a page is there, and, where the app may see it, when it last posted.

Up to 50 pages are one call. It tells of pages alone, never of people or groups. A name that leads nowhere is
error 803, the only proof of an absence that Facebook gives; a number that cannot be shown is error 100/33,
whether it is deleted, hidden or not for this app. Facts from the fact sheet (v25 to v27, 2026).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from probes.channels import api_common
from probes.channels.public_profile import wrong_target
from probes.models.finding import ACCOUNTS, Account, Finding, Identity, Kind, Reason
from probes.models.http import Answer, Ask, Call, Interface, NoPage, Page
from probes.models.probe import Steps, ask, present
from probes.parsing.json_data import at, list_of, object_of
from probes.text.lazy_regex import pattern

INTERFACE = Interface(
    host="graph.facebook.com", header="Authorization", unit="lookups", budget=200, prefix="Bearer "
)

_JOINED = Call(INTERFACE, join="ids", most=50, each=1)  # Meta may count every id that is listed
_GRAPH = "https://graph.facebook.com/v25.0/"
_FIELDS = "id,name,username,link,fan_count,followers_count,is_published,website"
_POSTS = "published_posts.limit(5){created_time}"

_NUMBER = pattern(r"[0-9]{1,20}")
_USERNAME = pattern(r"[A-Za-z0-9.]{1,50}")


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def read_pages(page: Page) -> Answer:
    """The pages of an answer, by what was asked for."""
    data = api_common.document(page)
    if (error := _envelope(data)) is not None or page.status >= 400:
        return _error(page, error or {})
    pages = {asked.lower(): _page(node) for asked, node in data.items() if _own(node)}
    return Answer(pages, whole=True) if pages else api_common.by_status(page)


def read_posts(page: Page) -> Answer:
    """When the last posts of pages came out. That we may not see them (error 10) closes nothing else."""
    data = api_common.document(page)
    if (error := _envelope(data)) is not None or page.status >= 400:
        told = _error(page, error or {})
        barred = told.refusal is not None and told.refusal[0] is Reason.NOT_CONFIGURED
        return replace(told, refusal=None, trouble=told.refusal) if barred else told
    pages = {asked.lower(): {"published": _moments(node)} for asked, node in data.items() if _own(node)}
    return Answer(pages, whole=True) if pages else api_common.by_status(page)


def _envelope(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error, where the answer is one. A page may be called `error` too."""
    error = object_of(data.get("error"))
    return error if "code" in error or "message" in error else None


def _own(node: Any) -> str:
    number = at(node, "id")
    return number if isinstance(number, str) and _NUMBER.fullmatch(number) else ""


def _page(node: Any) -> dict[str, Any]:
    username, site = at(node, "username"), at(node, "website")
    followers = api_common.count(at(node, "followers_count"))
    return {
        "id": _own(node),
        "name": api_common.text(at(node, "name")),
        "username": username if isinstance(username, str) and _USERNAME.fullmatch(username) else "",
        "private": at(node, "is_published") is False,
        "followers": api_common.count(at(node, "fan_count")) if followers is None else followers,
        "sites": re.split(r"[\s,;]+", site[: api_common.LONGEST].strip())[:5]
        if isinstance(site, str)
        else [],
    }


def _moments(node: Any) -> list[Any]:
    posts = list_of(at(node, "published_posts", "data"))
    return [when for post in posts if (when := api_common.moment(at(post, "created_time")))]


_NO_KEY = frozenset({3, 10, 101, 102, 104, 190, 2500, *range(200, 300)})
_LIMITS = frozenset({4, 17, 32, 341, 368, 613, *range(80_000, 80_015)})
_ALIASES = pattern(r"aliases you requested do not exist\W*(.*)")
_USER = pattern(r"[Cc]annot query users by their username \(([^()]{1,100})\)")
_MIGRATED = pattern(r"[Pp]age ID (\d{1,20}) was migrated to page ID (\d{1,20})")
_OBJECT = pattern(r"Object with ID '([^']{1,100})'")


def _error(page: Page, error: Mapping[str, Any]) -> Answer:
    """An error by its number, and by the values that its message names."""
    code, message = api_common.count(error.get("code")), api_common.text(error.get("message"))
    if code in _NO_KEY:
        return Answer(refusal=(Reason.NOT_CONFIGURED, message))
    if code in _LIMITS:
        return Answer(refusal=(Reason.RATE_LIMITED, message))
    if code in (1, 2):
        return Answer(trouble=(Reason.SERVER_ERROR, message))
    blamed = _blamed(error)
    if blamed is None:
        return api_common.by_status(page, message)
    faults = {value.lower(): message for value in blamed[1]}
    return Answer(faults=faults, of_one=True, trouble=(blamed[0], message))


def _blamed(error: Mapping[str, Any]) -> tuple[Reason, list[str]] | None:
    """What an error says of the values that its message names, where it is about some of them."""
    told = error.get("message")
    message = told[:10_000] if isinstance(told, str) else ""  # it may list fifty names
    match api_common.count(error.get("code")), api_common.count(error.get("error_subcode")):
        case 803, _ if users := _USER.findall(message):
            return Reason.NOT_CONFIGURED, users  # a person's name, which is there
        case 803, _:
            return Reason.NOT_FOUND, _listed(_ALIASES.search(message))
        case 21, _ if moved := _MIGRATED.search(message):
            return Reason.RENAMED, [moved[1]]
        case 100, 33:
            return Reason.UNREADABLE, _OBJECT.findall(message)
    return None


def _listed(found: re.Match[str] | None) -> list[str]:
    names = re.split(r"[\s,]+", found[1]) if found else []
    return [name.strip(".") for name in names if name.strip(".")]


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> Steps:
    """Ask for the page by its name or number; where a name leads nowhere, by the number it had.

    Facts: `rhythm_days`, the median gap between the last five posts.
    """
    identity = account.identity
    if identity.kind in (Kind.GROUP, Kind.PERSON):
        return api_common.unasked(
            account, f"Facebook's interface tells of pages alone, not of a {identity.kind}"
        )
    value = _value(identity)
    if identity.kind not in ACCOUNTS or not value:
        return wrong_target(identity)
    known = _known_number(account)
    page, answer = yield from _asked(value)
    found = answer.items.get(value.lower())
    if found is None:
        return (yield from _without(account, page, answer, value, known))
    if known and known != found["id"] and not value.isdigit():
        return (yield from _other(account, page, found, known))
    return (yield from _described(account, page, found))


def _value(identity: Identity) -> str:
    """What to ask by: the number, or the name as it was typed. Full stops in it are as good as none."""
    key = identity.key or ""
    if key.startswith("id:"):
        return key.removeprefix("id:")
    as_typed = (identity.canonical or "").rpartition("/")[2] or key.removeprefix("u:")
    return as_typed if key.startswith("u:") else ""


def _known_number(account: Account) -> str | None:
    known = account.known.platform_id if account.known else None
    return known if known and _NUMBER.fullmatch(known) else None


def _asked(value: str) -> Generator[Ask, Page, tuple[Page, Answer]]:
    return (yield from ask(api_common.address(_GRAPH, ids=value, fields=_FIELDS), read_pages, call=_JOINED))


def _without(account: Account, page: Page, answer: Answer, value: str, known: str | None) -> Steps:
    """No page under this name or number. A name may have been given up while the page lives on."""
    told = _against(page, answer, value)
    if told[0] is Reason.RENAMED:
        return _moved(account, page, told[1], known)
    gone = api_common.against(account, page, told, known)
    if told[0] is not Reason.NOT_FOUND or known in (None, value):
        return gone
    page, answer = yield from _asked(known)
    found = answer.items.get(known)
    if found is not None:
        return (yield from _described(account, page, found, "answers by its number alone", known))
    told = _against(page, answer, known)
    if told[0] is Reason.RENAMED:
        return _moved(account, page, told[1], known)
    # 100/33 is said of deleted and of hidden pages alike: a name given up proves nothing of them (2026-10).
    return gone if told[0] is Reason.NOT_FOUND else api_common.against(account, page, told, known)


def _against(page: Page, answer: Answer, value: str) -> tuple[Reason, str]:
    """What the error says of this value. One that names others, or none, takes nobody away."""
    reason, message = api_common.complaint(page, answer, _JOINED)
    named = any(_undotted(fault) == _undotted(value) for fault in answer.faults)
    if named and answer.trouble:
        return answer.trouble
    return (Reason.UNREADABLE if reason is Reason.NOT_FOUND else reason), message


def _undotted(name: str) -> str:
    return name.lower().replace(".", "")


def _moved(account: Account, page: Page, message: str, known: str | None) -> Finding:
    """The page was merged into another one, whose number the message tells: it is known by its own still."""
    moved = _MIGRATED.search(message)
    number = moved[2] if moved else ""
    finding = present(page, reason=Reason.RENAMED, platform_id=known or number or None, detail=message)
    return replace(finding, final_url=_address(number) if number else account.identity.canonical)


def _other(account: Account, page: Page, found: Mapping[str, Any], known: str) -> Steps:
    """Another number than the known one answers to the name. Where the known page still does, tell of that.

    A page has a second number, its profile's, and Facebook's own pages show either: so where the known one is
    not answered, it takes another display name as well to speak of another page.
    """
    try:
        then, answer = yield from _asked(known)
    except NoPage:
        answer = Answer()
    ours = answer.items.get(known)
    if ours is not None and ours["id"] == known:
        return (yield from _described(account, then, ours, _TAKEN))
    if ours is not None and ours["id"] == found["id"]:
        return (yield from _described(account, page, found, number=known))
    name = account.known.name if account.known else None
    same = bool(name) and api_common.text(name).casefold() == found["name"].casefold()
    return (yield from _described(account, page, found, "" if same else _TAKEN))


_TAKEN = "another page answers under this name"


def _described(
    account: Account, page: Page, found: Mapping[str, Any], renamed: str = "", number: str | None = None
) -> Steps:
    """The page as it answers. `renamed` says how it is not what was registered; `number` is its known one."""
    news = api_common.Published() if found["private"] else (yield from _news(found["id"]))
    renamed = renamed or _name_changed(account.identity.key or "", found["username"])
    reason = Reason.PRIVATE if found["private"] else Reason.RENAMED if renamed else None
    shown_at = _address(found["username"] or found["id"])
    finding = present(
        page,
        reason=reason,
        name=found["name"] or None,
        platform_id=number or found["id"],
        last_activity=news.newest,
        followers=found["followers"],
        links=api_common.websites(found["sites"], "profile_link", shown_at),
        facts=news.facts,
        detail=renamed or news.why,
    )
    return replace(finding, final_url=shown_at)


def _news(number: str) -> Generator[Ask, Page, api_common.Published]:
    url = api_common.address(_GRAPH, ids=number, fields=_POSTS)
    return (yield from api_common.published(url, read_posts, _JOINED, of=number, source="posts"))


def _name_changed(key: str, username: str) -> str:
    changed = key.startswith("u:") and username and key != f"u:{_undotted(username)}"
    return f"answers as {username}" if changed else ""


def _address(name: str) -> str:
    return f"https://www.facebook.com/{f'profile.php?id={name}' if name.isdigit() else name}"
