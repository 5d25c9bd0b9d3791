"""Tests of the delivery of digests and monthly reports."""

from datetime import timedelta

import pytest

from auditor.config.notifications import NotifySettings
from auditor.config.schema import StorageSettings, WebSettings
from auditor.core.errors import InputError
from auditor.presentation.notifications import transports
from auditor.presentation.notifications.delivery import (
    collect_drafts,
    deliver_drafts,
    send_run_notifications,
)
from auditor.presentation.notifications.subscriptions import save_subscription
from auditor.runs import erasure
from storage.conclusions import Conclusions
from storage.models.audit import AuditRunState, Gap
from tests.support.mini_network import configured, night_of, opened, register

AMAL = "amal@rabat.example"
OMAR = "omar@rabat.example"


@pytest.fixture
def app(tmp_path, mailbox):
    opened_app = opened(tmp_path, config_for(tmp_path, mailbox.port))
    register(opened_app, names=("nour",))
    yield opened_app
    opened_app.store.close()


def config_for(folder, port, *recipients):
    recipients = recipients or ({"to": AMAL, "language": "ar"}, {"to": OMAR, "language": "fr"})
    smtp = {"host": "127.0.0.1", "port": port, "security": "none"}
    notify = {"from": "auditor@rabat.example", "smtp": smtp, "recipients": recipients}
    web = WebSettings(public_url="https://out.example")
    return configured().model_copy(
        update={
            "notify": NotifySettings.model_validate(notify),
            "web": web,
            "storage": StorageSettings(folder=folder),
        }
    )


def record_run(app, day, *codes, state=AuditRunState.DONE):
    """Store a run in which the gaps `codes` opened."""
    started_at = night_of(day)
    run = app.store.runs.begin_or_resume(started_at.date(), started_at)
    gaps = [Gap("nour", "website", code, "high", started_at, 1, started_at) for code in codes]
    app.store.conclusions.save(Conclusions(gaps=gaps))
    return app.store.runs.finish(run, state, started_at + timedelta(hours=1))


def deliver(app, run):
    """Deliver the messages of a run and return the status of each."""
    deliveries = deliver_drafts(app, collect_drafts(app, run), run.finished_at)
    return [delivery.status for delivery in deliveries]


@pytest.mark.slow
def test_digest_is_sent_to_each_recipient_in_its_language_unless_nothing_changed(app, mailbox):
    assert deliver(app, record_run(app, 0, "website_down")) == ["sent", "sent"]
    [arabic], [french] = mailbox.to(AMAL), mailbox.to(OMAR)
    assert arabic["Subject"] == "Our network: مشكل جديد واحد"
    assert french["Subject"].endswith("1 nouveau problème")
    assert str(arabic["From"]) == "Our network <auditor@rabat.example>"
    assert "تعذّر فتح موقعها الإلكتروني" in arabic.get_body(("plain",)).get_content()
    assert 'dir="rtl"' in arabic.get_body(("html",)).get_content()
    assert deliver(app, record_run(app, 1)) == ["nothing_new", "nothing_new"]
    assert deliver(app, record_run(app, 2, "website_slow", state=AuditRunState.SKIPPED)) == []
    assert len(mailbox.taken) == 2


@pytest.mark.slow
def test_incomplete_run_and_its_continuation_are_sent_once_each(app, mailbox):
    incomplete_run = record_run(app, 0, state=AuditRunState.INCOMPLETE)
    assert deliver(app, incomplete_run) == ["sent", "sent"]
    assert deliver(app, incomplete_run) == ["already_sent", "already_sent"]
    assert deliver(app, record_run(app, 0, "website_down")) == ["sent", "sent"]


@pytest.mark.slow
def test_refused_recipient_is_logged_and_does_not_stop_the_others(app, mailbox, caplog):
    mailbox.refused[AMAL] = "550 5.1.1 no such person"
    send_run_notifications(app, record_run(app, 0, "website_down"), night_of(0), lambda: False)
    [record] = caplog.records
    assert record.getMessage() == (
        "message digest of 2026-03-01 to a…@rabat.example not delivered: "
        "refused, 550 5.1.1 no such person"
    )
    assert len(mailbox.to(OMAR)) == 1


@pytest.mark.slow
def test_undelivered_changes_are_sent_with_the_next_run(app, mailbox):
    assert deliver(app, record_run(app, 0, "website_slow")) == ["sent", "sent"]
    mailbox.refused[AMAL] = "451 later"
    assert deliver(app, record_run(app, 1, "website_down")) == ["refused", "sent"]
    mailbox.refused.clear()
    assert deliver(app, record_run(app, 2, "feed_missing")) == ["sent", "sent"]
    assert mailbox.to(AMAL)[-1]["Subject"] == "Our network: مشكلان جديدان"
    assert "1 nouveau problème" in mailbox.to(OMAR)[-1]["Subject"]


@pytest.mark.slow
def test_run_killed_between_claim_and_sending_sends_nothing_twice(app, mailbox, monkeypatch):
    run = record_run(app, 0, "website_down")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transports, "send_message", interrupt)
        with pytest.raises(KeyboardInterrupt):
            deliver(app, run)
    assert deliver(app, run) == ["already_sent", "sent"]
    assert not mailbox.to(AMAL)


@pytest.mark.slow
def test_unsubscribed_recipient_gets_nothing_although_it_is_configured(app, mailbox):
    save_subscription(app.store, app.config, AMAL.upper(), "", wanted=False, now=night_of(0))
    assert deliver(app, record_run(app, 0, "website_down")) == ["unsubscribed", "sent"]
    save_subscription(app.store, app.config, AMAL, "", wanted=True, now=night_of(0))
    assert deliver(app, record_run(app, 1, "website_slow")) == ["sent", "sent"]


@pytest.mark.slow
def test_unsubscribe_link_is_the_same_in_every_mail_and_only_its_hash_is_stored(app, mailbox):
    deliver(app, record_run(app, 0, "website_down"))
    deliver(app, record_run(app, 1, "website_slow"))
    first, second = (mail["List-Unsubscribe"] for mail in mailbox.to(AMAL))
    assert first == second
    assert first.startswith("<https://out.example/ar/unsubscribe/")
    token = first.rpartition("/")[2].rstrip(">")
    assert token not in repr(list(app.store.subscriptions.list_subscriptions()))
    assert mailbox.to(OMAR)[0]["List-Unsubscribe"] != first
    assert (app.config.storage.folder / "unsubscribe.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_monthly_report_is_sent_after_the_first_finished_run_of_a_month(app, mailbox):
    app.config = config_for(app.config.storage.folder, mailbox.port, {"to": OMAR})
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    assert deliver(app, record_run(app, 0, state=AuditRunState.SKIPPED)) == []
    assert deliver(app, record_run(app, 1, "website_down")) == ["sent", "sent"]
    assert deliver(app, record_run(app, 2)) == ["nothing_new", "already_sent"]
    [mail] = mailbox.to(AMAL)
    assert mail["Subject"] == "Nour: تقريركم لشهر مارس 2026"
    assert deliver(app, record_run(app, 31)) == ["nothing_new", "sent"]


@pytest.mark.slow
def test_contact_that_is_erased_during_the_delivery_gets_nothing(app, mailbox):
    app.config = config_for(app.config.storage.folder, mailbox.port, {"to": OMAR})
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    drafts = list(collect_drafts(app, record_run(app, 0, "website_down")))
    [draft] = [draft for draft in drafts if draft.association]
    erasure.erase_association(app, "nour", "Amina", night_of(0), contact_only=True)
    [delivery] = deliver_drafts(app, [draft], night_of(0))
    assert (delivery.status, mailbox.taken) == ("unsubscribed", [])
    assert not list(app.store.subscriptions.list_subscriptions())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "association", "why"),
    [
        ("else@rabat.example", "", "the configuration does not list it"),
        (AMAL, "nobody", "no association has this id"),
        ("amal", "nour", "not a mail address"),
    ],
)
def test_subscription_is_refused_with_a_reason(app, address, association, why):
    with pytest.raises(InputError, match=why):
        save_subscription(app.store, app.config, address, association, wanted=True, now=night_of(0))


def test_failure_of_a_message_to_an_erased_recipient_is_not_stored(app):
    app.store.messages.record_failure(AMAL, "monthly", "2026-03 nour", "refused", night_of(0))
    assert app.store.messages.count_failures(night_of(-1)) == 0
