"""Names are compared by distinctive words; uncertain differences are unknown."""

from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.rules.checks import HandlesDifferRule
from auditor.rules.context import EvaluatedAccount, RuleContext
from auditor.rules.name_matching import (
    MAX_NAME_CHARACTERS,
    has_name_in_handle,
    is_name_match,
    is_similar_handle,
)
from probes.models.finding import Identity, LinkKind
from storage.models.audit import AccountRow, AccountStatus, Association

NOW = datetime(2026, 11, 25, tzinfo=UTC)

FRENCH = "Association Tafsoutine pour la lecture"
ARABIC = "جمعية تافسوتين للقراءة"


@pytest.mark.parametrize(
    "displayed_name",
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
def test_name_matches_by_distinctive_word_or_initials(displayed_name):
    assert is_name_match(displayed_name, [FRENCH, ARABIC]) is True


@pytest.mark.parametrize(
    "displayed_name",
    ["Karim Benomar", "كريم بنعمر", "Radio Soleil du Sud", "Karim Benomar – كريم بنعمر"],
)
def test_other_name_in_the_same_script_differs(displayed_name):
    assert is_name_match(displayed_name, [FRENCH, ARABIC]) is False


@pytest.mark.parametrize(
    ("displayed_name", "names"),
    [
        ("جمعية تافسوتين للقراءة", [FRENCH]),  # an Arabic name and a French one
        ("Karim Benomar", [ARABIC]),
        ("Karim بنعمر", [FRENCH]),  # the Arabic part may be the name
        ("ⵜⴰⴼⵙⵓⵜⵉⵏ", [FRENCH, ARABIC]),
        ("Association marocaine", [FRENCH]),  # says nothing
        ("Accueil", [FRENCH]),
        ("", [FRENCH]),
        ("AMRK", [FRENCH]),  # initials of a name in any language
        ("Reading Club of Tangier", ["AMSAT"]),
        (
            "Dar Taliba",
            ["دار الطالبة", "Foyer de la jeune fille"],
        ),  # the Arabic name in French letters
        ("دار الطالبة", ["Dar Taliba", "بيت الفتاة"]),
        ("Karim Benomar", []),
        ("Karim Benomar", [None, ""]),
    ],
)
def test_names_that_cannot_be_compared_are_unknown(displayed_name, names):
    assert is_name_match(displayed_name, names) is None


@pytest.mark.parametrize(
    ("spelling", "other_spelling"),
    [
        ("Choukri", "Shukri"),
        ("Al Mostaqbal", "Moustakbal"),
        ("Annour", "Ennour"),
        ("Jeunes", "Jeune"),
    ],
)
def test_spelling_variants_match(spelling, other_spelling):
    assert is_name_match(spelling, [other_spelling]) is True


@pytest.mark.parametrize(
    ("displayed_name", "names"),
    [
        ("Hope for Children", ["Association espoir pour l'enfance"]),
        ("Association espoir pour l'enfance", ["Hope for Children"]),
        ("Green Hands", ["Les mains vertes"]),
        ("Les mains vertes", ["Green Hands", "الأيادي الخضراء"]),
        ("Mains vertes", ["Green Hands"]),
        ("Esperanza para los niños", ["Les mains vertes"]),
        ("Jam3iyat Al Yad Al Khadra", ["Les mains vertes"]),
    ],
)
def test_names_in_two_languages_are_unknown(displayed_name, names):
    assert is_name_match(displayed_name, names) is None


@pytest.mark.parametrize(
    ("displayed_name", "names"),
    [
        ("Soleil du Sud", ["Les mains vertes"]),
        ("Sunrise Youth Village", ["Hope for Children"]),
        (
            "Soleil du Sud",
            ["Green Hands", "Les mains vertes"],
        ),  # one of the two is in French as well
        ("Karim Benomar", ["Les mains vertes"]),  # a person's name is in no language
        (
            "Al Wahda Tanger",
            ["Les mains vertes", "جمعية الأيادي الخضراء"],
        ),  # by its sound not the Arabic name
        ("نادي الشطرنج الملكي", ["جمعية الأيادي الخضراء"]),
    ],
)
def test_other_name_in_a_known_language_differs(displayed_name, names):
    assert is_name_match(displayed_name, names) is False


def test_transliterated_arabic_name_matches():
    assert is_name_match("Jam3iyat Al Mostaqbal", ["Les mains vertes", "جمعية المستقبل"]) is None


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_comparison_never_raises(displayed_name, names):
    assert is_name_match(displayed_name, names) in (True, False, None)


@pytest.mark.parametrize(
    "long_name", ["a" * 30_000, " ".join(f"word{number}" for number in range(3_000))]
)
def test_comparison_time_is_bounded(long_name):
    started_at = process_time()
    is_name_match(long_name, [f"{long_name}b"])
    is_similar_handle(long_name, f"{long_name}b")
    has_name_in_handle(long_name, [long_name])
    assert process_time() - started_at < 1


@given(
    st.text(
        alphabet=st.characters(categories=["Ll", "Lu"], max_codepoint=0x6FF),
        min_size=1,
        max_size=40,
    )
)
def test_name_never_differs_from_itself(name):
    assert is_name_match(name, [name]) is not False


@pytest.mark.parametrize(
    ("handle", "other_handle", "is_similar"),
    [
        ("TafsoutineLecture", "Tafsoutine_12", True),
        ("asso-tafsoutine", "tafsoutine.ma", True),
        ("amal", "amal_tanger", True),
        ("tafsoutine", "lecture.tanger", False),
        ("amsat", "tafsoutine", False),
        ("جمعية_النور", "النور.طنجة", True),
        ("جمعية_النور", "الأمل", False),
        ("جمعية_النور", "annour", None),  # one word in two alphabets
        ("ⵏⵓⵔ", "annour", None),
    ],
)
def test_handles_are_similar_if_they_share_four_letters(handle, other_handle, is_similar):
    assert is_similar_handle(handle, other_handle) is is_similar


@pytest.mark.parametrize(
    ("handle", "has_name"), [("tafsoutine_ma", True), ("atl.tanger", True), ("radiosoleil", False)]
)
def test_handle_may_contain_the_name(handle, has_name):
    assert has_name_in_handle(handle, [FRENCH, ARABIC]) is has_name


@pytest.mark.parametrize(
    ("handle", "names", "has_name"),
    [
        ("amdh", ["Association marocaine des droits humains"], True),
        ("amdh_tanger", ["Association marocaine des droits humains"], True),
        ("جمعية_النور", ["Annour", "جمعية النور"], True),
        ("تعاونية_الجوهرة", ["تعاونية الجوهرة"], True),
        ("radiosoleil", ["Association marocaine des droits humains"], False),
    ],
)
def test_handle_may_be_initials_or_arabic(handle, names, has_name):
    assert has_name_in_handle(handle, names) is has_name


HUMAN_RIGHTS = Association(
    "amdh", "Association marocaine des droits humains", name_ar="جمعية حقوق الإنسان"
)


def has_different_handles(*handles):
    """Return whether the rule reports handles without similarity on as many channels."""
    accounts = [
        EvaluatedAccount(
            AccountRow(
                "amdh", name, Identity(channel, LinkKind.PAGE, name), channel, id=account_id
            ),
            AccountStatus(account_id),
        )
        for account_id, (channel, name) in enumerate(
            zip(("facebook", "twitter", "instagram"), handles, strict=False)
        )
    ]
    context = RuleContext(HUMAN_RIGHTS, tuple(accounts), NOW, NOW)
    return bool(
        list(HandlesDifferRule(code="handles_mixed", check="handles_differ").find_matches(context))
    )


@pytest.mark.parametrize(
    "handles",
    [
        ("amdh", "droitshumains"),  # the initials, and the name
        ("amdh.officiel", "associationmarocainehumains"),
        ("حقوق_الإنسان", "huquq"),  # two alphabets
        ("حقوق_الإنسان", "amdh"),
    ],
)
def test_handles_with_the_name_or_not_comparable_do_not_match(handles):
    assert not has_different_handles(*handles)


@pytest.mark.parametrize(
    "handles",
    [
        ("amdh", "radiosoleil"),
        ("karim.b", "radiosoleil"),
        ("حقوق_الإنسان", "amdh", "radiosoleil"),
        ("حقوق_الإنسان", "الشطرنج"),
    ],
)
def test_handle_with_another_name_matches(handles):
    assert has_different_handles(*handles)


@pytest.mark.parametrize(("excess", "is_match"), [(-1, True), (0, True), (1, None)])
def test_beginning_of_a_name_is_compared(excess, is_match):
    """Without its last letter, the word is too short to be compared."""
    displayed_name = "Kif".rjust(MAX_NAME_CHARACTERS + excess, "-")
    assert is_name_match(displayed_name, ["Kif"]) is is_match
