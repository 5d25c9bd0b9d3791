"""Tests of `registry add`, `set`, `stop` and `follow`: what they change, refuse and keep."""

import csv
import io

import pytest

from auditor.cli import registry_entries

PAGE = "https://www.facebook.com/tifawt"


@pytest.fixture
def registry(auditor):
    auditor("init", ".")
    assert auditor("registry", "add", "name=Club Tifawt", f"facebook={PAGE}") == (
        0,
        "club-tifawt\n",
        "",
    )

    def read():
        """Return the followed associations as the registry exports them."""
        exported = auditor("registry", "export", "-").out
        return {row["id"]: row for row in csv.DictReader(io.StringIO(exported))}

    return read


def test_values_are_changed_one_by_one_and_cleared(auditor, registry):
    assert auditor("registry", "set", "club-tifawt", "phone=0612345678", "city=Agadir").code == 0
    assert auditor("registry", "set", "club-tifawt", "city=").code == 0
    entry = registry()["club-tifawt"]
    assert (entry["name"], entry["phone"], entry["city"]) == ("Club Tifawt", "0612345678", "")
    assert entry["facebook"] == PAGE


def test_association_that_is_no_longer_followed_comes_back_with_its_accounts(auditor, registry):
    before = registry()
    assert auditor("registry", "stop", "club-tifawt").code == 0
    assert registry() == {}
    assert auditor("registry", "set", "club-tifawt", "city=Agadir").code == 3
    assert auditor("registry", "follow", "club-tifawt").code == 0
    assert registry() == before


def test_change_of_an_association_that_is_erased_meanwhile_adds_nothing(
    auditor, registry, monkeypatch
):
    find_shared_accounts = registry_entries.find_shared_accounts

    def erase_first(*arguments):
        assert auditor("registry", "erase", "club-tifawt", "--yes").code == 0
        return find_shared_accounts(*arguments)

    monkeypatch.setattr(registry_entries, "find_shared_accounts", erase_first)
    assert "changed meanwhile" in auditor("registry", "set", "club-tifawt", "city=Agadir").err
    assert registry() == {}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("add", "name=club tifawt"), "club-tifawt has the same name"),
        (("add", "name=Total"), "row of totals"),
        (("add", "city=Agadir"), "the name is missing"),
        (("set", "nobody", "city=Agadir"), "no association has this id"),
        (("stop", "nobody"), "no association has this id"),
        (("set", "club-tifawt", "fone=1"), "it is not COLUMN=VALUE"),
        (("set", "club-tifawt", "email=amina"), "invalid email address"),
    ],
)
def test_wrong_value_is_refused_and_changes_nothing(auditor, registry, arguments, reason):
    before = registry()
    code, out, err = auditor("registry", *arguments)
    assert (code, out) == (3, "")
    assert reason in err
    assert registry() == before


def test_erased_association_is_added_again_only_on_request(auditor, registry):
    assert auditor("registry", "erase", "club-tifawt", "--yes").code == 0
    assert auditor("registry", "add", "name=Club Tifawt").code == 3
    assert registry() == {}
    assert auditor("registry", "add", "name=Club Tifawt", "--yes").code == 0
    assert set(registry()) == {"club-tifawt"}


def test_second_association_of_a_name_is_added_on_request(auditor, registry):
    assert auditor("registry", "add", "--yes", "name=Club Tifawt").out == "club-tifawt-2\n"
    assert set(registry()) == {"club-tifawt", "club-tifawt-2"}
