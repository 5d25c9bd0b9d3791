"""An association asks for its report by mail beside the report, and the mail leads back to it."""

from datetime import timedelta

import pytest

from auditor import report_links
from auditor.app import App
from auditor.config.schema import Config
from auditor.notifications.delivery import collect_drafts, deliver_drafts
from storage.models.audit import Association, AssociationEntry, AuditRunState, Contact, Gap
from tests.support.smtp_and_http_servers import mail_server
from tests.support.web_server import NOW, anonymous_client

AMAL = "amal@rabat.example"


@pytest.fixture
def box():
    with mail_server() as running:
        yield running


@pytest.fixture
def app(tmp_path, box):
    smtp = {"host": "127.0.0.1", "port": box.port, "security": "none"}
    told = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": "https://out.example"},
        "notify": {"from": "auditor@rabat.example", "smtp": smtp},
    }
    with App.open(Config.model_validate(told)) as opened:
        nour = AssociationEntry(Association("nour", "Nour", language="fr"), Contact(AMAL))
        opened.store.save_registry([nour], [], NOW)
        yield opened


@pytest.fixture
def client(app):
    way = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)[1]
    with anonymous_client(app) as reader:
        reader.get(way.removeprefix("https://out.example"))
        yield reader


def wished(client, address):
    """Where the form leads, and what is said there."""
    sent = client.post("/fr/report/subscriptions", data={"email": address})
    assert sent.status_code == 303
    return client.get(sent.headers["location"]).text


def wishes(app):
    return [
        (one.address, one.association, one.is_wanted)
        for one in app.store.list_subscriptions("monthly")
    ]


def test_the_report_leads_to_a_form_that_keeps_an_address(app, client):
    assert 'href="/fr/report/subscriptions"' in client.get("/fr/report").text
    assert (
        AMAL not in client.get("/fr/report/subscriptions").text
    )  # the link alone tells nobody's address
    assert 'role="status"' in wished(client, "Amal@rabat.example")
    assert wishes(app) == [(AMAL, "nour", True)]


def test_what_is_no_address_is_told_and_not_kept(app, client):
    for address in ("", "amal", "a@b\r\nBcc: c@d", "a b@c"):
        assert 'role="alert"' in wished(client, address)
    assert wishes(app) == []


def test_whoever_holds_a_letter_cannot_have_it_sent_to_everybody(app, client):
    for number in range(5):
        wished(client, f"a{number}@rabat.example")
    assert "cinq adresses" in wished(client, "another@rabat.example")
    assert 'role="status"' in wished(client, "a0@rabat.example")
    assert len(wishes(app)) == 5


def test_without_a_letter_nobody_asks_for_it(app):
    with anonymous_client(app) as stranger:
        assert stranger.get("/fr/report/subscriptions").status_code == 401
        assert stranger.post("/fr/report/subscriptions", data={"email": AMAL}).status_code == 401
    assert wishes(app) == []


def test_where_no_mail_can_be_sent_nothing_is_promised(tmp_path):
    told = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": "https://out.example"},
    }
    with App.open(Config.model_validate(told)) as app:
        app.store.save_registry([Association("nour", "Nour")], [], NOW)
        way = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)[1]
        with anonymous_client(app) as client:
            client.get(way.removeprefix("https://out.example"))
            assert "report/subscriptions" not in client.get("/fr/report").text
            assert client.get("/fr/report/subscriptions").status_code == 404


def test_the_mail_leads_to_the_report_and_leaves_the_older_letter_as_it_is(app, box, client):
    wished(client, AMAL)
    at = NOW + timedelta(days=10)
    running = app.store.begin_run(at.date(), at)
    app.store.save_conclusions(gaps=[Gap("nour", "website", "website_down", "high", at, 1, at)])
    done = app.store.finish_run(running, AuditRunState.DONE, at)
    assert [one.status for one in deliver_drafts(app, collect_drafts(app, done), at)] == ["sent"]
    [mail] = box.to(AMAL)
    text = mail.get_body(("plain",)).get_content()
    assert "Votre site web ne s’ouvre pas" in text
    [way] = [line for line in text.splitlines() if line.startswith("https://out.example/r/")]
    assert (
        report_links.find_active_report_link(
            app.store, way.removeprefix("https://out.example/r/"), at
        )
        is not None
    )
    assert client.get("/fr/report").status_code == 200
