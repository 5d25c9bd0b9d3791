"""Tests of `auditor digest`: preview, delivery and subscriptions."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from auditor.app import App
from auditor.cli import main
from auditor.config.schema import load_config
from storage.conclusions import Conclusions
from storage.models.audit import Association, AuditRunState, Gap

pytestmark = pytest.mark.slow  # a mail server
STARTED_AT = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


@pytest.fixture
def auditor(tmp_path, capsys, mailbox):
    path = tmp_path / "config.toml"
    path.write_text(
        f'[notify]\nfrom = "a@rabat.example"\n'
        f'[notify.smtp]\nhost = "127.0.0.1"\nport = {mailbox.port}\nsecurity = "none"\n'
        f'[[notify.recipients]]\nto = "amal@rabat.example"\nlanguage = "en"\n'
    )
    with App.open(load_config(path, {})) as app:
        app.store.registry.save_registry([Association("nour", "Nour")], [], STARTED_AT)
        audit_run = app.store.runs.begin_or_resume(STARTED_AT.date(), STARTED_AT)
        app.store.conclusions.save(
            Conclusions(
                gaps=[Gap("nour", "website", "website_down", "high", STARTED_AT, 1, STARTED_AT)]
            )
        )
        app.store.runs.finish(audit_run, AuditRunState.DONE, STARTED_AT + timedelta(hours=1))

    def run(*arguments):
        code = main.main(["--config", str(path), *arguments])
        return code, *capsys.readouterr()

    return run


def test_digest_is_shown_and_then_sent_once(auditor, mailbox):
    code, output, _ = auditor("digest", "--dry-run")
    assert (code, mailbox.taken) == (0, [])
    assert output.startswith("amal@rabat.example: would be sent\nOur network: 1 new problem\n")
    assert "Nour: Its website does not open" in output
    assert auditor("digest")[1].splitlines()[1].startswith("sent\tdigest\t2026-11-25\t")
    assert auditor("digest")[1].splitlines()[1].startswith("already_sent\tdigest\t")
    assert len(mailbox.taken) == 1


def test_digest_since_a_day_to_one_address(auditor, mailbox):
    auditor("digest")
    _, output, _ = auditor(
        "digest", "--since", "2026-11-20", "--to", "omar@rabat.example", "--json"
    )
    [item] = json.loads(output)["items"]
    assert item == {
        "recipient": "omar@rabat.example",
        "kind": "digest since 2026-11-20",
        "occasion": "2026-11-25",
        "status": "sent",
        "subject": "Our network: مشكل جديد واحد",
        "reason": "",
    }
    assert len(mailbox.to("omar@rabat.example")) == 1


def test_undelivered_message_exits_with_4(auditor, mailbox):
    mailbox.refused["amal@rabat.example"] = "550 no such person"
    code, _, messages = auditor("digest")
    assert (code, "amal@rabat.example refused, 550 no such person" in messages) == (4, True)


def test_subscriptions_are_stored_and_listed(auditor):
    assert auditor("digest", "unsubscribe", "amal@rabat.example")[0] == 0
    assert auditor("digest")[1].splitlines()[1].startswith("unsubscribed\t")
    assert auditor("digest", "subscribe", "omar@rabat.example", "--association", "nour")[0] == 0
    _, output, _ = auditor("digest", "subscriptions", "--json")
    fields = ("address", "kind", "is_wanted")
    assert [tuple(map(item.get, fields)) for item in json.loads(output)["items"]] == [
        ("amal@rabat.example", "digest", False),
        ("omar@rabat.example", "monthly", True),
    ]
    assert "token" not in output
