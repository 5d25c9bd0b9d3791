"""The page model: a logistic regression that predicts what a page is from its words and structure.

It decides nothing alone. A page is only called absent if its words also say so or another signal
agrees (`probes.classify.classifier`). `page_model.tsv` holds the weights: one line per feature, one
column per kind of page. `tests/support/train_page_model.py` writes it.
docs/research/page-model.md describes the training and its evaluation.

A feature is a short string. `title:parked` is a word of the title, `head:` of the first headings,
`text:` of the beginning of the text, `main:` of the title or a heading, `page:` a property of the
structure, and `says:` a statement in one of these places. Training and classification use the same
function.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from operator import itemgetter

from probes.classify.statements import find_statements
from probes.parsing.html import Document, get_host
from probes.text.language import build_replacer
from probes.urls import domains

WEIGHTS_FILE = "page_model.tsv"
PRESENT = "present"
"""The kind of an honest page. The other kinds are values of `Reason`."""
BIAS_FEATURE = "<bias>"
MAX_REASON_WORDS = 5
"""Words that explain a prediction."""
_WORD_PLACES = ("title", "head", "main", "text")

MAX_TITLE_WORDS = 20
"""Words of a title that the model reads."""
MAX_HEADING_WORDS = 40
"""Words of headings that the model reads."""
MAX_HEADINGS = 4
"""Headings that the model reads."""
MAX_TEXT_WORDS = 160
"""The words at the beginning of the text that count. A page that replaces a site says it early."""
MAX_TEXT_CHARS = 4_000
"""Characters of a page's text that the model reads."""

_LENGTH_LIMITS = (20, 60, 150, 300, 600, 1_200, 2_500, 6_000)
_COUNT_LIMITS = (1, 3, 6, 12, 30)

_ASIAN_LETTERS = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD_PATTERN = re.compile(
    # Most words are plain. They are tried first, because no address can begin with them.
    rf"(?P<plain>[^\W\d_{_ASIAN_LETTERS}]++(?![\w.+@-]))"
    r"|(?P<email>[\w.+-]{1,64}@[\w-]{1,63}\.\w[\w.-]{0,40})"
    r"|(?P<host>(?<![\w@])(?:[\w-]{1,63}\.){1,4}[^\W\d_]{2,24}(?![\w-]))"
    r"|(?P<price>[$€£]\s?\d[\d.,]{0,12}|\d[\d.,]{0,12}\s?[$€£])"
    rf"|(?P<asian>[{_ASIAN_LETTERS}]+)"
    r"|(?P<word>[^\W\d_]+|(?:40[0134]|410|429|50[023])(?!\d))"
    r"|(?P<number>\d+)"
)
_ARABIC_MARKS = dict.fromkeys(map(chr, (*range(0x64B, 0x653), 0x640)), "")
_replace_letters = build_replacer({**dict(zip("أإآىة’", "ااايه'", strict=True)), **_ARABIC_MARKS})


@dataclass(frozen=True, slots=True)
class PagePrediction:
    """The probability of each kind of page. `features` are those of the page."""

    probabilities: Mapping[str, float]
    features: frozenset[str] = frozenset()

    @property
    def top_words(self) -> tuple[str, ...]:
        """Return the words that weigh most for the likeliest kind and against an honest page."""
        model = load_weights()
        likeliest = max(self.probabilities, key=self.get_probability)
        features = model.weights.keys() & self.features
        kind = model.kinds.index(likeliest)
        present = model.kinds.index(PRESENT)
        ranked = []
        for feature in features:
            place, _, word = feature.partition(":")
            weight = model.weights[feature][kind] - model.weights[feature][present]
            if place in _WORD_PLACES and weight > 0:
                ranked.append((weight, feature, word))
        ranked.sort(reverse=True)
        return tuple(dict.fromkeys(map(itemgetter(2), ranked)))[:MAX_REASON_WORDS]

    @property
    def replacement_probability(self) -> float:
        """Return the probability that the page is not the site that the link promises."""
        return 1.0 - self.probabilities.get(PRESENT, 1.0)

    def get_probability(self, kind: str) -> float:
        """Return the probability of a kind of page."""
        return self.probabilities.get(kind, 0.0)

    def without_words(self, words: Collection[str]) -> PagePrediction:
        """Return the prediction for the page without these words and without its statements."""
        left_out = frozenset(words)
        remaining = set()
        for feature in self.features:
            place, _, text = feature.partition(":")
            if place != "says" and left_out.isdisjoint(text.split()):
                remaining.add(feature)
        return predict_kind(frozenset(remaining))


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
    known = model.weights.keys() & features
    rows = [model.weights[feature] for feature in (BIAS_FEATURE, *known)]
    # `fsum` does not depend on the order of the features, which differs between processes.
    totals = list(map(math.fsum, zip(*rows, strict=True)))
    highest = max(totals)
    exponentials = [math.exp(total - highest) for total in totals]
    exponential_sum = sum(exponentials)
    shares = [value / exponential_sum for value in exponentials]
    return PagePrediction(dict(zip(model.kinds, shares, strict=True)), features)


def extract_features(document: Document, *, has_password_field: bool) -> frozenset[str]:
    """Return the features of a page.

    The host of the page becomes `<own>`, so that "annour.ma is for sale" and "example.org is for
    sale" have the same features.
    """
    own_host = domains.normalize_host(get_host(document.url))
    features = set(_iter_structure_features(document))
    if has_password_field:
        features.add("page:password")
    title_words = list_words(document.title, own_host, MAX_TITLE_WORDS)
    heading_words = list_words(
        " . ".join(document.headings[:MAX_HEADINGS]), own_host, MAX_HEADING_WORDS
    )
    text_words = list_words(document.text[:MAX_TEXT_CHARS], own_host, MAX_TEXT_WORDS)
    terms_by_place = {
        "title": [*title_words, *map(" ".join, pairwise(title_words))],
        "head": [*heading_words, *map(" ".join, pairwise(heading_words))],
        "text": [*text_words, *map(" ".join, pairwise(text_words))],
        # What the title and the first headings say counts in either place.
        "main": [*title_words, *heading_words],
        # A statement is the same feature in every language.
        "says": [f"{found.reason} {found.place}" for found in find_statements(document)],
    }
    for place, terms in terms_by_place.items():
        features.update(map(f"{place}:".__add__, terms))
    return frozenset(features)


def list_words(text: str, own_host: str = "", max_words: int = MAX_TEXT_WORDS) -> list[str]:
    """Return the words of a text in lower case. Hosts, prices and numbers are replaced."""
    words: list[str] = []
    for match in _WORD_PATTERN.finditer(_fold_text(text)):
        if match.lastgroup == "plain":
            words.append(match[0])
        else:
            words += _normalize_word(match, own_host)
        if len(words) >= max_words:
            break
    return words[:max_words]


def _fold_text(text: str) -> str:
    """Return the text in lower case, with one form of each Arabic letter and apostrophe."""
    return _replace_letters(text.lower())


def _normalize_word(match: re.Match[str], own_host: str) -> list[str]:
    kind, word = match.lastgroup, match[0]
    if kind == "word":
        return [word]
    if kind == "asian":
        return list(map("".join, pairwise(word))) or [word]
    is_own_host = kind == "host" and word.removeprefix("www.") == own_host
    return ["<own>" if is_own_host else f"<{kind}>"]


def _iter_structure_features(document: Document) -> Iterator[str]:
    text_length = len(document.text)
    yield f"page:text {_describe_size(text_length, _LENGTH_LIMITS)}"
    yield f"page:main {_describe_size(len(document.main_text), _LENGTH_LIMITS)}"
    for name, count in (
        ("internal links", document.internal_link_count),
        ("links", len(document.anchors)),
        ("headings", len(document.headings)),
        ("images", document.image_count),
        ("scripts", document.script_count),
        ("forms", len(document.form_actions)),
    ):
        yield f"page:{name} {_describe_size(count, _COUNT_LIMITS)}"
    meta, anchors = document.meta, document.anchors
    signs = {
        "no title": not document.title,
        "description": meta.get("description") or meta.get("og:title"),
        "frames": document.frames,
        "language": document.language,
        "contact link": any(anchor.url.startswith(("mailto:", "tel:")) for anchor in anchors),
        "dated": document.date_stamps or "article:published_time" in meta,
    }
    for name, is_present in signs.items():
        if is_present:
            yield f"page:{name}"


def _describe_size(size: int, limits: tuple[int, ...]) -> str:
    """Return the range of a number: `<20`, `<60` and so on."""
    for limit in limits:
        if size < limit:
            return f"<{limit}"
    return f">={limits[-1]}"
