"""The page model: a logistic regression that predicts what a page is from its words and structure.

It decides nothing alone. A page is only called absent if its words also say so or another signal
agrees (`probes.classify.classifier`). `page_model.tsv` holds the weights: one line per feature, one
column per kind of page. `tests/support/train_page_model.py` writes it.
docs/research/page-model.md describes the training and its evaluation.

A feature is a short string. `title:parked` is a word of the title, `head:` of the first headings,
`text:` of the beginning of the text, `main:` of the title or a heading, `page:` a property of the
structure, and `says:` a statement in one of these places. Training and classification use the same
function.

A statement of a page about itself, such as "this account has been suspended", is one signal, never
a proof: associations write the same words about bridges, schools and blogs.
`fingerprints/statements.toml` lists the statements by reason and language.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import tomli

from probes.links import domains
from probes.models.finding import Reason
from probes.parsing.html import Document, get_host
from probes.text.language import KeywordIndex, build_replacer

WEIGHTS_FILE = "page_model.tsv"
PRESENT = "present"
"""The kind of an honest page. The other kinds are values of `Reason`."""
BIAS_FEATURE = "<bias>"
MAX_REASON_WORDS = 5
"""Words that explain a prediction."""

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
            if place in ("title", "head", "main", "text") and weight > 0:
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
        remaining = (
            feature
            for feature in self.features
            if not feature.startswith("says:")
            and left_out.isdisjoint(feature.partition(":")[2].split())
        )
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
    # words of a title that the model reads
    title_words = list_words(document.title, own_host, 20)
    heading_words = list_words(
        " . ".join(document.headings[:MAX_HEADINGS]),
        own_host,
        40,  # words of headings that the model reads
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
        if match.lastgroup in {"plain", "word"}:
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
    word = match[0]
    if match.lastgroup == "asian":
        return list(map("".join, pairwise(word))) or [word]
    is_own_host = word.removeprefix("www.") == own_host
    return [OWN_HOST if is_own_host else f"<{match.lastgroup}>"]


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


OWN_HOST, OTHER_HOST = "<own>", "<host>"

_HOST_PATTERN = re.compile(r"(?<![\w@/])(?:[\w-]{1,63}\.){1,4}[^\W\d_]{2,24}(?![\w-])")


@dataclass(frozen=True, slots=True)
class Statement:
    """A reason that a page states, its text, and its place: title, heading or text."""

    reason: Reason
    text: str
    place: str


class StatementRow(NamedTuple):
    """A row of the table: patterns of a reason, and words of which every match contains one."""

    reason: Reason
    languages: tuple[str, ...]
    patterns: tuple[str, ...]
    keywords: tuple[str, ...]

    def compile(self) -> re.Pattern[str]:
        """Return one pattern for folded text in lower case."""
        return re.compile("|".join([f"(?:{fold_letters(pattern)})" for pattern in self.patterns]))


@cache
def load_statement_rows() -> tuple[StatementRow, ...]:
    """Load the table."""
    path = resources.files(__package__).joinpath("fingerprints", "statements.toml")
    entries = tomli.loads(path.read_text("utf-8"))["statements"]
    return tuple(
        StatementRow(
            Reason(entry["verdict"]),
            tuple(entry["languages"]),
            tuple(entry["patterns"]),
            tuple(entry["keywords"]),
        )
        for entry in entries
    )


@cache
def load_keyword_index() -> KeywordIndex:
    """Load the keywords of the table."""
    return KeywordIndex([row.keywords for row in load_statement_rows()])


@cache
def _compile_row(number: int) -> re.Pattern[str]:
    return load_statement_rows()[number].compile()


def _match_rows(text: str) -> dict[Reason, re.Match[str]]:
    """Return the first match of each reason in a folded text."""
    first: dict[Reason, re.Match[str]] = {}
    for number in load_keyword_index().find_rows(text):
        match = _compile_row(number).search(text)
        if match is None:
            continue
        reason = load_statement_rows()[number].reason
        known = first.setdefault(reason, match)
        if match.start() < known.start():
            first[reason] = match
    return first


def find_statements(document: Document) -> list[Statement]:
    """Return the first statement of each reason in each place, titles first."""
    own_host = domains.normalize_host(get_host(document.url))
    statements = []
    # headings of a page that are compared with statements
    headings = [("heading", heading) for heading in document.headings[:3]]
    # the beginning of the text, in which a page that replaces a site says so
    text_start = document.text[:600]
    for place, text in (("title", document.title), *headings, ("text", text_start)):
        original = replace_hosts(text, own_host)
        folded = fold_letters(original).lower()
        for reason, match in _match_rows(folded).items():
            # Dropped signs move the match.
            source = original if len(original) == len(folded) else folded
            statement = source[match.start() : match.end()].replace(OWN_HOST, own_host)
            statements.append(Statement(reason, statement, place))
    return statements


def fold_letters(text: str) -> str:
    """Return the text without accents and with one form of each Arabic letter and apostrophe."""
    return text if text.isascii() else _replace_statement_letters(text)


_ACCENTED_LETTERS = map(chr, (*range(0xC0, 0x250), *range(0x386, 0x3CF), *range(0x1E00, 0x1F00)))
_DROPPED_SIGNS = map(chr, (*range(0x64B, 0x653), 0x640, 0xAD))  # Arabic vowels, soft hyphens
_replace_statement_letters = build_replacer(
    {
        **{letter: unicodedata.normalize("NFD", letter)[0] for letter in _ACCENTED_LETTERS},
        **dict(zip("øØđĐłŁıİёЁґأإآٱةىیېک\u200c\u00a0’", "oOdDlLiIеЕгااااهيييك  '", strict=True)),
        **dict.fromkeys(_DROPPED_SIGNS, ""),
    }
)


def replace_hosts(text: str, own_host: str) -> str:
    """Return a text in which `<own>` replaces the page's host and `<host>` other ones."""

    def replace_host(match: re.Match[str]) -> str:
        is_own = match[0].lower().removeprefix("www.") == own_host
        return OWN_HOST if is_own else OTHER_HOST

    return _HOST_PATTERN.sub(replace_host, text.replace("’", "'"))
