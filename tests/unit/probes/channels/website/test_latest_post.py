"""Requests for a site's newest publication: sources by publishing system, and their number."""

import gzip
import json
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from probes.channels.website import latest_post
from probes.models.finding import Finding
from probes.models.http import Page, PageRequest
from probes.models.probe import HttpExchange
from probes.text.charset import MAX_PARSED_BYTES
from tests.support import played_site
from tests.support.played_site import NOW, URL

WORDS = (
    "<p>L'association accompagne les familles du quartier, enfants et mères, depuis vingt ans.</p>"
    * 8
)
Answers = dict[str, bytes | str]


def probe_site(
    responses: Answers, home: str = "", url: str = URL
) -> tuple[Finding, tuple[HttpExchange, ...]]:
    """Probe a site with this front page and these answers at other addresses; the rest is 404."""
    front = (
        f'<html lang="fr"><head><title>Annour</title></head><body>'
        f"<h1>Annour</h1>{home}{WORDS}</body></html>"
    )
    bodies = {**responses, url: front}

    def web(request: PageRequest) -> Page:
        body = bodies.get(request.url)
        sent = body.encode() if isinstance(body, str) else body or b""
        return Page(request.url, 404 if body is None else 200, {}, sent, NOW)

    return played_site.probe_site(web, url)


def requested_urls(result: tuple[Finding, tuple[HttpExchange, ...]]) -> list[str]:
    return [exchange.request.url for exchange in result[1][1:]]


def describe_activity(
    result: tuple[Finding, tuple[HttpExchange, ...]],
) -> tuple[str | None, str | None]:
    last = result[0].last_activity
    return (last.format_iso()[:10], last.source) if last else (None, None)


def rss(*days: datetime | str, title: str = "Fête du quartier") -> str:
    dates = [format_datetime(day) if isinstance(day, datetime) else day for day in days]
    items = "".join(f"<item><title>{title}</title><pubDate>{day}</pubDate></item>" for day in dates)
    return f'<rss version="2.0"><channel><title>Annour</title>{items}</channel></rss>'


def weekly(count: int = 4) -> list[datetime]:
    return [NOW - timedelta(days=7 * n + 3) for n in range(count)]


WP = '<link rel="stylesheet" href="/wp-content/themes/a/style.css">'
REST = f"{URL}wp-json/wp/v2/posts?per_page=10&orderby=date&_fields=date_gmt,title,excerpt"
POSTS = json.dumps(
    [{"date_gmt": f"2026-10-{day}T09:30:00", "title": {"rendered": "Bal"}} for day in (25, 18, 11)]
)
ATOM = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><title>Annour</title><entry><title>Bal</title>'
    "<published>2026-10-25T09:30:00Z</published><updated>2026-11-10T09:30:00Z</updated></entry>"
    "</feed>"
)
FEED = rss("Sun, 25 Oct 2026 09:30:00 +0000")

# What betrays the system on the front page; where it answers, and with what; the name of the clue.
PLACES: dict[str, tuple[str, str, str, str]] = {
    "announced": (
        '<link rel="alternate" type="application/rss+xml" href="/actu.xml">',
        f"{URL}actu.xml",
        FEED,
        "feed",
    ),
    "WordPress": (WP, f"{URL}feed/", FEED, "feed"),
    "WordPress by REST": (WP, REST, POSTS, "wp-json"),
    "Wix": ('<img src="https://static.wixstatic.com/a.png">', f"{URL}blog-feed.xml", FEED, "feed"),
    "Blogger": (
        "<script>_WidgetManager._Init('x')</script>",
        f"{URL}feeds/posts/default",
        ATOM,
        "feed",
    ),
    "SPIP": ('<a href="/spip.php?article3">Bal</a>', f"{URL}spip.php?page=backend", FEED, "feed"),
    "Joomla": (
        '<script src="/media/jui/js/a.js"></script>',
        f"{URL}?format=feed&type=rss",
        FEED,
        "feed",
    ),
    "Joomla by its front page's view": (
        '<script src="/media/jui/js/a.js"></script>',
        f"{URL}index.php?option=com_content&view=featured&format=feed&type=rss",
        FEED,
        "feed",
    ),
    "Drupal": ('<img src="/sites/default/files/a.png">', f"{URL}rss.xml", FEED, "feed"),
    "SPIP that hides its name": (
        '<script src="plugins-dist/medias/a.js"></script>',
        f"{URL}spip.php?page=backend",
        FEED,
        "feed",
    ),
    "Joomla since its fourth": (
        '<script type="application/json" class="joomla-script-options new">{}</script>',
        f"{URL}?format=feed&type=rss",
        FEED,
        "feed",
    ),
    "Squarespace": (
        '<img src="https://static1.squarespace.com/a.png">',
        f"{URL}blog?format=rss",
        FEED,
        "feed",
    ),
    "Ghost": ('<meta name="generator" content="Ghost 5">', f"{URL}rss/", FEED, "feed"),
    "Hugo": ('<meta name="generator" content="Hugo 0.150">', f"{URL}index.xml", FEED, "feed"),
    "a system unknown": ("", f"{URL}rss.xml", FEED, "feed"),
}


@pytest.mark.parametrize("name", PLACES)
def test_each_system_costs_at_most_three_requests(name: str) -> None:
    mark, url, body, clue = PLACES[name]
    result = probe_site({url: body}, mark)
    assert describe_activity(result) == ("2026-10-25", clue)
    assert requested_urls(result).index(url) < latest_post.MAX_FEED_REQUESTS


def test_blog_at_wordpress_com_uses_its_api() -> None:
    url = "https://annour.wordpress.com/"
    listed = json.dumps(
        {"found": 1, "posts": [{"date": "2026-10-25T09:30:00+01:00", "title": "Bal"}]}
    )
    place = "https://public-api.wordpress.com/rest/v1.1/sites/annour.wordpress.com/posts/"
    place += "?number=10&fields=date,title,excerpt"
    assert describe_activity(probe_site({place: listed}, WP, url)) == ("2026-10-25", "wp-json")


@pytest.mark.parametrize("mark", [mark for mark, *_ in PLACES.values()])
def test_site_without_dates_costs_at_most_four_requests(mark: str) -> None:
    assert (
        len([url for url in requested_urls(probe_site({}, mark)) if "contact" not in url])
        <= latest_post.MAX_REQUESTS
    )


DAY = "Sun, 25 Oct 2026 09:30:00 +0000"
EMPTY = "<rss><channel><lastBuildDate>Fri, 20 Nov 2026 02:59:00 GMT</lastBuildDate></channel></rss>"
TELLING_NOTHING = {
    "a page served for a feed": "<html><head><title>Annour</title></head><body>404</body></html>",
    "no entries": EMPTY,
    "only the installer's post": rss(DAY, title="Hello world!"),
    "only the installer's post, in French": rss(DAY, title="Bonjour tout le monde&#160;!"),
    "only the installer's post, in Arabic": rss(DAY, title="أهلاً بالعالم !"),
    "the future": rss("Fri, 25 Dec 2026 09:30:00 +0000"),
    "an empty date": rss("Mon, 30 Nov -0001 00:00:00 +0000"),
    "the first second": rss("Thu, 01 Jan 1970 00:00:00 GMT"),
    "every entry as we asked": rss(
        "Fri, 20 Nov 2026 02:59:58 GMT", "Fri, 20 Nov 2026 02:59:59 GMT"
    ),
    "comments": FEED.replace("<title>Annour", "<title>Commentaires pour Annour", 1),
}


@pytest.mark.parametrize("name", TELLING_NOTHING)
def test_feed_without_publication_is_ignored(name: str) -> None:
    assert describe_activity(probe_site({f"{URL}feed/": TELLING_NOTHING[name]}, WP)) == (None, None)


@pytest.mark.parametrize(
    "title",
    [
        "Hello World Bank visitors",
        "Bonjour tout le monde, voici le bal",
        "Coming soon: our fair",
        "Dolor, une pièce",
    ],
)
def test_title_that_begins_like_a_default_post_counts(title: str) -> None:
    result = probe_site({f"{URL}feed/": rss("Sun, 25 Oct 2026 09:30:00 +0000", title=title)}, WP)
    assert describe_activity(result) == ("2026-10-25", "feed")


def test_default_text_is_recognized_under_any_title() -> None:
    item = (
        "<item><title>مرحبا</title><pubDate>Sun, 25 Oct 2026 09:30:00 +0000</pubDate>"
        "<description><![CDATA[<p>Bienvenue sur WordPress. Ceci est votre premier article.</p>]]>"
        "</description></item>"
    )
    assert describe_activity(
        probe_site({f"{URL}feed/": f"<rss><channel>{item}</channel></rss>"}, WP)
    ) == (None, None)


@pytest.mark.parametrize(
    "date",
    [
        "dim., 25 oct. 2026 09:30:00 +0000",
        "الأحد، 25 أكتوبر 2026 09:30:00 +0000",
        "25/10/2026 09:30",
    ],
)
def test_feed_in_the_site_language_is_read(date: str) -> None:
    assert describe_activity(probe_site({f"{URL}feed/": rss(date)}, WP)) == ("2026-10-25", "feed")


@pytest.mark.parametrize(
    "href",
    [
        "/comments/feed/",
        "/events/feed/",
        "/boutique/feed/",
        "/?post_type=product&feed=rss2",
        "/agenda/?ical=1",
    ],
)
def test_feeds_without_news_are_not_requested(href: str) -> None:
    result = probe_site({}, f'<link rel="alternate" type="application/rss+xml" href="{href}">')
    assert URL.rstrip("/") + href not in requested_urls(result)


def test_newer_marked_date_on_the_home_page_wins() -> None:
    """A feed may know only the blog, and the news be posts of another kind."""
    newer = '<article><time datetime="2026-11-02">2 novembre</time> Bal</article>'
    older = '<article><time datetime="2026-09-02">2 septembre</time> Bal</article>'
    event = '<div class="event"><time datetime="2026-11-18">18 novembre</time> Bal</div>'
    marked_date = "<p class=date>18 novembre 2026</p>"
    responses: Answers = {f"{URL}feed/": FEED}
    assert describe_activity(probe_site(responses, WP + newer)) == ("2026-11-02", "time")
    for honest in (older, event, marked_date):
        assert describe_activity(probe_site(responses, WP + honest)) == ("2026-10-25", "feed")


def sitemap(*changes: str) -> str:
    rows = "".join(
        f"<url><loc>{URL}{n}</loc><lastmod>{day}</lastmod></url>" for n, day in enumerate(changes)
    )
    return f"<urlset>{rows}</urlset>"


def index(*rows: tuple[str, str]) -> str:
    maps = "".join(
        f"<sitemap><loc>{URL}{name}</loc><lastmod>{day}</lastmod></sitemap>" for name, day in rows
    )
    return f"<sitemapindex>{maps}</sitemapindex>"


MAP, ROBOTS = f"{URL}sitemap.xml", f"{URL}robots.txt"
CHANGED = sitemap("2026-10-25", "2026-01-02")


@pytest.mark.parametrize(
    ("responses", "day"),
    [
        ({MAP: CHANGED}, "2026-10-25"),
        ({MAP: gzip.compress(CHANGED.encode())}, "2026-10-25"),
        ({MAP: gzip.compress(CHANGED.encode())[:40]}, None),
        ({MAP: sitemap("2026-10-25", "2026-10-25", "2026-10-26")}, None),
        ({MAP: sitemap("2026-11-20", "2026-10-25", "2026-01-02")}, "2026-10-25"),
        (
            {ROBOTS: f"User-agent: *\nSitemap: {URL}plan.xml\n", f"{URL}plan.xml": CHANGED},
            "2026-10-25",
        ),
        ({ROBOTS: f"<p>Sitemap: {URL}plan.xml</p>", f"{URL}plan.xml": CHANGED}, None),
        ({ROBOTS: f"Sitemap: {MAP}"}, None),
        ({MAP: "<sitemapindex><sitemap><loc>http://[post</loc></sitemap></sitemapindex>"}, None),
    ],
)
def test_sitemap_is_the_last_resort(responses: Answers, day: str | None) -> None:
    shell = '<a href="https://sites.google.com/x">site</a>'  # a system without any feed
    assert describe_activity(probe_site(responses, shell)) == (
        (day, "sitemap") if day else (None, None)
    )


def test_sitemap_index_leads_to_the_newest_posts() -> None:
    maps = index(
        ("post_tag-sitemap.xml", "2026-11-19"),
        ("post-sitemap1.xml", "2020-01-01"),
        ("post-sitemap2.xml", "2026-10-25"),
        ("page-sitemap.xml", "2026-11-19"),
    )
    result = probe_site({MAP: maps, f"{URL}post-sitemap2.xml": CHANGED})
    assert describe_activity(result) == ("2026-10-25", "sitemap")


@pytest.mark.parametrize(
    ("responses", "days"),
    [
        ({f"{URL}feed/": rss(*weekly())}, 7),
        ({f"{URL}feed/": rss(*weekly(2))}, None),
        (
            {
                f"{URL}feed/": rss(
                    *weekly(10), *[NOW - timedelta(days=3_000 + 400 * n) for n in range(20)]
                )
            },
            7,
        ),
        ({REST: POSTS}, 7),
        ({MAP: sitemap("2026-10-25", "2026-10-18", "2026-10-11", "2026-01-02")}, None),
    ],
)
def test_rhythm_is_the_median_gap_of_the_same_source(responses: Answers, days: int | None) -> None:
    assert probe_site(responses, WP)[0].facts.get("rhythm_days") == days


@pytest.mark.parametrize("spaces", [0, MAX_PARSED_BYTES])
def test_sitemap_that_is_not_read_completely_gives_no_date(spaces: int) -> None:
    """The newest change may be in the part that is not read: 2024 would be a silent site."""
    text = sitemap("2024-03-01", "2024-05-02") + " " * spaces
    result = probe_site({f"{URL}sitemap.xml": text})
    assert describe_activity(result)[0] == (None if spaces else "2024-05-02")


@pytest.mark.parametrize("spaces", [0, MAX_PARSED_BYTES])
@pytest.mark.parametrize("is_newest_first", [True, False])
def test_newest_entry_of_a_long_feed_is_unknown_if_the_oldest_comes_first(
    is_newest_first: bool, spaces: int
) -> None:
    days = weekly()
    feed = rss(*(days if is_newest_first else reversed(days))) + " " * spaces
    result = probe_site({f"{URL}feed/": feed}, WP)
    assert (describe_activity(result)[1] == "feed") is (is_newest_first or not spaces)
