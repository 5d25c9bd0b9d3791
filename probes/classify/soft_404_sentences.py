"""Sentences with which a page says that it does not exist, compiled from `soft_404.toml`."""

import re
from collections.abc import Iterable, Mapping
from functools import cache, partial
from importlib import resources
from typing import Any, NamedTuple

import tomli

from probes.text.keywords import KeywordIndex

ERROR_CODE_REGEX = (
    r"(?:404|410)(?: ?[\W_]{0,2} ?(?:(?:http )?(?:error|erreur|fehler|errore|erro)(?: page)?|page|"
    r"seite|página|pagina|not found|الصفحة))?|خطأ 404"
)
NO_RESULTS_REGEX = (
    r"nothing (?:was )?found(?: here)?|aucun (?:résultat|contenu) trouvé|"
    r"لم يتم العثور على (?:شيء|أي شيء|نتائج)|nada encontrado|nichts gefunden|nessun risultato"
)
# The rest of the sentence without a question mark, because a question states nothing.
_TRAILING_WORDS_REGEX = (
    r"(?:[\s\W_]{0,4}(?:404|410|error|erreur|fehler|erro|errore|page|خطأ))*[^\w?؟]*"
)
_PLACEHOLDER_PATTERN = re.compile(r"<(\w+)\.(\w+)>")


class Soft404Sentences(NamedTuple):
    """Patterns in lower case: a label, a label of a post, a sentence, and a mention."""

    label: re.Pattern[str]
    content_label: re.Pattern[str]
    sentence: re.Pattern[str]
    mention: re.Pattern[str]


@cache
def load_sentences() -> Soft404Sentences:
    """Compile the sentences, which takes 40 ms."""
    table = _load_table()
    sorry = rf"(?:{_join_alternatives(table['apologies'])}\b\W*){{0,3}}"
    page_not_found = "|".join(table["page_not_found"])
    content_not_found = _fill_placeholders(table, table["content_not_found"], "?")
    only_content_not_found = _fill_placeholders(table, table["only_content_not_found"], "?")
    requested_content_not_found = _fill_placeholders(table, table["content_not_found"], "")
    label = (
        rf"\W*{sorry}(?:status |code )?"
        rf"(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}}{sorry}(?:{page_not_found})"
        rf"|{ERROR_CODE_REGEX}|{page_not_found}|{NO_RESULTS_REGEX}){_TRAILING_WORDS_REGEX}"
    )
    content_label = (
        rf"\W*{sorry}(?:{content_not_found}|{only_content_not_found}){_TRAILING_WORDS_REGEX}"
    )
    sentence = (
        rf"(?:^|[.!?:…|–—-]\s*)\W{{0,3}}{sorry}(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}})?"
        rf"(?:{page_not_found}|{requested_content_not_found})"
        r"(?=\s*(?:$|[.!,;:…|–—(،؛]|(?:or|ou|oder|o|أو) |(?:on|sur) (?:this|our|ce|notre) |404))"
    )
    mention = "|".join([*table["mentions"], page_not_found])
    return Soft404Sentences(*map(re.compile, (label, content_label, sentence, mention)))


@cache
def load_mention_keywords() -> tuple[str, ...]:
    """Return the words of which every mention contains one."""
    return tuple(_load_table()["mention_keywords"])


@cache
def load_mention_index() -> KeywordIndex:
    """Return the index of the words of which every mention contains one."""
    return KeywordIndex([load_mention_keywords()])


def _load_table() -> dict[str, Any]:
    path = resources.files(__package__).joinpath("soft_404.toml")
    return tomli.loads(path.read_text("utf-8"))


def _join_alternatives(alternatives: Iterable[str]) -> str:
    return f"(?:{'|'.join(alternatives)})"


def _fill_placeholders(
    table: Mapping[str, Any], sentences: Iterable[str], requested_quantifier: str
) -> str:
    """Return the sentences as one regular expression.

    `requested_quantifier` is "?", or empty for sentences that must mention the visitor's request.
    """
    fill = partial(_fill_placeholder, table, requested_quantifier)
    return _PLACEHOLDER_PATTERN.sub(fill, "|".join(sentences))


def _fill_placeholder(
    table: Mapping[str, Any], requested_quantifier: str, match: re.Match[str]
) -> str:
    name, language = match.groups()
    quantifier = requested_quantifier if name == "requested" else ""
    return _join_alternatives(table[name][language]) + quantifier
