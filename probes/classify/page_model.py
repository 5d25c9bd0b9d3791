"""The page model: a logistic regression that predicts what a page is from its words and structure.

It decides nothing alone. A page is only called absent if its words also say so or another signal
agrees (`probes.classify.classifier`). `page_model.tsv` holds the weights: one
line per feature, one column per kind of page. `tests/support/train_page_model.py` writes it.
docs/research/page-model.md describes the training and its evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

WEIGHTS_FILE = "page_model.tsv"
PRESENT = "present"
"""The kind of an honest page. The other kinds are values of `Reason`."""
BIAS_FEATURE = "<bias>"
MAX_REASON_WORDS = 5
_WORD_PLACES = ("title", "head", "main", "text")


@dataclass(frozen=True, slots=True)
class PagePrediction:
    """The probability of each kind of page, and the words that weighed most for the likeliest one.

    `top_words` speak for the likeliest kind and against an honest page. `features` are those of the
    page.
    """

    probabilities: Mapping[str, float]
    top_words: tuple[str, ...]
    features: frozenset[str] = frozenset()

    @property
    def replacement_probability(self) -> float:
        """Return the probability that the page is not the site that the link promises."""
        return 1.0 - self.probabilities.get(PRESENT, 1.0)

    def without_words(self, words: Collection[str]) -> PagePrediction:
        """Return the prediction for the page without these words."""
        left_out = frozenset(words)
        return predict_kind(
            frozenset(
                feature
                for feature in self.features
                if left_out.isdisjoint(feature.partition(":")[2].split())
            )
        )


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """The kinds of pages, and for each feature one weight per kind."""

    kinds: tuple[str, ...]
    weights: Mapping[str, tuple[float, ...]]


@cache
def load_weights() -> ModelWeights:
    """Load the weights of the package."""
    text = resources.files(__package__).joinpath(WEIGHTS_FILE).read_text("utf-8")
    header, *lines = text.splitlines()
    weights = {}
    for line in lines:
        feature, *values = line.split("\t")
        weights[feature] = tuple(float(value or 0) for value in values)
    return ModelWeights(tuple(header.split("\t")[1:]), weights)


def predict_kind(features: frozenset[str]) -> PagePrediction:
    """Return the prediction for a page with these features."""
    model = load_weights()
    known = [(feature, model.weights[feature]) for feature in features if feature in model.weights]
    rows = [model.weights[BIAS_FEATURE], *(weights for _, weights in known)]
    # `fsum` does not depend on the order of the features, which differs between processes.
    totals = [math.fsum(column) for column in zip(*rows, strict=True)]
    probabilities = _compute_probabilities(totals)
    likeliest = max(range(len(totals)), key=totals.__getitem__)
    present = model.kinds.index(PRESENT)
    ranked = sorted(
        ((weights[likeliest] - weights[present], feature) for feature, weights in known),
        reverse=True,
    )
    return PagePrediction(
        dict(zip(model.kinds, probabilities, strict=True)),
        _list_words([feature for weight, feature in ranked if weight > 0]),
        features,
    )


def _compute_probabilities(totals: list[float]) -> list[float]:
    highest = max(totals)
    exponentials = [math.exp(total - highest) for total in totals]
    return [value / sum(exponentials) for value in exponentials]


def _list_words(features: list[str]) -> tuple[str, ...]:
    """Return the words of features without their places, each once."""
    words = (feature.partition(":") for feature in features)
    return tuple(dict.fromkeys(word for place, _, word in words if place in _WORD_PLACES))[
        :MAX_REASON_WORDS
    ]
