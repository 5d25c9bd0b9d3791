"""Names are compared by their telling words; where they may only be spelt otherwise, nothing is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.likeness import akin_handles, names_it, resembles

FRENCH = "Association Tafsoutine pour la lecture"
ARABIC = "جمعية تافسوتين للقراءة"


@pytest.mark.parametrize(
    "shown",
    [
        "Tafsoutine",
        "TAFSOUTINE – Tanger",
        "Association Tafssoutine",
        "TafsoutineLecture",
        "A.T.L.",
        "ATL Tanger",
        "Lecture pour tous",
        "جمعية تافسوتين",
        "تافسوتين للقراءة بطنجة",
        "Nour | تافسوتين",
        "Tafsutin",
    ],
)
def test_a_name_is_known_by_a_telling_word_or_its_initials(shown):
    assert resembles(shown, [FRENCH, ARABIC]) is True


@pytest.mark.parametrize(
    "shown", ["Karim Benomar", "كريم بنعمر", "Radio Soleil du Sud", "Karim Benomar – كريم بنعمر"]
)
def test_another_name_in_the_same_letters_differs(shown):
    assert resembles(shown, [FRENCH, ARABIC]) is False


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ("جمعية تافسوتين للقراءة", [FRENCH]),  # an Arabic name and a French one
        ("Karim Benomar", [ARABIC]),
        ("Karim بنعمر", [FRENCH]),  # what stands in the other letters may be the name
        ("ⵜⴰⴼⵙⵓⵜⵉⵏ", [FRENCH, ARABIC]),
        ("Association marocaine", [FRENCH]),  # says nothing
        ("Accueil", [FRENCH]),
        ("", [FRENCH]),
        ("AMRK", [FRENCH]),  # initials, of a name in whatever language
        ("Reading Club of Tangier", ["AMSAT"]),
        ("Dar Taliba", ["دار الطالبة", "Foyer de la jeune fille"]),  # the Arabic name in French letters
        ("دار الطالبة", ["Dar Taliba", "بيت الفتاة"]),
        ("Karim Benomar", []),
        ("Karim Benomar", [None, ""]),
    ],
)
def test_what_cannot_be_compared_is_not_told(shown, names):
    assert resembles(shown, names) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("Choukri", "Shukri"), ("Al Mostaqbal", "Moustakbal"), ("Annour", "Ennour"), ("Jeunes", "Jeune")],
)
def test_one_word_spelt_in_two_ways_is_one(one, other):
    assert resembles(one, [other]) is True


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_no_name_is_beyond_comparing(shown, names):
    assert resembles(shown, names) in (True, False, None)


@given(st.text(alphabet=st.characters(categories=["Ll", "Lu"], max_codepoint=0x6FF), min_size=1, max_size=40))
def test_a_name_never_differs_from_itself(name):
    assert resembles(name, [name]) is not False


@pytest.mark.parametrize(
    ("one", "other", "akin"),
    [
        ("TafsoutineLecture", "Tafsoutine_12", True),
        ("asso-tafsoutine", "tafsoutine.ma", True),
        ("amal", "amal_tanger", True),
        ("tafsoutine", "lecture.tanger", False),
        ("amsat", "tafsoutine", False),
    ],
)
def test_user_names_are_akin_where_they_share_a_run_of_letters(one, other, akin):
    assert akin_handles(one, other) is akin


@pytest.mark.parametrize(
    ("handle", "named"), [("tafsoutine_ma", True), ("atl.tanger", True), ("radiosoleil", False)]
)
def test_a_user_name_may_hold_the_name(handle, named):
    assert names_it(handle, [FRENCH, ARABIC]) is named
