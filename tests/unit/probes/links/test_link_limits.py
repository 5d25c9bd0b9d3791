"""Links are read up to each limit, and what exceeds it does not become an account."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from probes.channels import linkedin
from probes.channels.linkedin import MAX_SLUG_CHARS
from probes.channels.website.site_names import MAX_NAME_CHARS, MAX_NAMES_CHARS, join_site_names
from probes.links.cells import split_links
from probes.links.domains import MAX_HOST_CHARS
from probes.links.identify import (
    MAX_INTERSTITIAL_BYTES,
    MAX_WRAPPERS,
    parse_interstitial_target,
    unwrap_url,
)
from probes.links.normalize import (
    MAX_CELL_CHARS,
    MAX_INTERNAL_LINKS,
    MAX_QUERY_CHARS,
    count_internal_links,
    parse_host,
    repair_link_text,
    strip_invisible,
)
from probes.links.post_numbers import MAX_LINKED_POSTS, LinkedPost, select_newest_posts
from probes.models.http import Page
from probes.parsing.html import Document
from probes.parsing.html_walker import TextNode

STEPS = (-1, 0, 1)
URL = "https://annour.example/"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize("step", STEPS)
def test_longer_name_of_a_linkedin_page_is_invalid(step):
    slug = "a" * (MAX_SLUG_CHARS + step)
    identity = linkedin.identify(f"https://www.linkedin.com/company/{slug}")
    assert identity.key == (f"company/{slug}" if step <= 0 else None)


@pytest.mark.parametrize("step", STEPS)
def test_target_is_searched_at_the_beginning_of_an_interstitial_page(step):
    """Without its last character, the address has no end."""
    element = b'<meta http-equiv=refresh content="0;url=https://annour.ma'
    body = element.rjust(MAX_INTERSTITIAL_BYTES + step)
    target = parse_interstitial_target(Page("https://t.co/a", 200, body=body + b'">'))
    assert target == ("https://annour.ma" if step <= 0 else "https://annour.m")


@pytest.mark.parametrize("step", STEPS)
def test_address_inside_of_too_many_redirectors_stays_wrapped(step):
    url = URL
    for _ in range(MAX_WRAPPERS + step):
        url = f"https://l.facebook.com/l.php?u={quote(url, safe='')}"
    assert (unwrap_url(url) == URL) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_newest_linked_posts_are_selected(step):
    count = MAX_LINKED_POSTS + step
    posts = [
        LinkedPost("twitter", f"a{number}", NOW - timedelta(days=number)) for number in range(count)
    ]
    assert select_newest_posts(posts, NOW) == posts[:MAX_LINKED_POSTS]


# --- Names of sites -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_name_of_a_site_is_kept(step):
    name = "x" * (MAX_NAME_CHARS + step)
    assert join_site_names(Document(URL, title=name)) == name[:MAX_NAME_CHARS]


@pytest.mark.parametrize("step", STEPS)
def test_copyright_sign_is_searched_at_the_beginning_of_a_text(step):
    text = "©".rjust(MAX_NAME_CHARS + step, "x")
    document = Document(URL, text=text, text_nodes=(TextNode(text, "p", "", ""),))
    assert bool(join_site_names(document)) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_all_names_of_a_site_is_kept(step):
    """Two names, the separator of three characters, and a third one."""
    last = "c" * (MAX_NAMES_CHARS - 2 * (100 + 3) + step)
    meta = {"og:site_name": "a" * 100, "application-name": last}
    names = join_site_names(Document(URL, title="b" * 100, meta=meta))
    assert len(names) == min(MAX_NAMES_CHARS, MAX_NAMES_CHARS + step)


# --- Addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_cell_is_read(step):
    text = "x".rjust(MAX_CELL_CHARS + step)
    expected = "x" if step <= 0 else ""
    assert repair_link_text(text) == strip_invisible(text) == expected
    assert split_links(text) == ([expected] if expected else [])


@pytest.mark.parametrize("step", STEPS)
def test_longer_host_is_no_host(step):
    labels = ".".join(["a" * 60] * 4)
    host = f"{labels}.{'b' * (MAX_HOST_CHARS - len(labels) - 4 + step)}.ma"
    assert parse_host(host) == (host if step <= 0 else None)


@pytest.mark.parametrize("step", STEPS)
def test_internal_links_are_counted_up_to_the_limit(step):
    links = [f"{URL}{number}" for number in range(MAX_INTERNAL_LINKS + step)]
    assert count_internal_links(URL, links) == min(MAX_INTERNAL_LINKS, len(links))


@pytest.mark.parametrize("step", STEPS)
def test_link_with_a_longer_query_is_no_page_of_the_site(step):
    link = f"{URL}?q={'a' * (MAX_QUERY_CHARS - 2 + step)}"
    assert count_internal_links(URL, [link]) == (1 if step <= 0 else 0)
