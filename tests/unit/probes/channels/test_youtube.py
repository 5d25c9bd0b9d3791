"""YouTube: identification of links, and channel pages are judged by YouTube's own messages."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from probes.channels import youtube
from probes.channels.youtube.page import parse_channel_page
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline

UC = "UCAnnour0000000000000001"
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

CHANNELS = {
    f"https://www.youtube.com/channel/{UC}/videos?disable_polymer=1": UC,
    f"https://m.youtube.com/channel/{UC}?app=desktop": UC,
    f"https://music.youtube.com/browse/{UC}": UC,
    f"https://studio.youtube.com/channel/{UC}/videos": UC,
    f"https://www.youtube.com/channel/{UC}%20": UC,
    f"https://www.youtube.com/channel/{UC}).": UC,
    f"https://www.youtube.com/feeds/videos.xml?channel_id={UC}": UC,
    "https://www.youtube.com/@JamiyaAnnour?si=x": "@jamiyaannour",
    "https://www.youtube.com/@jamiya.annour/shorts": "@jamiya.annour",
    "https://youtube.fr/@jamiya-annour": "@jamiya-annour",
    "https://www.youtube.com/@%D8%AC%D9%85%D8%B9%D9%8A%D8%A9": "@جمعية",
    "https://www.youtube.com/\u200e@جمعية\u200f": "@جمعية",
    "https://www.youtube.com/c/@jamiyaannour": "@jamiyaannour",
    "https://www.youtube.com/c/JamiyaAnnour/featured": "c/jamiyaannour",
    "https://www.youtube.com/c/%D8%A7%D9%84%D9%86%D9%88%D8%B1": "c/النور",
    "https://www.youtube.com/JamiyaAnnour": "c/jamiyaannour",
    "https://www.youtube.com//JamiyaAnnour/videos": "c/jamiyaannour",
    "https://www.youtube.com/watchannour": "c/watchannour",
    "https://www.youtube.com/user/JamiyaAnnour/videos": "user/jamiyaannour",
    "https://www.youtube.com/subscription_center?add_user=JamiyaAnnour": "user/jamiyaannour",
    "https://m.youtube.com/?hl=fr#/user/JamiyaAnnour?noapp=1": "user/jamiyaannour",
    "https://m.youtube.com/profile?hl=fr&user=JamiyaAnnour": "user/jamiyaannour",
}

NOT_CHANNELS = {
    "https://www.youtube.com/": LinkKind.HOME,
    "https://www.youtube.com/#": LinkKind.HOME,
    "https://www.youtube.com/watch?v=00000000000&t=10": LinkKind.POST,
    "https://www.youtube.com/?v=00000000000": LinkKind.POST,
    "https://youtu.be/00000000000%5D": LinkKind.POST,
    "https://youtu.be/c/JamiyaAnnour": LinkKind.POST,
    "https://www.youtube.com/shorts/00000000000/more": LinkKind.POST,
    "https://m.youtube.com/?hl=fr&gl=FR#%2Fwatch%3Fv%3D00000000000": LinkKind.POST,
    "https://www.youtube.com/playlist?list=PL0000000000000000": LinkKind.POST,
    "https://www.youtube.com/results?search_query=annour": LinkKind.SEARCH,
    "https://www.youtube.com/hashtag/annour": LinkKind.SEARCH,
    "https://www.youtube.com/channel/": LinkKind.INVALID,
    "https://www.youtube.com/c/": LinkKind.INVALID,
    "https://www.youtube.com/user/jamiya@annour": LinkKind.INVALID,
    "https://www.youtube.com/premium": LinkKind.INVALID,
    "https://www.youtube.com/signin_prompt": LinkKind.INVALID,
    "https://www.youtube.com/this/is/too/long": LinkKind.INVALID,
    "https://www.youtube.com/@ab": LinkKind.INVALID,
    "https://www.youtube.com/@jamiya..annour": LinkKind.INVALID,
    "https://www.youtube.com/profile_redirector/100000000000000000000": LinkKind.INVALID,
    "https://accounts.youtube.com/signin?next=https%3A%2F%2Fother.example%2F%40x": LinkKind.INVALID,
}

OTHER_FORMS = {
    "https://www.youtube.com/fr/@annour": "@annour",
    "https://www.youtube.com/ar/c/JamiyaAnnour": "c/jamiyaannour",
    f"https://www.youtube.com/{UC}": UC,
    f"https://www.youtube.com/@{UC}": UC,
    f"https://www.youtube.com/user/{UC}": UC,
    "https://www.youtube.com/verify_age?next_url=/user/JamiyaAnnour": "user/jamiyaannour",
    "https://www.youtube.com/annour.ma": "c/annour.ma",
    "https://youtu.be/@annour": "@annour",
    "https://www.youtube.com/@@annour": "@annour",
}

# YouTube's own pages and hosts, and places where no channel can be.
OWN_PAGES = (
    *("help", "legal", "terms", "press", "policies", "copyright", "create", "share?url=x"),
    *("videos", "playlists", "podcasts", "home", "index.html", "channel_switcher", "my_videos"),
    *("player_api", "iframe_api", "csi_204", "opensearch", "sw.js", "robots.txt"),
    *("feed/trending", "channel/@annour", "user/@annour", "@", "intl/fr/about"),
)


@pytest.mark.parametrize(("link", "key"), OTHER_FORMS.items())
def test_unusual_link_identifies_its_channel(link: str, key: str) -> None:
    assert identify_link(link).key == key


@pytest.mark.parametrize("path", OWN_PAGES)
def test_page_of_youtube_itself_is_no_channel(path: str) -> None:
    identity = identify_link(f"https://www.youtube.com/{path}")
    assert (identity.channel, identity.kind, identity.key) == ("youtube", LinkKind.INVALID, None)


@pytest.mark.parametrize("subdomain", ["accounts", "consent", "creators", "artists"])
def test_other_host_of_youtube_shows_no_channel(subdomain: str) -> None:
    assert identify_link(f"https://{subdomain}.youtube.com/annour").key is None


@pytest.mark.parametrize(("link", "key"), CHANNELS.items())
def test_channel_is_identified_in_every_link_form(link: str, key: str) -> None:
    identity = youtube.identify(link)
    assert (identity.kind, identity.key) == (LinkKind.PROFILE, key)


@pytest.mark.parametrize(("link", "kind"), NOT_CHANNELS.items())
def test_link_without_channel_has_no_key(link: str, kind: LinkKind) -> None:
    identity = youtube.identify(link)
    assert (identity.kind, identity.key) == (kind, None)


def test_lower_case_id_is_invalid() -> None:
    identity = youtube.identify(f"https://www.youtube.com/channel/{UC.lower()}")
    assert (identity.kind, identity.key, identity.note) == (LinkKind.INVALID, None, "case_damaged")


def test_placeholder_of_a_theme_gets_a_note() -> None:
    assert youtube.identify("https://youtube.com/c/your-custom-name").note == "placeholder"


def test_canonical_url_keeps_the_case_as_typed() -> None:
    identity = youtube.identify("http://youtube.com/user/JamiyaAnnour?feature=x")
    assert identity.canonical == "https://www.youtube.com/user/JamiyaAnnour"


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("@JamiyaAnnour", "@jamiyaannour"),
        ("jamiya.annour", "@jamiya.annour"),
        ("@جمعية", "@جمعية"),
        (UC, UC),
        (f"channel/{UC}", UC),
        (f"/channel/{UC}", UC),
        ("/@JamiyaAnnour", "@jamiyaannour"),
        (f"@{UC}", UC),
        ("user/JamiyaAnnour", "user/jamiyaannour"),
        ("c/JamiyaAnnour", "c/jamiyaannour"),
    ],
)
def test_bare_handle_in_the_youtube_column_is_identified(typed: str, key: str) -> None:
    assert youtube.identify_bare(typed).key == key


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@ab",
        "jamiya annour",
        "channel/UC1",
        "user/a@b",
        "@" + "a" * 31,
        "جمعية النور",
        "@youtube.com",
    ],
)
def test_impossible_handle_is_invalid(typed: str) -> None:
    identity = youtube.identify_bare(typed)
    assert (identity.kind, identity.key) == (LinkKind.INVALID, None)


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


def test_data_late_in_a_large_page_is_found() -> None:
    page = _page(
        "https://www.youtube.com/@annour",
        {"metadata": {"channelMetadataRenderer": {"title": "Annour"}}},
    )
    large = replace(
        page,
        body=page.body.replace(b"<script>", b"<style>" + b"a{}" * 250_000 + b"</style><script>"),
    )
    assert parse_channel_page(large).name == "Annour"


def test_warning_alerts_are_no_absence() -> None:
    alert = {
        "alertRenderer": {"type": "WARNING", "text": {"simpleText": "This channel does not exist."}}
    }
    data = {"alerts": [alert, alert]}
    account = _account("https://www.youtube.com/@annour")
    finding = run_offline(youtube.probe(account), lambda request: _page(request.url, data)).finding
    assert finding.presence == "unknown"


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


def test_link_without_channel_makes_no_request() -> None:
    result = run_offline(
        youtube.probe(_account("https://www.youtube.com/watch?v=00000000000")),
        lambda request: _page(request.url, {}),
    )
    assert result.exchanges == ()
    assert result.finding.reason is Reason.WRONG_TARGET


MISSING = {"alerts": [{"alertRenderer": {"type": "ERROR", "text": "This channel does not exist."}}]}


def channel(uc: str, handle: str) -> dict[str, object]:
    data = {
        "externalId": uc,
        "title": "Annour",
        "vanityChannelUrl": f"http://www.youtube.com/@{handle}",
    }
    return {"metadata": {"channelMetadataRenderer": data}}


def remembered(link: str, uc: str) -> Account:
    return replace(_account(link), previous_finding=Finding(Presence.PRESENT, platform_id=uc))


def test_missing_handle_of_existing_id_is_renamed() -> None:
    responses = {
        "https://www.youtube.com/@annour": MISSING,
        f"https://www.youtube.com/channel/{UC}": channel(UC, "annour-rabat"),
    }
    result = run_offline(
        youtube.probe(remembered("https://www.youtube.com/@annour", UC)),
        lambda request: _page(request.url, responses[request.url]),
    )
    assert (result.finding.presence, result.finding.reason) == (Presence.PRESENT, Reason.RENAMED)
    assert (result.finding.platform_id, "@annour-rabat" in result.finding.detail) == (UC, True)
    assert [exchange.request.is_registered_link for exchange in result.exchanges] == [True, False]


def test_missing_handle_and_id_are_absent() -> None:
    result = run_offline(
        youtube.probe(remembered("https://www.youtube.com/@annour", UC)),
        lambda request: _page(request.url, MISSING),
    )
    assert (result.finding.presence, result.finding.reason) == (Presence.ABSENT, Reason.NOT_FOUND)
    assert len(result.exchanges) == 2


def test_missing_handle_with_walled_id_is_unknown() -> None:
    def answer(request: PageRequest) -> Page | FetchError:
        return (
            FetchError(Reason.CONSENT)
            if "/channel/" in request.url
            else _page(request.url, MISSING)
        )

    result = run_offline(youtube.probe(remembered("https://www.youtube.com/@annour", UC)), answer)
    assert (result.finding.presence, result.finding.reason) == (Presence.UNKNOWN, Reason.CONSENT)


def test_taken_handle_is_renamed() -> None:
    other_channel = channel("UCSomebody00000000000002", "annour")
    result = run_offline(
        youtube.probe(remembered("https://www.youtube.com/@annour", UC)),
        lambda request: _page(request.url, other_channel),
    )
    assert (result.finding.presence, result.finding.reason) == (Presence.PRESENT, Reason.RENAMED)


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
        ("https://www.youtube.com/signin?next=%2F%40annour", None),
    ],
)
def test_absence_message_counts_only_at_the_channel_url(
    url: str, reason: Reason | None, title: bool
) -> None:
    page = Page(url, 404, body=NOT_FOUND, fetched_at=NOW) if title else _page(url, MISSING)
    finding = run_offline(youtube.probe(_account(ANNOUR)), lambda request: page).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason or Reason.UNREADABLE)


@pytest.mark.parametrize("url", [ANNOUR, "https://m.youtube.com/@Annour", f"{ANNOUR}?hl=fr"])
def test_absence_message_counts_on_any_youtube_host(url: str) -> None:
    for page in (Page(url, 404, body=NOT_FOUND, fetched_at=NOW), _page(url, MISSING)):
        finding = run_offline(
            youtube.probe(_account(ANNOUR)), lambda request, page=page: page
        ).finding
        assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.NOT_FOUND)


def test_contradicting_page_proves_nothing() -> None:
    here = channel(UC, "annour")
    both = _page(ANNOUR, here | MISSING)
    title = _page(ANNOUR, here)
    title = replace(title, status=404, body=NOT_FOUND.replace(b"<body>", b"<body>" + title.body))
    for page in (both, title):
        finding = run_offline(
            youtube.probe(_account(ANNOUR)), lambda request, page=page: page
        ).finding
        assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


def test_absence_message_under_a_wall_proves_nothing() -> None:
    page = replace(_page(ANNOUR, MISSING), headers={"cf-mitigated": "challenge"})
    finding = run_offline(youtube.probe(_account(ANNOUR)), lambda request: page).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.BLOCKED)


def test_request_to_youtube_accepts_english() -> None:
    """Ages are words; English ones are parsed most reliably. See docs/explanations/platforms.md."""
    result = run_offline(youtube.probe(_account(ANNOUR)), lambda request: _page(request.url, {}))
    assert [dict(exchange.request.headers) for exchange in result.exchanges] == [
        {"Accept-Language": "en-US,en;q=0.9"}
    ]


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


def _parse_data(data: object) -> youtube.ChannelPage:
    return parse_channel_page(_page("https://www.youtube.com/@annour", data))
