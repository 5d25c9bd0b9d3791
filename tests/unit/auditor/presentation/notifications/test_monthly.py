"""Tests of the monthly report: its form on the report page, and the mail."""

from datetime import timedelta

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.core.form_limits import MAX_EMAIL_CHARS
from auditor.core.formatting import hash_token
from auditor.presentation import report_links
from auditor.presentation.notifications import delivery
from auditor.presentation.notifications.delivery import collect_drafts, deliver_drafts
from auditor.presentation.notifications.subscriptions import CONFIRMATION_DAYS, save_subscription
from storage.conclusions import Conclusions
from storage.models.audit import Association, AssociationEntry, AuditRunState, Contact, Gap
from storage.tables.communication import Subscription
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


def find_confirmation_path(mail):
    """Return the path of the link in a mail that asks to confirm a subscription."""
    text = mail.get_body(("plain",)).get_content()
    [url] = [line for line in text.splitlines() if "/subscriptions/" in line]
    return url.removeprefix("https://out.example")


def subscribe_and_confirm(client, mailbox, address):
    """Send the form, wait for the mail and confirm it."""
    subscribe(client, address)
    assert client.post(find_confirmation_path(mailbox.wait_for_mail(address))).status_code == 200


def run_and_deliver(app, run_time):
    """Finish a run, and return the statuses of its messages."""
    running = app.store.runs.begin_or_resume(run_time.date(), run_time)
    run = app.store.runs.finish(running, AuditRunState.DONE, run_time)
    return [delivery.status for delivery in deliver_drafts(app, collect_drafts(app, run), run_time)]


def test_report_page_links_to_a_form_for_an_address(app, client, mailbox):
    assert 'href="/fr/report/subscriptions"' in client.get("/fr/report").text
    # Anyone with the report link sees this page, so it shows no addresses.
    assert AMAL not in client.get("/fr/report/subscriptions").text
    assert 'role="status"' in subscribe(client, "Amal@rabat.example")
    mail = mailbox.wait_for_mail(AMAL)
    assert list_subscriptions(app) == []
    assert client.post(find_confirmation_path(mail)).status_code == 200
    assert list_subscriptions(app) == [(AMAL, "nour", True)]


def test_address_gets_nothing_before_it_has_confirmed(app, client, mailbox):
    subscribe(client, AMAL)
    mailbox.wait_for_mail(AMAL)
    assert run_and_deliver(app, NOW + timedelta(days=1)) == []
    assert len(mailbox.to(AMAL)) == 1


def test_opening_the_confirmation_link_changes_nothing(app, client, mailbox):
    subscribe(client, AMAL)
    path = find_confirmation_path(mailbox.wait_for_mail(AMAL))
    page = client.get(path, headers={"host": "out.example"})
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert AMAL not in page.text
    assert "Nour" in page.text
    assert list_subscriptions(app) == []
    assert client.post(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/fr/subscriptions/wrong").status_code == 410


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_confirmation_page_names_the_association_of_its_own_link_only(
    app, client, mailbox, language
):
    subscribe(client, AMAL)
    token = find_confirmation_path(mailbox.wait_for_mail(AMAL)).rpartition("/")[2]
    with anonymous_client(app) as stranger:
        assert "Nour" in stranger.get(f"/{language}/subscriptions/{token}").text
        for guess in ("wrong", token[:-1], hash_token(token), "%25", "x" * 5_000):
            page = stranger.get(f"/{language}/subscriptions/{guess}")
            assert page.status_code == 200
            assert "Nour" not in page.text
    assert client.post(f"/{language}/subscriptions/{token}").status_code == 200
    assert "Nour" not in client.get(f"/{language}/subscriptions/{token}").text


def test_confirmation_page_of_an_expired_link_names_no_association(app, client, mailbox):
    subscribe(client, AMAL)
    path = find_confirmation_path(mailbox.wait_for_mail(AMAL))
    with anonymous_client(app, NOW + timedelta(days=CONFIRMATION_DAYS)) as late_client:
        assert "Nour" not in late_client.get(path).text


@pytest.mark.parametrize("address", [AMAL, "zineb@rabat.example"])
def test_revoking_links_ends_the_subscriptions_made_through_them(app, client, mailbox, address):
    subscribe_and_confirm(client, mailbox, address)
    app.store.report_links.revoke("nour", "Omar", NOW + timedelta(hours=1))
    assert run_and_deliver(app, NOW + timedelta(days=1)) == []
    assert list_subscriptions(app) == [(address, "nour", False)]


def test_new_link_ends_the_subscriptions_made_through_older_ones(app, client, mailbox):
    subscribe_and_confirm(client, mailbox, AMAL)
    report_links.create_report_link(
        app.store, app.config, "nour", "Omar", NOW, keep_older_links=True
    )
    assert list_subscriptions(app) == [(AMAL, "nour", True)]
    report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)
    assert list_subscriptions(app) == [(AMAL, "nour", False)]


def test_revoking_links_ends_open_requests(app, client, mailbox):
    subscribe(client, AMAL)
    path = find_confirmation_path(mailbox.wait_for_mail(AMAL))
    app.store.report_links.revoke("nour", "Omar", NOW)
    assert client.post(path).status_code == 410
    assert list_subscriptions(app) == []


def test_revoking_links_keeps_subscriptions_of_the_operator(app):
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=NOW)
    assert app.store.report_links.revoke("nour", "Omar", NOW) == (0, 0)
    assert list_subscriptions(app) == [(AMAL, "nour", True)]


def test_confirmation_that_cannot_be_sent_can_be_repeated(app, client, mailbox, caplog):
    mailbox.refused[AMAL] = "550 no such user"
    assert 'role="status"' in subscribe(client, AMAL)
    with caplog.at_level("WARNING"):
        subscribe(client, "zineb@rabat.example")
    mailbox.wait_for_mail("zineb@rabat.example")
    mailbox.refused.clear()
    for _ in range(2):
        subscribe(client, AMAL)
    assert find_confirmation_path(mailbox.wait_for_mail(AMAL))
    assert AMAL not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("auditor")
    )


def test_invalid_address_is_refused(app, client):
    for address in ("", "amal", "a@b\r\nBcc: c@d", "a b@c"):
        assert 'role="alert"' in subscribe(client, address)
    assert list_subscriptions(app) == []


@pytest.mark.parametrize(("count", "is_full"), [(3, False), (4, False), (5, True)])
def test_address_is_added_until_there_are_five(app, client, count, is_full):
    for number in range(count):
        address = f"a{number}@rabat.example"
        save_subscription(app.store, app.config, address, "nour", wanted=True, now=NOW)
    assert ("cinq adresses" in subscribe(client, "another@rabat.example")) is is_full


def test_association_has_at_most_five_subscribers(app, client, mailbox):
    for number in range(5):
        subscribe_and_confirm(client, mailbox, f"a{number}@rabat.example")
    for address in ("another@rabat.example", "a0@rabat.example"):
        assert "cinq adresses" in subscribe(client, address)
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
    subscribe_and_confirm(client, mailbox, AMAL)
    run_time = NOW + timedelta(days=10)
    running = app.store.runs.begin_or_resume(run_time.date(), run_time)
    gap = Gap("nour", "website", "website_down", "high", run_time, 1, run_time)
    app.store.conclusions.save(Conclusions(gaps=[gap]))
    run = app.store.runs.finish(running, AuditRunState.DONE, run_time)
    deliveries = deliver_drafts(app, collect_drafts(app, run), run_time)
    assert [delivery.status for delivery in deliveries] == ["sent"]
    _, mail = mailbox.to(AMAL)
    text = mail.get_body(("plain",)).get_content()
    assert "Votre site web ne s’ouvre pas" in text
    assert "Première étape\u00a0: ouvrez le site" in text
    [url] = [line for line in text.splitlines() if line.startswith("https://out.example/r/")]
    token = url.removeprefix("https://out.example/r/")
    assert report_links.find_active_report_link(app.store, token, run_time) is not None
    assert client.get("/fr/report").status_code == 200


def test_report_about_an_association_that_no_run_has_checked_is_sent(app, mailbox, client):
    subscribe_and_confirm(client, mailbox, AMAL)
    assert run_and_deliver(app, NOW + timedelta(days=10)) == ["sent"]
    _, mail = mailbox.to(AMAL)
    assert "Nous commençons à vérifier" in mail.get_body(("plain",)).get_content()


def test_report_that_cannot_be_built_does_not_stop_the_others(app, mailbox, monkeypatch, caplog):
    names = ("nour", "amal", "zaytoun")
    app.store.registry.save_registry([Association(name, name.title()) for name in names], [], NOW)
    for name in names:
        save_subscription(app.store, app.config, AMAL, name, wanted=True, now=NOW)
    build_report = delivery.build_monthly_report
    load_view = delivery.load_association_view

    def build_all_but_amal(view, *arguments):
        if view.association.id == "amal":
            raise IndexError("tuple index out of range")
        return build_report(view, *arguments)

    def load_all_but_nour(store, config, association):
        if association == "nour":
            raise ZeroDivisionError
        return load_view(store, config, association)

    monkeypatch.setattr(delivery, "build_monthly_report", build_all_but_amal)
    monkeypatch.setattr(delivery, "load_association_view", load_all_but_nour)
    run_time = NOW + timedelta(days=10)
    assert sorted(run_and_deliver(app, run_time)) == ["failed", "failed", "sent"]
    assert [record.event for record in caplog.records] == ["message_build_failed"] * 2
    assert "IndexError" in caplog.text
    assert AMAL not in caplog.text
    monkeypatch.undo()
    assert sorted(run_and_deliver(app, run_time + timedelta(days=1))) == [
        "already_sent",
        "sent",
        "sent",
    ]


def test_stored_address_that_is_invalid_does_not_stop_the_other_reports(app, caplog):
    """It ended the delivery of all later messages."""
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=NOW)
    spoilt = Subscription(
        address="aïcha@rabat.example",
        kind="monthly",
        is_wanted=True,
        changed_at=NOW,
        association="nour",
    )
    app.store.subscriptions.save(spoilt)
    run_time = NOW + timedelta(days=10)
    assert sorted(run_and_deliver(app, run_time)) == ["failed", "sent"]
    assert [record.event for record in caplog.records] == ["message_build_failed"]
    assert "neither a mail address" in caplog.text
    assert spoilt.address not in caplog.text


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_address_of_a_subscription_has_a_limit(client, step):
    address = "@rabat.example".rjust(MAX_EMAIL_CHARS + step, "a")
    response = client.post("/fr/report/subscriptions", data={"email": address})
    assert response.status_code == (303 if step <= 0 else 422)
