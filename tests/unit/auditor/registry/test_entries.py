"""Entries that people add by hand: names and accounts that are taken, and new ids."""

from datetime import UTC, datetime

import pytest

from auditor.registry.entries import find_namesakes, find_shared_accounts, make_unused_id
from auditor.registry.importer import parse_registry_entry
from auditor.registry.issues import Issue
from storage.models.audit import Association
from storage.store import Store

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PAGE = "https://www.facebook.com/nour.agadir"
OTHER = "https://www.facebook.com/amal"


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def save(store, *entries):
    for name, page in entries:
        entry = parse_registry_entry({"id": name.lower(), "name": name, "facebook": page}, "fr")
        store.registry.save_registry(
            entry.associations,
            entry.accounts,
            NOW,
            is_complete=False,
            present_columns=entry.columns,
        )


def test_namesakes_have_the_name_in_any_script_and_may_be_no_longer_followed(store):
    arabic = Association("arabic", "Noor", name_ar="جمعية النور")
    french = Association("french", "النور", name_fr="L'Étoile")
    store.registry.save_registry([arabic, french, Association("amal", "Amal")], [], NOW)
    store.registry.withdraw_association("french", NOW)
    for names, found in (
        (["  NOOR "], ["arabic"]),
        (["", "جمعيه النور"], ["arabic"]),
        (["l'etoile", "amal"], ["amal", "french"]),
        (["", "Hope"], []),
    ):
        assert sorted(row.id for row in find_namesakes(store.registry, names)) == found


def test_new_id_is_one_that_no_association_has_or_had(store):
    assert make_unused_id(store.registry, "Nour") == "nour"
    save(store, ("Nour", ""), ("Nour-2", ""))
    store.registry.withdraw_association("nour-2", NOW)
    assert make_unused_id(store.registry, "Nour") == "nour-3"


def test_account_of_another_followed_association_is_reported(store):
    save(store, ("Nour", PAGE), ("Amal", OTHER))
    cells = {"id": "hope", "name": "Hope", "facebook": f"{OTHER}\n{PAGE}"}
    shared = find_shared_accounts(store.registry, parse_registry_entry(cells, "fr"))
    assert {(one.line, one.column, one.value, one.issue) for one in shared} == {
        (2, "facebook", page, Issue.SHARED_ACCOUNT) for page in (PAGE, OTHER)
    }
    own = parse_registry_entry({"id": "nour", "name": "Nour", "facebook": PAGE}, "fr")
    assert find_shared_accounts(store.registry, own) == []
    store.registry.withdraw_association("amal", NOW)
    shared = find_shared_accounts(store.registry, parse_registry_entry(cells, "fr"))
    assert [one.value for one in shared] == [PAGE]
