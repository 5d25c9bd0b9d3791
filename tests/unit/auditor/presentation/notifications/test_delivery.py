"""Tests of the delivery of digests and monthly reports."""

import json
from datetime import timedelta

import pytest

from auditor.config.notifications import NotifySettings
from auditor.config.schema import StorageSettings, WebSettings
from auditor.core.errors import InputError
from auditor.presentation.notifications import transports
from auditor.presentation.notifications.delivery import (
    collect_drafts,
    deliver_drafts,
    draft_digests,
    send_run_notifications,
)
from auditor.presentation.notifications.subscriptions import save_subscription
from storage.conclusions import Conclusions
from storage.models.audit import AuditRunState, Gap
from tests.support.mini_network import configured, night_of, opened, register
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

AMAL = "amal@rabat.example"
OMAR = "omar@rabat.example"


@pytest.fixture
def mailbox():
    with mail_server() as running:
        yield running


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


def test_digest_is_sent_to_each_recipient_in_its_language(app, mailbox):
    assert deliver(app, record_run(app, 0, "website_down")) == ["sent", "sent"]
    [arabic], [french] = mailbox.to(AMAL), mailbox.to(OMAR)
    assert arabic["Subject"] == "Our network: مشكل جديد واحد"
    assert french["Subject"].endswith("1 nouveau problème")
    assert str(arabic["From"]) == "Our network <auditor@rabat.example>"
    assert "تعذّر فتح موقعها الإلكتروني" in arabic.get_body(("plain",)).get_content()
    assert 'dir="rtl"' in arabic.get_body(("html",)).get_content()


def test_digest_of_a_run_is_sent_once(app, mailbox):
    run = record_run(app, 0, "website_down")
    assert deliver(app, run) == ["sent", "sent"]
    assert deliver(app, run) == ["already_sent", "already_sent"]
    assert len(mailbox.taken) == 2


def test_run_without_changes_sends_no_digest(app, mailbox):
    record_run(app, 0, "website_down")
    assert deliver(app, record_run(app, 1)) == ["nothing_new", "nothing_new"]
    assert not mailbox.taken


def test_skipped_run_sends_no_digest(app, mailbox):
    assert deliver(app, record_run(app, 0, "website_down", state=AuditRunState.SKIPPED)) == []


def test_incomplete_run_and_its_continuation_are_sent_once_each(app, mailbox):
    incomplete_run = record_run(app, 0, state=AuditRunState.INCOMPLETE)
    assert deliver(app, incomplete_run) == ["sent", "sent"]
    assert deliver(app, incomplete_run) == ["already_sent", "already_sent"]
    assert deliver(app, record_run(app, 0, "website_down")) == ["sent", "sent"]


def test_refused_recipient_is_logged_and_does_not_stop_the_others(app, mailbox, caplog):
    mailbox.refused[AMAL] = "550 5.1.1 no such person"
    send_run_notifications(app, record_run(app, 0, "website_down"), night_of(0), lambda: False)
    [record] = caplog.records
    assert record.getMessage() == (
        "message digest of 2026-03-01 to a…@rabat.example not delivered: "
        "refused, 550 5.1.1 no such person"
    )
    assert len(mailbox.to(OMAR)) == 1


def test_undelivered_changes_are_sent_with_the_next_run(app, mailbox):
    assert deliver(app, record_run(app, 0, "website_slow")) == ["sent", "sent"]
    mailbox.refused[AMAL] = "451 later"
    assert deliver(app, record_run(app, 1, "website_down")) == ["refused", "sent"]
    mailbox.refused.clear()
    assert deliver(app, record_run(app, 2, "feed_missing")) == ["sent", "sent"]
    assert mailbox.to(AMAL)[-1]["Subject"] == "Our network: مشكلان جديدان"
    assert "1 nouveau problème" in mailbox.to(OMAR)[-1]["Subject"]


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


def test_unreachable_mail_server_is_tried_again(app, mailbox):
    run = record_run(app, 0, "website_down")
    app.config = config_for(app.config.storage.folder, free_port())
    assert deliver(app, run) == ["unreachable", "unreachable"]
    app.config = config_for(app.config.storage.folder, mailbox.port)
    assert deliver(app, run) == ["sent", "sent"]


def test_unsubscribed_recipient_gets_nothing_although_it_is_configured(app, mailbox):
    save_subscription(app.store, app.config, AMAL.upper(), "", wanted=False, now=night_of(0))
    assert deliver(app, record_run(app, 0, "website_down")) == ["unsubscribed", "sent"]
    save_subscription(app.store, app.config, AMAL, "", wanted=True, now=night_of(0))
    assert deliver(app, record_run(app, 1, "website_slow")) == ["sent", "sent"]


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


def test_chat_service_gets_the_digest_without_unsubscribe_link(app, mailbox):
    with web_server() as (host, requests):
        app.config = config_for(
            app.config.storage.folder, mailbox.port, {"to": f"json://{host}/hook", "language": "en"}
        )
        assert deliver(app, record_run(app, 0, "website_down")) == ["sent"]
    payload = json.loads(requests[0][2])
    assert payload["title"] == "Our network: 1 new problem"
    assert "unsubscribe" not in payload["message"]


def test_preview_sends_and_stores_nothing(app, mailbox):
    run = record_run(app, 0, "website_down")
    drafts = draft_digests(app.store, app.config, run)
    previews = list(deliver_drafts(app, drafts, night_of(2), is_dry_run=True))
    assert [preview.status for preview in previews] == ["would_send", "would_send"]
    assert "Nour" in previews[1].text
    assert not mailbox.taken
    assert not list(app.store.subscriptions.list_subscriptions())
    assert deliver(app, run) == ["sent", "sent"]


def test_changes_since_a_day_can_be_sent_again(app, mailbox):
    record_run(app, 0, "website_slow")
    deliver(app, record_run(app, 1, "website_down"))
    run = record_run(app, 2)
    drafts = draft_digests(app.store, app.config, run, since=night_of(0).date())
    deliveries = deliver_drafts(app, drafts, night_of(2))
    assert [delivery.status for delivery in deliveries] == ["sent", "sent"]
    assert mailbox.to(AMAL)[-1]["Subject"] == "Our network: مشكلان جديدان"
    assert deliver(app, run) == ["nothing_new", "nothing_new"]


def test_monthly_report_is_sent_after_the_first_finished_run_of_a_month(app, mailbox):
    app.config = config_for(app.config.storage.folder, mailbox.port, {"to": OMAR})
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    assert deliver(app, record_run(app, 0, state=AuditRunState.SKIPPED)) == []
    assert deliver(app, record_run(app, 1, "website_down")) == ["sent", "sent"]
    assert deliver(app, record_run(app, 2)) == ["nothing_new", "already_sent"]
    [mail] = mailbox.to(AMAL)
    assert mail["Subject"] == "Nour: تقريركم لشهر مارس 2026"
    text = mail.get_body(("plain",)).get_content()
    positions = [
        text.index(part)
        for part in ("تعذّر فتح موقعكم الإلكتروني", "من يبحث عنكم يجد صفحة خطأ.", "الخطوة الأولى: ")
    ]
    assert positions == sorted(positions)
    assert deliver(app, record_run(app, 31)) == ["nothing_new", "sent"]


def test_subscription_within_a_month_starts_with_the_next_month(app, mailbox):
    record_run(app, 0, "website_down")
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(5))
    assert len(deliver(app, record_run(app, 6))) == 2
    assert deliver(app, record_run(app, 31))[-1] == "sent"


def test_association_that_left_the_network_gets_no_report(app, mailbox):
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    register(app, names=("hiba",))
    assert deliver(app, record_run(app, 0))[-1] == "nothing_new"
    assert not mailbox.taken


def test_unsubscribed_monthly_report_is_not_sent(app, mailbox):
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    save_subscription(app.store, app.config, AMAL, "nour", wanted=False, now=night_of(-1))
    deliver(app, record_run(app, 0))
    assert not mailbox.taken


def test_subscription_is_refused_for_unlisted_invalid_or_unknown_input(app):
    with pytest.raises(InputError, match="the configuration does not list it"):
        save_subscription(
            app.store, app.config, "else@rabat.example", "", wanted=True, now=night_of(0)
        )
    with pytest.raises(InputError, match="no association has this id"):
        save_subscription(app.store, app.config, AMAL, "nobody", wanted=True, now=night_of(0))
    with pytest.raises(InputError, match="not a mail address"):
        save_subscription(app.store, app.config, "amal", "nour", wanted=True, now=night_of(0))


def test_interruption_stops_after_the_current_message(app, mailbox):
    run = record_run(app, 0, "website_down")
    send_run_notifications(app, run, night_of(0), lambda: bool(mailbox.taken))
    assert len(mailbox.taken) == 1
    assert deliver(app, run) == ["already_sent", "sent"]
