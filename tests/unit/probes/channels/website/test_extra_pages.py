"""Accounts on other pages of a site: few requests, and their errors prove nothing."""

import pytest

from probes.channels import website
from probes.channels.website import owner_accounts
from probes.channels.website.page_analysis import SiteAnalysis
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from probes.models.probe import present_finding, run_offline
from probes.parsing import html as parsing_html

HOME = "https://annour.example/"
CONTACT = "https://annour.example/contact"
MENU = '<nav><a href="/contact">Contact</a></nav>'
ICON = '<footer><div class="social"><a href="https://{}"><i></i></a></div></footer>'
VIDEO = '<iframe src="https://www.youtube.com/embed/abcdefghijk"></iframe>'
ALL = "".join(
    ICON.format(address)
    for address in (
        "www.facebook.com/annour",
        "x.com/annour_ma",
        "www.linkedin.com/company/annour",
        "www.youtube.com/@annour",
    )
)


def discover(body, responses=None, url=HOME):
    """Return the links and facts found on and beyond a home page, and the requested URLs."""
    document = parsing_html.parse_html(f"<title>Association Annour</title>{body}", url)
    site = SiteAnalysis(
        links=owner_accounts.find_owner_accounts(document),
        contact_url=owner_accounts.find_contact_url(document),
    )
    page, facts_seen, requested_urls = Page(url, 200), {}, []

    def steps():
        links, facts = yield from website.discover_site_accounts(page, site)
        facts_seen.update(facts)
        return present_finding(page, links=links)

    def answer(request):
        assert not request.is_registered_link  # robots.txt is obeyed
        requested_urls.append(request.url.partition("?")[0])
        response = (responses or {}).get(requested_urls[-1], FetchError(Reason.NOT_FOUND))
        return response if isinstance(response, FetchError) else Page(request.url, *response)

    finding = run_offline(steps(), answer).finding
    return (
        {f"{link.channel} {link.key}": link for link in finding.links},
        facts_seen,
        requested_urls,
    )


def html(body, status=200):
    return status, {"content-type": "text/html"}, f"<body>{body}</body>".encode()


def test_home_page_with_every_channel_costs_no_request():
    links, facts, requested_urls = discover(MENU + VIDEO + ALL)
    assert (len(links), facts, requested_urls) == (4, {}, [])


def test_contact_page_adds_the_missing_channels():
    home = MENU + ICON.format("www.facebook.com/annour")
    contacts = html(ICON.format("www.facebook.com/annour.sale") + ICON.format("x.com/annour_ma"))
    links, facts, requested_urls = discover(home, {CONTACT: contacts})
    assert list(links) == ["facebook u:annour", "twitter annour_ma"]
    assert links["twitter annour_ma"].page_url == CONTACT
    assert links["twitter annour_ma"].snippet == "https://x.com/annour_ma"
    assert (facts, requested_urls) == ({}, [CONTACT])


@pytest.mark.parametrize("reason", [Reason.ROBOTS, Reason.TIMEOUT, Reason.BLOCKED])
def test_unreadable_contact_page_sets_only_a_fact(reason):
    links, facts, _ = discover(MENU, {CONTACT: FetchError(reason)})
    assert (links, facts) == ({}, {website.UNREAD_CONTACT_FACT: CONTACT})


@pytest.mark.parametrize(
    ("status", "withheld"), [(404, False), (410, False), (403, True), (503, True)]
)
def test_missing_contact_page_adds_no_account(status, withheld):
    links, facts, _ = discover(MENU, {CONTACT: html(ICON.format("x.com/annour_ma"), status)})
    assert (links, bool(facts)) == ({}, withheld)


def test_only_a_home_page_leads_to_further_requests():
    _, _, requested_urls = discover(MENU + VIDEO, url="https://annour.example/2026/03/bilan")
    assert requested_urls == []
