"""Tests of the audit log: every change of the registry is logged in its transaction."""

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.cli.main import main
from auditor.cli.registry import HISTORY_COLUMNS
from auditor.conclusions.recording import DecisionInput, record_decision, withdraw_decision
from storage.models.audit import Association, AssociationEntry, Contact, DecisionKind
from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin
from storage.registry.registry_import import list_changed_fields
from storage.store import Store
from tests.support.mini_network import START, link

AMAL = Association("amal", "Amal", city="Agadir", tags=("youth",))
NOUR = Association("nour", "Nour")
LINKS = [
    link("amal", "facebook", "amal"),
    link("amal", "website", "amal"),
    link("nour", "youtube", "nour"),
]
SALMA = ChangeOrigin("Salma", "web")


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


@pytest.fixture
def filled_store(store):
    store.registry.save_registry([AMAL, NOUR], LINKS, START, origin=SALMA)
    return store


def list_changes(store, after_id=0, association=None):
    """Return the entries in the order in which they were written."""
    lines = store.audit_log.list_audit_log(association, limit=None)
    return [
        (entry.association, entry.field, entry.before, entry.after)
        for entry in reversed(lines)
        if entry.id > after_id
    ]


def get_newest_id(store):
    return max((entry.id for entry in store.audit_log.list_audit_log(limit=1)), default=0)


def test_added_associations_and_accounts_are_logged(filled_store):
    assert list_changes(filled_store) == [
        ("amal", "association", None, "Amal"),
        ("amal", "facebook", None, LINKS[0].typed_text),
        ("amal", "website", None, LINKS[1].typed_text),
        ("nour", "association", None, "Nour"),
        ("nour", "youtube", None, LINKS[2].typed_text),
    ]
    assert {
        (entry.author, entry.source, entry.changed_at)
        for entry in filled_store.audit_log.list_audit_log()
    } == {("Salma", "web", START)}
    assert {entry.kind for entry in filled_store.audit_log.list_audit_log()} == {"added"}


def test_changed_fields_are_logged_with_both_values(filled_store):
    since = get_newest_id(filled_store)
    changed = replace(AMAL, city=None, tags=("youth", "rabat"), none_by_choice=("twitter",))
    changed_entry = AssociationEntry(changed, Contact(phone="06"))
    retyped_link = replace(LINKS[0], typed_text="fb.com/amal")
    filled_store.registry.save_registry(
        [changed_entry, NOUR],
        [retyped_link, *LINKS[1:]],
        START,
        origin=ChangeOrigin("Amina", "import"),
    )
    assert list_changes(filled_store, since) == [
        ("amal", "city", "Agadir", None),
        ("amal", "phone", None, "06"),
        ("amal", "tags", "youth", "youth, rabat"),
        ("amal", "none_by_choice", None, "twitter"),
        ("amal", "facebook", LINKS[0].typed_text, "fb.com/amal"),
    ]
    kinds = {
        (line.author, line.kind)
        for line in filled_store.audit_log.list_audit_log()
        if line.id > since
    }
    assert kinds == {("Amina", "changed")}


def test_unchanged_import_is_not_logged(filled_store):
    since = get_newest_id(filled_store)
    filled_store.registry.save_registry([AMAL, NOUR], LINKS, START + timedelta(days=1))
    assert list_changes(filled_store, since) == []


def test_withdrawn_and_relisted_items_are_logged(filled_store):
    since = get_newest_id(filled_store)
    filled_store.registry.save_registry([AMAL], LINKS[:1], START)
    assert list_changes(filled_store, since) == [
        ("amal", "website", LINKS[1].typed_text, None),
        ("nour", "association", "Nour", None),
        ("nour", "youtube", LINKS[2].typed_text, None),
    ]
    assert {entry.kind for entry in filled_store.audit_log.list_audit_log(limit=3)} == {"withdrawn"}
    since = get_newest_id(filled_store)
    filled_store.registry.save_registry([AMAL, replace(NOUR, name="An-Nour")], LINKS, START)
    assert list_changes(filled_store, since) == [
        ("amal", "website", None, LINKS[1].typed_text),
        ("nour", "association", None, "An-Nour"),
        ("nour", "name", "Nour", "An-Nour"),
        ("nour", "youtube", None, LINKS[2].typed_text),
    ]


def test_log_of_a_pruned_association_is_kept(filled_store):
    filled_store.registry.save_registry(
        [AMAL], LINKS[:2], START, origin=ChangeOrigin("Amina", "import"), prune=True
    )
    assert filled_store.registry.get_association("nour") is None
    lines = filled_store.audit_log.list_audit_log("nour")
    assert [(entry.field, entry.kind, entry.source) for entry in lines[:2]] == [
        ("youtube", "pruned", "prune"),
        ("association", "pruned", "prune"),
    ]
    assert len(lines) == 4


def test_dry_run_is_not_logged(store):
    assert store.registry.save_registry([AMAL], LINKS[:1], START, dry_run=True).log_entries
    assert store.audit_log.list_audit_log() == []


def test_failed_change_is_not_logged(filled_store):
    since = get_newest_id(filled_store)
    with pytest.raises(Exception, match="FOREIGN KEY"):
        filled_store.registry.save_registry(
            [replace(AMAL, city="Tiznit")], [link("unknown", "facebook", "x")], START
        )
    assert list_changes(filled_store, since) == []


def test_partial_sheet_does_not_change_other_associations(filled_store):
    since = get_newest_id(filled_store)
    changes = filled_store.registry.save_registry(
        [replace(AMAL, city="Tiznit")], LINKS[:1], START, is_complete=False
    )
    assert list_changes(filled_store, since) == [
        ("amal", "city", "Agadir", "Tiznit"),
        ("amal", "website", LINKS[1].typed_text, None),
    ]
    assert changes.affected_associations == {"amal"}
    assert [entry.id for entry in filled_store.registry.list_associations()] == ["amal", "nour"]
    assert [entry.typed_text for entry in filled_store.registry.list_accounts("nour")] == [
        LINKS[2].typed_text
    ]


def test_import_with_another_digest_changes_nothing(filled_store):
    wanted = [replace(AMAL, city="Tiznit"), NOUR]
    preview = filled_store.registry.save_registry(wanted, LINKS, START, dry_run=True)
    filled_store.registry.save_registry([replace(AMAL, city="Taza"), NOUR], LINKS, START)
    since = get_newest_id(filled_store)
    refused = filled_store.registry.save_registry(
        wanted, LINKS, START, expected_digest=preview.digest
    )
    assert refused.digest != preview.digest
    assert filled_store.registry.get_association("amal").city == "Taza"
    assert list_changes(filled_store, since) == []
    assert (
        filled_store.registry.save_registry(
            wanted, LINKS, START, expected_digest=refused.digest
        ).digest
        == refused.digest
    )
    assert filled_store.registry.get_association("amal").city == "Tiznit"


def test_unrelated_change_does_not_change_the_digest(filled_store):
    preview = filled_store.registry.save_registry(
        [replace(AMAL, city="Tiznit")], LINKS[:2], START, is_complete=False, dry_run=True
    )
    filled_store.registry.save_registry(
        [replace(NOUR, city="Taza")], LINKS[2:], START, is_complete=False
    )
    changes = filled_store.registry.save_registry(
        [replace(AMAL, city="Tiznit")],
        LINKS[:2],
        START,
        is_complete=False,
        expected_digest=preview.digest,
    )
    assert changes.digest == preview.digest
    assert filled_store.registry.get_association("amal").city == "Tiznit"


def test_account_added_by_a_decision_is_logged_with_its_author(filled_store):
    since = get_newest_id(filled_store)
    address = "https://www.youtube.com/@amal"
    typed = DecisionInput(
        association="amal",
        kind=DecisionKind.CLAIM,
        author="Amina",
        reason="asked",
        channel="youtube",
        account=address,
    )
    [decision] = record_decision(filled_store, ("youtube",), typed, START)
    withdraw_decision(
        filled_store,
        str(decision.id),
        author="Salma",
        reason="a fan's",
        now=START + timedelta(days=1),
    )
    assert list_changes(filled_store, since) == [
        ("amal", "youtube", None, address),
        ("amal", "youtube", address, None),
    ]
    lines = list(reversed(filled_store.audit_log.list_audit_log(limit=2)))
    assert [(entry.author, entry.source) for entry in lines] == [
        ("Amina", "decision"),
        ("Salma", "decision"),
    ]


def test_registering_a_listed_account_is_not_logged(filled_store):
    since = get_newest_id(filled_store)
    filled_store.registry.register_account(LINKS[0], START)
    row = next(filled_store.registry.list_accounts("amal"))
    filled_store.registry.withdraw_accounts([row.id], START)
    filled_store.registry.withdraw_accounts([row.id], START)
    filled_store.registry.register_account(LINKS[0], START)
    assert [
        (old_value is None, new_value is None)
        for _, _, old_value, new_value in list_changes(filled_store, since)
    ] == [(False, True), (True, False)]


def test_log_is_read_by_association_and_in_pages(filled_store):
    assert [entry.association for entry in filled_store.audit_log.list_audit_log("nour")] == [
        "nour",
        "nour",
    ]
    newest = filled_store.audit_log.list_audit_log(limit=2)
    assert [entry.field for entry in newest] == ["youtube", "association"]
    rest = filled_store.audit_log.list_audit_log(before_id=newest[-1].id)
    assert [entry.field for entry in rest] == ["website", "facebook", "association"]


def test_default_author_is_the_operator(store):
    store.registry.save_registry([AMAL], [], START)
    assert {(entry.author, entry.source) for entry in store.audit_log.list_audit_log()} == {
        (OPERATOR_ORIGIN.author, "import")
    }


def test_log_contains_no_direction_override(store, tmp_path):
    store.registry.save_registry(
        [AMAL], [], START, origin=ChangeOrigin("Amina\u202e\x00", "import")
    )
    with sqlite3.connect(tmp_path / "auditor.db") as database:
        assert database.execute("select distinct author from audit_log").fetchall() == [("Amina",)]
    database.close()


def test_equal_entries_have_no_changed_fields():
    assert list(list_changed_fields(AssociationEntry(AMAL), AssociationEntry(AMAL))) == []


@pytest.fixture
def auditor(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; give what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "keeper")

    def run(*arguments, **sheets):
        for name, text in sheets.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    return run


def test_import_is_logged_with_the_login_name_or_the_given_author(auditor):
    auditor("registry", "import", "entry.csv", entry="id,name\nnour,Nour\n")
    auditor(
        "registry", "import", "two.csv", "--author", "Amina", two="id,name,city\nnour,Nour,Taza\n"
    )
    items = json.loads(auditor("registry", "history", "--json"))["items"]
    assert [
        (entry["author"], entry["source"], entry["field"], entry["change"], entry["after"])
        for entry in items
    ] == [
        ("Amina", "import", "city", "changed", "Taza"),
        ("keeper", "import", "association", "added", "Nour"),
    ]
    assert list(items[0]) == list(HISTORY_COLUMNS)


def test_registry_history_prints_a_table(auditor):
    both = "id,name\nnour,Nour\namal,Amal\n"
    auditor("registry", "import", "both.csv", "--author", "Amina", both=both)
    heading, line = auditor("registry", "history", "--association", "amal").splitlines()
    assert heading.split("\t") == list(HISTORY_COLUMNS)
    assert line.split("\t")[1:] == ["Amina", "import", "amal", "association", "added", "", "Amal"]
    assert auditor("registry", "history", "--limit", "1").count("\n") == 2
