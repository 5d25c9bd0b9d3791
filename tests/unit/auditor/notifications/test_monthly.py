"""Tests of the monthly report: its form on the report page, and the mail."""

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
def mailbox():
    with mail_server() as running:
        yield running


@pytest.fixture
def app(tmp_path, mailbox):
    smtp = {"host": "127.0.0.1", "port": mailbox.port, "security": "none"}
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": "https://out.example"},
        "notify": {"from": "auditor@rabat.example", "smtp": smtp},
    }
    with App.open(Config.model_validate(settings)) as app:
        nour = AssociationEntry(Association("nour", "Nour", language="fr"), Contact(AMAL))
        app.store.registry.save_registry([nour], [], NOW)
        yield app


@pytest.fixture
def client(app):
    _, url = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)
    with anonymous_client(app) as client:
        client.get(url.removeprefix("https://out.example"))
        yield client


def subscribe(client, address):
    """Send the form and return the page that follows."""
    response = client.post("/fr/report/subscriptions", data={"email": address})
    assert response.status_code == 303
    return client.get(response.headers["location"]).text


def list_subscriptions(app):
    return [
        (subscription.address, subscription.association, subscription.is_wanted)
        for subscription in app.store.subscriptions.list_subscriptions("monthly")
    ]


def test_report_page_links_to_a_form_that_stores_an_address(app, client):
    assert 'href="/fr/report/subscriptions"' in client.get("/fr/report").text
    # Anyone with the report link sees this page, so it shows no addresses.
    assert AMAL not in client.get("/fr/report/subscriptions").text
    assert 'role="status"' in subscribe(client, "Amal@rabat.example")
    assert list_subscriptions(app) == [(AMAL, "nour", True)]


def test_invalid_address_is_refused(app, client):
    for address in ("", "amal", "a@b\r\nBcc: c@d", "a b@c"):
        assert 'role="alert"' in subscribe(client, address)
    assert list_subscriptions(app) == []


def test_association_has_at_most_five_subscribers(app, client):
    for number in range(5):
        subscribe(client, f"a{number}@rabat.example")
    assert "cinq adresses" in subscribe(client, "another@rabat.example")
    assert 'role="status"' in subscribe(client, "a0@rabat.example")
    assert len(list_subscriptions(app)) == 5


def test_form_without_report_link_returns_401(app):
    with anonymous_client(app) as client:
        assert client.get("/fr/report/subscriptions").status_code == 401
        assert client.post("/fr/report/subscriptions", data={"email": AMAL}).status_code == 401
    assert list_subscriptions(app) == []


def test_form_is_hidden_without_mail_server(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": "https://out.example"},
    }
    with App.open(Config.model_validate(settings)) as app:
        app.store.registry.save_registry([Association("nour", "Nour")], [], NOW)
        _, url = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)
        with anonymous_client(app) as client:
            client.get(url.removeprefix("https://out.example"))
            assert "report/subscriptions" not in client.get("/fr/report").text
            assert client.get("/fr/report/subscriptions").status_code == 404


def test_mail_links_to_the_report_and_older_link_stays_valid(app, mailbox, client):
    subscribe(client, AMAL)
    run_time = NOW + timedelta(days=10)
    running = app.store.runs.begin_or_resume(run_time.date(), run_time)
    gap = Gap("nour", "website", "website_down", "high", run_time, 1, run_time)
    app.store.conclusions.save(gaps=[gap])
    run = app.store.runs.finish(running, AuditRunState.DONE, run_time)
    deliveries = deliver_drafts(app, collect_drafts(app, run), run_time)
    assert [delivery.status for delivery in deliveries] == ["sent"]
    [mail] = mailbox.to(AMAL)
    text = mail.get_body(("plain",)).get_content()
    assert "Votre site web ne s’ouvre pas" in text
    assert "Première étape\u00a0: ouvrez le site" in text
    [url] = [line for line in text.splitlines() if line.startswith("https://out.example/r/")]
    token = url.removeprefix("https://out.example/r/")
    assert report_links.find_active_report_link(app.store, token, run_time) is not None
    assert client.get("/fr/report").status_code == 200
