"""Each recipient gets its message once, whatever becomes of the others; who does not want it gets none."""

import json
from datetime import timedelta

import pytest

from auditor.config.notifications import NotifySettings
from auditor.config.schema import StorageSettings, WebSettings
from auditor.core.errors import InputError
from auditor.notifications import transports
from auditor.notifications.delivery import (
    collect_drafts,
    deliver_drafts,
    preview_drafts,
    send_run_notifications,
)
from auditor.notifications.drafts import draft_digests
from auditor.notifications.subscriptions import save_subscription
from storage.models.audit import AuditRunState, Gap
from tests.support.mini_network import configured, night_of, opened, register
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

AMAL = "amal@rabat.example"
OMAR = "omar@rabat.example"


@pytest.fixture
def box():
    with mail_server() as running:
        yield running


@pytest.fixture
def app(tmp_path, box):
    opened_app = opened(tmp_path, config_for(tmp_path, box.port))
    register(opened_app, names=("nour",))
    yield opened_app
    opened_app.store.close()


def config_for(folder, port, *recipients):
    listed = recipients or ({"to": AMAL, "language": "ar"}, {"to": OMAR, "language": "fr"})
    smtp = {"host": "127.0.0.1", "port": port, "security": "none"}
    told = {"from": "auditor@rabat.example", "smtp": smtp, "recipients": listed}
    web = WebSettings(public_url="https://out.example")
    return configured().model_copy(
        update={
            "notify": NotifySettings.model_validate(told),
            "web": web,
            "storage": StorageSettings(folder=folder),
        }
    )


def night(app, day, *codes, closed=(), state=AuditRunState.DONE):
    """A night on which these gaps opened and those closed."""
    at = night_of(day)
    running = app.store.begin_run(at.date(), at)
    rows = [Gap("nour", "website", code, "high", at, 1, at) for code in codes]
    rows += [
        Gap("nour", "website", code, "high", night_of(on), 1, night_of(on), at)
        for code, on in closed
    ]
    app.store.save_conclusions(gaps=rows)
    return app.store.finish_run(running, state, at + timedelta(hours=1))


def sent(app, night):
    """What became of each recipient's message."""
    return [
        one.status for one in deliver_drafts(app, collect_drafts(app, night), night.finished_at)
    ]


def test_a_night_that_changed_something_is_told_to_each_in_its_language(app, box):
    assert sent(app, night(app, 0, "website_down")) == ["sent", "sent"]
    [arabic], [french] = box.to(AMAL), box.to(OMAR)
    assert arabic["Subject"] == "جديد: 1 · عولج: 0"
    assert french["Subject"].startswith("Nouveaux")
    assert str(arabic["From"]) == "Our network <auditor@rabat.example>"
    assert "موقعكم الإلكتروني لا يفتح" in arabic.get_body(("plain",)).get_content()
    assert 'dir="rtl"' in arabic.get_body(("html",)).get_content()


def test_the_same_night_is_told_once(app, box):
    done = night(app, 0, "website_down")
    assert sent(app, done) == ["sent", "sent"]
    assert sent(app, done) == ["already_sent", "already_sent"]
    assert len(box.taken) == 2


def test_a_night_that_changed_nothing_is_not_told(app, box):
    night(app, 0, "website_down")
    assert sent(app, night(app, 1)) == ["nothing_new", "nothing_new"]
    assert not box.taken


def test_a_skipped_night_is_never_told(app, box):
    assert sent(app, night(app, 0, "website_down", state=AuditRunState.SKIPPED)) == []


def test_an_incomplete_night_is_told_once_and_the_night_that_goes_on_with_it_too(app, box):
    broken = night(app, 0, state=AuditRunState.INCOMPLETE)
    assert sent(app, broken) == ["sent", "sent"]
    assert sent(app, broken) == ["already_sent", "already_sent"]
    assert sent(app, night(app, 0, "website_down")) == ["sent", "sent"]


def test_a_refused_recipient_does_not_stop_the_others_and_is_told_in_one_line(app, box, caplog):
    box.refused[AMAL] = "550 5.1.1 no such person"
    send_run_notifications(app, night(app, 0, "website_down"), night_of(0), lambda: False)
    assert [record.getMessage() for record in caplog.records] == [
        "a…@rabat.example did not get the message digest of 2026-03-01: refused, 550 5.1.1 no such person"
    ]
    assert len(box.to(OMAR)) == 1


def test_what_did_not_go_is_told_with_the_next_night(app, box):
    assert sent(app, night(app, 0, "website_slow")) == ["sent", "sent"]
    box.refused[AMAL] = "451 later"
    assert sent(app, night(app, 1, "website_down")) == ["refused", "sent"]
    box.refused.clear()
    assert sent(app, night(app, 2, "feed_missing")) == ["sent", "sent"]
    assert box.to(AMAL)[-1]["Subject"] == "جديد: 2 · عولج: 0"
    assert "Nouveaux : 1" in box.to(OMAR)[-1]["Subject"].replace("\u00a0", " ")


def test_a_run_killed_between_claim_and_sending_sends_nothing_twice(app, box, monkeypatch):
    done = night(app, 0, "website_down")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transports, "send_message", killed)
        with pytest.raises(KeyboardInterrupt):
            sent(app, done)
    assert sent(app, done) == ["already_sent", "sent"]
    assert not box.to(AMAL)


def test_a_mail_server_out_of_reach_is_tried_again(app, box):
    done = night(app, 0, "website_down")
    app.config = config_for(app.config.storage.folder, free_port())
    assert sent(app, done) == ["unreachable", "unreachable"]
    app.config = config_for(app.config.storage.folder, box.port)
    assert sent(app, done) == ["sent", "sent"]


def test_who_unsubscribed_gets_nothing_though_the_configuration_lists_it(app, box):
    save_subscription(app.store, app.config, AMAL.upper(), "", wanted=False, now=night_of(0))
    assert sent(app, night(app, 0, "website_down")) == ["unsubscribed", "sent"]
    save_subscription(app.store, app.config, AMAL, "", wanted=True, now=night_of(0))
    assert sent(app, night(app, 1, "website_slow")) == ["sent", "sent"]


def test_the_link_that_ends_it_is_the_same_in_every_mail_and_the_database_knows_its_hash_alone(
    app, box
):
    sent(app, night(app, 0, "website_down"))
    sent(app, night(app, 1, "website_slow"))
    first, second = (mail["List-Unsubscribe"] for mail in box.to(AMAL))
    assert first == second
    assert first.startswith("<https://out.example/ar/unsubscribe/")
    token = first.rpartition("/")[2].rstrip(">")
    assert token not in repr(list(app.store.list_subscriptions()))
    assert box.to(OMAR)[0]["List-Unsubscribe"] != first
    assert (app.config.storage.folder / "unsubscribe.key").stat().st_mode & 0o777 == 0o600


def test_another_service_hears_the_same_without_a_link_to_end_it(app, box):
    with web_server() as (host, asked):
        app.config = config_for(
            app.config.storage.folder, box.port, {"to": f"json://{host}/hook", "language": "en"}
        )
        assert sent(app, night(app, 0, "website_down")) == ["sent"]
    told = json.loads(asked[0][2])
    assert told["title"] == "New: 1 · fixed: 0"
    assert "unsubscribe" not in told["message"]


def test_a_look_at_what_would_be_sent_keeps_nothing(app, box):
    done = night(app, 0, "website_down")
    shown = list(preview_drafts(app.config, draft_digests(app.store, app.config, done)))
    assert [one.status for one in shown] == ["would_send", "would_send"]
    assert "Nour" in shown[1].text
    assert not box.taken
    assert not list(app.store.list_subscriptions())
    assert sent(app, done) == ["sent", "sent"]


def test_what_changed_since_a_day_may_be_told_again(app, box):
    night(app, 0, "website_slow")
    sent(app, night(app, 1, "website_down"))
    done = night(app, 2)
    since = draft_digests(app.store, app.config, done, since=night_of(0).date())
    assert [one.status for one in deliver_drafts(app, since, night_of(2))] == ["sent", "sent"]
    assert box.to(AMAL)[-1]["Subject"] == "جديد: 2 · عولج: 0"
    assert sent(app, done) == ["nothing_new", "nothing_new"]


def test_a_monthly_report_goes_with_the_first_concluded_night_of_a_month(app, box):
    app.config = config_for(app.config.storage.folder, box.port, {"to": OMAR})
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    assert sent(app, night(app, 0, state=AuditRunState.SKIPPED)) == []
    assert sent(app, night(app, 1, "website_down")) == ["sent", "sent"]
    assert sent(app, night(app, 2)) == ["nothing_new", "already_sent"]
    [mail] = box.to(AMAL)
    assert mail["Subject"] == "تقريركم الشهري: Nour"
    assert "موقعكم الإلكتروني لا يفتح" in mail.get_body(("plain",)).get_content()
    assert sent(app, night(app, 31)) == ["nothing_new", "sent"]


def test_who_subscribes_within_a_month_waits_for_the_next(app, box):
    night(app, 0, "website_down")
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(5))
    assert len(sent(app, night(app, 6))) == 2
    assert sent(app, night(app, 31))[-1] == "sent"


def test_an_association_that_left_the_network_gets_no_report(app, box):
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    register(app, names=("hiba",))
    assert sent(app, night(app, 0))[-1] == "nothing_new"
    assert not box.taken


def test_an_unwanted_monthly_report_does_not_come(app, box):
    save_subscription(app.store, app.config, AMAL, "nour", wanted=True, now=night_of(-1))
    save_subscription(app.store, app.config, AMAL, "nour", wanted=False, now=night_of(-1))
    sent(app, night(app, 0))
    assert not box.taken


def test_a_digest_goes_to_those_whom_the_configuration_lists_and_to_no_others(app):
    with pytest.raises(InputError, match="whom the configuration lists"):
        save_subscription(
            app.store, app.config, "else@rabat.example", "", wanted=True, now=night_of(0)
        )
    with pytest.raises(InputError, match="no association has this id"):
        save_subscription(app.store, app.config, AMAL, "nobody", wanted=True, now=night_of(0))
    with pytest.raises(InputError, match="no mail address"):
        save_subscription(app.store, app.config, "amal", "nour", wanted=True, now=night_of(0))


def test_an_interruption_ends_the_messages_after_the_one_on_its_way(app, box):
    done = night(app, 0, "website_down")
    send_run_notifications(app, done, night_of(0), lambda: bool(box.taken))
    assert len(box.taken) == 1
    assert sent(app, done) == ["already_sent", "sent"]
