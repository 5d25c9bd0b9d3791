"""Answers of third parties: who is due, what is kept, and what an erasure removes."""

from datetime import UTC, datetime, timedelta

import pytest

from probes.models.finding import Identity, LinkKind, Reason
from probes.models.witness import WitnessAnswer, WitnessSource
from storage.models.audit import AccountRow, Association, WitnessRecord
from storage.models.users import AuditLogEntry
from storage.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = (LinkKind.PAGE, LinkKind.PROFILE, LinkKind.PERSON, LinkKind.GROUP, LinkKind.INVALID)


def build_account(name, channel="linkedin", kind=LinkKind.PAGE):
    return AccountRow("nour", name, Identity(channel, kind, name, f"https://x.example/{name}"))


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def register(store, *rows):
    store.registry.save_registry([Association("nour", "Nour")], list(rows), NOW - timedelta(days=1))
    return {row.typed_text: row.id for row in store.registry.list_accounts()}


def save(store, account_id, asked_at=NOW, failure=None, source=WitnessSource.WEB_ARCHIVE):
    record = WitnessRecord(account_id, source, asked_at, WitnessAnswer(failure))
    store.witnesses.save_witness_record(record)
    return record


def list_due(store, at=NOW, **options):
    rows = store.witnesses.list_accounts_to_witness(
        WitnessSource.WEB_ARCHIVE,
        {"linkedin", "website"},
        answered_before=at - timedelta(days=90),
        asked_before=at - timedelta(days=7),
        **{"limit": 10} | options,
    )
    return [row.typed_text for row in rows]


def test_private_persons_groups_and_unusable_links_are_never_due(store):
    register(store, *(build_account(kind.value, kind=kind) for kind in KINDS))
    assert list_due(store) == ["page", "profile"]


def test_account_of_another_channel_or_left_out_is_not_due(store):
    ids = register(store, build_account("a"), build_account("b"), build_account("c", "facebook"))
    assert list_due(store, excluded_ids={ids["a"]}) == ["b"]
    assert list_due(store, limit=1) == ["a"]


def test_account_never_asked_about_is_first_then_the_oldest(store):
    ids = register(store, *(build_account(name) for name in "abcd"))
    for name, days in (("a", 100), ("b", 200), ("c", 10)):
        save(store, ids[name], NOW - timedelta(days=days))
    assert list_due(store) == ["d", "b", "a"]


def test_request_without_an_answer_is_replaced_by_the_next_one(store):
    ids = register(store, build_account("a"))
    save(store, ids["a"], NOW, Reason.TIMEOUT)
    second = save(store, ids["a"], NOW + timedelta(days=7), Reason.ROBOTS)
    assert list(store.witnesses.list_witness_records("nour")) == [second]
    assert list_due(store, NOW + timedelta(days=8)) == []
    assert list_due(store, NOW + timedelta(days=15)) == ["a"]


def test_answers_are_added_and_survive_a_later_silence(store):
    ids = register(store, build_account("a"))
    records = [
        save(store, ids["a"], NOW + timedelta(days=days), failure)
        for days, failure in ((0, None), (95, None), (190, Reason.TIMEOUT))
    ]
    assert list(store.witnesses.list_witness_records("nour")) == records
    assert list_due(store, NOW + timedelta(days=198)) == ["a"]


def test_each_source_is_asked_on_its_own(store):
    ids = register(store, build_account("a", "website"))
    save(store, ids["a"], source=WitnessSource.WIKIDATA)
    assert list_due(store) == ["a"]
    assert store.witnesses.count_witness_requests(WitnessSource.WIKIDATA, NOW) == 1
    assert store.witnesses.count_witness_requests(WitnessSource.WEB_ARCHIVE, NOW) == 0


def test_erasure_of_the_association_removes_its_answers(store):
    ids = register(store, build_account("a"))
    save(store, ids["a"])
    assert store.erasure.summarize_stored_data("nour").row_counts["witness_answer"] == 1
    assert "witness_answer" in dict(store.erasure.list_stored_rows("nour"))
    store.erasure.erase_association(
        "nour", AuditLogEntry(NOW, "Amina", "test", "x", "y", None, None), ()
    )
    assert "witness_answer" not in store.erasure.summarize_stored_data("nour").row_counts
