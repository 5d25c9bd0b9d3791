"""One typing error in a searched word is corrected if the word finds nothing."""

from datetime import UTC, datetime

import pytest

from auditor.config.schema import find_packaged_config, load_config
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import AssociationFilter, parse_search_query
from storage.models.audit import Association
from storage.read_model.word_correction import iter_neighbours
from storage.store import Store
from tests.support.query_plans import plans, whole

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
CONFIG = load_config(find_packaged_config(), {})
ASSOCIATIONS = [
    Association("a-1", "نادي المسرح", region="Souss-Massa", city="Tiznit"),
    Association("a-2", "جمعية تيزوال للمسرح", name_fr="Club Tizwal du théâtre", city="Tan-Tan"),
    Association("a-3", "Association Lumière", region="الشرق", city="وجدة"),
    Association("a-4", "Association Lumiere", region="Eastern"),
    Association("a-5", "Association Lumieze"),
]


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        store.registry.save_registry(ASSOCIATIONS, [], NOW)
        refresh_summaries(store, CONFIG)
        yield store


def search(store, text):
    return {
        row.id for row in store.search.list_summaries(search_terms=parse_search_query(text)).rows
    }


@pytest.mark.parametrize("text", ["مسرح", "المسرح", "للمسرح", "والمسرح", "بالمسرح", "مسر"])
def test_arabic_word_is_found_with_and_without_its_article(store, text):
    assert search(store, text) == {"a-1", "a-2"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("تيزنيت", "a-1"),
        ("Tiznit", "a-1"),
        ("souss", "a-1"),
        ("سوس ماسة", "a-1"),
        ("طانطان", "a-2"),
        ("Oujda", "a-3"),
        ("oriental oujda", "a-3"),
    ],
)
def test_town_and_region_are_found_in_every_language(store, text, found):
    assert search(store, text) == {found}
    assert AssociationFilter(q=text).search_words == parse_search_query(text)


@pytest.mark.parametrize(
    ("typed", "correction"),
    [
        ("tizmit", "tiznit"),
        ("tizniit", "tiznit"),
        ("tinzit", "tiznit"),
        ("iznit", "tiznit"),
        ("تيزنبت", "تيزنيت"),
        ("lumiexe", "lumiere"),
        ("tizmi", "tizni"),
        ("مشرح", "مسرح"),
    ],
)
def test_one_typing_error_is_corrected(store, typed, correction):
    assert store.word_corrections.correct_search_words([typed, "club"]) == {typed: correction}


@pytest.mark.parametrize(
    "typed", ["tiznit", "tizn", "club", "kzub", "سيح", "xxznit", "12345", "", "\0"]
)
def test_other_words_are_not_corrected(store, typed):
    assert store.word_corrections.correct_search_words([typed]) == {}


def test_neighbours_have_the_letters_of_the_script():
    neighbours = set(iter_neighbours("abcde"))
    assert {"abcd", "abced", "abcdez", "zbcde"} <= neighbours
    assert all(word.isascii() for word in neighbours)


def test_correction_scans_no_table(store):
    with plans(store) as queries:
        store.word_corrections.correct_search_words(["tizmit"])
    assert queries
    assert whole(queries) == []
