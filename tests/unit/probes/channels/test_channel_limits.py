"""Channels read a response up to each limit, and leave out what exceeds it."""

import json
import re

import pytest

from probes.channels import tiktok
from probes.channels._api_common import MAX_TEXT_CHARS, MAX_WEBSITE_URLS, clean_api_text
from probes.channels._public_profile import (
    MAX_COUNT_SEARCH_CHARS,
    MAX_MESSAGE_SEARCH_CHARS,
    find_message,
    parse_follower_count,
)
from probes.channels.facebook.api import MAX_ERROR_CHARS, parse_pages_response
from probes.channels.twitter import parse_users_response
from probes.channels.youtube.api import MAX_DESCRIPTION_CHARS, parse_channels_response
from probes.channels.youtube.page import MAX_COUNT_CHARS, MAX_NODES, parse_channel_page
from probes.models.http import Page
from probes.text.charset import MAX_TITLE_CHARS
from tests.support.api_responses import page

STEPS = (-1, 0, 1)
UC = "UCAnnour0000000000000001"


def read_page_website(text):
    data = {"10400": {"id": "10400", "name": "Annour", "website": text}}
    return parse_pages_response(page(data)).items["10400"]["website_urls"]


def read_user(**fields):
    user = {"id": "1234567890", "username": "annour", **fields}
    return parse_users_response(page({"data": [user]})).items["annour"]


def read_channel(data):
    body = f"<script>var ytInitialData = {json.dumps(data)};</script>".encode()
    return parse_channel_page(Page("https://www.youtube.com/@annour", 200, {}, body))


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_text_of_an_api_is_read(step):
    """The end of the text is a short word that follows on white space."""
    text = " " * (MAX_TEXT_CHARS - 3 + step) + "nour"
    assert clean_api_text(text) == "nour"[: 3 - step]


@pytest.mark.parametrize("step", STEPS)
def test_longer_website_of_an_account_is_cut_or_left_out(step):
    start = "https://annour.example/"
    url = start + "a" * (MAX_TEXT_CHARS - len(start) + step)
    assert read_page_website(url) == [url[:MAX_TEXT_CHARS]]
    assert read_user(url=url)["website_urls"] == ([url] if step <= 0 else [])


@pytest.mark.parametrize("step", STEPS)
def test_first_websites_of_an_account_are_read(step):
    urls = [f"https://a{number}.ma/" for number in range(MAX_WEBSITE_URLS + step)]
    entities = {"description": {"urls": [{"expanded_url": url} for url in urls]}}
    assert read_page_website(" ".join(urls)) == urls[:MAX_WEBSITE_URLS]
    assert read_user(entities=entities)["website_urls"] == urls[:MAX_WEBSITE_URLS]


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_channel_description_is_read(step):
    url = "https://annour.example"
    filling = " " * (MAX_DESCRIPTION_CHARS - len(url) + step)
    channel = {"id": UC, "snippet": {"description": filling + url}}
    response = parse_channels_response(
        page({"kind": "youtube#channelListResponse", "items": [channel]})
    )
    assert response.items[UC.lower()]["website_urls"] == [url[: len(url) - max(0, step)]]


@pytest.mark.parametrize("step", STEPS)
def test_followers_are_searched_at_the_beginning_of_a_text(step):
    count = "310 people follow"
    text = "." * (MAX_COUNT_SEARCH_CHARS - len(count) + step) + count
    assert parse_follower_count(text) == (310 if step <= 0 else None)


@pytest.mark.parametrize("step", STEPS)
def test_message_is_searched_at_the_beginning_of_a_page(step):
    text = "gone".rjust(MAX_MESSAGE_SEARCH_CHARS + step)
    assert find_message(re.compile("gone"), text) == ("gone" if step <= 0 else "")


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_an_error_is_read(step):
    start, end = "(#803) Some of the aliases you requested do not exist: ", "nour"
    message = start + end.rjust(MAX_ERROR_CHARS - len(start) + step)
    response = parse_pages_response(page({"error": {"code": 803, "message": message}}, 404))
    assert [name.strip() for name in response.item_errors] == ["nour"[: 4 - max(0, step)]]


@pytest.mark.parametrize("step", STEPS)
def test_first_objects_of_a_youtube_page_are_searched(step):
    """The header is an object too."""
    header = {"items": [{}] * (MAX_NODES + step - 2) + [{"content": "310 videos"}]}
    assert read_channel({"header": header}).has_video_count is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_longer_text_of_a_youtube_header_is_no_count(step):
    text = "310 videos".ljust(MAX_COUNT_CHARS + step, ".")
    assert read_channel({"header": {"content": text}}).has_video_count is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_name_of_an_account_is_cut(step):
    name = "x" * (MAX_TITLE_CHARS + step)
    assert read_user(name=name)["name"] == name[:MAX_TITLE_CHARS]
    oembed = page({"author_name": name, "author_url": "https://www.tiktok.com/@annour"})
    assert tiktok.parse_oembed(oembed).name == name[:MAX_TITLE_CHARS]


def test_name_that_is_no_text_is_left_out():
    oembed = page({"author_name": {"a": 1}, "author_url": "https://www.tiktok.com/@annour"})
    assert tiktok.parse_oembed(oembed).name == ""
