"""The page model: its file of weights, its probabilities and its words."""

import math
from importlib import resources

import pytest

from probes.classify import page_model
from probes.classify.page_model import (
    BIAS_FEATURE,
    MAX_REASON_WORDS,
    PRESENT,
    ModelWeights,
    load_weights,
    predict_kind,
)
from probes.models.finding import Reason


def read_lines() -> list[list[str]]:
    path = resources.files(page_model.__package__).joinpath(page_model.WEIGHTS_FILE)
    return [line.split("\t") for line in path.read_text("utf-8").splitlines()]


def test_header_has_the_kinds_of_pages():
    kinds = load_weights().kinds
    assert PRESENT in kinds
    assert len(kinds) == len(set(kinds))
    assert {kind for kind in kinds if kind != PRESENT} <= {reason.value for reason in Reason}


def test_every_line_has_a_finite_number_for_each_kind():
    header, *lines = read_lines()
    assert {len(line) for line in lines} == {len(header)}
    assert all(math.isfinite(float(value or 0)) for line in lines for value in line[1:])


def test_features_are_sorted_and_unique():
    features = [line[0] for line in read_lines()[1:]]
    assert len(features) == len(set(features))
    assert features == sorted(features)
    assert BIAS_FEATURE in features


@pytest.mark.parametrize(
    "features",
    [frozenset(), frozenset({"title:suspended"}), frozenset({"title:parked", "text:domain"})],
)
def test_probabilities_sum_to_one(features):
    prediction = predict_kind(features)
    assert math.isclose(sum(prediction.probabilities.values()), 1.0)
    assert prediction.replacement_probability == 1.0 - prediction.probabilities[PRESENT]


def test_unknown_features_change_nothing():
    known = frozenset({"title:suspended"})
    prediction = predict_kind(known | {"title:xyzzy", "page:xyzzy"})
    assert prediction.probabilities == predict_kind(known).probabilities


def test_words_of_the_statement_are_left_out_of_an_independent_prediction():
    prediction = predict_kind(frozenset({"title:suspended", "text:this account", "page:forms <1"}))
    assert prediction.without_words(["suspended", "account"]).features == {"page:forms <1"}


def test_large_weights_do_not_overflow(monkeypatch):
    weights = ModelWeights((PRESENT, "parked"), {BIAS_FEATURE: (0.0, 0.0), "a:b": (0.0, 5000.0)})
    monkeypatch.setattr(page_model, "load_weights", lambda: weights)
    assert predict_kind(frozenset({"a:b"})).probabilities == {PRESENT: 0.0, "parked": 1.0}


def test_words_speak_for_the_likeliest_kind_and_come_without_places(monkeypatch):
    weights = {
        BIAS_FEATURE: (0.0, 0.0),
        "title:sale": (0.0, 3.0),
        "text:sale": (0.0, 2.0),
        "head:offer": (0.0, 2.5),
        "text:bénévoles": (1.0, 0.0),
        "page:form": (0.0, 4.0),
        **{f"text:w{number}": (0.0, 0.1) for number in range(9)},
    }
    model = ModelWeights((PRESENT, "parked"), weights)
    monkeypatch.setattr(page_model, "load_weights", lambda: model)
    words = predict_kind(frozenset(weights) - {BIAS_FEATURE}).top_words
    assert words[:2] == ("sale", "offer")
    assert len(words) == MAX_REASON_WORDS
    assert "bénévoles" not in words
    assert "form" not in words
