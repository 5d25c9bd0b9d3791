"""The official interfaces of the practice web: they tell of the same accounts as its pages do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import load_config
from auditor.demo import model, play
from auditor.demo.account_scenarios import (
    API_FAILURES,
    FACEBOOK_SCENARIOS,
    TWITTER_SCENARIOS,
    YOUTUBE_SCENARIOS,
)
from auditor.demo.associations import DemoAssociation, load_demo_associations
from auditor.demo.fake_web import CANARY_ACCOUNT_NAMES, FakeWeb
from auditor.demo.model import DemoRun, FakeRequest, FakeResponse
from auditor.demo.pages import facebook, twitter, youtube
from auditor.demo.pages.youtube import format_age
from probes.channels.youtube.page import parse_channel_page
from probes.dates import parser
from probes.models.http import Page

NOW = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)
WORLD = FakeWeb()
USERS = "https://api.x.com/2/users"
CHANNELS = "https://www.googleapis.com/youtube/v3/channels?part=snippet"
GRAPH = "https://graph.facebook.com/v25.0/?fields=id,name,username,published_posts.limit(5){created_time}&ids="


def member(channel: str, situation: str) -> DemoAssociation:
    return next(
        one for one in load_demo_associations() if one.get_scenario_name(channel) == situation
    )


def night(number: int) -> DemoRun:
    return DemoRun(number, 30, NOW - timedelta(days=30 - number))


def asked(url: str, at: int = 1, *, key: str | None = None) -> FakeResponse:
    scheme, _, rest = url.partition("://")
    host, _, target = rest.partition("/")
    channel = {"api.x.com": "twitter", "graph.facebook.com": "facebook"}.get(host)
    key = model.DEMO_API_KEYS[channel or "youtube"] if key is None else key
    shown = {"authorization": f"Bearer {key}"} if channel else {"x-goog-api-key": key}
    return WORLD.respond(FakeRequest(scheme, host, f"/{target}", headers=shown), night(at))


def told(url: str, at: int = 1) -> dict:
    return json.loads(asked(url, at).body)


# --- YouTube -------------------------------------------------------------------------------------


def test_a_channel_is_the_same_by_its_handle_its_old_handle_and_its_id():
    one = member("youtube", "renamed")
    by_id = told(f"{CHANNELS}&id={one.youtube_channel_id}")["items"]
    for handle in (one.handle, f"{one.handle.lower()}officiel", f"@{one.handle}"):
        assert told(f"{CHANNELS}&forHandle={handle}")["items"] == by_id
    assert by_id[0]["snippet"]["customUrl"] == f"@{one.handle.lower()}officiel"


def test_a_terminated_channel_is_left_out_and_nobody_leaves_no_items():
    one, other = member("youtube", "terminated"), member("youtube", "active")
    url = f"{CHANNELS}&id={one.youtube_channel_id},{other.youtube_channel_id}"
    assert {item["id"] for item in told(url, 2)["items"]} == {
        one.youtube_channel_id,
        other.youtube_channel_id,
    }
    assert [item["id"] for item in told(url, 3)["items"]] == [other.youtube_channel_id]
    assert "items" not in told(f"{CHANNELS}&id={one.youtube_channel_id}", 3)
    assert told(f"{CHANNELS}&forUsername=tamesna")["pageInfo"]["totalResults"] == 0


def test_the_newest_uploads_come_with_their_moments_and_an_empty_channel_has_no_list():
    url = "https://www.googleapis.com/youtube/v3/playlistItems?part=contentDetails&playlistId=UU"
    uploads = told(f"{url}{member('youtube', 'active').youtube_channel_id[2:]}", 30)["items"]
    moments = [item["contentDetails"]["videoPublishedAt"] for item in uploads]
    assert len(moments) == 5
    assert moments == sorted(moments, reverse=True)
    assert asked(f"{url}{member('youtube', 'empty').youtube_channel_id[2:]}").status == 404


@pytest.mark.parametrize(
    ("situation", "number"),
    [("active", 1), ("active", 15), ("renamed", 1), ("renamed", 30), ("terminated", 2)],
)
def test_the_page_of_a_channel_and_its_interface_tell_the_same(situation, number):
    one, tonight = member("youtube", situation), night(number)
    shown = youtube.build_youtube_channel(one, tonight)
    page = youtube.build_channel_response(shown, f"/@{one.handle}/videos")
    seen = parse_channel_page(
        Page("https://www.youtube.com/x", 200, {}, page.body, tonight.started_at)
    )
    item = told(f"{CHANNELS}&id={one.youtube_channel_id}", number)["items"][0]
    assert (seen.channel_id, seen.name, seen.handle) == (
        item["id"],
        item["snippet"]["title"],
        item["snippet"]["customUrl"],
    )
    assert seen.followers == int(item["statistics"]["subscriberCount"])
    assert seen.video_count == int(item["statistics"]["videoCount"])
    assert seen.newest_upload is not None
    assert seen.newest_upload.published_at >= shown.uploads[0] - timedelta(days=1)


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_an_age_is_said_so_that_it_is_read_back_to_its_unit(language):
    for days in (0.4, 1, 2, 3, 6, 7, 15, 29, 30, 61, 200, 340, 365, 800, 4000):
        read = parser.parse_date(format_age(NOW - timedelta(days=days), NOW, language), NOW)
        assert read is not None, days
        short = NOW - read.moment
        assert (
            timedelta(days=days) * 0.45 - timedelta(days=1) <= short <= timedelta(days=days + 5)
        ), days


# --- X -------------------------------------------------------------------------------------------


def test_x_tells_of_every_account_asked_in_data_or_in_errors():
    here, deleted, suspended = (
        member("twitter", name) for name in ("active", "deleted", "suspended")
    )
    names = [one.twitter_handle for one in (here, deleted, suspended)]
    answer = told(f"{USERS}/by?usernames={','.join(names)}", 5)
    assert [user["id"] for user in answer["data"]] == [here.twitter_id]
    assert [(error["value"], error["title"]) for error in answer["errors"]] == [
        (names[1], "Not Found Error"),
        (names[2], "Forbidden"),
    ]
    assert set(told(f"{USERS}/by?usernames={names[1]}")) == {"errors"}
    assert set(told(f"{USERS}/by?usernames={names[0].upper()}")) == {"data"}


def test_an_account_with_a_new_name_is_known_by_its_number_alone():
    one = member("twitter", "renamed")
    assert told(f"{USERS}/by?usernames={one.twitter_handle}", 4)["data"][0]["id"] == one.twitter_id
    assert "data" not in told(f"{USERS}/by?usernames={one.twitter_handle}", 5)
    assert told(f"{USERS}?ids={one.twitter_id}", 5)["data"][0]["username"] != one.twitter_handle


def test_the_number_of_the_newest_post_holds_its_time_and_a_protected_account_shows_none():
    when = datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert (
        int(twitter.make_post_id(when)) >> 22
    ) + twitter.SNOWFLAKE_EPOCH_MS == when.timestamp() * 1000
    shown = told(f"{USERS}/by?usernames={member('twitter', 'protected').twitter_handle}")["data"][0]
    assert shown["protected"]
    assert "most_recent_post_id" not in shown


@pytest.mark.parametrize(
    "names", ["with.dot,fine", "a_name_longer_than_x_allows", "", ",".join(["a"] * 101)]
)
def test_one_name_that_cannot_be_spoils_the_call_for_all(names):
    assert asked(f"{USERS}/by?usernames={names}").status == 400


# --- Graph ---------------------------------------------------------------------------------------


def test_a_page_is_the_same_by_its_name_without_stops_and_by_its_number():
    one = member("facebook", "active")
    pages = told(f"{GRAPH}{one.handle.lower()},{one.facebook_page_id}")
    assert pages[one.handle.lower()] == pages[one.facebook_page_id]
    assert set(pages[one.facebook_page_id]) == {"id", "name", "username", "published_posts"}
    assert len(pages[one.facebook_page_id]["published_posts"]["data"]) == 5


def test_a_page_shows_strangers_the_posts_that_its_interface_tells():
    for number in (1, 15, 30):
        one = member("facebook", "active")
        html = WORLD.respond(
            FakeRequest("https", "www.facebook.com", f"/{one.handle}"), night(number)
        ).body
        newest = told(f"{GRAPH}{one.facebook_page_id}", number)[one.facebook_page_id][
            "published_posts"
        ]["data"][0]
        moment = int(datetime.fromisoformat(newest["created_time"]).timestamp())
        assert f'"creation_time": {moment}'.encode() in html


def test_names_that_are_nobody_s_fail_the_whole_call_and_are_all_named():
    here, gone = member("facebook", "active"), member("facebook", "deleted")
    error = told(f"{GRAPH}{here.handle},{gone.handle},Personne.Ici")["error"]
    assert error["code"] == 803
    assert error["message"].endswith(f": {gone.handle},Personne.Ici")


def test_a_hidden_page_and_a_deleted_number_fail_the_whole_call_alike():
    for name in (member("facebook", "hidden").handle, "61550000000000"):
        error = told(f"{GRAPH}{member('facebook', 'active').handle},{name}")["error"]
        assert (error["code"], error["error_subcode"]) == (100, 33)
        assert name in error["message"]


def test_an_older_page_left_behind_is_a_page_of_its_own():
    one = member("facebook", "duplicate")
    pages = told(f"{GRAPH}{one.handle},{one.old_facebook_handle}")
    assert pages[one.handle]["id"] != pages[one.old_facebook_handle]["id"]
    html = WORLD.respond(
        FakeRequest("https", "www.facebook.com", f"/{one.old_facebook_handle}"), night(1)
    ).body
    assert facebook.build_old_facebook_page(one, night(1)).id.encode() in html


# --- What all three have in common ---------------------------------------------------------------

ONE_OF_EACH = {
    "youtube": f"{CHANNELS}&id={member('youtube', 'active').youtube_channel_id}",
    "twitter": f"{USERS}/by?usernames={member('twitter', 'active').twitter_handle}",
    "facebook": f"{GRAPH}{member('facebook', 'active').handle}",
}


@pytest.mark.parametrize(
    ("channel", "status"), [("youtube", 400), ("twitter", 401), ("facebook", 400)]
)
def test_without_its_key_an_interface_tells_nothing(channel, status):
    refused = asked(ONE_OF_EACH[channel], key="another")
    assert refused.status == status
    assert asked(ONE_OF_EACH[channel]).status == 200
    reason = {"youtube": b"keyInvalid", "twitter": b"Unauthorized", "facebook": b'"code": 190'}[
        channel
    ]
    assert reason in refused.body


def test_youtube_takes_its_key_in_the_address_too():
    assert (
        asked(f"{ONE_OF_EACH['youtube']}&key={model.DEMO_API_KEYS['youtube']}", key="").status
        == 200
    )


@pytest.mark.parametrize("channel", list(API_FAILURES))
def test_each_interface_has_one_night_of_trouble(channel):
    bad = API_FAILURES[channel][0]
    assert asked(ONE_OF_EACH[channel], bad).status in (403, 500, 503)
    assert (
        asked(ONE_OF_EACH[channel], bad - 1).status
        == asked(ONE_OF_EACH[channel], bad + 1).status
        == 200
    )


def test_more_than_an_interface_takes_is_refused():
    assert asked(f"{CHANNELS}&id={','.join(['UC'] * 51)}").status == 400
    assert asked(f"{GRAPH}{','.join(f'page{n}' for n in range(51))}").status == 400


def test_the_accounts_that_everybody_knows_are_known_to_the_interfaces():
    for name in CANARY_ACCOUNT_NAMES:
        assert told(f"{CHANNELS}&forHandle={name}")["items"]
        assert told(f"{GRAPH}{name}")[name]["username"]
    assert len(told(f"{USERS}/by?usernames=tamesna_sud,biblio_zerhouna")["data"]) == 2


def test_a_key_tells_more_and_contradicts_nothing():
    """Where strangers see an account, or its loss, whoever has a key holds the same of it on every night."""
    for scripts in (FACEBOOK_SCENARIOS, TWITTER_SCENARIOS, YOUTUBE_SCENARIOS):
        for name, script in scripts.items():
            for number in range(1, 31):
                states = {
                    script.expected_at(number)[1].split(" ")[0],
                    script.select_api_scenario().expected_at(number)[1].split(" ")[0],
                }
                assert not {"present", "gone"} <= states, (name, number)


def test_the_keys_reach_the_configuration_as_an_operator_s_would(tmp_path):
    config = play.write_demo_config(tmp_path, 8899, model.build_api_key_environ())
    given = {
        name: channel.api_key.get_secret_value()
        for name, channel in config.channels.items()
        if channel.api_key
    }
    assert given == model.DEMO_API_KEYS
    assert load_config(tmp_path / "config.toml", {}).channels["youtube"].api_key is None
