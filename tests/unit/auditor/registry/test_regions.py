"""The twelve regions have one name per language, however they are spelled."""

import pytest

from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.core.reference.places import (
    REGIONS,
    SHORT_REGION_NAMES,
    find_region_code,
    get_region_name,
)


def test_twelve_regions_have_a_name_in_each_language():
    assert len(REGIONS) == 12
    assert all(set(names) == set(LOCALE_BY_LANGUAGE) for names in REGIONS.values())
    assert all(set(names) == set(LOCALE_BY_LANGUAGE) for names in SHORT_REGION_NAMES.values())


def test_official_name_is_recognised():
    for code, names in REGIONS.items():
        assert {find_region_code(name) for name in names.values()} == {code}


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
def test_variant_spelling_is_recognised(typed, french):
    assert get_region_name(typed, "fr") == french


@pytest.mark.parametrize("typed", ["Atlantis", "Souss-Massa-Drâa", "جهة", "", None, "<b>"])
def test_unknown_region_is_kept_as_typed(typed):
    assert get_region_name(typed, "ar") == typed
