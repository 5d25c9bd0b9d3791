"""Unsubscribing from mails."""

from datetime import UTC, datetime

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.core.formatting import hash_token
from auditor.presentation.notifications.subscriptions import (
    ensure_unsubscribe_token,
    load_unsubscribe_key,
)
from storage.tables.communication import Subscription
from tests.support.web_server import anonymous_client

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
AMAL = Subscription(address="amal@rabat.example", kind="digest", is_wanted=True, changed_at=NOW)


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": "https://out.example"},
    }
    with App.open(Config.model_validate(settings)) as opened:
        yield opened


@pytest.fixture
def token(app):
    return ensure_unsubscribe_token(app.store, load_unsubscribe_key(app.data_folder), AMAL)


def is_wanted(app):
    return app.store.subscriptions.get(AMAL.address, AMAL.kind).is_wanted


def test_opening_the_unsubscribe_link_changes_nothing(app, token):
    with anonymous_client(app, NOW) as client:
        response = client.get(f"/fr/unsubscribe/{token}")
        assert client.head(f"/fr/unsubscribe/{token}").status_code in {200, 405}
    assert response.status_code == 200
    assert '<form method="post">' in response.text
    assert AMAL.address not in response.text
    assert is_wanted(app)


def test_unsubscribe_button_ends_the_subscription(app, token):
    with anonymous_client(app, NOW) as client:
        response = client.post(
            f"/fr/unsubscribe/{token}", headers={"sec-fetch-site": "same-origin"}
        )
    assert response.status_code == 200
    assert "C’est fait" in response.text
    assert not is_wanted(app)


def test_one_click_unsubscribe_needs_no_session(app, token):
    with anonymous_client(app, NOW) as client:
        form = {"List-Unsubscribe": "One-Click"}
        response = client.post(
            f"/ar/unsubscribe/{token}", data=form, headers={"host": "out.example"}
        )
    assert response.status_code == 200
    assert not is_wanted(app)


def test_one_click_unsubscribe_works_cross_site(app, token):
    with anonymous_client(app, NOW) as client:
        from_mail = {"sec-fetch-site": "cross-site", "origin": "https://mail.example"}
        assert client.post(f"/fr/unsubscribe/{token}", headers=from_mail).status_code == 200
    assert not is_wanted(app)


def test_wrong_unsubscribe_token_gives_the_same_page(app, token):
    with anonymous_client(app, NOW) as client:
        token_urls = [
            client.get(f"/en/unsubscribe/{subscription}").text.replace(subscription, "")
            for subscription in ("wrong", token)
        ]
        wrong = client.post("/en/unsubscribe/wrong")
        assert is_wanted(app)
        right = client.post(f"/en/unsubscribe/{token}")
    assert token_urls[0] == token_urls[1]
    assert wrong.status_code == right.status_code
    assert wrong.text.replace("wrong", "") == right.text.replace(token, "")
    assert not is_wanted(app)


def test_unsubscribe_token_is_stable_and_unique(app, token):
    key = load_unsubscribe_key(app.data_folder)
    assert ensure_unsubscribe_token(app.store, key, AMAL) == token
    assert (
        ensure_unsubscribe_token(
            app.store,
            key,
            Subscription(
                address=AMAL.address,
                kind="monthly",
                is_wanted=True,
                changed_at=NOW,
                association="nour",
            ),
        )
        != token
    )


def test_recreated_unsubscribe_token_keeps_the_choice(app, token):
    app.store.subscriptions.save(
        Subscription(address=AMAL.address, kind="digest", is_wanted=False, changed_at=NOW)
    )
    ensure_unsubscribe_token(app.store, load_unsubscribe_key(app.data_folder), AMAL)
    assert not is_wanted(app)


def test_subscription_that_ends_while_its_token_is_made_stays_ended(app):
    app.store.subscriptions.save(AMAL.model_copy(update={"token_hash": None}))
    [wanted] = app.store.subscriptions.list_subscriptions(AMAL.kind)
    ended = Subscription(address=AMAL.address, kind=AMAL.kind, is_wanted=False, changed_at=NOW)
    app.store.subscriptions.save(ended)
    token = ensure_unsubscribe_token(app.store, load_unsubscribe_key(app.data_folder), wanted)
    stored = app.store.subscriptions.get(AMAL.address, AMAL.kind)
    assert (stored.is_wanted, stored.token_hash) == (False, hash_token(token))
