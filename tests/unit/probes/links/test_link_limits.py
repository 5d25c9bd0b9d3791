"""Links are read up to each limit, and what exceeds it does not become an account."""

from urllib.parse import quote

import pytest

from probes.channels import linkedin
from probes.channels.linkedin import MAX_SLUG_CHARS
from probes.links.domains import MAX_HOST_CHARS
from probes.links.identify import MAX_WRAPPERS, unwrap_url
from probes.links.normalize import (
    MAX_INTERNAL_LINKS,
    MAX_QUERY_CHARS,
    count_internal_links,
    parse_host,
)

STEPS = (-1, 0, 1)
URL = "https://annour.example/"


@pytest.mark.parametrize("step", STEPS)
def test_longer_name_of_a_linkedin_page_is_invalid(step):
    slug = "a" * (MAX_SLUG_CHARS + step)
    identity = linkedin.identify(f"https://www.linkedin.com/company/{slug}")
    assert identity.key == (f"company/{slug}" if step <= 0 else None)


@pytest.mark.parametrize("step", STEPS)
def test_address_inside_of_too_many_redirectors_stays_wrapped(step):
    url = URL
    for _ in range(MAX_WRAPPERS + step):
        url = f"https://l.facebook.com/l.php?u={quote(url, safe='')}"
    assert (unwrap_url(url) == URL) is (step <= 0)


# --- Addresses ------------------------------------------------------------------------------------


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
