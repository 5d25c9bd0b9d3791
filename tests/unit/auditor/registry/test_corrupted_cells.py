"""Values that a spreadsheet program converted are recognised as their originals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.registry.existing_entries import ExistingEntries, is_mojibake, may_be_corrupted_form_of
from storage.models.audit import Association, AssociationEntry

CONVERTED = [
    ("612345678", "0612345678"),
    ("612345678", "06 12 34 56 78"),
    ("212612345678", "+212612345678"),
    ("2.12612E+11", "+212612345678"),
    ("2,12612E+11", "+212612345678"),
    ("1.00065E+14", "100064512345678"),
    ("1", "001"),
    ("123456789012346000", "00123456789012345678"),
    ("1.23456789012346E+017", "00123456789012345678"),
    ("1000000000", "1e9"),
    ("1.00E+09", "1e9"),
    ("1.5", "1,5"),
]
CORRECTED = [
    ("0612345678", "612345678"),
    ("612345679", "0612345678"),
    ("2.12612E+11", "+212712345678"),
    ("13/03/2026", "12/03/2026"),
    ("03/12/2026", "12/03/2026"),
    ("2026-11-26", "2026-11-25"),
    ("FALSE", "TRUE"),
    ("TRUE", "true"),
    ("2026-12-03", "12/03"),
    ("Agadir", "Oujda"),
    ("", "001"),
    ("9E+999999999999", "1e999999999999"),
]


def build_existing(*ids):
    entries = [AssociationEntry(Association(id_, "Nour")) for id_ in ids]
    return ExistingEntries.from_registry(entries, ())


@pytest.mark.parametrize(("cell", "text"), CONVERTED)
def test_converted_value_matches_its_original(cell, text):
    assert may_be_corrupted_form_of(cell, text)


@pytest.mark.parametrize(("cell", "text"), [pair for pair in CONVERTED if "E" not in pair[0]])
def test_converted_id_is_resolved(cell, text):
    assert build_existing("nour", text, "7").resolve_id(cell, ()) == text


@pytest.mark.parametrize(
    ("cell", "text", "same"),
    [
        ("????? ?????", "جمعية النور", True),
        ("??? Nour", "جمع Nour", True),
        ("??????????", "٠٦١٢٣٤٥٦٧٨", True),
        ("???? ?????", "جمعية النور", False),
        ("??? Amal", "جمع Nour", False),
        ("????", "Nour", False),
    ],
)
def test_question_marks_match_only_non_ascii_letters(cell, text, same):
    assert may_be_corrupted_form_of(cell, text) is same


@pytest.mark.parametrize(("cell", "text"), CORRECTED)
def test_other_values_are_corrections(cell, text):
    assert not may_be_corrupted_form_of(cell, text)
    assert build_existing(text).resolve_id(cell, ()) == cell


@given(cell=st.text("01E+-., 2", max_size=12), text=st.text("01e+-., 2", max_size=12))
def test_resolved_id_may_have_become_the_cell(cell, text):
    resolved = build_existing(text).resolve_id(cell, ())
    assert resolved == cell or (resolved == text and may_be_corrupted_form_of(cell, text))


@pytest.mark.parametrize("text", ["????? ?????", "???", "?? 2026", "Ø¬Ù…Ø¹ÙŠØ© Ø§Ù„Ù†ÙˆØ±"])
def test_mojibake_is_detected(text):
    assert is_mojibake(text)


@pytest.mark.parametrize("text", ["Qui sommes-nous ??", "?", "Ødegård", "جمعية؟؟", "2026", ""])
def test_ordinary_text_is_not_mojibake(text):
    assert not is_mojibake(text)
