"""The twelve regions: one name for each in each language, whichever way a sheet spells it."""

import pytest

from auditor.i18n.catalogs import LOCALES
from auditor.reference.regions import ALIASES, REGIONS, code_of, region


def test_there_are_twelve_with_a_name_in_each_language():
    assert len(REGIONS) == 12
    assert all(set(names) == set(LOCALES) for names in REGIONS.values())
    assert set(ALIASES.values()) <= set(REGIONS)


def test_every_official_name_leads_to_itself():
    for code, names in REGIONS.items():
        assert {code_of(name) for name in names.values()} == {code}


@pytest.mark.parametrize(
    ("typed", "french"),
    [
        ("Région de l'Oriental", "L’Oriental"),
        ("الجهة الشرقية", "L’Oriental"),
        ("جهة الرباط سلا القنيطرة", "Rabat-Salé-Kénitra"),
        ("RABAT – SALE – KENITRA", "Rabat-Salé-Kénitra"),
        ("Fez-Meknes", "Fès-Meknès"),
        ("سوس ماسه", "Souss-Massa"),
        ("مراكش اسفي", "Marrakech-Safi"),
        ("Dakhla Oued Eddahab", "Dakhla-Oued Ed-Dahab"),
        ("Laayoune Saguia El Hamra", "Laâyoune-Sakia El Hamra"),
    ],
)
def test_a_spelling_leads_to_the_official_name(typed, french):
    assert region(typed, "fr") == french


@pytest.mark.parametrize("typed", ["Atlantis", "Souss-Massa-Drâa", "جهة", "", None, "<b>"])
def test_what_is_none_of_the_twelve_stays_as_it_was_typed(typed):
    assert region(typed, "ar") == typed
