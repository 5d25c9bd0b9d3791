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

NUMBER = re.compile(r"([+-]?[\d\s]*\d(?:[.,]\d+)?(?:[eE][+-]?\d{1,3})?)\s?(%?)")
SHOWN = re.compile(r"-?(?:0|[1-9]\d*)(?:[.,]\d+)?(E[+-]\d{1,3})?\s?%?")
"""A number as a program shows it: without a plus, without noughts before it."""
SHORTENED = re.compile(r"-?\d(?:[.,]\d+)?E\+\d{1,3}")
"""A number of which only the first digits are left."""
KEPT_DIGITS = 15
"""So many digits of a number a spreadsheet keeps."""
SAFE = re.compile(r"0|[1-9]\d{0,10}|\D*")
"""What every program leaves as it is: numbers of eleven digits at most, and what has none, but for truths."""
TRUTHS = {"true": True, "vrai": True, "false": False, "faux": False}
DAY = re.compile(r"(\d{1,4})[-/.](\d{1,4})(?:[-/.](\d{1,4}))?")
CENTURY = 30
"""Years of two digits are of this century below it."""

Day = tuple[int | None, int, int | None]


def is_guise(cell: str, text: str) -> bool:
    """Whether a spreadsheet program may show the text as this cell, which is not what the text was."""
    if cell == text:
        return False
    return _as_number(cell, text) or _as_truth(cell, text) or _as_day(cell, text) or _as_marks(cell, text)


class Guises:
    """Many texts, each found again by what a program shows in its place."""

    def __init__(self, texts: Iterable[str]) -> None:
        odd = [text for text in texts if not SAFE.fullmatch(text) or text.casefold() in TRUTHS]
        self._numbers = [text for text in odd if NUMBER.fullmatch(text)]
        self._others = [text for text in odd if DAY.fullmatch(text) or text.casefold() in TRUTHS]
        self._rounded: dict[int, dict[Decimal, list[str]]] = {}

    def of(self, cell: str) -> list[str]:
        """The texts that may be shown as this cell."""
        like = self._others
        if SHOWN.fullmatch(cell):
            digits = _digits(cell)
            like = like + self._by_value(digits).get(_value(cell, digits), [])
        return [text for text in dict.fromkeys(like) if is_guise(cell, text)]

    def _by_value(self, digits: int) -> dict[Decimal, list[str]]:
        """The numbers by their value, rounded to so many digits."""
        if digits not in self._rounded:
            values: dict[Decimal, list[str]] = {}
            for text in self._numbers:
                values.setdefault(_value(text, digits), []).append(text)
            self._rounded[digits] = values
        return self._rounded[digits]


def _as_number(cell: str, text: str) -> bool:
    if not SHOWN.fullmatch(cell) or not NUMBER.fullmatch(text):
        return False
    digits = _digits(cell)
    return _value(cell, digits) == _value(text, digits)


def _digits(cell: str) -> int:
    """So many digits of a number its cell tells."""
    told, exponent, _ = cell.partition("E")
    return min(KEPT_DIGITS, len(re.sub(r"\D", "", told))) if exponent else KEPT_DIGITS


def _value(text: str, digits: int) -> Decimal:
    figures = re.sub(r"[\s%]", "", text).replace(",", ".")
    percent = "e-2" if "%" in text else ""
    return Decimal(figures).normalize(Context(prec=digits)) * Decimal(f"1{percent}")


def _as_truth(cell: str, text: str) -> bool:
    truth = TRUTHS.get(text.casefold())
    return truth is not None and cell.isupper() and TRUTHS.get(cell.casefold()) is truth


def _as_day(cell: str, text: str) -> bool:
    """Whether both name one day. A day in the same form as the known one is a correction."""
    if _form(cell) == _form(text):
        return False
    return any(_agree(one, other) for one in _days(cell) if None not in one for other in _days(text))


def _as_marks(cell: str, text: str) -> bool:
    """Whether question marks stand for the letters of other scripts, and the rest is the same."""
    pairs = zip(cell, text, strict=False)
    return len(cell) == len(text) and all(c == t or (c == "?" and not t.isascii()) for c, t in pairs)


def _form(text: str) -> str:
    return re.sub(r"\d", "0", text)


def _days(text: str) -> set[Day]:
    """The days that a text may name as (year, month, day); what it leaves open is None."""
    found = DAY.fullmatch(text)
    if found is None:
        return set()
    first, second = int(found[1]), int(found[2])
    last = int(found[3]) if found[3] else None
    if len(found[1]) > 2:
        return {(first, second, last)}
    if len(found[2]) > 2:
        return {(second, first, last)}
    year = _year(found[3]) if found[3] else None
    return {(year, second, first), (year, first, second)}


def _year(figures: str) -> int:
    year = int(figures)
    return year if len(figures) > 2 else year + (2000 if year < CENTURY else 1900)


def _agree(one: Day, other: Day) -> bool:
    return all(mine == theirs for mine, theirs in zip(one, other, strict=True) if theirs is not None)


MARKS = re.compile(r"[^\w?]*\?{2,}[\W\d]*")
"""Question marks alone: what an encoding without Arabic makes of Arabic words."""
LATIN_OF_ARABIC = re.compile("[\xd8\xd9][^A-Za-z ]")
"""A letter of Arabic in UTF-8 that was read as two of Latin."""
MANY = 3
LOOKED_AT = 200
"""So many signs tell."""


def is_lost(words: str) -> bool:
    """Whether these were other words before a program saved them."""
    first = words[:LOOKED_AT]
    return bool(MARKS.fullmatch(first)) or len(LATIN_OF_ARABIC.findall(first)) >= MANY
