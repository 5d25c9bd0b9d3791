"""Recognise values that a spreadsheet program changed when it opened and saved a file.

Excel and LibreOffice convert texts whenever they open CSV: 0612345678 becomes 612345678, a long
number becomes 1.00065E+14, and 12/03 becomes a date of the current year. Letters that the encoding
lacks are saved as question marks. The original cannot be restored from the cell alone, but a value
that is already registered can be recognised. `is_mojibake` finds texts whose letters are lost.
"""

import re
from collections.abc import Iterable
from decimal import Context, Decimal
from itertools import product, starmap

NUMBER_PATTERN = re.compile(r"([+-]?[\d\s]*\d(?:[.,]\d+)?(?:[eE][+-]?\d{1,3})?)\s?(%?)")
DISPLAYED_NUMBER_PATTERN = re.compile(r"-?(?:0|[1-9]\d*)(?:[.,]\d+)?(E[+-]\d{1,3})?\s?%?")
"""A number as a program displays it: without a plus sign and without leading zeros."""
ROUNDED_NUMBER_PATTERN = re.compile(r"-?\d(?:[.,]\d+)?E\+\d{1,3}")
"""A number in scientific notation, of which only the first digits are left."""
SPREADSHEET_DIGITS = 15
"""Number of significant digits that a spreadsheet program stores."""
UNALTERED_TEXT_PATTERN = re.compile(r"0|[1-9]\d{0,10}|\D*")
"""Texts that every program leaves unchanged: plain numbers of at most 11 digits, and texts without
digits. Boolean words are the exception."""
BOOLEAN_WORDS = {"true": True, "vrai": True, "false": False, "faux": False}
PARTIAL_DATE_PATTERN = re.compile(r"(\d{1,4})[-/.](\d{1,4})(?:[-/.](\d{1,4}))?")
TWO_DIGIT_YEAR_PIVOT = 30
"""Two-digit years below this value belong to the 2000s."""

PartialDate = tuple[int | None, int, int | None]


def may_be_corrupted_form_of(cell: str, original: str) -> bool:
    """Return True if a spreadsheet program may have turned `original` into this different text."""
    if cell == original:
        return False
    return (
        _is_same_number(cell, original)
        or _is_same_boolean(cell, original)
        or _is_same_date(cell, original)
        or _is_question_mark_form(cell, original)
    )


class CorruptedValueIndex:
    """Index of texts that finds the originals of a cell that a program may have changed."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: list[str] = []
        self._dates_and_booleans: list[str] = []
        for text in texts:
            is_boolean = text.casefold() in BOOLEAN_WORDS
            if not is_boolean and UNALTERED_TEXT_PATTERN.fullmatch(text):
                continue
            if NUMBER_PATTERN.fullmatch(text):
                self._numbers.append(text)
            if is_boolean or PARTIAL_DATE_PATTERN.fullmatch(text):
                self._dates_and_booleans.append(text)
        self._numbers_by_digits: dict[int, dict[Decimal, list[str]]] = {}

    def find_originals(self, cell: str) -> list[str]:
        """Return the texts that a program may have turned into this cell."""
        candidates = self._dates_and_booleans
        if DISPLAYED_NUMBER_PATTERN.fullmatch(cell):
            digits = _count_significant_digits(cell)
            numbers = self._index_numbers(digits).get(_parse_decimal(cell, digits), [])
            candidates = candidates + numbers
        return [text for text in dict.fromkeys(candidates) if may_be_corrupted_form_of(cell, text)]

    def _index_numbers(self, digits: int) -> dict[Decimal, list[str]]:
        """Return the numbers by their value, rounded to this number of significant digits."""
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
    """Return how many significant digits of a number its cell shows."""
    mantissa, exponent, _ = cell.partition("E")
    if not exponent:
        return SPREADSHEET_DIGITS
    return min(SPREADSHEET_DIGITS, len(re.sub(r"\D", "", mantissa)))


def _parse_decimal(text: str, digits: int) -> Decimal:
    number = re.sub(r"[\s%]", "", text).replace(",", ".")
    factor = Decimal("1e-2") if "%" in text else Decimal(1)
    return Decimal(number).normalize(Context(prec=digits)) * factor


def _is_same_boolean(cell: str, original: str) -> bool:
    value = BOOLEAN_WORDS.get(original.casefold())
    return value is not None and cell.isupper() and BOOLEAN_WORDS.get(cell.casefold()) is value


def _is_same_date(cell: str, original: str) -> bool:
    """Return True if both texts can mean the same day.

    A date in the same format as the original is a correction by a person.
    """
    if _mask_digits(cell) == _mask_digits(original):
        return False
    pairs = product(_parse_partial_dates(cell), _parse_partial_dates(original))
    return any(starmap(_is_compatible_date, pairs))


def _is_question_mark_form(cell: str, original: str) -> bool:
    """Return True if the texts only differ where a question mark replaces a non-ASCII letter."""
    return len(cell) == len(original) and all(map(_may_be_shown_as, original, cell))


def _may_be_shown_as(letter: str, shown: str) -> bool:
    return shown == letter or (shown == "?" and not letter.isascii())


def _mask_digits(text: str) -> str:
    return re.sub(r"\d", "0", text)


def _parse_partial_dates(text: str) -> set[PartialDate]:
    """Return the dates that a text may mean as (year, month, day). Missing parts are None."""
    match = PARTIAL_DATE_PATTERN.fullmatch(text)
    if match is None:
        return set()
    first, second = int(match[1]), int(match[2])
    third = int(match[3]) if match[3] else None
    if len(match[1]) > 2:
        return {(first, second, third)}
    if len(match[2]) > 2:
        return {(second, first, third)}
    year = _parse_year(match[3]) if match[3] else None
    return {(year, second, first), (year, first, second)}


def _parse_year(digits: str) -> int:
    year = int(digits)
    if len(digits) > 2:
        return year
    return year + 2000 if year < TWO_DIGIT_YEAR_PIVOT else year + 1900


def _is_compatible_date(date_parts: PartialDate, partial_date: PartialDate) -> bool:
    """Return True if a whole date has the parts of another date, which may be partial."""
    if None in date_parts:
        return False
    pairs = zip(date_parts, partial_date, strict=True)
    return all(partial in {None, part} for part, partial in pairs)


QUESTION_MARKS_PATTERN = re.compile(r"[^\w?]*+\?{2,}+[\W\d]*+")
"""Question marks without letters: Arabic text that was saved in an encoding without Arabic."""
ARABIC_AS_LATIN_PATTERN = re.compile("[\xd8\xd9][^A-Za-z ]")
"""An Arabic letter in UTF-8 that was decoded as two Latin-1 characters."""
MIN_MOJIBAKE_LETTERS = 3
MOJIBAKE_SAMPLE_CHARS = 200
"""Only the start of a text is examined."""


def is_mojibake(text: str) -> bool:
    """Return True if the letters of a text were lost when a program saved it."""
    sample = text[:MOJIBAKE_SAMPLE_CHARS]
    if sample.isascii() and "??" not in sample:
        return False
    return (
        bool(QUESTION_MARKS_PATTERN.fullmatch(sample))
        or len(ARABIC_AS_LATIN_PATTERN.findall(sample)) >= MIN_MOJIBAKE_LETTERS
    )
