"""Requests to subscribe: what is answered, and how many mails they cause."""

from datetime import timedelta

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.presentation.notifications import subscriptions
from auditor.presentation.notifications.subscriptions import (
    CONFIRMATION_DAYS,
    MAX_REQUESTS_PER_ADDRESS,
    MAX_REQUESTS_PER_ASSOCIATION,
    MAX_SUBSCRIBERS_PER_ASSOCIATION,
    build_confirmation_mail,
    confirm_subscription,
    save_subscription,
)
from auditor.runs.pipeline import compute_retention_cutoffs
from storage.models.audit import Association
from storage.tables.communication import ReportLink
from tests.support.web_server import NOW

AMAL = "amal@rabat.example"
VALIDITY = timedelta(days=CONFIRMATION_DAYS)
MOMENT = timedelta(seconds=1)


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": "https://out.example"},
    }
    with App.open(Config.model_validate(settings)) as opened:
        associations = [Association(f"a{number}", f"A {number}") for number in range(4)]
        opened.store.registry.save_registry(associations, [], NOW)
        for association in associations:
            opened.store.report_links.add(build_report_link(association.id))
        yield opened


def build_report_link(association, token_hash=""):
    return ReportLink(
        association=association,
        token_hash=token_hash or association,
        created_at=NOW,
        created_by="Amal",
        expires_at=NOW + 2 * VALIDITY,
    )


def request_subscription(store, address, association, now):
    """Request a subscription with the first report link of the association."""
    report_link = next(store.report_links.list_report_links(association))
    return subscriptions.request_subscription(store, address, report_link, now)


def count_mails(app, addresses, association="a0", now=NOW):
    """Request subscriptions of these addresses and return how many mails they cause."""
    tokens = [request_subscription(app.store, text, association, now)[1] for text in addresses]
    return len(list(filter(None, tokens)))


def is_subscribed(app, address=AMAL, association="a0"):
    subscription = app.store.subscriptions.get(address, "monthly", association)
    return subscription is not None and subscription.is_wanted


@pytest.mark.parametrize("is_already_subscribed", [False, True])
def test_answer_does_not_reveal_whether_the_address_is_subscribed(app, is_already_subscribed):
    if is_already_subscribed:
        save_subscription(app.store, app.config, AMAL, "a0", wanted=True, now=NOW)
    for _ in range(MAX_REQUESTS_PER_ADDRESS + 1):
        outcome, _ = request_subscription(app.store, AMAL, "a0", NOW)
        assert outcome == "requested"


def test_subscribed_address_gets_no_mail(app):
    save_subscription(app.store, app.config, AMAL, "a0", wanted=True, now=NOW)
    assert count_mails(app, [AMAL]) == 0


def test_full_association_gives_the_same_answer_for_each_address(app):
    for number in range(MAX_SUBSCRIBERS_PER_ASSOCIATION):
        save_subscription(app.store, app.config, f"s{number}@x.example", "a0", wanted=True, now=NOW)
    outcomes = {
        request_subscription(app.store, address, "a0", NOW)[0]
        for address in ("s0@x.example", "new@x.example")
    }
    assert outcomes == {"too_many"}


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_address_causes_few_mails(app, step):
    count = MAX_REQUESTS_PER_ADDRESS + step
    assert count_mails(app, [AMAL] * count) == min(count, MAX_REQUESTS_PER_ADDRESS)


def test_address_gets_few_mails_whatever_the_association_and_the_case(app):
    sent = [
        count_mails(app, [AMAL, AMAL.upper(), f"mailto:{AMAL}"], f"a{number}")
        for number in range(4)
    ]
    assert sum(sent) == MAX_REQUESTS_PER_ADDRESS
    assert count_mails(app, [AMAL], now=NOW + VALIDITY - MOMENT) == 0
    assert count_mails(app, [AMAL], now=NOW + VALIDITY) == 1


@pytest.mark.parametrize(
    "spelling",
    [
        "amal@rabat.example.",
        "amal@rabat..example",
        "amal@ｒａｂａｔ.example",
        "amal@ra\u00adbat.example",
        " Amal@Rabat.Example ",
    ],
)
def test_spellings_of_an_address_count_together(app, spelling):
    addresses = [AMAL] * (MAX_REQUESTS_PER_ADDRESS - 1)
    assert count_mails(app, [*addresses, spelling, spelling]) == MAX_REQUESTS_PER_ADDRESS


def test_punycode_is_another_spelling_of_a_domain(app):
    assert count_mails(app, ["a@xn--t-9fa.example", "a@ét.example", "a@ÉT.example"]) == 2


@pytest.mark.parametrize(
    "address",
    ["root@localhost", "a@[127.0.0.1]", "a@127.0.0.1", "a@b", "a@-b.example", "a@b.example%0ax:y"],
)
def test_address_outside_the_public_net_is_invalid(app, address):
    outcome, token = request_subscription(app.store, address, "a0", NOW)
    assert (outcome, token) == ("invalid_address", "")


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_association_causes_few_mails(app, excess):
    requested_count = MAX_REQUESTS_PER_ASSOCIATION + excess
    addresses = [f"s{number}@x.example" for number in range(requested_count)]
    sent_count = count_mails(app, addresses)
    assert sent_count == min(requested_count, MAX_REQUESTS_PER_ASSOCIATION)
    outcome, _ = request_subscription(app.store, "last@x.example", "a0", NOW)
    is_refused = outcome == "too_many_requests"
    assert is_refused is (requested_count >= MAX_REQUESTS_PER_ASSOCIATION)
    assert count_mails(app, ["other@x.example"], "a1") == 1


@pytest.mark.parametrize(
    ("age", "is_valid"), [(VALIDITY - MOMENT, True), (VALIDITY, False), (VALIDITY + MOMENT, False)]
)
def test_confirmation_link_expires(app, age, is_valid):
    _, token = request_subscription(app.store, AMAL, "a0", NOW)
    assert confirm_subscription(app.store, token, NOW + age) is is_valid
    assert is_subscribed(app) is is_valid


def test_confirmation_link_works_once(app):
    _, token = request_subscription(app.store, AMAL, "a0", NOW)
    _, other = request_subscription(app.store, AMAL, "a0", NOW)
    assert confirm_subscription(app.store, token, NOW)
    app.store.report_links.revoke("a0", "Omar", NOW)
    for used in (token, other):
        assert not confirm_subscription(app.store, used, NOW)
    assert not is_subscribed(app)


@pytest.mark.parametrize("is_renewed", [False, True])
def test_link_that_is_revoked_during_a_request_subscribes_no_address(app, is_renewed):
    if is_renewed:
        app.store.report_links.add(build_report_link("a0", "newer"))
    else:
        app.store.report_links.revoke("a0", "Omar", NOW)
    outcome, token = request_subscription(app.store, AMAL, "a0", NOW)
    assert outcome == "requested"
    assert not token
    assert app.store.subscription_requests.list_requests("a0", NOW) == []


def test_confirmations_do_not_exceed_the_number_of_subscribers(app):
    tokens = [
        request_subscription(app.store, f"s{number}@x.example", "a0", NOW)[1]
        for number in range(MAX_SUBSCRIBERS_PER_ASSOCIATION + 1)
    ]
    confirmed = [confirm_subscription(app.store, token, NOW) for token in tokens]
    assert confirmed == [True] * MAX_SUBSCRIBERS_PER_ASSOCIATION + [False]


def test_unconfirmed_address_is_deleted_after_its_days(app):
    request_subscription(app.store, AMAL, "a0", NOW)

    def prune(now):
        cutoffs = compute_retention_cutoffs(app.config.retention, now)
        return app.store.retention.delete_expired_data(cutoffs)

    assert prune(NOW + VALIDITY - MOMENT) == {}
    assert prune(NOW + VALIDITY) == {"subscription_request": 1}


def test_request_is_erased_with_the_contact(app):
    request_subscription(app.store, AMAL, "a0", NOW)
    stored = app.store.erasure.count_stored_data("a0", contact_only=True)
    assert stored == {"subscription_request": 1}


def test_token_is_not_stored(app):
    _, token = request_subscription(app.store, AMAL, "a0", NOW)
    [stored] = app.store.subscription_requests.list_requests("a0", NOW)
    assert token not in repr(stored)


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_mail_names_association_and_link(app, language):
    _, token = request_subscription(app.store, AMAL, "a0", NOW)
    association = app.store.registry.get_association("a0")
    mail = build_confirmation_mail(app, association, token, language, NOW)
    assert f"https://out.example/{language}/subscriptions/{token}" in mail.text
    assert "A 0" in mail.subject
    assert str(CONFIRMATION_DAYS) in mail.text
