"""Texts and links of a finding are limited, and what is cut is marked."""

from dataclasses import replace

import pytest

from probes.models.finding import (
    LINKS_CUT_FACT,
    MAX_DETAIL_CHARS,
    MAX_FACT_CHARS,
    MAX_LINK_CHARS,
    MAX_LINK_PAGE_CHARS,
    MAX_LINKS_PER_CHANNEL,
    MAX_NAME_CHARS,
    Finding,
    FoundLink,
    Presence,
    limit_finding,
)

FINDING = Finding(Presence.PRESENT)
LINK = FoundLink("youtube", "@nour", "https://www.youtube.com/@nour", "link")
TEXTS = {
    "name": MAX_NAME_CHARS,
    "platform_id": MAX_NAME_CHARS,
    "detail": MAX_DETAIL_CHARS,
    "final_url": MAX_FACT_CHARS,
}


@pytest.mark.parametrize(("name", "limit"), TEXTS.items())
def test_text_is_cut_above_its_limit(name, limit):
    for length in (limit - 1, limit):
        finding = replace(FINDING, **{name: "x" * length})
        assert limit_finding(finding) is finding
    cut = getattr(limit_finding(replace(FINDING, **{name: "x" * (limit + 1)})), name)
    assert cut == "x" * (limit - 1) + "…"


def test_fact_is_cut_above_its_limit():
    for length in (MAX_FACT_CHARS - 1, MAX_FACT_CHARS):
        finding = replace(FINDING, facts={"title": "x" * length, "https": True})
        assert limit_finding(finding) is finding
    cut = limit_finding(
        replace(FINDING, facts={"title": "x" * (MAX_FACT_CHARS + 1), "https": True})
    )
    assert len(str(cut.facts["title"])) == MAX_FACT_CHARS
    assert cut.facts["https"] is True


def test_links_above_the_limit_of_a_channel_are_left_out_and_marked():
    other = replace(LINK, channel="facebook")
    for count in (MAX_LINKS_PER_CHANNEL - 1, MAX_LINKS_PER_CHANNEL):
        finding = replace(FINDING, links=(LINK,) * count + (other,))
        assert limit_finding(finding) is finding
    cut = limit_finding(replace(FINDING, links=(LINK,) * (MAX_LINKS_PER_CHANNEL + 1) + (other,)))
    assert cut.links == (LINK,) * MAX_LINKS_PER_CHANNEL + (other,)
    assert cut.facts == {LINKS_CUT_FACT: True}


def test_link_with_a_longer_address_is_left_out_and_marked():
    for length in (MAX_LINK_CHARS - 1, MAX_LINK_CHARS):
        finding = replace(FINDING, links=(replace(LINK, key="", canonical="x" * length),))
        assert limit_finding(finding) is finding
    long_link = replace(LINK, key="", canonical="x" * (MAX_LINK_CHARS + 1))
    cut = limit_finding(replace(FINDING, links=(long_link, LINK)))
    assert cut.links == (LINK,)
    assert cut.facts == {LINKS_CUT_FACT: True}


def test_address_of_the_page_of_a_link_is_cut_above_its_limit():
    for length in (MAX_LINK_PAGE_CHARS - 1, MAX_LINK_PAGE_CHARS):
        finding = replace(FINDING, links=(replace(LINK, page_url="x" * length),))
        assert limit_finding(finding) is finding
    long_link = replace(LINK, page_url="x" * (MAX_LINK_PAGE_CHARS + 1))
    [link] = limit_finding(replace(FINDING, links=(long_link,))).links
    assert link.page_url == "x" * (MAX_LINK_PAGE_CHARS - 1) + "…"
