"""`auditor digest` shows and sends by hand what a night gives to tell."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.config.schema import load_config
from storage.models.audit import Association, AuditRunState, Gap
from tests.support.smtp_and_http_servers import mail_server

AT = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


@pytest.fixture
def box():
    with mail_server() as running:
        yield running


@pytest.fixture
def auditor(tmp_path, capsys, box):
    path = tmp_path / "config.toml"
    path.write_text(
        f'[notify]\nfrom = "a@rabat.example"\n'
        f'[notify.smtp]\nhost = "127.0.0.1"\nport = {box.port}\nsecurity = "none"\n'
        f'[[notify.recipients]]\nto = "amal@rabat.example"\nlanguage = "en"\n'
    )
    with App.open(load_config(path, {})) as app:
        app.store.save_registry([Association("nour", "Nour")], [], AT)
        night = app.store.begin_run(AT.date(), AT)
        app.store.save_conclusions(gaps=[Gap("nour", "website", "website_down", "high", AT, 1, AT)])
        app.store.finish_run(night, AuditRunState.DONE, AT + timedelta(hours=1))

    def run(*words):
        code = main.main(["--config", str(path), *words])
        return code, *capsys.readouterr()

    return run


def test_what_would_be_sent_is_shown_and_not_sent(auditor, box):
    code, shown, _ = auditor("digest", "--dry-run")
    assert code == 0
    assert shown.startswith("amal@rabat.example: would be sent\nNew: 1 · fixed: 0\n")
    assert "Nour: Your website does not open" in shown
    assert not box.taken


def test_it_is_sent_once(auditor, box):
    assert auditor("digest")[1].splitlines()[1].startswith("sent\tdigest\t2026-11-25\t")
    assert auditor("digest")[1].splitlines()[1].startswith("already_sent\tdigest\t")
    assert len(box.taken) == 1


def test_a_day_and_an_address_may_be_named(auditor, box):
    auditor("digest")
    _, shown, _ = auditor("digest", "--since", "2026-11-20", "--to", "omar@rabat.example", "--json")
    [item] = json.loads(shown)["items"]
    assert item == {
        "recipient": "omar@rabat.example",
        "kind": "digest since 2026-11-20",
        "occasion": "2026-11-25",
        "status": "sent",
        "subject": "جديد: 1 · عولج: 0",
        "reason": "",
    }
    assert len(box.to("omar@rabat.example")) == 1


def test_a_message_that_did_not_arrive_ends_with_4_and_says_why(auditor, box):
    box.refused["amal@rabat.example"] = "550 no such person"
    code, _, said = auditor("digest")
    assert code == 4
    assert "amal@rabat.example refused, 550 no such person" in said


def test_who_wants_what_is_kept_and_listed(auditor):
    assert auditor("digest", "unsubscribe", "amal@rabat.example")[0] == 0
    assert auditor("digest")[1].splitlines()[1].startswith("unsubscribed\t")
    assert auditor("digest", "subscribe", "omar@rabat.example", "--association", "nour")[0] == 0
    _, shown, _ = auditor("digest", "subscriptions", "--json")
    wishes = [
        (item["address"], item["kind"], item["is_wanted"]) for item in json.loads(shown)["items"]
    ]
    assert wishes == [
        ("amal@rabat.example", "digest", False),
        ("omar@rabat.example", "monthly", True),
    ]
    assert "token" not in shown


def test_an_address_that_is_none_is_refused_in_one_line(auditor):
    code, _, said = auditor("digest", "--to", "amal")
    assert code == 3
    assert said.startswith("error: amal: ")
