"""What a spreadsheet program shows where it took a text for a number, a day or a truth. Pure.

Excel and LibreOffice do so whenever they open CSV: 0612345678 becomes 612345678, a long number 1.00065E+14,
12/03 a day of this year. Letters that an encoding lacks are saved as question marks. What was lost cannot be
had back from the cell, but a known text can be known again.

Words whose letters did not outlive being saved: a program wrote what its encoding does not have. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal

NUMBER_PATTERN = re.compile(r"([+-]?[\d\s]*\d(?:[.,]\d+)?(?:[eE][+-]?\d{1,3})?)\s?(%?)")
DISPLAYED_NUMBER_PATTERN = re.compile(r"-?(?:0|[1-9]\d*)(?:[.,]\d+)?(E[+-]\d{1,3})?\s?%?")
"""A number as a program shows it: without a plus, without noughts before it."""
ROUNDED_NUMBER_PATTERN = re.compile(r"-?\d(?:[.,]\d+)?E\+\d{1,3}")
"""A number of which only the first digits are left."""
SPREADSHEET_DIGITS = 15
"""So many digits of a number a spreadsheet keeps."""
UNALTERED_TEXT_PATTERN = re.compile(r"0|[1-9]\d{0,10}|\D*")
"""What every program leaves as it is: numbers of eleven digits at most, and what has none, but for truths."""
BOOLEAN_WORDS = {"true": True, "vrai": True, "false": False, "faux": False}
PARTIAL_DATE_PATTERN = re.compile(r"(\d{1,4})[-/.](\d{1,4})(?:[-/.](\d{1,4}))?")
TWO_DIGIT_YEAR_PIVOT = 30
"""Years of two digits are of this century below it."""

PartialDate = tuple[int | None, int, int | None]


def may_be_corrupted_form_of(cell: str, original: str) -> bool:
    """Whether a spreadsheet program may show the text as this cell, which is not what the text was."""
    if cell == original:
        return False
    return (
        _is_same_number(cell, original)
        or _is_same_boolean(cell, original)
        or _is_same_date(cell, original)
        or _is_question_mark_form(cell, original)
    )


class CorruptedValueIndex:
    """Many texts, each found again by what a program shows in its place."""

    def __init__(self, texts: Iterable[str]) -> None:
        odd = [
            text
            for text in texts
            if not UNALTERED_TEXT_PATTERN.fullmatch(text) or text.casefold() in BOOLEAN_WORDS
        ]
        self._numbers = [text for text in odd if NUMBER_PATTERN.fullmatch(text)]
        self._dates_and_booleans = [
            text
            for text in odd
            if PARTIAL_DATE_PATTERN.fullmatch(text) or text.casefold() in BOOLEAN_WORDS
        ]
        self._numbers_by_digits: dict[int, dict[Decimal, list[str]]] = {}

    def find_originals(self, cell: str) -> list[str]:
        """The texts that may be shown as this cell."""
        like = self._dates_and_booleans
        if DISPLAYED_NUMBER_PATTERN.fullmatch(cell):
            digits = _count_significant_digits(cell)
            like = like + self._index_numbers(digits).get(_parse_decimal(cell, digits), [])
        return [text for text in dict.fromkeys(like) if may_be_corrupted_form_of(cell, text)]

    def _index_numbers(self, digits: int) -> dict[Decimal, list[str]]:
        """The numbers by their value, rounded to so many digits."""
        if digits not in self._numbers_by_digits:
            values: dict[Decimal, list[str]] = {}
            for text in self._numbers:
                values.setdefault(_parse_decimal(text, digits), []).append(text)
            self._numbers_by_digits[digits] = values
        return self._numbers_by_digits[digits]


def _is_same_number(cell: str, original: str) -> bool:
    if not DISPLAYED_NUMBER_PATTERN.fullmatch(cell) or not NUMBER_PATTERN.fullmatch(original):
        return False
    digits = _count_significant_digits(cell)
    return _parse_decimal(cell, digits) == _parse_decimal(original, digits)


def _count_significant_digits(cell: str) -> int:
    """So many digits of a number its cell tells."""
    told, exponent, _ = cell.partition("E")
    return min(SPREADSHEET_DIGITS, len(re.sub(r"\D", "", told))) if exponent else SPREADSHEET_DIGITS


def _parse_decimal(text: str, digits: int) -> Decimal:
    figures = re.sub(r"[\s%]", "", text).replace(",", ".")
    percent = "e-2" if "%" in text else ""
    return Decimal(figures).normalize(Context(prec=digits)) * Decimal(f"1{percent}")


def _is_same_boolean(cell: str, original: str) -> bool:
    truth = BOOLEAN_WORDS.get(original.casefold())
    return truth is not None and cell.isupper() and BOOLEAN_WORDS.get(cell.casefold()) is truth


def _is_same_date(cell: str, original: str) -> bool:
    """Whether both name one day. A day in the same form as the known one is a correction."""
    if _mask_digits(cell) == _mask_digits(original):
        return False
    return any(
        _is_compatible_date(one, other)
        for one in _parse_partial_dates(cell)
        if None not in one
        for other in _parse_partial_dates(original)
    )


def _is_question_mark_form(cell: str, original: str) -> bool:
    """Whether question marks stand for the letters of other scripts, and the rest is the same."""
    pairs = zip(cell, original, strict=False)
    return len(cell) == len(original) and all(
        c == t or (c == "?" and not t.isascii()) for c, t in pairs
    )


def _mask_digits(text: str) -> str:
    return re.sub(r"\d", "0", text)


def _parse_partial_dates(text: str) -> set[PartialDate]:
    """The days that a text may name as (year, month, day); what it leaves open is None."""
    found = PARTIAL_DATE_PATTERN.fullmatch(text)
    if found is None:
        return set()
    first, second = int(found[1]), int(found[2])
    last = int(found[3]) if found[3] else None
    if len(found[1]) > 2:
        return {(first, second, last)}
    if len(found[2]) > 2:
        return {(second, first, last)}
    year = _parse_year(found[3]) if found[3] else None
    return {(year, second, first), (year, first, second)}


def _parse_year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) > 2 else year + (2000 if year < TWO_DIGIT_YEAR_PIVOT else 1900)


def _is_compatible_date(date_parts: PartialDate, partial_date: PartialDate) -> bool:
    return all(
        mine == theirs
        for mine, theirs in zip(date_parts, partial_date, strict=True)
        if theirs is not None
    )


QUESTION_MARKS_PATTERN = re.compile(r"[^\w?]*+\?{2,}+[\W\d]*+")
"""Question marks alone: what an encoding without Arabic makes of Arabic words."""
ARABIC_AS_LATIN_PATTERN = re.compile("[\xd8\xd9][^A-Za-z ]")
"""A letter of Arabic in UTF-8 that was read as two of Latin."""
MIN_MOJIBAKE_LETTERS = 3
MOJIBAKE_SAMPLE_CHARS = 200
"""So many signs tell."""


def is_mojibake(text: str) -> bool:
    """Whether these were other words before a program saved them."""
    first = text[:MOJIBAKE_SAMPLE_CHARS]
    return (
        bool(QUESTION_MARKS_PATTERN.fullmatch(first))
        or len(ARABIC_AS_LATIN_PATTERN.findall(first)) >= MIN_MOJIBAKE_LETTERS
    )
