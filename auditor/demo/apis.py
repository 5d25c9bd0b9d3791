"""The official APIs of YouTube, X and Facebook, and the registry of .org domains (RDAP).

The APIs describe the accounts that `platforms` shows. Each fails in one run (`API_FAILURES`).

- YouTube's Data API v3 returns channels by id, handle or username, and the newest uploads of a
  channel. It omits missing and terminated channels, and omits `items` if there are none.
- X's API v2 looks up to 100 accounts up by name or id. A response with status 200 lists each
  requested account in `data` or in `errors`. The id of the newest post encodes its time.
- Meta's Graph API v25 looks up to 50 pages up by name or id, and one page can make the whole
  request fail. Error 803 lists all names that do not exist. Error 100/33 is returned for a hidden
  page and for an unknown id alike.

See docs/explanations/platforms.md.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    DEMO_API_KEYS,
    DemoRun,
    FakeRequest,
    FakeResponse,
    json_response,
    redirect_response,
    text_response,
)
from auditor.demo.platforms import (
    Accounts,
    PlatformHandler,
    build_facebook_page,
    build_twitter_user,
    build_youtube_channel,
    is_terminated,
    make_post_id,
)
from auditor.demo.scenarios import API_FAILURES, SCENARIOS

MAX_IDS_PER_REQUEST = 50
MAX_USERS_PER_REQUEST = 100


def _has_bearer_key(request: FakeRequest, channel: str) -> bool:
    return request.headers.get("authorization", "") == f"Bearer {DEMO_API_KEYS[channel]}"


# --- YouTube ---


def respond_youtube_api(
    accounts: Accounts, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return channels, or the newest uploads of a channel."""
    query = request.query
    if DEMO_API_KEYS["youtube"] not in (request.headers.get("x-goog-api-key"), query.get("key")):
        return _build_youtube_error(400, "keyInvalid", "API key not valid.")
    if demo_run.number == API_FAILURES["youtube"][0]:
        return _build_youtube_error(403, "quotaExceeded", "You have exceeded your quota.")
    if request.path == "/youtube/v3/channels":
        return _respond_channels(accounts, query, demo_run)
    key = f"UC{query.get('playlistId', '').removeprefix('UU')}"
    found = _find_channels(accounts, [key], demo_run)
    if request.path != "/youtube/v3/playlistItems" or not found or not found[0]["uploads"]:
        return _build_youtube_error(404, "playlistNotFound", "The playlist cannot be found.")
    return _build_youtube_list("playlistItem", map(_build_upload, found[0]["uploads"][:5]))


def _respond_channels(
    accounts: Accounts, query: Mapping[str, str], demo_run: DemoRun
) -> FakeResponse:
    ids = query.get("id", "").split(",")
    if len(ids) > MAX_IDS_PER_REQUEST:
        return _build_youtube_error(400, "invalidParameter", "There are too many channel ids.")
    if not {"id", "forHandle", "forUsername"} & query.keys():
        return _build_youtube_error(400, "missingRequiredParameter", "No filter selected.")
    # no channel of the demo has an old-style username
    names = [query["forHandle"].removeprefix("@")] if "forHandle" in query else ids
    channels = _find_channels(accounts, names, demo_run)
    return _build_youtube_list("channel", map(_build_channel_item, channels))


def _build_youtube_error(status: int, reason: str, message: str) -> FakeResponse:
    """Return an error in the format of Google's APIs."""
    domain = "youtube.quota" if status == 403 else "global"
    error = {"message": message, "domain": domain, "reason": reason}
    return json_response({"error": {"code": status, "message": message, "errors": [error]}}, status)


def _find_channels(accounts: Accounts, keys: list[str], demo_run: DemoRun) -> list[dict[str, Any]]:
    """Return the existing channels with these names or ids."""
    associations = (accounts.get(key.lower()) for key in dict.fromkeys(keys))
    return [
        build_youtube_channel(association, demo_run)
        for association in associations
        if association is not None and not is_terminated(association, demo_run)
    ]


def _build_youtube_list(kind: str, items: Iterable[dict[str, object]]) -> FakeResponse:
    response: dict[str, object] = {
        "kind": f"youtube#{kind}ListResponse",
        "pageInfo": {"totalResults": 0, "resultsPerPage": 5},
    }
    if item_list := list(items):
        response |= {
            "pageInfo": {"totalResults": len(item_list), "resultsPerPage": 5},
            "items": item_list,
        }
    return json_response(response)


def _build_upload(uploaded_at: datetime) -> dict[str, object]:
    published_at = f"{uploaded_at:%Y-%m-%dT%H:%M:%SZ}"
    return {"kind": "youtube#playlistItem", "contentDetails": {"videoPublishedAt": published_at}}


def _build_channel_item(channel: dict[str, Any]) -> dict[str, object]:
    return {
        "kind": "youtube#channel",
        "id": channel["id"],
        "snippet": {
            "title": channel["title"],
            "description": "",
            "customUrl": f"@{channel['handle'].lower()}",
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": f"UU{channel['id'][2:]}"}},
        "statistics": {
            "viewCount": "1284",
            "subscriberCount": "214",
            "hiddenSubscriberCount": False,
            "videoCount": str(len(channel["uploads"])),
        },
        "status": {"privacyStatus": "public", "isLinked": True},
    }


# --- X ---


def respond_twitter_api(
    accounts: Accounts, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return accounts by name or id."""
    if not _has_bearer_key(request, "twitter"):
        return _build_twitter_error(401, "Unauthorized")
    if demo_run.number == API_FAILURES["twitter"][0]:
        return _build_twitter_error(503, "Service Unavailable")
    parameter = {"/2/users/by": "usernames", "/2/users": "ids"}.get(request.path, "")
    names = request.query.get(parameter, "").split(",")
    pattern = r"[A-Za-z0-9_]{1,15}" if parameter == "usernames" else r"[0-9]{1,19}"
    are_valid = all(re.fullmatch(pattern, name) for name in names)
    if not parameter or len(names) > MAX_USERS_PER_REQUEST or not are_valid:
        return _build_twitter_error(400, "Invalid Request")
    response: dict[str, list[object]] = {}
    for name in dict.fromkeys(names):
        association = accounts.get(name.lower())
        user = build_twitter_user(association, demo_run) if association else {}
        is_known = user and name.lower() in (user["id"], user["username"].lower())
        if (
            association is None
            or not is_known
            or "is_deleted" in association.get_scenario("twitter")
        ):
            error = _build_lookup_error(name, parameter, "Not Found Error")
            response.setdefault("errors", []).append(error)
        elif user["is_suspended"]:
            error = _build_lookup_error(name, parameter, "Forbidden")
            response.setdefault("errors", []).append(error)
        else:
            response.setdefault("data", []).append(_build_user_item(user))
    return json_response(response)


def _build_twitter_error(status: int, title: str) -> FakeResponse:
    """Return an error for the whole request."""
    error = {"title": title, "detail": title, "type": "about:blank", "status": status}
    return json_response(error, status)


def _build_lookup_error(value: str, parameter: str, title: str) -> dict[str, str]:
    detail = f"Could not find user with {parameter}: [{value}]."
    return {
        "value": value,
        "resource_id": value,
        "resource_type": "user",
        "parameter": parameter,
        "title": title,
        "detail": f"User has been suspended: [{value}]." if title == "Forbidden" else detail,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }


def _build_user_item(user: dict[str, Any]) -> dict[str, object]:
    item: dict[str, object] = {
        "id": user["id"],
        "username": user["username"],
        "name": user["name"],
        "protected": user["is_protected"],
        "public_metrics": {
            "followers_count": 96,
            "following_count": 41,
            "tweet_count": user["post_count"],
        },
    }
    if user["site_url"]:
        link = {"url": f"https://t.co/p{user['id'][-6:]}", "expanded_url": user["site_url"]}
        item |= {"url": link["url"], "entities": {"url": {"urls": [link]}}}
    if user["newest_post_at"]:
        item["most_recent_post_id"] = make_post_id(user["newest_post_at"])
    return item


# --- Graph ---


def respond_graph_api(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return pages by name or id, or an error for all of them."""
    if not _has_bearer_key(request, "facebook"):
        return _build_graph_error(190, "Invalid OAuth access token - Cannot parse access token")
    if demo_run.number == API_FAILURES["facebook"][0]:
        return _build_graph_error(2, "An unexpected error has occurred.", status=500)
    ids = list(filter(None, request.query.get("ids", "").split(",")))
    if not 1 <= len(ids) <= MAX_IDS_PER_REQUEST:
        message = f"(#100) Between 1 and {MAX_IDS_PER_REQUEST} ids are expected: {len(ids)}."
        return _build_graph_error(100, message)
    found = {page_id: _find_page(accounts, page_id, demo_run) for page_id in ids}
    if unknown_names := [key for key, page in found.items() if not page and not key.isdigit()]:
        message = "(#803) Some of the aliases you requested do not exist: "
        return _build_graph_error(803, message + ",".join(unknown_names))
    for page_id, page in found.items():
        if not page or page["is_hidden"]:
            message = f"Unsupported get request. Object with ID '{page_id}' does not exist."
            return _build_graph_error(100, message, 33)
    fields = request.query.get("fields", "")
    return json_response({key: _build_graph_node(page, fields) for key, page in found.items()})


def _find_page(accounts: Accounts, requested_id: str, demo_run: DemoRun) -> dict[str, Any]:
    """Return the page with a name or id, or an empty one if it does not exist."""
    name = requested_id.lower().replace(".", "")
    association = accounts.get(name)
    if association is None:
        return {}
    scenario = association.get_scenario("facebook")
    if demo_run.number >= scenario.get("deleted_in_run", demo_run.number + 1):
        return {}
    page = build_facebook_page(association, demo_run, name)
    return {**page, "is_hidden": association.facebook == "hidden"}


def _build_graph_error(
    code: int, message: str, error_subcode: int | None = None, status: int = 400
) -> FakeResponse:
    """Return an error for the whole request."""
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if error_subcode:
        error["error_subcode"] = error_subcode
    return json_response({"error": {**error, "fbtrace_id": "demo-trace"}}, status)


def _build_graph_node(page: dict[str, Any], fields: str) -> dict[str, object]:
    """Return the id and the requested fields of a page."""
    limit_match = re.search(r"published_posts\.limit\((\d+)\)", fields)
    posts = [
        {"created_time": f"{posted_at:%Y-%m-%dT%H:%M:%S}+0000", "id": f"{page['id']}_{index}"}
        for index, posted_at in enumerate(
            page["posts"][: int(limit_match[1]) if limit_match else 25]
        )
    ]
    node: dict[str, object] = {
        "name": page["name"],
        "username": page["username"],
        "link": f"https://www.facebook.com/{page['username']}",
        "fan_count": 1284,
        "followers_count": 1310,
        "is_published": True,
        "published_posts": {"data": posts},
    }
    requested_fields = set(re.findall(r"[a-z_]+", re.sub(r"\.limit\(\d+\)|\{[^}]*\}", "", fields)))
    selected = {name: value for name, value in node.items() if name in requested_fields}
    return {"id": page["id"], **selected}


# --- The registry of .org domains ---

DOMAIN_SUFFIX = "-maroc.org"
REGISTRY_HOST = "rdap.publicinterestregistry.org"
SUCCESSOR_HOST = "rdap.registre-suivant.org"
"""The registry to which the first one redirects for a name that it no longer manages."""


def respond_domain_registry(
    sites: Mapping[str, DemoAssociation], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the RDAP record of a domain, as one of the two registries has it."""
    path_match = re.fullmatch(r"(?:/rdap)?/domain/(.*)", request.path)
    if path_match is None:
        return text_response("", 404)
    domain, number = path_match[1], demo_run.number
    association = sites.get(domain)
    scenario = SCENARIOS["domains"].get(association.id, {"days_left": 400}) if association else {}
    is_lost = number >= scenario.get("lost_in_run", number + 1)
    if association is None or not domain.endswith(DOMAIN_SUFFIX) or is_lost:
        return json_response({"errorCode": 404}, 404)
    if scenario.get("is_redirected") and request.host == REGISTRY_HOST:
        return redirect_response(f"https://{SUCCESSOR_HOST}/domain/{domain}", 302)
    if number == scenario.get("refused_in_run"):
        return json_response({"errorCode": 429}, 429)
    days_by_action = {"registration": -2_000}
    if "days_left" in scenario:
        is_renewed = number >= scenario.get("renewed_in_run", number + 1)
        days_by_action["expiration"] = scenario["days_left"] + (365 if is_renewed else 0)
    if "registrar_days_left" in scenario:
        days_by_action["registrar expiration"] = scenario["registrar_days_left"]
    events = [
        {"eventAction": action, "eventDate": demo_run.days_before_last_run(-days).isoformat()}
        for action, days in days_by_action.items()
    ]
    status = ["client transfer prohibited"]
    record = {"objectClassName": "domain", "ldhName": domain.upper(), "status": status}
    return json_response({**record, "events": events})


APIS: dict[str, tuple[str, PlatformHandler]] = {
    "www.googleapis.com": ("youtube", respond_youtube_api),
    "api.x.com": ("twitter", respond_twitter_api),
    "graph.facebook.com": ("facebook", respond_graph_api),
    REGISTRY_HOST: ("website", respond_domain_registry),
    SUCCESSOR_HOST: ("website", respond_domain_registry),
}
"""The channel and the handler of each host."""
