"""YouTube's API is trusted if it names a channel or leaves it out of a complete response."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.channels import youtube
from probes.channels.youtube.api import parse_channels_response, parse_uploads_response
from probes.models.finding import Account, DatePrecision, Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import ProbeResult, run_offline
from tests.support.api_responses import JSON, ago, page, played, queries, remembered

UC = "UCAnnourRabat00000000001"
OTHER = "UCAnotherChannel00000002"
KIND = {"kind": "youtube#channelListResponse"}
NOBODY = page({**KIND, "pageInfo": {"totalResults": 0, "resultsPerPage": 5}})
NO_VIDEO = page({"kind": "youtube#playlistItemListResponse", "items": []})


def _channel(channel_id: str = UC, **changes: object) -> dict[str, object]:
    return {
        "id": channel_id,
        "snippet": {
            "title": "Jamiya Annour",
            "customUrl": "@jamiyaannour",
            "description": "Visit https://www.annour.example/ or "
            "https://www.youtube.com/@elsewhere",
        },
        "statistics": {
            "subscriberCount": "1230",
            "videoCount": "42",
            "hiddenSubscriberCount": False,
        },
        "status": {"privacyStatus": "public"},
        "contentDetails": {"relatedPlaylists": {"uploads": f"UU{channel_id[2:]}"}},
    } | changes


def _channels(*channels: object, **more: object) -> Page:
    return page(
        {**KIND, "pageInfo": {"totalResults": len(channels)}, "items": list(channels), **more}
    )


def _uploads(*all_dates: datetime | str) -> Page:
    dates = [date if isinstance(date, str) else date.isoformat() for date in all_dates]
    items = [{"contentDetails": {"videoPublishedAt": date}} for date in dates]
    return page({"kind": "youtube#playlistItemListResponse", "items": items})


def _error(code: int, reason: str, **more: object) -> Page:
    details = {
        "code": code,
        "message": f"No: <b>{reason}</b>.",
        "errors": [{"reason": reason}],
        **more,
    }
    return page({"error": details}, code)


def _account(
    link: str = f"https://www.youtube.com/channel/{UC}", known_id: str | None = None
) -> Account:
    return remembered(Account("annour", link, youtube.identify(link)), known_id)


def _probe(
    *responses: Page | FetchError,
    link: str = f"https://www.youtube.com/channel/{UC}",
    known_id: str = "",
) -> ProbeResult:
    return played(youtube.probe_api(_account(link, known_id or None)), *responses)


HANDLE = "https://www.youtube.com/@JamiyaAnnour"


# --- API calls ---


def test_channel_is_requested_by_id_with_up_to_fifty_others() -> None:
    first, second = _probe(_channels(_channel()), NO_VIDEO).exchanges
    assert first.request.url == (
        "https://www.googleapis.com/youtube/v3/channels"
        f"?part=snippet,contentDetails,statistics,status&id={UC}&maxResults=50"
    )
    assert (
        first.request.api_call.joined_parameter,
        first.request.api_call.max_values,
        first.request.api_call.estimate_cost(50),
    ) == ("id", 50, 1)
    assert (second.request.api_call.joined_parameter, second.request.api_call.estimate_cost(1)) == (
        "",
        1,
    )
    assert second.request.url.endswith(
        f"playlistItems?part=contentDetails&playlistId=UU{UC[2:]}&maxResults=5"
    )


@pytest.mark.parametrize(
    ("link", "query"),
    [
        (HANDLE, {"forHandle": "@jamiyaannour"}),
        ("https://www.youtube.com/@جمعية", {"forHandle": "@جمعية"}),
        ("https://www.youtube.com/user/JamiyaAnnour", {"forUsername": "JamiyaAnnour"}),
    ],
)
def test_name_is_requested_alone(link: str, query: dict[str, str]) -> None:
    result = _probe(_channels(_channel()), NO_VIDEO, link=link)
    assert query.items() <= queries(result)[0].items()
    assert result.exchanges[0].request.api_call.joined_parameter == ""
    assert result.finding.presence is Presence.PRESENT
    assert result.finding.platform_id == UC


@pytest.mark.parametrize(
    "link", [HANDLE, "https://www.youtube.com/c/annour", "https://www.youtube.com/annour"]
)
def test_known_id_is_requested_instead_of_a_name(link: str) -> None:
    result = _probe(_channels(_channel()), NO_VIDEO, link=link, known_id=UC)
    assert queries(result)[0]["id"] == UC
    assert (result.finding.presence, result.finding.reason) == (Presence.PRESENT, None)


def test_custom_name_is_never_taken_for_a_handle() -> None:
    result = _probe(link="https://www.youtube.com/c/annour")
    assert result.exchanges == ()
    assert (result.finding.presence, result.finding.reason) == (
        Presence.UNKNOWN,
        Reason.NOT_CONFIGURED,
    )
    assert "by this kind of name" in result.finding.detail


def test_link_without_channel_is_not_requested() -> None:
    result = _probe(link="https://www.youtube.com/watch?v=00000000000")
    assert (result.exchanges, result.finding.reason) == ((), Reason.WRONG_TARGET)


def test_known_id_of_another_form_is_ignored() -> None:
    assert "forHandle" in queries(_probe(NOBODY, link=HANDLE, known_id="123456"))[0]


# --- What is there ---


def test_finding_has_website_and_newest_video_and_no_figures() -> None:
    finding = _probe(
        _channels(_channel()), _uploads(ago(days=9), ago(days=2), ago(days=30))
    ).finding
    assert (finding.presence, finding.reason, finding.name) == (
        Presence.PRESENT,
        None,
        "Jamiya Annour",
    )
    assert (finding.platform_id, finding.facts) == (UC, {})
    assert finding.final_url == "https://www.youtube.com/@jamiyaannour"
    assert [(link.channel, link.key) for link in finding.links] == [("website", "annour.example")]
    assert finding.last_activity is not None
    assert (finding.last_activity.published_at, finding.last_activity.source) == (
        ago(days=2),
        "uploads",
    )
    assert finding.last_activity.precision is DatePrecision.SECOND


def test_channel_without_videos_is_empty_without_second_request() -> None:
    finding = _probe(_channels(_channel(statistics={"videoCount": "0"}))).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, Reason.EMPTY)


def test_channel_without_video_count_is_not_empty() -> None:
    assert _probe(_channels(_channel(statistics={})), NO_VIDEO).finding.reason is None


@pytest.mark.parametrize(
    ("status", "reason"), [("private", Reason.PRIVATE), ("unlisted", None), ("public", None)]
)
def test_only_private_channel_is_private(status: str, reason: Reason | None) -> None:
    responses = [
        _channels(_channel(status={"privacyStatus": status})),
        *([] if reason else [NO_VIDEO]),
    ]
    finding = _probe(*responses).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, reason)


def test_former_handle_of_the_known_channel_is_renamed() -> None:
    renamed = _channel(snippet={"title": "Annour", "customUrl": "@annour-maroc"})
    finding = _probe(_channels(renamed), NO_VIDEO, link=HANDLE, known_id=UC).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, Reason.RENAMED)
    assert (finding.detail, finding.platform_id) == ("answers as @annour-maroc", UC)
    assert finding.final_url == "https://www.youtube.com/@annour-maroc"


@pytest.mark.parametrize("custom", ["@JamiyaAnnour", "@jamiyaannour", "jamiyatv", None, 7])
def test_other_case_and_legacy_names_are_no_rename(custom: object) -> None:
    channel = _channel(snippet={"title": "Annour", "customUrl": custom})
    assert _probe(_channels(channel), NO_VIDEO, link=HANDLE, known_id=UC).finding.reason is None


def test_taken_handle_is_renamed_without_data_of_the_other_channel() -> None:
    result = _probe(NOBODY, _channels(_channel(OTHER)), link=HANDLE, known_id=UC)
    finding = result.finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.PRESENT,
        Reason.RENAMED,
        OTHER,
    )
    assert finding.detail == f"another channel answers under this name: {OTHER} Jamiya Annour"
    assert (finding.name, finding.links) == (None, ())
    assert finding.final_url == f"https://www.youtube.com/channel/{OTHER}"


def test_channel_found_by_name_is_present() -> None:
    result = _probe(NOBODY, _channels(_channel()), NO_VIDEO, link=HANDLE, known_id=UC)
    assert (result.finding.presence, result.finding.reason) == (Presence.PRESENT, None)


# --- What is not there ---


@pytest.mark.parametrize(
    "response", [NOBODY, _channels(), page({**KIND}), _channels(_channel(OTHER))]
)
def test_id_missing_from_complete_response_is_not_found(response: Page) -> None:
    finding = _probe(response).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.ABSENT,
        Reason.NOT_FOUND,
        UC,
    )
    assert finding.final_url == f"https://www.youtube.com/channel/{UC}"


def test_only_the_missing_channel_of_one_call_is_not_found() -> None:
    response = _channels(_channel(OTHER), _channel())
    assert _probe(response, NO_VIDEO).finding.platform_id == UC
    missing = _probe(
        response, link="https://www.youtube.com/channel/UCGone000000000000000003"
    ).finding
    assert (missing.presence, missing.reason) == (Presence.ABSENT, Reason.NOT_FOUND)


def test_unknown_name_is_not_found() -> None:
    assert _probe(NOBODY, link=HANDLE).finding.reason is Reason.NOT_FOUND
    finding = _probe(NOBODY, NOBODY, link=HANDLE, known_id=UC).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.ABSENT,
        Reason.NOT_FOUND,
        UC,
    )


def test_missing_id_proves_nothing_without_answer_for_its_name() -> None:
    spent = FetchError(Reason.RATE_LIMITED, "tonight's budget of 100 units is spent")
    finding = _probe(NOBODY, spent, link=HANDLE, known_id=UC).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.RATE_LIMITED)


CUT = {
    "more-pages": _channels(_channel(OTHER), nextPageToken="CAUQAA"),
    "more-results": _channels(_channel(OTHER), pageInfo={"totalResults": 2}),
    "no-id": _channels(_channel(OTHER), {"snippet": {}}),
    "no-list": page({**KIND, "items": {"0": _channel()}}),
    "other-case": _channels(_channel(UC.swapcase().replace("uc", "UC", 1))),
    "other-kind": page({"kind": "youtube#videoListResponse", "items": []}),
    "no-json": page(
        b"<html><title>Hello</title><body>A captive portal's long welcome</body></html>"
    ),
    "no-object": page([]),
    "empty": page(b""),
    "deep": page(b"[" * 100_000),
    "cut": replace(NOBODY, truncated=True),
}


@pytest.mark.parametrize("name", CUT)
def test_incomplete_response_proves_nothing(name: str) -> None:
    finding = _probe(CUT[name]).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)
    assert _probe(CUT["cut"], link=HANDLE).finding.presence is Presence.UNKNOWN


def test_several_channels_for_one_name_prove_nothing() -> None:
    finding = _probe(_channels(_channel(), _channel(OTHER)), link=HANDLE).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


# --- Errors ---


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_error(400, "keyInvalid"), Reason.NOT_CONFIGURED),
        (_error(400, "badRequest", details=[{"reason": "API_KEY_INVALID"}]), Reason.NOT_CONFIGURED),
        (_error(401, "authError"), Reason.NOT_CONFIGURED),
        (page(b"no", 401), Reason.NOT_CONFIGURED),
        (_error(403, "accessNotConfigured"), Reason.NOT_CONFIGURED),
        (_error(403, "forbidden"), Reason.NOT_CONFIGURED),
        (_error(403, "ipRefererBlocked"), Reason.NOT_CONFIGURED),
        (_error(403, "x", details=[{"reason": "SERVICE_DISABLED"}]), Reason.NOT_CONFIGURED),
        (_error(403, "quotaExceeded"), Reason.RATE_LIMITED),
        (_error(403, "rateLimitExceeded"), Reason.RATE_LIMITED),
        (_error(403, "dailyLimitExceeded"), Reason.RATE_LIMITED),
        (_error(429, "userRateLimitExceeded"), Reason.RATE_LIMITED),
        (_error(429, "x", status="RESOURCE_EXHAUSTED"), Reason.RATE_LIMITED),
        (page(b"", 429), Reason.RATE_LIMITED),
    ],
)
def test_refused_key_or_quota_refuses_the_api(error: Page, reason: Reason) -> None:
    refusal = parse_channels_response(error).refusal
    assert refusal is not None
    assert refusal[0] is reason
    finding = _probe(error).finding
    assert (finding.presence, finding.reason, finding.status) == (
        Presence.UNKNOWN,
        reason,
        error.status,
    )


@pytest.mark.parametrize(
    ("error", "presence", "reason"),
    [
        (_error(403, "channelSuspended"), Presence.ABSENT, Reason.SUSPENDED),
        (_error(403, "channelClosed"), Presence.ABSENT, Reason.CLOSED),
        (_error(404, "channelNotFound"), Presence.ABSENT, Reason.NOT_FOUND),
        (_error(403, "channelForbidden"), Presence.UNKNOWN, Reason.BLOCKED),
        (_error(400, "invalidCriteria"), Presence.UNKNOWN, Reason.UNREADABLE),
    ],
)
def test_error_of_one_channel_affects_only_that_channel(
    error: Page, presence: Presence, reason: Reason
) -> None:
    response = parse_channels_response(error)
    assert (response.is_single_item_error, response.refusal) == (True, None)
    assert (_probe(error).finding.presence, _probe(error).finding.reason) == (presence, reason)
    assert "<b>" not in _probe(error).finding.detail
    joined = replace(error, url=f"https://www.googleapis.com/youtube/v3/channels?id={UC},{OTHER}")
    assert (_probe(joined).finding.presence, _probe(joined).finding.reason) == (
        Presence.UNKNOWN,
        Reason.UNREADABLE,
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_error(500, "backendError"), Reason.SERVER_ERROR),
        (page(b"<title>Error 503</title>", 503), Reason.SERVER_ERROR),
        (page(b"<html><title>403 Forbidden</title></html>", 403), Reason.BLOCKED),
        (page(b"<html><title>404 Not Found</title></html>", 404), Reason.UNREADABLE),
        (page({"error": {"errors": {"reason": "channelSuspended"}}}, 404), Reason.UNREADABLE),
    ],
)
def test_other_errors_prove_nothing_and_refuse_nothing(error: Page, reason: Reason) -> None:
    response = parse_channels_response(error)
    assert (response.is_single_item_error, response.refusal, response.is_well_formed) == (
        False,
        None,
        False,
    )
    assert (_probe(error).finding.presence, _probe(error).finding.reason) == (
        Presence.UNKNOWN,
        reason,
    )


# --- The newest video ---


@pytest.mark.parametrize(
    "error_reason",
    [
        _error(404, "playlistNotFound"),
        _error(403, "quotaExceeded"),
        _error(403, "forbidden"),
        page(b"", 500),
        page({"kind": "youtube#channelListResponse"}),
        page({"kind": "youtube#playlistItemListResponse", "items": 3}),
        FetchError(Reason.RATE_LIMITED, "tonight's budget of 100 units is spent"),
    ],
)
def test_error_for_uploads_costs_only_the_date(error_reason: Page | FetchError) -> None:
    finding = _probe(_channels(_channel()), error_reason).finding
    assert (finding.presence, finding.reason, finding.last_activity) == (
        Presence.PRESENT,
        None,
        None,
    )


def test_detail_explains_a_missing_date() -> None:
    spent = FetchError(Reason.RATE_LIMITED, "tonight's budget of 100 units is spent")
    assert (
        _probe(_channels(_channel()), spent).finding.detail
        == "tonight's budget of 100 units is spent"
    )
    assert (
        _probe(_channels(_channel()), _error(404, "playlistNotFound")).finding.detail
        == "No: playlistNotFound."
    )


def test_forbidden_playlist_does_not_refuse_the_api() -> None:
    assert parse_uploads_response(_error(403, "forbidden")).refusal is None
    assert parse_uploads_response(_error(403, "quotaExceeded")).refusal is not None


def test_future_videos_are_ignored() -> None:
    response = _uploads(
        ago(days=-3), ago(days=-400), "1970-01-01T00:00:00Z", ago(days=5), "soon", "2026-11-01"
    )
    newest = _probe(_channels(_channel()), response).finding.last_activity
    assert newest is not None
    assert newest.published_at == ago(days=5)


def test_slightly_fast_clock_is_accepted() -> None:
    newest = _probe(_channels(_channel()), _uploads(ago(hours=-2))).finding.last_activity
    assert newest is not None


def test_uploads_playlist_is_requested_by_its_id() -> None:
    lists = {"relatedPlaylists": {"uploads": "UUOther000000000000000009"[:24]}}
    result = _probe(_channels(_channel(contentDetails=lists)), NO_VIDEO)
    assert queries(result)[1]["playlistId"] == "UUOther00000000000000000"
    result = _probe(
        _channels(_channel(contentDetails={"relatedPlaylists": {"uploads": "../x?y"}})), NO_VIDEO
    )
    assert queries(result)[1]["playlistId"] == f"UU{UC[2:]}"


# --- No answer is too strange ---

_ITEM = st.fixed_dictionaries(
    {"id": st.sampled_from([UC, OTHER]) | JSON},
    optional=dict.fromkeys(("snippet", "statistics", "status", "contentDetails"), JSON),
)
_SHAPED = st.fixed_dictionaries(
    {"kind": st.sampled_from(["youtube#channelListResponse", "youtube#playlistItemListResponse"])},
    optional={"items": st.lists(_ITEM, max_size=3) | JSON, "pageInfo": JSON, "error": JSON},
)


@given(
    data=_SHAPED | JSON,
    status=st.sampled_from([200, 200, 400, 403, 404, 500]),
    link=st.sampled_from([HANDLE, f"https://www.youtube.com/channel/{UC}"]),
    known_id=st.sampled_from([None, UC, OTHER, ""]),
)
def test_probe_accepts_any_response(
    data: object, status: int, link: str, known_id: str | None
) -> None:
    response = page(data, status)
    result = run_offline(
        youtube.probe_api(_account(link, known_id)),
        lambda request: replace(response, url=request.url),
    )
    assert len(result.exchanges) <= 3
    if status >= 500:
        assert result.finding.presence is Presence.UNKNOWN
    if result.finding.last_activity:
        assert result.finding.last_activity.published_at <= ago(days=-1)
