"""The expiry of a domain on pages, in decisions and replies, and in the calendar."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter

from auditor.checking import checker
from auditor.rules.engine import AnyRule
from auditor.runs.run import execute_run
from probes.models.finding import Identity, LinkKind
from probes.models.http import Page
from storage.models.audit import AccountRow, DecisionKind
from storage.models.users import ReplyKind
from storage.tables.communication import Reply
from tests.support.mini_network import lived, night_of, register, steps
from tests.support.stored import add_reply
from tests.support.web_server import logged_in_client
from tests.unit.auditor.presentation.views.test_domain_calendar import parse_calendar

NOW = night_of(0) + timedelta(hours=8)
RULES = TypeAdapter(tuple[AnyRule, ...]).validate_python(
    [{"code": "website_domain_expiring", "check": "domain_expires", "channels": ["website"]}]
)
SERVICE = "https://rdap.publicinterestregistry.org/rdap/domain/"
RECORD = (
    '{"objectClassName": "domain", "ldhName": "nour.org",'
    ' "events": [{"eventAction": "expiration", "eventDate": "%s"}]}'
)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


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
    response = client.get(path)
    assert response.status_code == 200, response.text
    text = response.text
    for mark in ("<bdi>", '<bdi dir="ltr">', "</bdi>", '<span class="soft">', "</span>"):
        text = text.replace(mark, "")
    return text


def list_calendar_days(client):
    response = client.get("/en/domains.ics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    components = parse_calendar(response.content)
    return [properties["DTSTART"] for kind, properties in components if kind == "VEVENT"]


async def test_page_shows_the_date_with_its_source(client):
    expiry = (
        "nour.org · expires on 21 March 2026 · according to the domain registry on 1 March 2026"
    )
    text = get_text(client, "/en/associations/nour")
    assert expiry in text
    assert expiry in get_text(client, "/en/associations/nour/accounts/1")
    assert "State when the domain expires" not in text


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


async def test_domain_without_a_registry_service_could_not_be_checked(client):
    text = get_text(client, "/en/associations/amal")
    assert "amal.ma · couldn’t be checked: the registry of this domain publishes no dates" in text
    assert "State when the domain expires" in text


async def test_coordinator_states_a_date(app, client):
    address = "/en/associations/amal/decisions"
    fields = {
        "kind": "domain_expires",
        "channel": "website",
        "account": "amal.ma",
        "reason": "they called",
    }
    for wrong in ("", "soon", "2026-02-28", "2046-01-01"):
        response = client.post(address, data={**fields, "expires_on": wrong})
        assert response.status_code == 422, wrong
    client.post(address, data={**fields, "expires_on": "2026-03-05"})
    assert "amal.ma · expires on 5 March 2026 · stated on 1 March 2026" in get_text(
        client, "/en/associations/amal"
    )
    await execute_run(app, night_of(1))
    assert list_calendar_days(client) == ["20260305", "20260321"]


async def test_accepted_reply_of_an_association_states_the_date(app, client):
    (row,) = app.store.registry.list_accounts("amal")
    reply = add_reply(
        app.store,
        Reply(
            association="amal",
            kind=ReplyKind.DOMAIN_EXPIRES,
            submitted_at=NOW,
            channel="website",
            account_id=row.id,
            value="2026-07-05",
        ),
    )
    assert "5 July 2026" in get_text(client, "/en/replies")
    client.post(f"/en/replies/{reply.id}", data={"answer": "accepted"})
    (decision,) = app.store.decisions.list_decisions()
    assert (decision.kind, decision.value) == (DecisionKind.DOMAIN_EXPIRES, "2026-07-05")


async def test_entry_of_the_calendar_vanishes_when_the_domain_is_renewed(app, client):
    assert list_calendar_days(client) == ["20260321"]
    for query in ("", "?channel=facebook"):
        assert "/en/domains.ics" in get_text(client, f"/en/gaps{query}")
    app.web.answers[f"{SERVICE}nour.org"] = RECORD % "2027-03-21T10:00:00Z"
    await execute_run(app, night_of(7))
    assert list_calendar_days(client) == []
