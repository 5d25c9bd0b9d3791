"""A website is asked and read up to each limit."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.channels.website import MAX_MEDIA_TYPE_CHARS
from probes.channels.website.latest_post import MAX_ANNOUNCED_FEEDS, MAX_FEED_REQUESTS, MAX_REQUESTS
from probes.channels.website.page_analysis import (
    MAX_FEEDS,
    MAX_PLATFORM_SEARCH_CHARS,
    analyze_site_page,
)
from probes.channels.website.takeover import MAX_NAMED_HOSTS, describe_certificate
from probes.links import identify
from probes.models.finding import Account, Reason
from probes.models.http import Page
from probes.models.probe import run_offline
from probes.parsing.html_walker import MAX_NODE_CHARS

STEPS = (-1, 0, 1)
NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME = "https://annour.example/"
TEXT = "<p>L'association accompagne les familles du quartier depuis vingt ans.</p>" * 8
WORDPRESS = '<link rel="stylesheet" href="/wp-content/themes/a/style.css">'
SITEMAP_INDEX = "<sitemapindex><sitemap><loc>/posts.xml</loc></sitemap></sitemapindex>"


def build_home_page(head):
    body = f"<html lang=fr><title>Annour</title>{head}<h1>Annour</h1>{TEXT}</html>"
    return Page(HOME, 200, {"content-type": "text/html"}, body.encode(), NOW)


def announce_feeds(count):
    return "".join(
        f'<link rel="alternate" type="application/rss+xml" href="/feed{number}.xml">'
        for number in range(count)
    )


def list_requests(head, **bodies):
    """Return the paths that are requested of a site. `bodies` are those by path; others fail."""

    def respond(request):
        path = request.url.removeprefix(HOME)
        if not path:
            return build_home_page(head)
        body = bodies.get(path)
        return Page(request.url, 404 if body is None else 200, {}, (body or "").encode(), NOW)

    account = Account("annour", HOME, identify.identify_link(HOME))
    exchanges = run_offline(website.probe(account), respond).exchanges
    return [exchange.request.url.removeprefix(HOME) for exchange in exchanges]


@pytest.mark.parametrize("step", STEPS)
def test_first_feeds_of_a_page_are_read(step):
    page = build_home_page(announce_feeds(MAX_FEEDS + step))
    assert len(analyze_site_page(page).feeds) == min(MAX_FEEDS, MAX_FEEDS + step)


@pytest.mark.parametrize("step", STEPS)
def test_publishing_system_is_searched_at_the_beginning_of_the_markup(step):
    mark = "/wp-content/"
    start = f"<p>{TEXT}"
    markup = start + mark.rjust(MAX_PLATFORM_SEARCH_CHARS - len(start) + step)
    page = Page(HOME, 200, {"content-type": "text/html"}, markup.encode(), NOW)
    assert (analyze_site_page(page).platform == "wordpress") is (step <= 0)


PHONE = "0522112233"


@pytest.mark.parametrize("details", [PHONE, "annour@annour.example", "annour[at]annour.example"])
@pytest.mark.parametrize("place", [0, 50, 99])
def test_contact_details_are_found_anywhere_in_a_text(details, place):
    parts = [f"<p>{'x' * 1_899}</p>"] * 100
    parts.insert(place, f"<p>{details}</p>")
    assert analyze_site_page(build_home_page("".join(parts))).facts["contact"] is True


@pytest.mark.parametrize("is_cut", [False, True])
def test_contact_details_may_be_in_a_part_that_is_not_read(is_cut):
    page = replace(build_home_page(""), truncated=is_cut)
    facts = analyze_site_page(page).facts
    assert facts.get("contact", "unknown") == ("unknown" if is_cut else False)


@pytest.mark.parametrize("step", STEPS)
def test_contact_details_may_be_in_a_part_of_a_text_that_is_not_read(step):
    page = build_home_page(f"<p>{'x' * (MAX_NODE_CHARS + step)}</p>")
    facts = analyze_site_page(page).facts
    assert facts.get("contact", "unknown") == ("unknown" if step > 0 else False)


@pytest.mark.parametrize("step", STEPS)
def test_first_announced_feeds_are_requested(step):
    requests = list_requests(announce_feeds(MAX_ANNOUNCED_FEEDS + step))
    feeds = [path for path in requests if path.startswith("feed") and path.endswith(".xml")]
    assert len(feeds) == min(MAX_ANNOUNCED_FEEDS, MAX_ANNOUNCED_FEEDS + step)


SOURCES = {
    -1: announce_feeds(2),
    0: WORDPRESS + announce_feeds(1),  # also its usual feed and list of posts
    1: WORDPRESS + announce_feeds(2),
}


@pytest.mark.parametrize("step", STEPS)
def test_feeds_and_lists_of_posts_are_requested_up_to_the_limit(step):
    requests = list_requests(SOURCES[step])
    sources = [path for path in requests if "feed" in path or "wp/v2/posts" in path]
    assert len(sources) == min(MAX_FEED_REQUESTS, MAX_FEED_REQUESTS + step)


@pytest.mark.parametrize("step", STEPS)
def test_sitemaps_are_requested_up_to_the_limit(step):
    """One or two feeds, an index of sitemaps and the sitemap of posts are within the limit."""
    head = announce_feeds(2 + step) if step <= 0 else SOURCES[0]
    requests = list_requests(head, **{"sitemap.xml": SITEMAP_INDEX})
    marks = ("feed", "wp/v2/posts", "sitemap.xml", "posts.xml", "robots.txt")
    sources = [path for path in requests if any(mark in path for mark in marks)]
    assert len(sources) == min(MAX_REQUESTS, MAX_REQUESTS + step)
    assert ("posts.xml" in requests) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_first_names_of_a_certificate_are_listed(step):
    names = tuple(f"a{number}.ma" for number in range(MAX_NAMED_HOSTS + step))
    text = describe_certificate(Page(HOME, 200, certificate_names=names))
    listed = ", ".join(names[:MAX_NAMED_HOSTS])
    assert text == f"the certificate is for {listed}" + " and others" * (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_the_type_of_a_file_is_the_detail(step):
    media_type = "application/".ljust(MAX_MEDIA_TYPE_CHARS + step, "x")

    def respond(request):
        return Page(request.url, 200, {"content-type": media_type}, b"%PDF-1.7", NOW)

    account = Account("annour", HOME, identify.identify_link(HOME))
    finding = run_offline(website.probe(account), respond).finding
    assert (finding.reason, finding.detail) == (
        Reason.UNREADABLE,
        media_type[:MAX_MEDIA_TYPE_CHARS],
    )
