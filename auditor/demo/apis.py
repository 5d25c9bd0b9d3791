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
from collections.abc import Mapping
from typing import Any

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    API_FAILURES,
    DEMO_API_KEYS,
    SCENARIOS,
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


def _has_bearer_key(request: FakeRequest, channel: str) -> bool:
    return request.headers.get("authorization", "") == f"Bearer {DEMO_API_KEYS[channel]}"


# --- YouTube ---


def respond_youtube_api(
    accounts: Accounts, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return channels, or the newest uploads of a channel."""
    if request.headers.get("x-goog-api-key") != DEMO_API_KEYS["youtube"]:
        return _build_youtube_error(400, "keyInvalid", "API key not valid.")
    if demo_run.number == API_FAILURES["youtube"][0]:
        return _build_youtube_error(403, "quotaExceeded", "You have exceeded your quota.")
    query, items = request.query, list[dict[str, object]]()
    if request.path == "/youtube/v3/channels":
        # no channel of the demo has an old-style username
        ids = query.get("id", "").split(",")
        names = [query["forHandle"].removeprefix("@")] if "forHandle" in query else ids
        for channel in _find_channels(accounts, names, demo_run):
            playlists = {"likes": "", "uploads": f"UU{channel['id'][2:]}"}
            item = {
                "kind": "youtube#channel",
                "id": channel["id"],
                "snippet": {
                    "title": channel["title"],
                    "description": "",
                    "customUrl": f"@{channel['handle'].lower()}",
                },
                "contentDetails": {"relatedPlaylists": playlists},
                "statistics": {
                    "viewCount": "1284",
                    "subscriberCount": "214",
                    "hiddenSubscriberCount": False,
                    "videoCount": str(len(channel["uploads"])),
                },
                "status": {"privacyStatus": "public", "isLinked": True},
            }
            items.append(item)
        return _build_youtube_list("channel", items)
    key = f"UC{query.get('playlistId', '').removeprefix('UU')}"
    found = _find_channels(accounts, [key], demo_run)
    if request.path != "/youtube/v3/playlistItems" or not found or not found[0]["uploads"]:
        return _build_youtube_error(404, "playlistNotFound", "The playlist cannot be found.")
    for uploaded_at in found[0]["uploads"][:5]:
        details = {"videoPublishedAt": f"{uploaded_at:%Y-%m-%dT%H:%M:%SZ}"}
        items.append({"kind": "youtube#playlistItem", "contentDetails": details})
    return _build_youtube_list("playlistItem", items)


def _build_youtube_error(status: int, reason: str, message: str) -> FakeResponse:
    """Return an error in the format of Google's APIs."""
    domain = "youtube.quota" if status == 403 else "global"
    error = {"message": message, "domain": domain, "reason": reason}
    return json_response({"error": {"code": status, "message": message, "errors": [error]}}, status)


def _find_channels(accounts: Accounts, keys: list[str], demo_run: DemoRun) -> list[dict[str, Any]]:
    """Return the existing channels with these names or ids."""
    return [
        build_youtube_channel(association, demo_run)
        for association in (accounts.get(key.lower()) for key in dict.fromkeys(keys))
        if association is not None and not is_terminated(association, demo_run)
    ]


def _build_youtube_list(kind: str, items: list[dict[str, object]]) -> FakeResponse:
    """Return a list response. One without items has no such field."""
    page_info = {"totalResults": len(items), "resultsPerPage": 5}
    response = {"kind": f"youtube#{kind}ListResponse", "pageInfo": page_info}
    return json_response({**response, "items": items} if items else response)


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
            response.setdefault("errors", []).append({"value": name, "title": "Not Found Error"})
        elif user["is_suspended"]:
            error = {"title": "Forbidden", "detail": f"User has been suspended: [{name}]."}
            response.setdefault("errors", []).append({"value": name, **error})
        else:
            response.setdefault("data", []).append(_build_user_item(user))
    return json_response(response)


def _build_twitter_error(status: int, title: str) -> FakeResponse:
    """Return an error for the whole request."""
    return json_response(
        {"title": title, "detail": title, "type": "about:blank", "status": status}, status
    )


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
    found = {page_id: _find_page(accounts, page_id, demo_run) for page_id in ids}
    if unknown_names := [key for key, page in found.items() if not page and not key.isdigit()]:
        message = "(#803) Some of the aliases you requested do not exist: "
        return _build_graph_error(803, message + ",".join(unknown_names))
    for page_id, page in found.items():
        if not page or page["is_hidden"]:
            message = f"Unsupported get request. Object with ID '{page_id}' does not exist."
            return _build_graph_error(100, message, 33)
    nodes: dict[str, dict[str, object]] = {}
    for page_id, page in found.items():
        posts = [
            {"created_time": f"{posted_at:%Y-%m-%dT%H:%M:%S}+0000", "id": f"{page['id']}_{index}"}
            # the auditor asks for five posts
            for index, posted_at in enumerate(page["posts"][:5])
        ]
        nodes[page_id] = {
            "id": page["id"],
            "name": page["name"],
            "username": page["username"],
            "published_posts": {"data": posts},
        }
    return json_response(nodes)


def _find_page(accounts: Accounts, requested_id: str, demo_run: DemoRun) -> dict[str, Any]:
    """Return the page with a name or id, or an empty one if it does not exist."""
    name = requested_id.lower().replace(".", "")
    association = accounts.get(name)
    if association is None:
        return {}
    scenario = association.get_scenario("facebook")
    if demo_run.number >= scenario.get("deleted_in_run", demo_run.number + 1):
        return {}
    return {
        **build_facebook_page(association, demo_run, name),
        "is_hidden": association.facebook == "hidden",
    }


def _build_graph_error(
    code: int, message: str, error_subcode: int | None = None, status: int = 400
) -> FakeResponse:
    """Return an error for the whole request."""
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if error_subcode:
        error["error_subcode"] = error_subcode
    return json_response({"error": {**error, "fbtrace_id": "demo-trace"}}, status)


# --- The registry of .org domains ---

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
    if association is None or not domain.endswith("-maroc.org") or is_lost:
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
