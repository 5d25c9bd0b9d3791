"""The audit trail: whatever changes in the registry is kept with who changed it, in the same transaction."""

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.cli.main import main
from auditor.cli.registry import HISTORY_COLUMNS
from auditor.decisions.service import DecisionService, withdraw_decision
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin, RegistryChangeKind
from storage.registry.diff import list_changed_fields
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
def peopled(store):
    store.save_registry([AMAL, NOUR], LINKS, START, origin=SALMA)
    return store


def told(store, after=0, association=None):
    """The lines of the trail in the order they were written."""
    lines = store.list_audit_log(association, limit=None)
    return [
        (one.association, one.field, one.before, one.after)
        for one in reversed(lines)
        if one.id > after
    ]


def written(store):
    return max((one.id for one in store.list_audit_log(limit=1)), default=0)


def test_who_comes_into_the_registry_and_with_which_links_is_kept(peopled):
    assert told(peopled) == [
        ("amal", "association", None, "Amal"),
        ("amal", "facebook", None, LINKS[0].typed_text),
        ("amal", "website", None, LINKS[1].typed_text),
        ("nour", "association", None, "Nour"),
        ("nour", "youtube", None, LINKS[2].typed_text),
    ]
    assert {(one.author, one.source, one.changed_at) for one in peopled.list_audit_log()} == {
        ("Salma", "web", START)
    }
    assert {one.kind for one in peopled.list_audit_log()} == {RegistryChangeKind.ADDED}


def test_every_field_that_changes_is_kept_with_both_its_values(peopled):
    since = written(peopled)
    named = replace(AMAL, city=None, tags=("youth", "rabat"), none_by_choice=("twitter",))
    after = AssociationEntry(named, Contact(phone="06"))
    retyped = replace(LINKS[0], typed_text="fb.com/amal")
    peopled.save_registry(
        [after, NOUR], [retyped, *LINKS[1:]], START, origin=ChangeOrigin("Amina", "import")
    )
    assert told(peopled, since) == [
        ("amal", "city", "Agadir", None),
        ("amal", "phone", None, "06"),
        ("amal", "tags", "youth", "youth, rabat"),
        ("amal", "none_by_choice", None, "twitter"),
        ("amal", "facebook", LINKS[0].typed_text, "fb.com/amal"),
    ]
    kinds = {(one.author, one.kind) for one in peopled.list_audit_log() if one.id > since}
    assert kinds == {("Amina", RegistryChangeKind.CHANGED)}


def test_the_same_sheet_again_leaves_no_trace(peopled):
    since = written(peopled)
    peopled.save_registry([AMAL, NOUR], LINKS, START + timedelta(days=1))
    assert told(peopled, since) == []


def test_what_leaves_and_what_comes_back_is_kept(peopled):
    since = written(peopled)
    peopled.save_registry([AMAL], LINKS[:1], START)
    assert told(peopled, since) == [
        ("amal", "website", LINKS[1].typed_text, None),
        ("nour", "association", "Nour", None),
        ("nour", "youtube", LINKS[2].typed_text, None),
    ]
    assert {one.kind for one in peopled.list_audit_log(limit=3)} == {RegistryChangeKind.WITHDRAWN}
    since = written(peopled)
    peopled.save_registry([AMAL, replace(NOUR, name="An-Nour")], LINKS, START)
    assert told(peopled, since) == [
        ("amal", "website", None, LINKS[1].typed_text),
        ("nour", "association", None, "An-Nour"),
        ("nour", "name", "Nour", "An-Nour"),
        ("nour", "youtube", None, LINKS[2].typed_text),
    ]


def test_the_trail_of_what_was_pruned_outlives_it(peopled):
    peopled.save_registry(
        [AMAL], LINKS[:2], START, origin=ChangeOrigin("Amina", "import"), prune=True
    )
    assert peopled.get_association("nour") is None
    lines = peopled.list_audit_log("nour")
    assert [(one.field, one.kind, one.source) for one in lines[:2]] == [
        ("youtube", RegistryChangeKind.PRUNED, "prune"),
        ("association", RegistryChangeKind.PRUNED, "prune"),
    ]
    assert len(lines) == 4


def test_a_dry_run_leaves_no_trace(store):
    assert store.save_registry([AMAL], LINKS[:1], START, dry_run=True).log_entries
    assert store.list_audit_log() == []


def test_a_change_that_fails_leaves_no_trace(peopled):
    since = written(peopled)
    with pytest.raises(Exception, match="FOREIGN KEY"):
        peopled.save_registry(
            [replace(AMAL, city="Tiznit")], [link("nobody", "facebook", "x")], START
        )
    assert told(peopled, since) == []


def test_a_sheet_of_a_part_leaves_the_others_as_they_are(peopled):
    since = written(peopled)
    changes = peopled.save_registry(
        [replace(AMAL, city="Tiznit")], LINKS[:1], START, is_complete=False
    )
    assert told(peopled, since) == [
        ("amal", "city", "Agadir", "Tiznit"),
        ("amal", "website", LINKS[1].typed_text, None),
    ]
    assert changes.affected_associations == {"amal"}
    assert [one.id for one in peopled.list_associations()] == ["amal", "nour"]
    assert [one.typed_text for one in peopled.list_accounts("nour")] == [LINKS[2].typed_text]


def test_only_the_changes_that_were_agreed_to_are_made(peopled):
    wanted = [replace(AMAL, city="Tiznit"), NOUR]
    shown = peopled.save_registry(wanted, LINKS, START, dry_run=True)
    peopled.save_registry([replace(AMAL, city="Taza"), NOUR], LINKS, START)
    since = written(peopled)
    refused = peopled.save_registry(wanted, LINKS, START, expected_digest=shown.digest)
    assert refused.digest != shown.digest
    assert peopled.get_association("amal").city == "Taza"
    assert told(peopled, since) == []
    assert (
        peopled.save_registry(wanted, LINKS, START, expected_digest=refused.digest).digest
        == refused.digest
    )
    assert peopled.get_association("amal").city == "Tiznit"


def test_another_change_meanwhile_that_concerns_nothing_of_it_is_no_obstacle(peopled):
    shown = peopled.save_registry(
        [replace(AMAL, city="Tiznit")], LINKS[:2], START, is_complete=False, dry_run=True
    )
    peopled.save_registry([replace(NOUR, city="Taza")], LINKS[2:], START, is_complete=False)
    made = peopled.save_registry(
        [replace(AMAL, city="Tiznit")],
        LINKS[:2],
        START,
        is_complete=False,
        expected_digest=shown.digest,
    )
    assert made.digest == shown.digest
    assert peopled.get_association("amal").city == "Tiznit"


def test_a_link_registered_by_a_decision_and_taken_back_is_kept_with_whose_word_it_was(peopled):
    since = written(peopled)
    address = "https://www.youtube.com/@amal"
    word = DecisionService.create(
        peopled,
        ("youtube",),
        "amal",
        "youtube",
        author="Amina",
        reason="asked",
        now=START,
        account=address,
    )
    word.claim_account()
    withdraw_decision(
        peopled,
        str(word.saved_decisions[0].id),
        author="Salma",
        reason="a fan's",
        now=START + timedelta(days=1),
    )
    assert told(peopled, since) == [
        ("amal", "youtube", None, address),
        ("amal", "youtube", address, None),
    ]
    lines = list(reversed(peopled.list_audit_log(limit=2)))
    assert [(one.author, one.source) for one in lines] == [
        ("Amina", "decision"),
        ("Salma", "decision"),
    ]


def test_listing_a_link_that_is_listed_leaves_no_trace(peopled):
    since = written(peopled)
    peopled.register_account(LINKS[0], START)
    row = next(peopled.list_accounts("amal"))
    peopled.withdraw_accounts([row.id], START)
    peopled.withdraw_accounts([row.id], START)
    peopled.register_account(LINKS[0], START)
    assert [(before is None, after is None) for _, _, before, after in told(peopled, since)] == [
        (False, True),
        (True, False),
    ]


def test_the_trail_is_read_by_association_and_page_by_page(peopled):
    assert [one.association for one in peopled.list_audit_log("nour")] == ["nour", "nour"]
    newest = peopled.list_audit_log(limit=2)
    assert [one.field for one in newest] == ["youtube", "association"]
    rest = peopled.list_audit_log(before_id=newest[-1].id)
    assert [one.field for one in rest] == ["website", "facebook", "association"]


def test_nobody_named_is_the_operator(store):
    store.save_registry([AMAL], [], START)
    assert {(one.author, one.source) for one in store.list_audit_log()} == {
        (OPERATOR_ORIGIN.author, "import")
    }


def test_a_trail_carries_no_direction_override(store, tmp_path):
    store.save_registry([AMAL], [], START, origin=ChangeOrigin("Amina\u202e\x00", "import"))
    with sqlite3.connect(tmp_path / "auditor.db") as database:
        assert database.execute("select distinct author from audit_log").fetchall() == [("Amina",)]
    database.close()


def test_an_entry_that_is_the_same_alters_nothing():
    assert list(list_changed_fields(AssociationEntry(AMAL), AssociationEntry(AMAL))) == []


@pytest.fixture
def auditor(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; give what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "keeper")

    def run(*words, **sheets):
        for name, text in sheets.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        assert main(list(words)) == 0
        return capsys.readouterr().out

    return run


def test_an_import_is_kept_under_the_login_name_or_the_one_that_is_said(auditor):
    auditor("registry", "import", "one.csv", one="id,name\nnour,Nour\n")
    auditor("registry", "import", "two.csv", "--author", "Amina", two="id,name,city\nnour,Nour,Taza\n")
    told = json.loads(auditor("registry", "history", "--json"))["items"]
    assert [
        (one["who"], one["source"], one["field"], one["change"], one["after"]) for one in told
    ] == [
        ("Amina", "import", "city", "changed", "Taza"),
        ("keeper", "import", "association", "added", "Nour"),
    ]
    assert list(told[0]) == list(HISTORY_COLUMNS)


def test_the_trail_of_an_association_is_a_table(auditor):
    both = "id,name\nnour,Nour\namal,Amal\n"
    auditor("registry", "import", "both.csv", "--author", "Amina", both=both)
    heading, line = auditor("registry", "history", "--association", "amal").splitlines()
    assert heading.split("\t") == list(HISTORY_COLUMNS)
    assert line.split("\t")[1:] == ["Amina", "import", "amal", "association", "added", "", "Amal"]
    assert auditor("registry", "history", "--limit", "1").count("\n") == 2
