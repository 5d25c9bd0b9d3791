"""Tests of recipients: configuration, claims of messages, and subscriptions."""

from datetime import UTC, datetime

import pytest

from auditor.config.schema import load_config
from storage.store import Store
from storage.tables.communication import Subscription

NOW = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def test_recipient_is_a_mail_address_or_a_secret_url_from_a_file(tmp_path):
    (tmp_path / "chat").write_text("slack://TokenA/TokenB/TokenC\n")
    (tmp_path / "ping").write_text("https://hc.example/abc\n")
    path = tmp_path / "config.toml"
    path.write_text(
        '[notify]\nfrom = "auditor@rabat.example"\n[notify.smtp]\nhost = "localhost"\n'
        'user = "auditor"\n'
        '[[notify.recipients]]\nto = "mailto:Amal@rabat.example"\n'
        '[[notify.recipients]]\nto_file = "chat"\nregions = ["Fès-Meknès"]\n'
        '[monitor]\nping_url_file = "ping"\n'
    )
    config = load_config(path, {"AUDITOR_NOTIFY__SMTP__PASSWORD": "hidden"})
    amal, chat = config.notify.recipients
    assert (amal.address, amal.key) == ("Amal@rabat.example", "amal@rabat.example")
    assert chat.address is None
    assert chat.key.startswith("slack:")
    assert "Token" not in chat.key
    assert config.notify.smtp.password.get_secret_value() == "hidden"
    text = repr((config.notify, config.monitor))
    assert not any(secret in text for secret in ("TokenB", "hidden", "hc.example"))


def test_recipients_can_be_set_in_the_environment():
    config = load_config(None, {"AUDITOR_NOTIFY__RECIPIENTS": '[{to = "json://localhost/hook"}]'})
    assert [recipient.address for recipient in config.notify.recipients] == [None]


def test_message_can_be_claimed_once_and_again_after_a_failure(store):
    message = ("amal@rabat.example", "digest", "2026-11-25")
    assert store.messages.claim(*message, NOW)
    assert not store.messages.claim(*message, NOW)
    assert store.messages.is_sent(*message)
    store.messages.record_failure(*message, "refused", NOW)
    assert not store.messages.is_sent(*message)
    assert store.messages.claim(*message, NOW)


def test_last_occasion_ignores_digests_since_a_day(store):
    for day in ("2026-11-24", "2026-11-25", "2026-11-23"):
        store.messages.claim("amal@rabat.example", "digest", day, NOW)
    store.messages.claim("amal@rabat.example", "digest since 2026-11-01", "2026-11-26", NOW)
    get_last_occasion = store.messages.get_last_occasion
    assert get_last_occasion("amal@rabat.example", "digest", "2026-11-26") == "2026-11-25"
    assert get_last_occasion("amal@rabat.example", "digest", "2026-11-25") == "2026-11-24"
    assert get_last_occasion("nour@rabat.example", "digest", "2026-11-26") is None


def test_unsubscribing_replaces_the_subscription(store):
    wanted = Subscription(
        address="amal@rabat.example",
        kind="monthly",
        is_wanted=True,
        changed_at=NOW,
        association="amal",
        token_hash="0f3a",
    )
    store.subscriptions.save(wanted)
    assert list(store.subscriptions.list_subscriptions("monthly")) == [wanted]
    assert store.subscriptions.unsubscribe("0f3a", NOW)
    assert not store.subscriptions.unsubscribe("another", NOW)
    assert not store.subscriptions.get("amal@rabat.example", "monthly", "amal").is_wanted
    assert store.subscriptions.get("amal@rabat.example", "digest") is None
