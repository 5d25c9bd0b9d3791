"""The expiry of a domain on pages, in decisions and replies, and in the calendar (RFC 5545)."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from auditor.core.i18n.translator import Translator
from auditor.presentation.views.calendar import DOMAIN_GAP, build_calendar
from auditor.rules.engine import AnyRule
from auditor.runs.run import execute_run
from probes.models.finding import Identity, LinkKind
from probes.models.http import Page
from storage.models.audit import AccountRow, Gap
from tests.integration.web.test_feeds import create_feed
from tests.support.mini_network import lived, night_of, register
from tests.support.web_server import logged_in_client, read_page

NOW = night_of(0) + timedelta(hours=8)
RULES = TypeAdapter(tuple[AnyRule, ...]).validate_python(
    [{"code": "website_domain_expiring", "check": "domain_expires", "channels": ["website"]}]
)
SERVICE = "https://rdap.publicinterestregistry.org/rdap/domain/"
RECORD = (
    '{"objectClassName": "domain", "ldhName": "nour.org",'
    ' "events": [{"eventAction": "expiration", "eventDate": "%s"}]}'
)


def site(host, association):
    url = f"https://{host}/"
    return AccountRow(
        association, url, Identity("website", LinkKind.PAGE, host, url, url), "website"
    )


@lived
async def app(network):
    """Nour's domain expires in 20 days; the registry of Amal's has no service."""
    network.config = network.config.model_copy(update={"rules": RULES})
    register(network, site("nour.org", "nour"), site("amal.ma", "amal"))
    network.web.answers[f"{SERVICE}nour.org"] = RECORD % "2026-03-21T10:00:00Z"
    await execute_run(network, night_of(0))


@pytest.fixture
def client(app):
    app.config = app.config.model_copy(update={"rules": RULES})
    with logged_in_client(app, NOW) as browser:
        yield browser


def get_text(client, path):
    return re.sub(r"</?(?:bdi|span)[^>]*>", "", read_page(client.get(path)))


def list_calendar_days(client):
    response = client.get(create_feed(client) + "/calendar.ics")
    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    components = parse_calendar(response.content)
    return [properties["DTSTART"] for kind, properties in components if kind == "VEVENT"]


@pytest.mark.smoke
async def test_page_shows_the_date_with_its_source(client):
    expiry = (
        "nour.org · expires on 21 March 2026 · according to the domain registry on 1 March 2026"
    )
    for page in ("nour", "nour/accounts/1"):
        text = get_text(client, f"/en/associations/{page}")
        assert (expiry in text, "State when the domain expires" in text) == (True, False)


TWO_DATES = RECORD.replace(
    "]}", ', {"eventAction": "registrar expiration", "eventDate": "2026-05-21T10:00:00Z"}]}'
)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (404, "the domain registry does not know this name · according to the domain registry on"),
        (429, "soleil.org · couldn’t be checked: too many requests, access limited"),
        (503, "soleil.org · couldn’t be checked: server error"),
        (
            RECORD.replace("expiration", "registration") % "2009-03-21",
            "soleil.org · couldn’t be checked: the domain registry gave no date",
        ),
        (RECORD % "2026-02-21", "soleil.org · expired on 21 February 2026 · according to"),
        (
            TWO_DATES % "2027-05-21",
            "soleil.org · expires on 21 May 2026 (the domain registry also names 21 May 2027)",
        ),
    ],
)
async def test_page_says_what_the_registry_answered(app, client, answer, text):
    register(app, site("nour.org", "nour"), site("amal.ma", "amal"), site("soleil.org", "soleil"))
    app.web.answers[f"{SERVICE}soleil.org"] = (
        answer.replace("nour.org", "soleil.org") if isinstance(answer, str) else Page("", answer)
    )
    await execute_run(app, night_of(1))
    assert text in get_text(client, "/en/associations/soleil")


async def test_coordinator_states_a_date(app, client):
    address = "/en/associations/amal/decisions"
    fields = {"kind": "domain_expires", "channel": "website", "account": "amal.ma"}
    for date, status in {
        **dict.fromkeys(("", "soon", "2026-02-28", "2046-01-01"), 422),
        "2026-03-05": 303,
    }.items():
        form = {**fields, "reason": "they called", "expires_on": date}
        assert client.post(address, data=form).status_code == status, date
    text = get_text(client, "/en/associations/amal")
    assert "amal.ma · expires on 5 March 2026 · stated on 1 March 2026" in text
    await execute_run(app, night_of(1))
    assert list_calendar_days(client) == ["20260305", "20260321"]


async def test_every_page_says_that_the_domain_has_expired(app, client):
    app.web.answers[f"{SERVICE}nour.org"] = RECORD % "2026-02-27T10:00:00Z"
    await execute_run(app, night_of(7))
    for path in ("/", "/gaps", "/meeting", "/associations/nour"):
        text = get_text(client, f"/en{path}")
        assert "Its website’s domain name expired on 27 February 2026" in text, path
    assert "Expired domain" in get_text(client, "/en/associations")


async def test_entry_of_the_calendar_vanishes_when_the_domain_is_renewed(app, client):
    assert list_calendar_days(client) == ["20260321"]
    for query in ("", "?channel=facebook"):
        assert "/en/account#feed" in get_text(client, f"/en/gaps{query}")
    app.web.answers[f"{SERVICE}nour.org"] = RECORD % "2027-03-21T10:00:00Z"
    await execute_run(app, night_of(7))
    assert list_calendar_days(client) == []


FOUND_AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
GAP = Gap(
    "nour",
    "website",
    DOMAIN_GAP,
    "high",
    FOUND_AT,
    opened_at=FOUND_AT,
    subject="nour.org",
    params={
        "url": "https://nour.org/",
        "domain": "nour.org",
        "expires_on": "2026-12-20",
        "registry_on": "2026-11-28",
    },
)
NAME = "جمعية النور؛ Nour, Rabat; \\ et l’Oriental " * 3


REQUIRED = {
    "VCALENDAR": {"VERSION", "PRODID"},
    "VEVENT": {"UID", "DTSTAMP", "DTSTART"},
    "VALARM": {"ACTION", "TRIGGER", "DESCRIPTION"},
}


def parse_calendar(content):
    """Return the components as (name, properties), after checks of RFC 5545 §3.1 and §3.6."""
    lines = [line.decode() for line in content.split(b"\r\n")]  # no character is split
    assert all(0 < len(line.encode()) <= 75 and "\n" not in line for line in lines[:-1])
    unfolded = "\r\n".join(lines).replace("\r\n ", "").split("\r\n")
    assert unfolded[-1] == ""
    stack, components = [], []
    for line in unfolded[:-1]:
        name, value = re.fullmatch(r"([A-Z-]+)(?:;[A-Z]+=[\w/-]+)*:(.*)", line).groups()
        if name == "BEGIN":
            stack.append((value, {}))
        elif name == "END":
            components.append(stack.pop())
            assert components[-1][0] == value
        else:
            assert stack[-1][1].setdefault(name, value) is value, "each occurs at most once"
    assert (stack, components[-1][0]) == ([], "VCALENDAR")
    for kind, properties in components:
        assert REQUIRED.get(kind, set()) <= properties.keys()
    return components


def list_events(*gaps, language="en", name=NAME):
    calendar = build_calendar((), [(name, gap) for gap in gaps], (), Translator(language), FOUND_AT)
    return [properties for kind, properties in parse_calendar(calendar) if kind == "VEVENT"]


@pytest.mark.parametrize("language", ["ar", "en"])
def test_entry_is_valid_in_each_language(language):
    (event,) = list_events(GAP, language=language)
    assert (event["DTSTART"], event["DTEND"]) == ("20261220", "20261221")


def test_text_is_escaped():
    (event,) = list_events(GAP, name="a,b;c\\d")
    assert event["SUMMARY"] == "Renew nour.org (a\\,b\\;c\\\\d)"
    assert "according to the domain registry on 28 November 2026\\n" in event["DESCRIPTION"]


def test_id_of_an_entry_is_stable():
    later = replace(GAP, severity="urgent", params={**GAP.params, "expires_on": "2027-12-20"})
    other = replace(GAP, association="amal")
    ids = [event["UID"] for event in list_events(GAP, later, other)]
    assert ids[0] == ids[1] != ids[2]


def test_lost_domain_without_a_date_is_listed_on_the_day_it_was_found():
    params = {"domain": "nour.org", "domain_status": "pending_delete", "registry_on": "2026-11-28"}
    (event,) = list_events(replace(GAP, params=params))
    assert event["DTSTART"] == "20261128"
