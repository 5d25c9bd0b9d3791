"""Tests of the audit log: every change of the registry is logged in its transaction."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from auditor.cli.main import main
from auditor.cli.registry import HISTORY_COLUMNS
from auditor.conclusions.recording import DecisionInput, record_decision, withdraw_decision
from storage.errors import ChangedMeanwhileError
from storage.models.audit import Association, AssociationEntry, Contact, DecisionKind
from storage.models.users import ChangeOrigin
from storage.store import Store
from tests.support.mini_network import START, link

AMAL = Association("amal", "Amal", city="Agadir", tags=("youth",))
NOUR = Association("nour", "Nour")
LINKS = [
    link("amal", "facebook", "amal"),
    link("amal", "website", "amal"),
    link("nour", "youtube", "nour"),
]


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


@pytest.fixture
def filled_store(store):
    store.registry.save_registry([AMAL, NOUR], LINKS, START, origin=ChangeOrigin("Salma", "web"))
    return store


def list_changes(store):
    """Return the entries after the first import, in the order in which they were written."""
    lines = list(reversed(store.audit_log.list_audit_log(limit=None)))[2 + len(LINKS) :]
    return [(entry.association, entry.field, entry.before, entry.after) for entry in lines]


def test_changed_fields_are_logged_with_both_values(filled_store):
    changed = replace(AMAL, city=None, tags=("youth", "rabat"), none_by_choice=("twitter",))
    entries = [AssociationEntry(changed, Contact(phone="06")), NOUR]
    links = [replace(LINKS[0], typed_text="fb.com/amal"), *LINKS[1:]]
    origin = ChangeOrigin("Amina", "import")
    filled_store.registry.save_registry(entries, links, START, origin=origin)
    assert list_changes(filled_store) == [
        ("amal", "city", "Agadir", None),
        ("amal", "phone", None, "06"),
        ("amal", "tags", "youth", "youth, rabat"),
        ("amal", "none_by_choice", None, "twitter"),
        ("amal", "facebook", LINKS[0].typed_text, "fb.com/amal"),
    ]
    lines = filled_store.audit_log.list_audit_log(limit=5)
    assert {(line.author, line.kind) for line in lines} == {("Amina", "changed")}


def test_withdrawn_and_relisted_items_are_logged(filled_store):
    filled_store.registry.save_registry([AMAL], LINKS[:1], START)
    assert list_changes(filled_store) == [
        ("amal", "website", LINKS[1].typed_text, None),
        ("nour", "association", "Nour", None),
        ("nour", "youtube", LINKS[2].typed_text, None),
    ]
    assert {entry.kind for entry in filled_store.audit_log.list_audit_log(limit=3)} == {"withdrawn"}
    filled_store.registry.save_registry([AMAL, replace(NOUR, name="An-Nour")], LINKS, START)
    assert list_changes(filled_store)[3:] == [
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


def test_failed_change_is_not_logged(filled_store):
    changed, unknown = replace(AMAL, city="Tiznit"), link("unknown", "facebook", "x")
    with pytest.raises(ChangedMeanwhileError):
        filled_store.registry.save_registry([changed], [unknown], START)
    assert list_changes(filled_store) == []


def test_partial_sheet_does_not_change_other_associations(filled_store):
    changes = filled_store.registry.save_registry(
        [replace(AMAL, city="Tiznit")], LINKS[:1], START, is_complete=False
    )
    assert list_changes(filled_store) == [
        ("amal", "city", "Agadir", "Tiznit"),
        ("amal", "website", LINKS[1].typed_text, None),
    ]
    assert changes.affected_associations == {"amal"}
    assert [entry.id for entry in filled_store.registry.list_associations()] == ["amal", "nour"]


def test_import_with_another_digest_changes_nothing(filled_store):
    save, wanted = filled_store.registry.save_registry, [replace(AMAL, city="Tiznit"), NOUR]
    preview = save(wanted, LINKS, START, dry_run=True)
    save([replace(AMAL, city="Taza"), NOUR], LINKS, START)
    refused = save(wanted, LINKS, START, expected_digest=preview.digest)
    assert refused.digest != preview.digest
    assert filled_store.registry.get_association("amal").city == "Taza"
    assert len(list_changes(filled_store)) == 1
    accepted = save(wanted, LINKS, START, expected_digest=refused.digest)
    assert accepted.digest == refused.digest
    assert filled_store.registry.get_association("amal").city == "Tiznit"


def test_unrelated_change_does_not_change_the_digest(filled_store):
    save = partial(filled_store.registry.save_registry, is_complete=False)
    wanted = ([replace(AMAL, city="Tiznit")], LINKS[:2], START)
    preview = save(*wanted, dry_run=True)
    save([replace(NOUR, city="Taza")], LINKS[2:], START)
    assert save(*wanted, expected_digest=preview.digest).digest == preview.digest
    assert filled_store.registry.get_association("amal").city == "Tiznit"


def test_account_added_by_a_decision_is_logged_with_its_author(filled_store):
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
    assert list_changes(filled_store) == [
        ("amal", "youtube", None, address),
        ("amal", "youtube", address, None),
    ]
    lines = list(reversed(filled_store.audit_log.list_audit_log(limit=2)))
    assert [(entry.author, entry.source) for entry in lines] == [
        ("Amina", "decision"),
        ("Salma", "decision"),
    ]


def test_import_is_logged_with_the_login_name_or_the_given_author(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "keeper")
    (tmp_path / "one.csv").write_text("id,name\nnour,Nour\n")
    (tmp_path / "two.csv").write_text("id,name,city\nnour,Nour,Taza\n")
    assert main(["registry", "import", "one.csv"]) == 0
    assert main(["registry", "import", "two.csv", "--author", "Amina"]) == 0
    capsys.readouterr()
    assert main(["registry", "history", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert [
        (entry["author"], entry["source"], entry["field"], entry["change"], entry["after"])
        for entry in items
    ] == [
        ("Amina", "import", "city", "changed", "Taza"),
        ("keeper", "import", "association", "added", "Nour"),
    ]
    assert list(items[0]) == list(HISTORY_COLUMNS)
