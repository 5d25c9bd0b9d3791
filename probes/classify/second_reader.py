"""The second reader: a linear model that estimates what a page is from its words and structure.

It reads every page, and never decides alone. A page is only called absent if its words also say so
or another witness agrees (`probes.classify.classifier`). `second_reader.tsv` holds the weights: one
line per feature, one column per kind of page. `tests/support/train_second_reader.py` writes it.
docs/research/second-reader.md describes the training and its evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

WEIGHTS_FILE = "second_reader.tsv"
PRESENT = "present"
"""The kind of an honest page. The other kinds are values of `Reason`."""
BIAS_FEATURE = "<bias>"
MAX_REASON_WORDS = 5
_WORD_PLACES = ("title", "head", "main", "text")


@dataclass(frozen=True, slots=True)
class PageReading:
    """The probability of each kind of page, and the words that weighed most for the likeliest one.

    The words are those that speak for the likeliest kind and against an honest page. `features` are
    those of the page.
    """

    probabilities: Mapping[str, float]
    words: tuple[str, ...]
    features: frozenset[str] = frozenset()

    @property
    def replacement_probability(self) -> float:
        """Return the probability that the page is not the site that the link promises."""
        return 1.0 - self.probabilities.get(PRESENT, 1.0)

    def leave_out_words(self, words: Collection[str]) -> PageReading:
        """Return the reading of the page without these words, for an independent opinion."""
        left_out = frozenset(words)
        return read_features(
            frozenset(
                feature
                for feature in self.features
                if left_out.isdisjoint(feature.partition(":")[2].split())
            )
        )


@dataclass(frozen=True, slots=True)
class ReaderWeights:
    """The kinds of pages, and for each feature one weight per kind."""

    kinds: tuple[str, ...]
    weights: Mapping[str, tuple[float, ...]]


@cache
def load_weights() -> ReaderWeights:
    """Load the weights of the package."""
    text = resources.files(__package__).joinpath(WEIGHTS_FILE).read_text("utf-8")
    header, *lines = text.splitlines()
    weights = {}
    for line in lines:
        feature, *values = line.split("\t")
        weights[feature] = tuple(float(value or 0) for value in values)
    return ReaderWeights(tuple(header.split("\t")[1:]), weights)


def read_features(features: frozenset[str]) -> PageReading:
    """Return the reading of a page with these features."""
    model = load_weights()
    totals = list(model.weights[BIAS_FEATURE])
    known = [(feature, model.weights[feature]) for feature in features if feature in model.weights]
    for _, weights in known:
        for index, weight in enumerate(weights):
            totals[index] += weight
    probabilities = _compute_probabilities(totals)
    likeliest = max(range(len(totals)), key=totals.__getitem__)
    present = model.kinds.index(PRESENT)
    ranked = sorted(
        ((weights[likeliest] - weights[present], feature) for feature, weights in known),
        reverse=True,
    )
    return PageReading(
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
