"""Sixty demo accounts on Instagram, TikTok and WhatsApp: no false accusation, named reasons."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import pytest

from auditor.checking.checker import create_probe
from auditor.demo.associations import build_link_cell, load_demo_associations
from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import SCENARIOS, DemoRun, FakeRequest
from auditor.demo.play import write_demo_config
from probes.channels.website.owner_accounts import find_owner_accounts
from probes.links import identify
from probes.models.finding import Account, Finding, LinkKind, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import run_offline
from probes.parsing import html
from tests.support.demo_session import read_expected_values

NOW = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)
LAST_RUN = DemoRun(14, 14, NOW)
FAKE_WEB = FakeWeb()
MISSING_SCENARIOS = {"deleted"}
"""Scenarios of accounts that do not exist. Only these may be found absent."""


def fetch(request: PageRequest) -> Page | FetchError:
    """Return the page of the fake web with its redirects followed."""
    url, hops = request.url, []
    for _ in range(3):
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        response = FAKE_WEB.respond(
            FakeRequest(parts.scheme, parts.hostname or "", target), LAST_RUN
        )
        location = response.headers.get("location")
        if location is None:
            headers = {"content-type": response.content_type, **response.headers}
            return Page(url, response.status, headers, response.body, NOW, hops=tuple(hops))
        hops.append(Hop(url, response.status))
        url = urljoin(url, location)
    return FetchError(Reason.NETWORK)


def check(typed: str, channel: str) -> Finding:
    account = Account("test", typed, identify.identify_link(typed, channel))
    return run_offline(create_probe(account), fetch).finding


def list_findings() -> list[tuple[str, str, Finding]]:
    """Return channel, scenario and finding of every account on the three networks."""
    return [
        (channel, scenario_name, check(build_link_cell(association, channel).strip(), channel))
        for channel in ("instagram", "tiktok", "whatsapp")
        for association in load_demo_associations()
        if (scenario_name := association.get_scenario_name(channel))
        and scenario_name != "unregistered"
    ]


def test_sixty_accounts_give_no_false_accusation_and_name_their_reasons() -> None:
    findings = list_findings()
    assert Counter(channel for channel, _, _ in findings) == {
        "instagram": 20,
        "tiktok": 20,
        "whatsapp": 20,
    }
    accused = {name for _, name, finding in findings if finding.presence is Presence.ABSENT}
    assert accused <= MISSING_SCENARIOS
    explained = [
        finding
        for _, _, finding in findings
        if finding.presence is not Presence.UNKNOWN
        or (finding.reason is not None and finding.reason is not Reason.CRASHED)
    ]
    assert len(explained) >= 0.9 * len(findings)


@pytest.mark.parametrize("channel", ["instagram", "tiktok", "whatsapp", "telegram"])
def test_every_scenario_is_played_and_gives_its_declared_finding(channel: str) -> None:
    played = set()
    expected = {
        value.association: value.value
        for value in read_expected_values()
        if (value.channel, value.kind, value.run_number) == (channel, "finding", LAST_RUN.number)
    }
    for association in load_demo_associations():
        name = association.get_scenario_name(channel)
        played.add(name)
        if name and name != "unregistered":
            finding = check(build_link_cell(association, channel).strip(), channel)
            found = " ".join(str(word) for word in (finding.presence, finding.reason) if word)
            assert (association.id, found) == (association.id, expected[association.id])
    assert played == {"", *SCENARIOS[channel]}


@pytest.mark.parametrize("channel", ["instagram", "tiktok", "whatsapp", "telegram"])
def test_canaries_read_as_they_should(channel: str, tmp_path) -> None:
    settings = write_demo_config(tmp_path, 8080).channels[channel]
    for link in settings.canaries:
        assert check(link, channel).presence is Presence.PRESENT
    assert check(settings.impossible_account or "", channel).presence is not Presence.PRESENT


def test_phone_links_and_share_buttons_of_sites_are_not_proposed() -> None:
    proposed_kinds = set()
    for association in load_demo_associations():
        if association.website != "wordpress_active":
            continue
        page = fetch(PageRequest(association.site_url))
        assert isinstance(page, Page)
        assert b"https://wa.me/212" in page.body
        assert b"api.whatsapp.com/send" in page.body
        for link in find_owner_accounts(html.parse_document(page)):
            proposed_kinds.add(identify.identify_link(link.canonical).kind)
    assert LinkKind.PHONE not in proposed_kinds
    assert LinkKind.SHARE not in proposed_kinds


def test_account_on_the_site_only_is_found() -> None:
    for channel, identity in (("instagram", "a002"), ("whatsapp", "a026")):
        association = next(item for item in load_demo_associations() if item.id == identity)
        assert build_link_cell(association, channel) == ""
        page = fetch(PageRequest(association.site_url))
        assert isinstance(page, Page)
        links = find_owner_accounts(html.parse_document(page))
        assert channel in {link.channel for link in links}


def test_videos_of_an_embed_are_dated_by_their_numbers() -> None:
    association = next(item for item in load_demo_associations() if item.tiktok == "active")
    activity = check(build_link_cell(association, "tiktok"), "tiktok").last_activity
    assert activity is not None
    assert NOW - activity.published_at < timedelta(days=8)
