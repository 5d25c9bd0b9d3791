"""Tests of retention: expired personal data is deleted, everything else stays."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from auditor.config.schema import BackupSettings, Config, RetentionSettings
from auditor.registry.uploads import UploadStore
from auditor.runs.pipeline import compute_retention_cutoffs, run_maintenance
from storage.errors import ChangedMeanwhileError
from storage.files.body_store import BodyStore
from storage.models.audit import Association, AssociationEntry, AuditRunState, Contact
from storage.models.users import ERASE_SOURCE, ChangeOrigin, FollowUpKind, ReplyKind, ReplyOutcome
from storage.store import Store
from storage.tables import runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.communication import FollowUp, Reply, ReportLink, Subscription
from tests.support.stored import add_reply

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OLD = NOW - timedelta(days=400)
LIMIT = NOW - timedelta(days=100)
EDITOR = ChangeOrigin("Amina", "web")
TABLES = (
    "contact",
    "report_link",
    "reply",
    "follow_up",
    "subscription",
    "sent_message",
    "audit_log",
)
DAYS = {kind: 100 * number for number, kind in enumerate(RetentionSettings.model_fields, 2)}
"""Other days for each kind, so that no kind can be deleted after those of another."""


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        people = [build_entry(name, f"06 {name}") for name in ("here", "left")]
        opened.registry.save_registry(people, [], OLD)
        opened.registry.save_registry(people[:1], [], OLD, origin=EDITOR)
        yield opened


def build_entry(name, phone, association_name=""):
    return AssociationEntry(Association(name, association_name or name), Contact(phone=phone))


def build_report_link(token_hash, **times):
    return ReportLink(
        association="here", token_hash=token_hash, created_at=OLD, created_by="Amina", **times
    )


def build_reply(text):
    return Reply(association="here", kind=ReplyKind.DISPUTED, submitted_at=OLD, text=text)


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_row_is_deleted_after_the_set_days_of_its_kind_and_never_after_zero(tmp_path, seconds):
    ends = {kind: NOW - timedelta(days=days, seconds=seconds) for kind, days in DAYS.items()}
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        registry, start = store.registry, NOW - timedelta(days=3_000)
        registry.save_registry([build_entry("here", "06"), build_entry("left", "06")], [], start)
        store.report_links.add_all([build_report_link("x", expires_at=ends["report_links"])])
        reply = add_reply(store, build_reply("text"))
        store.replies.review(reply.id, ReplyOutcome.DECLINED, "Amina", "seen", ends["replies"])
        fields = {"association": "here", "occurred_at": ends["follow_ups"], "text": "text"}
        store.follow_ups.add(FollowUp(kind=FollowUpKind.CALLED, author="Amina", **fields))
        fields = {"association": "here", "changed_at": ends["subscriptions"], "is_wanted": False}
        store.subscriptions.save(Subscription(address="a@x.ma", kind="monthly", **fields))
        store.messages.claim("a@x.ma", "monthly", "2025-10 here", ends["messages"])
        entry = build_entry("here", "07")
        registry.save_registry([entry], [], ends["audit_log"], origin=EDITOR, is_complete=False)
        registry.save_registry([entry], [], ends["contacts"])
        for_ever = RetentionSettings(**dict.fromkeys(DAYS, 0) | {"messages": 36_500})
        assert store.retention.delete_expired_data(compute_retention_cutoffs(for_ever, NOW)) == {}
        cutoffs = compute_retention_cutoffs(RetentionSettings(**DAYS), NOW)
        expected = dict.fromkeys(TABLES, 1) if seconds > 0 else {}
        assert store.retention.delete_expired_data(cutoffs) == expected


def test_log_entries_about_a_deleted_contact_are_deleted(store):
    here = build_entry("here", "07 here")
    changed = [build_entry("left", "07 left", "Another name"), here]
    store.registry.save_registry(changed, [], OLD, origin=EDITOR)
    store.registry.save_registry([here], [], OLD, origin=EDITOR)
    deleted = store.retention.delete_expired_data({"contacts": LIMIT})
    assert deleted == {"contact": 1, "audit_log": 1}
    logged_fields = {(entry.association, entry.field) for entry in store.audit_log.list_audit_log()}
    assert logged_fields >= {("left", "name"), ("here", "phone")}
    assert ("left", "phone") not in logged_fields


def test_row_expired_for_two_reasons_is_counted_once_also_in_a_dry_run(store):
    store.registry.save_registry([build_entry("left", "07 left")], [], OLD, origin=EDITOR)
    store.registry.save_registry([], [], OLD, origin=EDITOR)
    store.messages.claim("a@x.ma", "monthly", "2025-10 here", OLD)
    cutoffs = dict.fromkeys(RetentionSettings.model_fields, LIMIT)
    dry_run_counts = store.retention.delete_expired_data(cutoffs, dry_run=True)
    deleted = store.retention.delete_expired_data(cutoffs)
    assert deleted == dry_run_counts == {"contact": 2, "sent_message": 1, "audit_log": 1}


def test_links_of_an_association_that_was_erased_meanwhile_are_refused(store):
    links = [build_report_link("new", expires_at=NOW), build_report_link("other", expires_at=NOW)]
    links[1].association = "erased"
    with pytest.raises(ChangedMeanwhileError):
        store.report_links.add_all(links)
    assert list(store.report_links.list_report_links()) == []


def test_ended_report_links_are_deleted_and_their_replies_stay(store):
    later = NOW + timedelta(days=30)
    links = [
        build_report_link("ended", expires_at=OLD + timedelta(days=30)),
        build_report_link("revoked", expires_at=later, revoked_at=OLD, revoked_by="Amina"),
        build_report_link("holds", expires_at=later),
    ]
    store.report_links.add_all(links)
    reply = build_reply("still waits")
    reply.report_link_id = store.report_links.list_report_links("here")[0].id
    add_reply(store, reply)
    assert store.retention.delete_expired_data({"report_links": LIMIT}) == {"report_link": 2}
    assert [link.token_hash for link in store.report_links.list_report_links("here")] == ["holds"]
    [waiting] = store.replies.list_replies("here")
    assert (waiting.text, waiting.report_link_id) == ("still waits", None)
    assert store.retention.delete_expired_data({"replies": LIMIT}) == {}


def test_follow_up_that_is_still_due_stays(store):
    fields = {"association": "here", "author": "Amina", "occurred_at": OLD, "text": "due"}
    store.follow_ups.add(FollowUp(kind=FollowUpKind.PROMISED, due_date=NOW.date(), **fields))
    assert store.retention.delete_expired_data({"follow_ups": LIMIT}) == {}


def test_log_entries_about_contacts_are_deleted_and_others_stay(store):
    origin = ChangeOrigin("Amina", ERASE_SOURCE)
    line = origin.build_log_entry(OLD, "erased-1", "association", None, None)
    store.erasure.erase_association("left", line, ())
    changed = build_entry("here", "07 here", "Here")
    store.registry.save_registry([changed], [], OLD, origin=EDITOR)
    fields = {entry.field for entry in store.audit_log.list_audit_log()}
    dry_run_counts = store.retention.delete_expired_data({"audit_log": LIMIT}, dry_run=True)
    deleted = store.retention.delete_expired_data({"audit_log": LIMIT})
    assert deleted == dry_run_counts == {"audit_log": 1}
    entries = list(store.audit_log.list_audit_log())
    assert fields - {entry.field for entry in entries} == {"phone"}
    assert "erased-1" in {entry.association for entry in entries}


def test_maintenance_deletes_expired_data(store, tmp_path):
    config = Config(backup=BackupSettings(folder=tmp_path / "backups"))
    archive, now = BodyStore(tmp_path / "archive"), OLD + timedelta(days=800)
    app = SimpleNamespace(store=store, body_store=archive, config=config, data_folder=tmp_path)
    upload = tmp_path / "uploads" / UploadStore(tmp_path / "uploads").save(b"06 left", OLD)
    run = store.runs.begin_or_resume(now.date(), now)
    run_maintenance(app, store.runs.finish(run, AuditRunState.DONE, now), now, lambda: False)
    assert not store.registry.get_contact("left")
    assert not upload.exists()
    [backup] = (tmp_path / "backups").glob("*.db")
    assert b"06 left" not in backup.read_bytes()
