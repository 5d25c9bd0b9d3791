"""The X channel: identifies accounts in links, reads public pages, and asks API v2 with a key.

x.com answers requests for existing and missing accounts with the same empty page, and robots.txt
disallows all of them (2026-08, see docs/explanations/platforms.md). Without a key the finding is
almost always unknown.

One API request covers up to 100 accounts. Each costs the price of reading a user and a post. A
response with status 200 mentions every requested account, in `data` or in `errors`. The id of the
newest post contains its time, so the post itself is not requested (openapi 2.167, 2026-08).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from probes.channels._api_common import (
    MAX_TEXT_CHARS,
    MAX_WEBSITE_URLS,
    build_api_url,
    build_failure_finding,
    build_status_response,
    build_taken_name_finding,
    clean_api_text,
    explain_missing_account,
    extract_website_links,
    find_newest_post,
    keep_match,
    parse_count,
    parse_json_object,
)
from probes.channels._links import LinkTable, PlatformLink
from probes.channels._public_profile import (
    PublicProfile,
    build_wrong_target_finding,
    find_message,
    get_description,
    iter_script_objects,
    match_title,
    parse_follower_count,
    probe_public_profile,
)
from probes.links import post_numbers
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding, Identity, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing import html
from probes.parsing.json_data import as_list, as_object, get_nested, get_text
from probes.text.language import split_words

NAME = "twitter"
VERSION = 3
# The last three are mirrors with the same paths (yt-dlp, FxEmbed, nitter 2026-08).
HOSTS = frozenset(
    {"twitter.com", "x.com", "t.co", "twimg.com", "fxtwitter.com", "vxtwitter.com", "nitter.net"}
)

_INVALID = Identity(NAME, LinkKind.INVALID)

_HANDLE_PATTERN = re.compile(r"[A-Za-z0-9_]{1,15}")  # the API's own (openapi 2.167, 2026-08)
# X's own first segments (nitter, lorey, ural, social-links 2022 to 2026).
_RESERVED_SEGMENTS = split_words("""
    home explore search search-advanced notifications messages settings i intent share hashtag
    hashtags compose login logout logged_out signup account tos privacy about jobs download
    who_to_follow widgets oauth status statuses pic gif video lists bookmarks topics communities
    spaces moments events premium business en fr ar timeline followers following personalization oct
    help rules invitations invite favorites session sessions users direct_messages public_timeline
    mentions inbox similar_to goodies images intl https http
""")
_PLACEHOLDER_HANDLES = split_words("""
    twitter x username yourname yourusername your_username yourhandle your_handle example wix
    wordpress
""")
_POST_SEGMENTS = frozenset({"status", "statuses", "article"})
# `Amal Rabat @amal_rabat`, `AmalRabat@amal_rabat`: a name and a handle as X's own pages show them.
# Without a space or a capital inside the name it may be half an email address.
_NAME_AND_HANDLE_PATTERN = re.compile(
    r"\A[^@]{1,60}?(?:[\s(?]|[a-z][A-Z][^@\s]{1,40})@([A-Za-z0-9_]{4,15})\)?\Z"
)


def _read_internal_path(link: PlatformLink) -> Identity:
    """Identify an address of the form `/i/…`. Only `/i/user/` names an account.

    Posts, articles, events and broadcasts do not name their owner. Any other page is X's own.
    """
    section = link.second.lower()
    if section == "user":
        return _identify_by_id(link.third)
    is_post = section in {"status", "web", "events", "spaces", "broadcasts"} and link.third
    return Identity(NAME, LinkKind.POST if is_post else LinkKind.INVALID)


def _read_intent(link: PlatformLink) -> Identity:
    """Identify the account that a button follows. Other buttons share a page."""
    if link.second.lower() not in ("user", "follow"):
        return Identity(NAME, LinkKind.SHARE)
    if "screen_name" in link.query:
        return _identify_handle(link.query["screen_name"])
    return _identify_by_id(link.query.get("user_id", ""))


def _read_account(link: PlatformLink) -> Identity:
    """Identify the account of a profile page or tab, or a post of the account.

    X does not check the handle in a post's address.
    """
    account = _identify_handle(link.name)
    if link.second.lower() not in _POST_SEGMENTS:
        return account
    return account.to_post() if re.match(r"\d", link.third) else _INVALID


def _identify_by_id(user_id: str) -> Identity:
    if not user_id.isascii() or not user_id.isdigit():
        return _INVALID
    return Identity(NAME, LinkKind.PROFILE, f"id:{user_id}", f"https://x.com/i/user/{user_id}")


def _identify_handle(handle: str) -> Identity:
    handle = handle.strip().lstrip("@").rstrip(".,;:)\"'")
    if not _HANDLE_PATTERN.fullmatch(handle) or handle.lower() in _RESERVED_SEGMENTS:
        return _INVALID
    account = Identity(NAME, LinkKind.PROFILE, handle.lower(), f"https://x.com/{handle}")
    return account.with_note("placeholder") if account.key in _PLACEHOLDER_HANDLES else account


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        "i": _read_internal_path,
        "intent": _read_intent,
        "share": LinkKind.SHARE,
        **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), LinkKind.SEARCH),
        "home": LinkKind.HOME,
        **dict.fromkeys(("status/", "statuses/"), LinkKind.POST),
    },
    read_account=_read_account,
    subdomains=re.compile(r"(?:|www|mobile|m|[a-z]{2})"),
    other_hosts={
        "t.co": LinkKind.SHORT_LINK,
        "twimg.com": LinkKind.FILE,
        "platform.twitter.com": lambda link: _identify_handle(
            link.query.get("screen_name", "")
        ).with_note("derived"),
    },
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a handle from the X column.

    A number is a zero from the spreadsheet, a count or a phone number. A single digit may be an old
    handle.
    """
    handle = _NAME_AND_HANDLE_PATTERN.sub(r"\1", text.strip()).strip("/").strip()
    return _INVALID if re.fullmatch(r"0|\d{2,}", handle) else _identify_handle(handle)


# --- Public pages ---

# "Amal (@amal_rabat) / X" or "… on X": the title of a page with content.
_TITLE_PATTERN = re.compile(
    r"(.{1,100}?) \(@([A-Za-z0-9_]{1,15})\)(?: (?:/|on|sur|على) (?:X|Twitter)| \| (?:X|Twitter))?"
)
_UNAVAILABLE_PATTERN = re.compile(
    r"(?i)this account doesn.t exist|account suspended|ce compte n.existe pas|compte suspendu"
    r"|هذا الحساب غير موجود"
)


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile if the page's title names it. Almost always the page is empty."""
    soup = html.parse_soup(page)
    title = match_title(soup, _TITLE_PATTERN.match)
    if title is None:
        return PublicProfile(message=find_message(_UNAVAILABLE_PATTERN, soup.get_text(" ")))
    nodes = iter_script_objects(soup)
    user_ids = (str(node.get("identifier") or node.get("rest_id") or "") for node in nodes)
    return PublicProfile(
        name=title[1].strip(),
        platform_id=next(filter(str.isdecimal, user_ids), ""),
        followers=parse_follower_count(get_description(soup)),
    )


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)


# --- API ---

API = PlatformApi(
    host="api.x.com",
    key_header="Authorization",
    cost_unit="USD",
    default_budget=2.0,
    key_prefix="Bearer ",
    erases_removed_profiles=True,  # https://developer.x.com/en/developer-terms/policy
)

_COST_PER_ACCOUNT_USD = 0.015  # a user 0.010, and at most one post 0.005 for the expansion
_USERNAMES_CALL = ApiCall(
    API, joined_parameter="usernames", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_IDS_CALL = replace(_USERNAMES_CALL, joined_parameter="ids")
_USERS_URL = "https://api.x.com/2/users"
_USER_QUERY = {
    "user.fields": "created_at,public_metrics,protected,verified,url,entities",
    "expansions": "most_recent_post_id",
}

_ID_PATTERN = re.compile(r"[0-9]{1,19}")
# The types of problems and the statuses of a refusal.
_REFUSALS_BY_SIGN: Mapping[str | int, Reason] = {
    **dict.fromkeys(("usage-capped", "rate-limit-exceeded", 429), Reason.RATE_LIMITED),
    **dict.fromkeys(
        ("client-forbidden", "unsupported-authentication", "credits", 401, 402),
        Reason.NOT_CONFIGURED,
    ),
}
# A name cannot contain these spaces.
_REASONS_BY_MESSAGE = (
    (re.compile(r"has been suspended"), Reason.SUSPENDED),
    (re.compile(r"\Anot found|could not find user"), Reason.NOT_FOUND),
)
_ACCOUNT_PARAMETERS = [("user", name) for name in ("ids", "usernames", "id", "username")]
"""The type and the parameter of an error about an account, not about its newest post."""


def parse_users_response(page: Page) -> ApiResponse:
    """Return the accounts of a response by handle and by id, and the errors of others.

    A response without accounts has the refusal, or the error of its status. With status 400, one
    of the requested values is malformed, and the others are not answered.
    """
    data = parse_json_object(page)
    message = clean_api_text(data.get("detail")) or clean_api_text(data.get("title"))
    problem = clean_api_text(data.get("type")).rpartition("/")[2]
    refusal = _REFUSALS_BY_SIGN.get(page.status, _REFUSALS_BY_SIGN.get(problem))
    if refusal is not None:
        return ApiResponse(refusal=(refusal, message or str(page.status)))
    errors = dict(filter(None, map(_parse_account_error, as_list(data.get("errors")))))
    if page.status < 400 and isinstance(data.get("data", data.get("errors")), list):
        users = list(filter(None, map(_to_user_data, as_list(data.get("data")))))
        items = {user["username"].lower(): user for user in users}
        items |= {user["id"]: user for user in users}
        return ApiResponse(items, errors, is_well_formed=True)
    response = build_status_response(page, message)
    if page.status not in (400, 404):
        return response
    return replace(response, item_errors=errors, is_single_item_error=page.status == 400)


def _to_user_data(item: Any) -> dict[str, Any] | None:
    """Return the needed fields of an account, or None if its id or its handle is not valid.

    The id of the newest post contains its time. Only these fields are kept.
    """
    user_id = keep_match(_ID_PATTERN, get_nested(item, "id"))
    username = keep_match(_HANDLE_PATTERN, get_nested(item, "username"))
    if not (user_id and username):
        return None
    newest_id = get_nested(item, "most_recent_post_id") or get_nested(item, "most_recent_tweet_id")
    # The links are shortened in the texts. The entities contain the full addresses.
    urls = _extract_entity_urls(item, "url") or [get_nested(item, "url")]
    urls += _extract_entity_urls(item, "description")
    return {
        "id": user_id,
        "username": username,
        "name": clean_api_text(get_nested(item, "name")),
        "is_protected": get_nested(item, "protected") is True,
        "has_no_posts": parse_count(get_nested(item, "public_metrics", "tweet_count")) == 0,
        "newest_post_at": post_numbers.decode_post_number(NAME, str(parse_count(newest_id) or "")),
        "website_urls": [
            url for url in urls if isinstance(url, str) and 0 < len(url) <= MAX_TEXT_CHARS
        ],
    }


def _extract_entity_urls(item: Any, place: str) -> list[Any]:
    """Return the addresses in the profile's link or description."""
    entities = as_list(get_nested(item, "entities", place, "urls"))[:MAX_WEBSITE_URLS]
    return [get_nested(entity, "expanded_url") for entity in entities]


def _parse_account_error(error: Any) -> tuple[str, str] | None:
    """Return the account that an error is about and its message, or None if it is about a post.

    The account is the requested id or handle in lower case. An error that does not say what it is
    about is about an account.
    """
    fields = {"resource_type": "user", "parameter": "ids", **as_object(error)}
    value = get_text(fields, "value") or get_text(fields, "resource_id")
    if not value or (fields["resource_type"], fields["parameter"]) not in _ACCOUNT_PARAMETERS:
        return None
    title, detail = clean_api_text(fields.get("title")), clean_api_text(fields.get("detail"))
    return value.lower(), f"{title}: {detail}".strip(": ")


def probe_api(account: Account) -> ProbeGenerator:
    """Request the account by id if it is known, and by handle if there is no account with the id.

    A handle that another account has now is a rename, and none of that account's data are kept.
    Fact: `all_links_resolved`, whether the target of every link in the profile is known.
    """
    key = account.identity.key or ""
    known_id = key.removeprefix("id:") if key.startswith("id:") else account.known_id
    user_id = keep_match(_ID_PATTERN, known_id)
    handle = keep_match(_HANDLE_PATTERN, key)
    if account.identity.kind is not LinkKind.PROFILE or not (user_id or handle):
        return build_wrong_target_finding(account.identity)
    if user_id:
        url = build_api_url(_USERS_URL, ids=user_id, **_USER_QUERY)
        page, response = yield from request_page(url, parse_users_response, api_call=_IDS_CALL)
        user = response.items.get(user_id, {})
        if user.get("id") == user_id:
            return _build_present_finding(page, handle, user)
        failure = _explain_missing_user(page, response, user_id, _IDS_CALL)
        if failure[0] is not Reason.NOT_FOUND or not handle:
            return build_failure_finding(account, page, failure, user_id)
    url = build_api_url(f"{_USERS_URL}/by", usernames=handle, **_USER_QUERY)
    page, response = yield from request_page(url, parse_users_response, api_call=_USERNAMES_CALL)
    user = response.items.get(handle, {})
    if user.get("username", "").lower() != handle:
        failure = _explain_missing_user(page, response, handle, _USERNAMES_CALL)
        return build_failure_finding(account, page, failure, user_id)
    if user_id not in ("", user["id"]):
        final_url = f"https://x.com/i/user/{user['id']}"
        return build_taken_name_finding(page, "account", user, final_url)
    return _build_present_finding(page, handle, user)


def _explain_missing_user(
    page: Page, response: ApiResponse, lookup_value: str, call: ApiCall
) -> tuple[Reason, str]:
    """Return the error about this account. Errors about no account do not count against it.

    Without such an error, or with a refusal of all requests, return what the whole response says.
    A message of an unknown kind proves no absence.
    """
    message = response.item_errors.get(lookup_value)
    if message is None or response.refusal:
        return explain_missing_account(page, response, call)
    text = message.lower()
    reasons = [reason for pattern, reason in _REASONS_BY_MESSAGE if pattern.search(text)]
    return next(iter(reasons), Reason.BLOCKED), message


def _build_present_finding(page: Page, handle: str, user: Mapping[str, Any]) -> Finding:
    """Return the finding for an existing account. Without a handle, it may have any name."""
    reason, detail = None, ""
    if user["is_protected"]:
        reason = Reason.PRIVATE
    elif handle not in ("", user["username"].lower()):
        reason, detail = Reason.RENAMED, f"answers as @{user['username']}"
    elif user["has_no_posts"]:
        reason = Reason.EMPTY
    # The target of a short link or of a page of links is unknown.
    identities = list(map(identify_link, user["website_urls"]))
    has_unresolved_link = any(
        identity.kind in {LinkKind.SHORT_LINK, LinkKind.INVALID, LinkKind.PHONE}
        or identity.note == "social"
        for identity in identities
    )
    profile_url = f"https://x.com/{user['username']}"
    return present_finding(
        page,
        final_url=profile_url,
        reason=reason,
        name=user["name"],
        platform_id=user["id"],
        last_activity=find_newest_post([user["newest_post_at"]], page, source="post_id"),
        links=extract_website_links(user["website_urls"], "profile_link", profile_url),
        facts={"all_links_resolved": not has_unresolved_link},
        detail=detail,
    )
