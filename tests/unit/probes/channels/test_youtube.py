"""YouTube: identification of links, and channel pages are judged by YouTube's own messages."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from probes.channels import youtube
from probes.channels.youtube.page import ChannelPage, parse_channel_page
from probes.models.finding import Account, Presence, Reason
from probes.models.http import Page, PageRequest
from probes.models.probe import run_offline
from tests.support.findings import verdict

UC = "UCAnnour0000000000000001"
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown_count", "followers"),
    [
        ("1.23K subscribers", 1230),
        ("1,234 subscribers", 1234),
        ("1 subscriber", 1),
        ("2.5M subscribers", 2_500_000),
        ("1,23 k abonnés", 1230),
        ("1 234 abonnés", 1234),
        ("2,5 M d’abonnés", 2_500_000),
        ("1.23 ألف مشترك", 1230),
        ("١٫٢ مليون مشترك", 1_200_000),
        ("345 مشتركًا", 345),
        ("مشترك واحد", 1),
        ("مشتركان", 2),
        ("4,2K followers", 4200),
        ("3 آلاف متابع", 3000),
        ("12 personnes suivent", 12),
        ("1.234.567K followers", None),
        ("34 videos", None),
        ("No subscribers", None),
        ("1,23 тыс. подписчиков", None),
    ],
)
def test_followers_are_parsed_in_three_languages(shown_count: str, followers: int | None) -> None:
    header = {"pageHeaderRenderer": {"row": {"content": shown_count}}}
    assert _parse_data({"header": header}).followers == followers


def test_only_the_first_request_is_the_registered_link() -> None:
    requests: list[PageRequest] = []
    tab = {"endpoint": {"commandMetadata": {"webCommandMetadata": {"url": "/@a/videos"}}}}
    data = {
        "contents": {"twoColumnBrowseResultsRenderer": {"tabs": [{"tabRenderer": tab}]}},
        "metadata": {"channelMetadataRenderer": {"externalId": UC}},
    }

    def answer(request: PageRequest) -> Page:
        requests.append(request)
        return _page(request.url, data)

    run_offline(youtube.probe(_account(f"https://www.youtube.com/channel/{UC}")), answer)
    assert [
        (request.url.rpartition("/")[2], request.is_registered_link) for request in requests
    ] == [(UC, True), ("videos", False)]


def test_future_upload_is_no_activity() -> None:
    tab = {
        "selected": True,
        "endpoint": {"commandMetadata": {"webCommandMetadata": {"url": "/@a/videos"}}},
        "content": [
            {"videoRenderer": {"publishedTimeText": {"simpleText": "Premieres 3/12/2027, 19:00"}}}
        ],
    }
    data = {"contents": {"twoColumnBrowseResultsRenderer": {"tabs": [{"tabRenderer": tab}]}}}
    assert _parse_data(data).newest_upload is None


MISSING = {"alerts": [{"alertRenderer": {"type": "ERROR", "text": "This channel does not exist."}}]}


ANNOUR = "https://www.youtube.com/@annour"
NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body></body></html>"


@pytest.mark.parametrize("title", [True, False], ids=["title", "alert"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2F%40annour",
            Reason.CONSENT,
        ),
        ("https://accounts.google.com/v3/signin", Reason.LOGIN_WALL),
        ("https://www.google.com/sorry/index", Reason.RATE_LIMITED),
        ("https://portal.example/@annour", None),
        ("https://notyoutube.com/@annour", None),
        ("https://www.youtube.com/@somebody-else", None),
        ("https://www.youtube.com/", None),
        ("https://www.youtube.com/signin?next=%2F%40annour", Reason.LOGIN_WALL),
    ],
)
def test_absence_message_counts_only_at_the_channel_url(
    url: str, reason: Reason | None, title: bool
) -> None:
    page = Page(url, 404, body=NOT_FOUND, fetched_at=NOW) if title else _page(url, MISSING)
    assert verdict(run_offline(youtube.probe(_account(ANNOUR)), lambda request: page).finding) == (
        Presence.UNKNOWN,
        reason or Reason.UNREADABLE,
    )


@pytest.mark.parametrize("url", [ANNOUR, "https://m.youtube.com/@Annour", f"{ANNOUR}?hl=fr"])
def test_absence_message_counts_on_any_youtube_host(url: str) -> None:
    for page in (Page(url, 404, body=NOT_FOUND, fetched_at=NOW), _page(url, MISSING)):
        assert verdict(
            run_offline(youtube.probe(_account(ANNOUR)), lambda request, page=page: page).finding
        ) == (Presence.ABSENT, Reason.NOT_FOUND)


def test_absence_message_under_a_wall_proves_nothing() -> None:
    page = replace(_page(ANNOUR, MISSING), headers={"cf-mitigated": "challenge"})
    assert verdict(run_offline(youtube.probe(_account(ANNOUR)), lambda request: page).finding) == (
        Presence.UNKNOWN,
        Reason.BLOCKED,
    )


def _account(link: str) -> Account:
    return Account("annour", link, youtube.identify(link))


def _page(url: str, data: object) -> Page:
    body = (
        f"<html><head></head><body><script>var ytInitialData = {json.dumps(data)};</script>"
        f"</body></html>"
    )
    return Page(
        url, 200, {"content-type": "text/html; charset=utf-8"}, body.encode(), fetched_at=NOW
    )


def _parse_data(data: object) -> ChannelPage:
    return parse_channel_page(_page("https://www.youtube.com/@annour", data))
