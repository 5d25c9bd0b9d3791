"""Recognise values that a spreadsheet program changed when it opened and saved a file.

Excel and LibreOffice convert texts whenever they open CSV: 0612345678 becomes 612345678, and a long
number becomes 1.00065E+14. Letters that the encoding lacks are saved as question marks. The
original cannot be restored from the cell alone, but a value that is already registered can be
recognised. `is_mojibake` finds texts whose letters are lost.
"""

import re
from collections.abc import Iterable
from decimal import Context, Decimal

NUMBER_PATTERN = re.compile(r"[+-]?[\d\s]*\d(?:[.,]\d+)?(?:[eE][+-]?\d{1,3})?")
DISPLAYED_NUMBER_PATTERN = re.compile(r"-?(?:0|[1-9]\d*)(?:[.,]\d+)?(E[+-]\d{1,3})?")
"""A number as a program displays it: without a plus sign and without leading zeros."""
ROUNDED_NUMBER_PATTERN = re.compile(r"-?\d(?:[.,]\d+)?E\+\d{1,3}")
"""A number in scientific notation, of which only the first digits are left."""
SPREADSHEET_DIGITS = 15
"""Number of significant digits that a spreadsheet program stores."""


def may_be_corrupted_form_of(cell: str, original: str) -> bool:
    """Return True if a spreadsheet program may have turned `original` into this different text."""
    if cell == original:
        return False
    if DISPLAYED_NUMBER_PATTERN.fullmatch(cell) and NUMBER_PATTERN.fullmatch(original):
        digits = _count_significant_digits(cell)
        return _parse_decimal(cell, digits) == _parse_decimal(original, digits)
    return len(cell) == len(original) and all(
        shown == letter or (shown == "?" and not letter.isascii())
        for letter, shown in zip(original, cell, strict=True)
    )


class CorruptedValueIndex:
    """Index of texts that finds the originals of a number that a program may have changed."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers = list(filter(NUMBER_PATTERN.fullmatch, texts))
        self._numbers_by_digits: dict[int, dict[Decimal, list[str]]] = {}

    def find_originals(self, cell: str) -> list[str]:
        """Return the texts that a program may have turned into this cell."""
        if not DISPLAYED_NUMBER_PATTERN.fullmatch(cell):
            return []
        digits = _count_significant_digits(cell)
        if digits not in self._numbers_by_digits:
            values: dict[Decimal, list[str]] = {}
            for text in self._numbers:
                values.setdefault(_parse_decimal(text, digits), []).append(text)
            self._numbers_by_digits[digits] = values
        originals = self._numbers_by_digits[digits].get(_parse_decimal(cell, digits), [])
        return [text for text in originals if text != cell]


def _count_significant_digits(cell: str) -> int:
    """Return how many significant digits of a number its cell shows."""
    mantissa, exponent, _ = cell.partition("E")
    if not exponent:
        return SPREADSHEET_DIGITS
    return min(SPREADSHEET_DIGITS, len(re.sub(r"\D", "", mantissa)))


def _parse_decimal(text: str, digits: int) -> Decimal:
    number = re.sub(r"\s", "", text).replace(",", ".")
    return Decimal(number).normalize(Context(prec=digits))


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
