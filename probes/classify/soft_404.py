"""Detection of soft 404s: pages with status 200 that say that they do not exist.

Publishing systems show "page not found" among their menus, so neither size nor status is a sign.
The signs are the title, a heading, or the text of a short main part. A sentence only counts if it
ends there ("the page was not found", not "the page was not found worth reading"). The sentences are
in `soft_404.toml`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import filterfalse, islice
from typing import Any

import tomli

from probes.models.finding import Reason
from probes.parsing.html import Document
from probes.text.language import KeywordIndex, find_folded, fold_case

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


@cache
def load_sentences() -> Mapping[str, re.Pattern[str]]:
    """Compile the patterns in lower case, which takes 40 ms.

    They are a label, a label of a post, a sentence, and a mention.
    """
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
    return {
        "label": re.compile(label),
        "content_label": re.compile(content_label),
        "sentence": re.compile(sentence),
        "mention": re.compile(mention),
    }


@cache
def load_mention_index() -> KeywordIndex:
    """Return the index of the words of which every mention contains one."""
    return KeywordIndex([_load_table()["mention_keywords"]])


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

    def fill(match: re.Match[str]) -> str:
        name, language = match.groups()
        quantifier = requested_quantifier if name == "requested" else ""
        return _join_alternatives(table[name][language]) + quantifier

    return _PLACEHOLDER_PATTERN.sub(fill, "|".join(sentences))


SHORT_PAGE_MAX_CHARS = 1_200
"""A page with at most so many visible characters has little other content."""
TINY_PAGE_MAX_CHARS = 400

_ERROR_PATH_PATTERN = re.compile(
    r"(?:^|/)(?:error[_-]?)?(?:404|not-?_?found|page-introuvable|page-non-trouvee|erreur-?404|"
    r"pagenotfound|404_not_found)(?:\.\w{2,5})?/?$",
    re.IGNORECASE,
)
_VISITOR_ADDRESSED_PATTERN = re.compile(
    r"4(?:04|10)|\byou|requested|\berr(?:or|eur)|\bvous\b|demandée?|recherchée|المطلوب|طلبت|تبحث|"
    r"solicitada|"
    r"busca|angeforderte|gesuchte|richiesta|procura",
    re.IGNORECASE,
)
# A film, a gallery or a song can have such a title.
_VAGUE_LABEL_PATTERN = re.compile(
    r"\W*(?:(?:404|410)\W*|not found\W*|nothing (?:was )?found\W*)", re.IGNORECASE
)
_NO_RESULTS_PATTERN = re.compile(NO_RESULTS_REGEX, re.IGNORECASE)
_ERROR_CODE_PATTERN = re.compile(r"(?:404|410)[ .!]*")
_ERROR_CODE_LABEL_PATTERN = re.compile(
    rf"\W*(?:404 not found|error 404|erreur 404|{ERROR_CODE_REGEX})\W*", re.IGNORECASE
)


_SENTENCE_END_PATTERN = re.compile(r"(?<=[.!?…؟。！])\s+|[\n]+|(?<=。)")


def iter_sentences(document: Document) -> Iterator[str]:
    """Yield the sentences that a page shows."""
    for node in document.text_nodes:
        for sentence in _SENTENCE_END_PATTERN.split(node.text):
            if sentence.strip():
                yield sentence.strip()


def split_title(title: str) -> list[str]:
    """Return the parts of a title between its separators."""
    parts = re.split(r"\s[|–—\-·•»›:]+\s|\s?[|»›]\s?|\s[-–]$|: ", title)
    return list(filter(None, map(str.strip, parts)))


def detect_soft_404(document: Document, *, is_home_page: bool) -> tuple[Reason, str] | None:
    """Return the reason of a soft 404 and the text that proves it, or None.

    Looks at the title, the address, the headings and the text. On a home page an error heading
    alone proves less.
    """
    if is_dated_article(document):
        return None
    proof = (
        _find_in_title(document, is_home_page=is_home_page)
        or _find_in_url(document, is_home_page=is_home_page)
        or _find_missing_content(document)
        or _find_in_headings(document, is_home_page=is_home_page)
        or _find_in_short_text(document, is_home_page=is_home_page)
        or _find_in_tiny_main(document)
    )
    if not proof:
        return None
    # A home page without posts shows the text of an empty search: "nothing found".
    if is_home_page and proof.lower().startswith("nothing"):
        return Reason.EMPTY, proof
    return Reason.NOT_FOUND, proof


def mentions_missing_page(text: str) -> bool:
    """Return whether a text mentions a missing page."""
    text = fold_case(text)
    has_keyword = bool(load_mention_index().find_rows(text))
    return has_keyword and load_sentences()["mention"].search(text) is not None


def is_dated_article(document: Document) -> bool:
    """Return whether a page has a story and a machine-readable date, unlike an error page."""
    if len(document.main_text) < TINY_PAGE_MAX_CHARS:
        return False
    return "article:published_time" in document.meta or any(
        schema.keys() >= {"headline", "datePublished"} for schema in document.json_ld
    )


def _find_in_title(document: Document, *, is_home_page: bool) -> str | None:
    """Return the title or a part of it that says "not found", or None.

    A page with a story can have a number as its title, and a vague part such as "nothing found". On
    a home page with some text only the whole title counts.
    """
    title = document.title
    parts = [title]
    if not _is_informative_home_page(document, is_home_page=is_home_page):
        parts += split_title(title)
    has_story = len(document.main_text) > SHORT_PAGE_MAX_CHARS
    for label in filter(_is_error_label, parts):
        is_weak = _is_error_code_label(label) or (label != title and _is_vague_label(label))
        if not (has_story and is_weak):
            return label
    return _find_error_sentence(title) if len(document.main_text) < TINY_PAGE_MAX_CHARS else None


def _find_missing_content(document: Document) -> str | None:
    """Return the text that says that a post or a job is missing, or None.

    Title and heading must say it, or one of them on a page with almost no main part.
    """
    title_part = _find_content_label(split_title(document.title))
    heading = _find_content_label(document.headings[:1])
    is_almost_empty = len(document.main_text) < TINY_PAGE_MAX_CHARS // 2
    if is_almost_empty:
        return title_part or heading
    return heading and title_part


def _find_content_label(texts: Iterable[str]) -> str | None:
    is_label = load_sentences()["content_label"].fullmatch
    return next((text for text in texts if is_label(fold_case(text))), None)


def _is_informative_home_page(document: Document, *, is_home_page: bool) -> bool:
    """Return whether a page is a home page with some text in its main part."""
    return is_home_page and len(document.main_text) >= TINY_PAGE_MAX_CHARS // 2


def _find_in_url(document: Document, *, is_home_page: bool) -> str | None:
    """Return the part of the address that says "not found", or None.

    A number alone proves nothing on a long page: a song can have the number 404. There the text
    must mention a missing page, too.
    """
    error_path = _ERROR_PATH_PATTERN.search(document.url.partition("?")[0])
    if is_home_page or error_path is None:
        return None
    if len(document.main_text) >= SHORT_PAGE_MAX_CHARS:
        mentions = find_folded(load_sentences()["mention"], document.text)
        if all(map(_is_error_code_label, mentions)):
            return None
    return error_path[0]


def _find_in_headings(document: Document, *, is_home_page: bool) -> str | None:
    """Return a heading, or the first text of a short main part, that only says "not found"."""
    if is_home_page:
        if len(document.text) >= 3 * SHORT_PAGE_MAX_CHARS:
            return None
    else:
        error_heading = _find_error_heading(document)
        if error_heading:
            return error_heading  # even if news follow
    if len(document.main_text) >= SHORT_PAGE_MAX_CHARS:
        return None
    first_main_texts = list(islice(_iter_main_texts(document), 1))
    headings = document.headings[:3]
    has_tiny_main = len(document.main_text) < TINY_PAGE_MAX_CHARS
    for index, text in enumerate((*headings, *first_main_texts)):
        if _is_error_label(text):
            is_empty_search = index > 0 and _NO_RESULTS_PATTERN.search(text)
            if not is_empty_search and not _is_number(text, document, is_home_page=is_home_page):
                return text
        is_heading = index < len(headings)
        if is_heading and has_tiny_main and _find_error_sentence(text):
            return text
    return None


def _find_error_heading(document: Document) -> str | None:
    for heading in document.headings[:2]:
        if _is_error_label(heading) and not (
            _is_vague_label(heading) or _NO_RESULTS_PATTERN.search(heading) is not None
        ):
            return heading
    return None


def _iter_main_texts(document: Document) -> Iterator[str]:
    for node in document.text_nodes:
        if node.section in _MAIN_SECTIONS:
            yield node.text


_MAIN_SECTIONS = ("main", "article")


def _is_number(label: str, document: Document, *, is_home_page: bool) -> bool:
    """Return whether a label is only a number, which is enough on an almost empty page."""
    has_some_text = len(document.main_text) >= TINY_PAGE_MAX_CHARS // 2
    if is_home_page and has_some_text:
        return _is_error_code_label(label)
    is_almost_empty = not is_home_page and not has_some_text
    return not is_almost_empty and _ERROR_CODE_PATTERN.fullmatch(label) is not None


def _find_in_short_text(document: Document, *, is_home_page: bool) -> str | None:
    """Return the text of a short page if it says "not found", or its part that says so.

    A short home page may be about a lost document. There the text must address the visitor.
    """
    text = document.text
    if len(text) < 80 and _is_error_label(text):
        return text
    if document.internal_link_count >= 3 or len(text) >= TINY_PAGE_MAX_CHARS:
        return None
    is_vague = _VAGUE_LABEL_PATTERN.fullmatch
    if _is_informative_home_page(document, is_home_page=is_home_page):
        is_vague = _ERROR_CODE_LABEL_PATTERN.fullmatch
    mentions = find_folded(load_sentences()["mention"], document.text)
    if is_home_page:
        mentions = filter(_VISITOR_ADDRESSED_PATTERN.search, mentions)
    mention = next(filterfalse(is_vague, mentions), None)
    return mention or _find_error_sentence(text)


def _find_in_tiny_main(document: Document) -> str | None:
    """Return a sentence of a short main part that says "not found"."""
    if len(document.main_text) >= TINY_PAGE_MAX_CHARS:
        return None
    return next(filter(None, map(_find_error_sentence, _iter_main_texts(document))), None)


def _find_error_sentence(text: str) -> str | None:
    """Return the sentence that says that the page is missing, or None.

    "Not found: the boy" is not about the page.
    """
    for sentence in find_folded(load_sentences()["sentence"], text):
        if not _is_vague_label(sentence.strip(" .!?:…|–—-")):
            return sentence
    return None


def _is_error_label(label: str) -> bool:
    return load_sentences()["label"].fullmatch(fold_case(label)) is not None


def _is_vague_label(label: str) -> bool:
    return _VAGUE_LABEL_PATTERN.fullmatch(label) is not None or _is_error_code_label(label)


def _is_error_code_label(label: str) -> bool:
    return _ERROR_CODE_LABEL_PATTERN.fullmatch(label) is not None
