"""Corrects one typing error in a searched word that no association has.

All words at an edit distance of one are looked up in the index of words. These are a few hundred
look-ups in one query, and no other index has to be kept. A word that finds something is never
changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from sqlalchemy import Connection, func, select

from storage.database.connection import Repository
from storage.models.summaries import WORD_FACET_PREFIX
from storage.read_model.association_search import LAST_CHARACTER
from storage.sanitize import sanitize
from storage.tables.summaries import ASSOCIATION_FACET

MIN_CORRECTED_LENGTH, MIN_CORRECTED_ARABIC_LENGTH = 5, 4
"""Shorter words have too many neighbours. Arabic words are written without short vowels, and their
article is left out."""

MAX_CORRECTED_LENGTH = 30
"""Characters of a searched word that is corrected."""

MAX_COUNTED_ROWS = 1000
"""Up to so many associations decide which of several corrections is the more frequent word."""

LATIN_LETTERS = "abcdefghijklmnopqrstuvwxyz"
ARABIC_LETTERS = "ءابتثجحخدذرزسشصضطظعغفقكلمنهوي"
"""The letters of normalized words."""


class WordCorrectionRepository(Repository):
    """Corrects searched words."""

    def correct_search_words(self, words: Iterable[str]) -> dict[str, str]:
        """Return a correction for each normalized word that is the beginning of no known word.

        A word without a correction is left out. Of several corrections the word of most
        associations is returned; the mere beginning of a word counts as the word of none.
        """
        corrections = {}
        with self._database.begin_read() as connection:
            for word in sanitize(sorted(set(words))):
                if not _can_correct(word) or self._find_known_beginnings(connection, [word]):
                    continue
                known = self._find_known_beginnings(connection, sorted(set(iter_neighbours(word))))
                if known:
                    rate = partial(_rate_word, connection)
                    corrections[word] = max(sorted(known, reverse=True), key=rate)
        return corrections

    def _find_known_beginnings(
        self, connection: Connection, candidates: Sequence[str]
    ) -> Sequence[str]:
        """Return the candidates that a known word begins with."""
        rows = [(WORD_FACET_PREFIX + candidate,) for candidate in candidates]
        listed = self._database.select_literal_rows(ASSOCIATION_FACET, ["facet"], rows).subquery()
        first = listed.c.facet
        facet = ASSOCIATION_FACET.c.facet
        is_known = select(facet).where(facet >= first, facet < first + LAST_CHARACTER)
        query = select(first).where(is_known.correlate(listed).exists())
        found = connection.execute(query).scalars()
        return [facet.removeprefix(WORD_FACET_PREFIX) for facet in found]


def _can_correct(word: str) -> bool:
    is_arabic = bool(set(word) & set(ARABIC_LETTERS))
    min_length = MIN_CORRECTED_ARABIC_LENGTH if is_arabic else MIN_CORRECTED_LENGTH
    return word.isalpha() and min_length <= len(word) <= MAX_CORRECTED_LENGTH


def iter_neighbours(word: str) -> Iterator[str]:
    """Yield the words at an edit distance of one, with letters of the scripts of the word.

    Two neighbouring letters in the wrong order are one error.
    """
    letters = ""
    for alphabet in (LATIN_LETTERS, ARABIC_LETTERS):
        if not set(word).isdisjoint(alphabet):
            letters += alphabet
    for position in range(len(word) + 1):
        before, after = word[:position], word[position:]
        for letter in letters:
            yield before + letter + after
            if after:
                yield before + letter + after[1:]
        if after:
            yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]


def _rate_word(connection: Connection, word: str) -> int:
    """Return the number of associations with exactly this word, up to MAX_COUNTED_ROWS."""
    is_same = ASSOCIATION_FACET.c.facet == WORD_FACET_PREFIX + word
    rows = select(ASSOCIATION_FACET.c.association).where(is_same).limit(MAX_COUNTED_ROWS)
    return connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one()
