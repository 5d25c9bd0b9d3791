"""A website's finding has the dated posts that its page links to or embeds."""

from datetime import UTC, datetime, timedelta

import pytest

from probes.channels import website
from probes.links import post_numbers
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding
from probes.models.http import Page
from probes.models.probe import run_offline

NOW = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
HOME = "https://amal.example/"
ACCOUNT = Account("amal", HOME, identify_link(HOME, "website"))


def make_post_id(posted_at: datetime) -> str:
    return str((int(posted_at.timestamp() * 1000) - 1_288_834_974_657) << 22)


POST_ID = make_post_id(NOW - timedelta(days=2))
TWEET = (
    '<blockquote class="twitter-tweet"><p>Rencontre</p>&mdash; Amal (@Amal_R) <a '
    f'href="https://twitter.com/Amal_R/status/{POST_ID}?ref_src=twsrc%5Etfw">Nov 26</a>'
    "</blockquote>"
)
INSTAGRAM_POST = (
    '<blockquote class="instagram-media" data-instgrm-permalink="https://www.instagram.com/p/'
    'Chunk8-jurw/?utm_source=ig_embed"><p><a href="https://www.instagram.com/p/Chunk8-jurw/">'
    "A post shared by Amal (@amal.rabat)</a></p></blockquote>"
)
TIKTOK_POST = (
    '<blockquote class="tiktok-embed" cite="https://www.tiktok.com/@amal/video/7206382937372134662"'
    ' data-video-id="7206382937372134662"><section><a href="https://www.tiktok.com/@amal">@amal</a>'
    "</section></blockquote>"
)


def probe_site(html: str) -> Finding:
    body = (
        "<html><head><title>Amal</title></head><body><h1>Amal</h1><nav><a href='/a'>A</a></nav>"
        f"<p>{'Association de quartier. ' * 30}</p>{html}</body></html>"
    )

    def respond(request):
        if request.url != HOME:
            return Page(request.url, 404, fetched_at=NOW)
        headers = {"content-type": "text/html; charset=utf-8"}
        return Page(HOME, 200, headers, body.encode(), NOW)

    return run_offline(website.probe(ACCOUNT), respond).finding


@pytest.mark.parametrize(
    ("html", "fact"),
    [
        (TWEET, "twitter:amal_r=2026-11-26T00:30:00Z"),
        (INSTAGRAM_POST, "instagram:amal.rabat=2022-08-26T15:52:22Z"),
        (TIKTOK_POST, "tiktok:amal=2023-03-03T18:06:17Z"),
        (
            '<a href="https://www.linkedin.com/posts/amal_x-activity-7130970523353706496-y">+</a>',
            "linkedin:company/amal=2023-11-16T17:30:59Z",
        ),
    ],
)
def test_embedded_post_is_dated(html: str, fact: str) -> None:
    assert probe_site(html).facts[post_numbers.LINKED_POSTS_FACT] == fact


@pytest.mark.parametrize(
    "html",
    [
        "",
        '<a href="https://x.com/amal_r">X</a>',
        '<a href="https://x.com/amal_r/status/20">X</a>',
        f'<a href="https://x.com/i/status/{POST_ID}">X</a>',
        f'<ol class="comment-list"><li>{TWEET}</li></ol>',
    ],
)
def test_page_without_a_dated_post_of_its_authors_has_no_fact(html: str) -> None:
    assert post_numbers.LINKED_POSTS_FACT not in probe_site(html).facts


def test_page_with_a_number_of_the_future_depends_on_the_day() -> None:
    """The same page has another result once the time has come."""
    html = f'<a href="https://x.com/amal/status/{make_post_id(NOW + timedelta(days=9))}">X</a>'
    facts = probe_site(html).facts
    assert post_numbers.LINKED_POSTS_FACT not in facts
    assert facts["depends_on_day"] is True
