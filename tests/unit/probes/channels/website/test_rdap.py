"""Registrations of domains: what each answer of a registry means."""

import json

import pytest

from probes.channels.website import rdap
from probes.links.domains import get_own_domain
from probes.models.finding import Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import run_offline

SERVICE = "https://rdap.publicinterestregistry.org/rdap/"


def build_record(*events, name="nour.org", statuses=()):
    """Return a record as in RFC 9083 §5.3; `events` are pairs of action and date."""
    return {
        "objectClassName": "domain",
        "ldhName": name.upper(),
        "status": list(statuses),
        "events": [{"eventAction": action, "eventDate": day} for action, day in events],
        "entities": [
            {"events": [{"eventAction": "expiration", "eventDate": "2001-01-01T00:00:00Z"}]}
        ],
    }


def ask(answer, status=200, domain="nour.org"):
    """Return the finding for one answer, and the requested addresses."""
    requested = []

    def respond(request):
        requested.append(request.url)
        if isinstance(answer, FetchError):
            return answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return Page(request.url, status, body=body)

    return run_offline(rdap.probe_domain(domain), respond).finding, requested


def test_registry_is_asked_for_the_domain_and_states_its_expiry():
    finding, requested = ask(
        build_record(
            ("registration", "2009-03-01T10:00:00Z"), ("expiration", "2027-03-01T10:00:00Z")
        )
    )
    assert requested == [f"{SERVICE}domain/nour.org"]
    assert (finding.presence, dict(finding.facts)) == (
        Presence.PRESENT,
        {"domain_expires_on": "2027-03-01"},
    )


@pytest.mark.parametrize(
    ("answer", "status", "presence", "reason"),
    [
        ({"errorCode": 404}, 404, Presence.ABSENT, Reason.NOT_FOUND),
        ({"errorCode": 429}, 429, Presence.UNKNOWN, Reason.RATE_LIMITED),
        ({}, 503, Presence.UNKNOWN, Reason.SERVER_ERROR),
        ({}, 403, Presence.UNKNOWN, Reason.BLOCKED),
        (b"<html>Welcome", 200, Presence.UNKNOWN, Reason.UNREADABLE),
        (b"[" * 100_000, 200, Presence.UNKNOWN, Reason.UNREADABLE),
        ({"objectClassName": "entity"}, 200, Presence.UNKNOWN, Reason.UNREADABLE),
        (build_record(name="other.org"), 200, Presence.UNKNOWN, Reason.UNREADABLE),
        (FetchError(Reason.TIMEOUT), 200, Presence.UNKNOWN, Reason.TIMEOUT),
        (build_record(), 200, Presence.PRESENT, None),
    ],
)
def test_refusals_and_other_answers_state_no_expiry(answer, status, presence, reason):
    finding, _ = ask(answer, status)
    assert (finding.presence, finding.reason) == (presence, reason)
    assert "domain_expires_on" not in finding.facts


def test_earlier_of_two_dates_counts():
    finding, _ = ask(
        build_record(
            ("expiration", "2028-03-01T00:00:00Z"), ("registrar expiration", "2027-03-01T00:00:00Z")
        )
    )
    assert dict(finding.facts) == {
        "domain_expires_on": "2027-03-01",
        "domain_other_expiry": "2028-03-01",
    }


@pytest.mark.parametrize("day", ["0001-01-01T00:00:00Z", "soon", "9999-12-31T23:59:59-10:00"])
def test_hidden_or_invalid_date_is_no_date(day):
    assert not ask(build_record(("expiration", day)))[0].facts


def test_statuses_of_a_lapse_are_read_in_both_spellings():
    finding, _ = ask(
        build_record(statuses=["active", "clientHold", "redemption period", "server update locked"])
    )
    assert finding.facts["domain_statuses"] == "redemption period, client hold"


def test_unicode_domain_is_asked_for_in_ascii():
    _, requested = ask(build_record(), domain="جمعية.com")
    assert requested == ["https://rdap.verisign.com/com/v1/domain/xn--ogbf3b7b0a.com"]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.nour.org", "nour.org"),
        ("blog.nour.org.ma", "nour.org.ma"),
        ("nour.asso.fr", "nour.asso.fr"),
        ("nour.blogspot.com", ""),
        ("nour.blogspot.fr", ""),
        ("nour.wordpress.com", ""),
        ("nour.wixsite.com", ""),
        ("nour.github.io", ""),
        ("nour.e-monsite.com", ""),
        ("sites.google.com", ""),
        ("192.0.2.1", ""),
        ("nour.example", ""),
    ],
)
def test_domain_of_a_platform_is_not_the_association_s(host, domain):
    assert get_own_domain(host) == domain
