"""Tests of retention: expired personal data is deleted, everything else stays."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from auditor.config.schema import BackupSettings, Config, RetentionSettings
from auditor.runs.pipeline import compute_retention_cutoffs, run_maintenance
from storage.files.body_store import BodyStore
from storage.models.audit import Association, AssociationEntry, AuditRunState, Contact
from storage.models.users import ERASE_SOURCE, ChangeOrigin, FollowUpKind, ReplyKind, ReplyOutcome
from storage.store import Store
from storage.tables import runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.communication import FollowUp, Reply, ReportLink, Subscription
from storage.tables.core import METADATA
from tests.support.stored import add_reply

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OLD = NOW - timedelta(days=400)
LIMIT = NOW - timedelta(days=100)
KINDS = [
    "contacts",
    "report_links",
    "replies",
    "follow_ups",
    "subscriptions",
    "messages",
    "audit_log",
]
ALL = dict.fromkeys(KINDS, LIMIT)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        people = [
            AssociationEntry(Association(name, name), Contact(phone=f"06 {name}"))
            for name in ("here", "left")
        ]
        opened.registry.save_registry(people, [], OLD)
        opened.registry.save_registry(people[:1], [], OLD, origin=ChangeOrigin("Amina", "web"))
        yield opened


def test_contact_of_an_association_withdrawn_long_ago_is_deleted(store):
    assert store.retention.delete_expired_data({"contacts": LIMIT}) == {"contact": 1}
    assert not store.registry.get_contact("left")
    assert store.registry.get_contact("here").phone == "06 here"
    assert store.registry.get_association("left").name == "left"


def test_log_entries_about_a_deleted_contact_are_deleted(store):
    changed = AssociationEntry(Association("left", "Another name"), Contact(phone="07 left"))
    other_entry = AssociationEntry(Association("here", "here"), Contact(phone="07 here"))
    store.registry.save_registry(
        [changed, other_entry], [], OLD, origin=ChangeOrigin("Amina", "web")
    )
    store.registry.save_registry([other_entry], [], OLD, origin=ChangeOrigin("Amina", "web"))
    assert store.retention.delete_expired_data({"contacts": LIMIT}) == {
        "contact": 1,
        "audit_log": 1,
    }
    logged_fields = {(entry.association, entry.field) for entry in store.audit_log.list_audit_log()}
    assert logged_fields & {("left", "phone"), ("left", "name"), ("here", "phone")} == {
        ("left", "name"),
        ("here", "phone"),
    }


def test_row_expired_for_two_reasons_is_counted_once_also_in_a_dry_run(store):
    changed = AssociationEntry(Association("left", "left"), Contact(phone="07 left"))
    store.registry.save_registry([changed], [], OLD, origin=ChangeOrigin("Amina", "web"))
    store.registry.save_registry([], [], OLD, origin=ChangeOrigin("Amina", "web"))
    store.messages.claim("a@x.ma", "monthly", "2025-10 here", OLD)
    dry_run_counts = store.retention.delete_expired_data(ALL, dry_run=True)
    assert (
        store.retention.delete_expired_data(ALL)
        == dry_run_counts
        == {"contact": 2, "sent_message": 1, "audit_log": 1}
    )


def test_ended_report_links_are_deleted_and_their_replies_stay(store):
    links = [
        ReportLink(
            association="here",
            token_hash="ended",
            created_at=OLD,
            created_by="Amina",
            expires_at=OLD + timedelta(days=30),
        ),
        ReportLink(
            association="here",
            token_hash="revoked",
            created_at=OLD,
            created_by="Amina",
            expires_at=NOW + timedelta(days=30),
            revoked_at=OLD,
            revoked_by="Amina",
        ),
        ReportLink(
            association="here",
            token_hash="holds",
            created_at=OLD,
            created_by="Amina",
            expires_at=NOW + timedelta(days=30),
        ),
    ]
    store.report_links.add_all(links, keep_older=True)
    first = next(iter(store.report_links.list_report_links("here")))
    add_reply(
        store,
        Reply(
            association="here",
            kind=ReplyKind.DISPUTED,
            submitted_at=OLD,
            text="still waits",
            report_link_id=first.id,
        ),
    )
    assert store.retention.delete_expired_data({"report_links": LIMIT}) == {"report_link": 2}
    assert [link.token_hash for link in store.report_links.list_report_links("here")] == ["holds"]
    assert [(reply.text, reply.report_link_id) for reply in store.replies.list_replies("here")] == [
        ("still waits", None)
    ]
    assert store.retention.delete_expired_data({"replies": LIMIT}) == {}


def test_reviewed_replies_and_old_follow_ups_are_deleted(store):
    reply = add_reply(
        store, Reply(association="here", kind=ReplyKind.DISPUTED, submitted_at=OLD, text="answered")
    )
    store.replies.review(reply.id, ReplyOutcome.DECLINED, "Amina", "seen", OLD)
    store.follow_ups.add(
        FollowUp(
            association="here",
            kind=FollowUpKind.CALLED,
            author="Amina",
            occurred_at=OLD,
            text="old",
        )
    )
    promised = FollowUp(
        association="here",
        kind=FollowUpKind.PROMISED,
        author="Amina",
        occurred_at=OLD,
        text="due",
        due_date=NOW.date(),
    )
    store.follow_ups.add(promised)
    assert store.retention.delete_expired_data({"replies": LIMIT, "follow_ups": LIMIT}) == {
        "reply": 1,
        "follow_up": 1,
    }
    assert [line.text for line in store.follow_ups.list_follow_ups("here")] == ["due"]


def test_ended_subscription_of_a_coordinator_is_kept(store):
    for address, association_id, is_active in (
        ("a@x.ma", "here", False),
        ("b@x.ma", "", False),
        ("c@x.ma", "here", True),
    ):
        store.subscriptions.save(
            Subscription(
                address=address,
                kind="monthly" if association_id else "digest",
                is_wanted=is_active,
                changed_at=OLD,
                association=association_id,
            )
        )
    store.messages.claim("a@x.ma", "monthly", "2025-10 here", OLD)
    assert store.retention.delete_expired_data({"subscriptions": LIMIT, "messages": LIMIT}) == {
        "subscription": 1,
        "sent_message": 1,
    }
    assert [entry.address for entry in store.subscriptions.list_subscriptions()] == [
        "b@x.ma",
        "c@x.ma",
    ]


def test_log_entries_about_contacts_are_deleted_and_others_stay(store):
    line = ChangeOrigin("Amina", ERASE_SOURCE).build_log_entry(
        OLD, "erased-1", "association", None, None
    )
    store.erasure.erase_association("left", line, ())
    changed = AssociationEntry(Association("here", "Here"), Contact(phone="07 here"))
    store.registry.save_registry([changed], [], OLD, origin=ChangeOrigin("Amina", "web"))
    assert {"phone", "name", "association"} <= {
        entry.field for entry in store.audit_log.list_audit_log()
    }
    dry_run_counts = store.retention.delete_expired_data({"audit_log": LIMIT}, dry_run=True)
    assert (
        store.retention.delete_expired_data({"audit_log": LIMIT})
        == dry_run_counts
        == {"audit_log": 1}
    )
    assert {entry.field for entry in store.audit_log.list_audit_log()} == {"name", "association"}
    assert "erased-1" in {entry.association for entry in store.audit_log.list_audit_log()}


def test_nothing_is_deleted_before_its_time(store):
    early = OLD - timedelta(days=1)
    assert store.retention.delete_expired_data(dict.fromkeys(KINDS, early)) == {}
    assert store.retention.delete_expired_data({}) == {}
    assert store.registry.get_contact("left").phone == "06 left"


def test_configuration_sets_the_cutoff_of_each_kind():
    retention = RetentionSettings(
        contacts=1,
        report_links=2,
        replies=3,
        follow_ups=4,
        subscriptions=5,
        messages=62,
        audit_log=0,
    )
    cutoffs = compute_retention_cutoffs(retention, NOW)
    days = [1, 2, 3, 4, 5, 62]
    assert [NOW - timedelta(days=count) for count in days] == [cutoffs[kind] for kind in KINDS[:-1]]
    assert "audit_log" not in cutoffs


def test_retention_of_messages_has_a_minimum():
    with pytest.raises(ValidationError):
        RetentionSettings(messages=30)


def test_maintenance_deletes_expired_data(store, tmp_path):
    app = SimpleNamespace(store=store, body_store=BodyStore(tmp_path / "archive"), config=Config())
    app.config = app.config.model_copy(
        update={"backup": BackupSettings(folder=tmp_path / "backups")}
    )
    now = OLD + timedelta(days=800)
    run = store.runs.begin_or_resume(now.date(), now)
    finished_run = store.runs.finish(run, AuditRunState.DONE, now)
    run_maintenance(app, finished_run, now, lambda: False)
    assert not store.registry.get_contact("left")
    [backup] = (tmp_path / "backups").glob("*.db")
    assert b"06 left" not in backup.read_bytes()


def test_erasure_knows_every_table_with_data_of_associations():
    code = (
        "import storage.retention as r; print(*(table.name for table in r.METADATA.sorted_tables))"
    )
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    owners = {"association", "account_id"}
    owned = {table.name for table in METADATA.sorted_tables if owners & set(table.c.keys())}
    assert {"account", "reply", "association_summary"} <= owned
    assert owned <= set(names.decode().split())
