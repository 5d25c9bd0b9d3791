"""The fake platform APIs describe the same accounts as the fake pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import load_config
from auditor.demo import model, play
from auditor.demo.associations import CANARIES, DemoAssociation, load_demo_associations
from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import API_FAILURES, DemoRun, FakeRequest, FakeResponse, format_age
from auditor.demo.platforms import SNOWFLAKE_EPOCH_MS, make_post_id
from probes.channels.youtube.page import parse_channel_page
from probes.models.http import Page
from probes.text import date_parser as parser
from tests.support.demo_session import (
    EXPECTED_VALUES_OF_30_RUNS_PATH,
    EXPECTED_VALUES_WITH_KEYS_PATH,
    build_api_key_environ,
    read_expected_values,
)

NOW = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)
FAKE_WEB = FakeWeb()
USERS_URL = "https://api.x.com/2/users"
CHANNELS_URL = "https://www.googleapis.com/youtube/v3/channels?part=snippet"
GRAPH_URL = "https://graph.facebook.com/v25.0/?fields=id,name,username,published_posts.limit(5){created_time}&ids="


def find_association(channel: str, scenario_name: str) -> DemoAssociation:
    """Return the first association with a scenario on a channel."""
    for association in load_demo_associations():
        if association.get_scenario_name(channel) == scenario_name:
            return association
    raise LookupError(scenario_name)


def demo_run(number: int) -> DemoRun:
    """Return a run of a demo with 30 runs."""
    return DemoRun(number, 30, NOW - timedelta(days=30 - number))


def respond(url: str, run_number: int = 1, *, key: str | None = None) -> FakeResponse:
    """Return the response of an API, by default with the right key."""
    scheme, _, rest = url.partition("://")
    host, _, target = rest.partition("/")
    channel = {"api.x.com": "twitter", "graph.facebook.com": "facebook"}.get(host)
    key = model.DEMO_API_KEYS[channel or "youtube"] if key is None else key
    headers = {"authorization": f"Bearer {key}"} if channel else {"x-goog-api-key": key}
    request = FakeRequest(scheme, host, f"/{target}", headers=headers)
    return FAKE_WEB.respond(request, demo_run(run_number))


def fetch_json(url: str, run_number: int = 1) -> dict:
    """Return the decoded JSON body of a response."""
    return json.loads(respond(url, run_number).body)


# --- YouTube -------------------------------------------------------------------------------------


def test_channel_is_found_by_handle_old_handle_and_id():
    association = find_association("youtube", "renamed")
    new_handle = f"{association.handle.lower()}officiel"
    by_id = fetch_json(f"{CHANNELS_URL}&id={association.youtube_channel_id}")["items"]
    for handle in (association.handle, new_handle, f"@{association.handle}"):
        assert fetch_json(f"{CHANNELS_URL}&forHandle={handle}")["items"] == by_id
    assert by_id[0]["snippet"]["customUrl"] == f"@{new_handle}"


def test_terminated_channel_is_omitted_and_items_too_without_channels():
    terminated_id = find_association("youtube", "terminated").youtube_channel_id
    active_id = find_association("youtube", "active").youtube_channel_id
    url = f"{CHANNELS_URL}&id={terminated_id},{active_id}"
    assert {item["id"] for item in fetch_json(url, 2)["items"]} == {terminated_id, active_id}
    assert [item["id"] for item in fetch_json(url, 3)["items"]] == [active_id]
    assert "items" not in fetch_json(f"{CHANNELS_URL}&id={terminated_id}", 3)
    assert fetch_json(f"{CHANNELS_URL}&forUsername=tamesna")["pageInfo"]["totalResults"] == 0


def test_newest_uploads_have_dates_and_empty_channel_has_no_playlist():
    url = "https://www.googleapis.com/youtube/v3/playlistItems?part=contentDetails&playlistId=UU"
    active_id = find_association("youtube", "active").youtube_channel_id
    uploads = fetch_json(f"{url}{active_id[2:]}", 30)["items"]
    dates = [item["contentDetails"]["videoPublishedAt"] for item in uploads]
    assert len(dates) == 5
    assert dates == sorted(dates, reverse=True)
    empty_id = find_association("youtube", "empty").youtube_channel_id
    assert respond(f"{url}{empty_id[2:]}").status == 404


@pytest.mark.parametrize(
    ("scenario_name", "run_number"),
    [("active", 1), ("active", 15), ("renamed", 1), ("renamed", 30), ("terminated", 2)],
)
def test_channel_page_and_api_agree(scenario_name, run_number):
    association, run = find_association("youtube", scenario_name), demo_run(run_number)
    suffix = "Officiel" if scenario_name == "renamed" else ""
    path = f"/@{association.handle}{suffix}/videos"
    response = FAKE_WEB.respond(FakeRequest("https", "www.youtube.com", path), run)
    page = Page("https://www.youtube.com/x", 200, {}, response.body, run.started_at)
    parsed = parse_channel_page(page)
    url = f"{CHANNELS_URL}&id={association.youtube_channel_id}"
    item = fetch_json(url, run_number)["items"][0]
    assert (parsed.channel_id, parsed.name, parsed.handle) == (
        item["id"],
        item["snippet"]["title"],
        item["snippet"]["customUrl"],
    )
    assert parsed.followers == int(item["statistics"]["subscriberCount"])
    assert parsed.has_video_count is (int(item["statistics"]["videoCount"]) > 0)
    assert parsed.newest_upload is not None
    url = "https://www.googleapis.com/youtube/v3/playlistItems?part=contentDetails&playlistId=UU"
    uploads = fetch_json(f"{url}{association.youtube_channel_id[2:]}", run_number)["items"]
    newest_upload_at = datetime.fromisoformat(uploads[0]["contentDetails"]["videoPublishedAt"])
    assert parsed.newest_upload.published_at >= newest_upload_at - timedelta(days=1)


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_formatted_age_is_parsed_back_to_its_unit(language):
    for days in (0.4, 1, 2, 3, 6, 7, 15, 29, 30, 61, 200, 340, 365, 800, 4000):
        parsed = parser.parse_date(format_age(NOW - timedelta(days=days), NOW, language), NOW)
        assert parsed is not None, days
        parsed_age = NOW - parsed.moment
        # ages are rounded down to one unit
        shortest = timedelta(days=days) * 0.45 - timedelta(days=1)
        assert shortest <= parsed_age <= timedelta(days=days + 5), days


# --- X -------------------------------------------------------------------------------------------


def test_x_lists_every_requested_account_in_data_or_errors():
    active, deleted, suspended = (
        find_association("twitter", name) for name in ("active", "deleted", "suspended")
    )
    names = [account.twitter_handle for account in (active, deleted, suspended)]
    response = fetch_json(f"{USERS_URL}/by?usernames={','.join(names)}", 5)
    assert [user["id"] for user in response["data"]] == [active.twitter_id]
    assert [(error["value"], error["title"]) for error in response["errors"]] == [
        (names[1], "Not Found Error"),
        (names[2], "Forbidden"),
    ]
    assert set(fetch_json(f"{USERS_URL}/by?usernames={names[1]}")) == {"errors"}
    assert set(fetch_json(f"{USERS_URL}/by?usernames={names[0].upper()}")) == {"data"}


def test_renamed_x_account_is_found_only_by_id():
    association = find_association("twitter", "renamed")
    old_name, user_id = association.twitter_handle, association.twitter_id
    url_by_name, url_by_id = f"{USERS_URL}/by?usernames={old_name}", f"{USERS_URL}?ids={user_id}"
    assert fetch_json(url_by_name, 4)["data"][0]["id"] == user_id
    assert "data" not in fetch_json(url_by_name, 5)
    assert fetch_json(url_by_id, 5)["data"][0]["username"] != old_name


def test_post_id_encodes_its_time_and_protected_account_has_none():
    posted_at = datetime(2026, 11, 2, 10, tzinfo=UTC)
    timestamp_ms = (int(make_post_id(posted_at)) >> 22) + SNOWFLAKE_EPOCH_MS
    assert timestamp_ms == posted_at.timestamp() * 1000
    name = find_association("twitter", "protected").twitter_handle
    user = fetch_json(f"{USERS_URL}/by?usernames={name}")["data"][0]
    assert user["protected"]
    assert "most_recent_post_id" not in user


# --- Graph ---------------------------------------------------------------------------------------


def test_graph_page_is_found_by_name_and_by_id():
    association = find_association("facebook", "active")
    name, page_id = association.handle.lower(), association.facebook_page_id
    pages = fetch_json(f"{GRAPH_URL}{name},{page_id}")
    assert pages[name] == pages[page_id]
    assert set(pages[page_id]) == {"id", "name", "username", "published_posts"}
    assert len(pages[page_id]["published_posts"]["data"]) == 5


def test_facebook_page_shows_the_newest_post_of_the_api():
    association = find_association("facebook", "active")
    page_id = association.facebook_page_id
    request = FakeRequest("https", "www.facebook.com", f"/{association.handle}")
    for run_number in (1, 15, 30):
        html = FAKE_WEB.respond(request, demo_run(run_number)).body
        page = fetch_json(f"{GRAPH_URL}{page_id}", run_number)[page_id]
        newest_post = page["published_posts"]["data"][0]
        timestamp = int(datetime.fromisoformat(newest_post["created_time"]).timestamp())
        assert f'"creation_time": {timestamp}'.encode() in html


def test_error_803_lists_all_unknown_names():
    active, deleted = (
        find_association("facebook", "active"),
        find_association("facebook", "deleted"),
    )
    error = fetch_json(f"{GRAPH_URL}{active.handle},{deleted.handle},Personne.Ici")["error"]
    assert error["code"] == 803
    assert error["message"].endswith(f": {deleted.handle},Personne.Ici")


def test_hidden_page_and_unknown_id_make_the_whole_request_fail():
    active_name = find_association("facebook", "active").handle
    for name in (find_association("facebook", "hidden").handle, "61550000000000"):
        error = fetch_json(f"{GRAPH_URL}{active_name},{name}")["error"]
        assert (error["code"], error["error_subcode"]) == (100, 33)
        assert name in error["message"]


def test_older_page_of_an_association_is_a_separate_page():
    association = find_association("facebook", "duplicate")
    name, old_name = association.handle, association.old_facebook_handle
    pages = fetch_json(f"{GRAPH_URL}{name},{old_name}")
    assert pages[name]["id"] != pages[old_name]["id"]
    request = FakeRequest("https", "www.facebook.com", f"/{old_name}")
    html = FAKE_WEB.respond(request, demo_run(1)).body
    assert pages[old_name]["id"].encode() in html


# --- All three APIs ------------------------------------------------------------------------------

EXAMPLE_URLS = {
    "youtube": f"{CHANNELS_URL}&id={find_association('youtube', 'active').youtube_channel_id}",
    "twitter": f"{USERS_URL}/by?usernames={find_association('twitter', 'active').twitter_handle}",
    "facebook": f"{GRAPH_URL}{find_association('facebook', 'active').handle}",
}


@pytest.mark.parametrize(
    ("channel", "status"), [("youtube", 400), ("twitter", 401), ("facebook", 400)]
)
def test_api_refuses_a_wrong_key(channel, status):
    refusal = respond(EXAMPLE_URLS[channel], key="another")
    assert refusal.status == status
    assert respond(EXAMPLE_URLS[channel]).status == 200
    reason = {"youtube": b"keyInvalid", "twitter": b"Unauthorized", "facebook": b'"code": 190'}[
        channel
    ]
    assert reason in refusal.body


@pytest.mark.parametrize("channel", list(API_FAILURES))
def test_each_api_fails_in_one_run(channel):
    failing_run = API_FAILURES[channel][0]
    assert respond(EXAMPLE_URLS[channel], failing_run - 1).status == 200
    assert respond(EXAMPLE_URLS[channel], failing_run).status in (403, 500, 503)
    assert respond(EXAMPLE_URLS[channel], failing_run + 1).status == 200


def test_apis_know_the_canaries():
    for canary in CANARIES:
        assert fetch_json(f"{CHANNELS_URL}&forHandle={canary.handle}")["items"]
        assert fetch_json(f"{GRAPH_URL}{canary.handle}")[canary.handle]["username"]
        assert fetch_json(f"{USERS_URL}/by?usernames={canary.twitter_handle}")["data"]


def test_results_with_and_without_api_key_never_contradict():
    """An account is never present without an API key and gone with it, or the other way round."""
    states = {}
    for path in (EXPECTED_VALUES_OF_30_RUNS_PATH, EXPECTED_VALUES_WITH_KEYS_PATH):
        for value in read_expected_values(path):
            if value.kind == "status":
                key = (value.association, value.channel, value.run_number)
                states.setdefault(key, set()).add(value.value.split(" ")[0])
    assert not [key for key, found in states.items() if {"present", "gone"} <= found]


def test_demo_api_keys_are_read_from_environment_variables(tmp_path):
    config = play.write_demo_config(tmp_path, 8899, build_api_key_environ())
    keys = {
        name: channel.api_key.get_secret_value()
        for name, channel in config.channels.items()
        if channel.api_key
    }
    assert keys == model.DEMO_API_KEYS
    assert load_config(tmp_path / "config.toml", {}).channels["youtube"].api_key is None
