"""The words without which an expression cannot match, read off its own source. Pure.

Of `page (?:not found|missing)|erreur 404` no text holds a match that holds none of "page not found", "page
missing" and "erreur 404". To look for many such words in a text takes one pass; to try the expression at
each of its places takes a hundred times as long (measured 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from re import _constants as kinds  # type: ignore[attr-defined]  # typeshed has neither of the two
from re import _parser as grammar  # type: ignore[attr-defined]
from typing import Any

MOST = 24  # ways to write one piece that are told apart
SHORTEST = 3  # characters: of what is shorter, every page is full
TWINS = dict(
    zip(
        "ıſµ\u0345\u1fbe\u1fd3\u1fe3ϐϵϑϰϖϱςϕ\u1c80\u1c81\u1c82\u1c83\u1c84\u1c85\u1c86\u1c87\u1c88ẛﬅ",
        "isμιιΐΰβεθκπρσφвдосттъѣꙋṡﬆ",
        strict=True,
    )
)
"""Letters that an expression without regard to case takes for each other, though neither is the other's case
(CPython's `re._casefix`, 3.11)."""
DOT = "\u0307"
"""What is left of `İ` in lower case, beside an `i`."""

Words = frozenset[str]
Part = tuple[Words | None, Words | None]
"""All that a part of an expression can match, if that is little; and words of which each match holds one."""


def folded(text: str) -> str:
    """A text as an expression without regard to case sees it."""
    text = text.lower()
    if not text.isascii() and _RARE.search(text):
        text = text.replace(DOT, "").translate(_TWINS)
    return text


_TWINS = str.maketrans(TWINS)
_RARE = re.compile(f"[{DOT}{''.join(TWINS)}]")


def is_anchored(source: str, flags: int = 0) -> bool:
    """Whether an expression matches at the beginning of a text alone, however it is searched for."""
    tree = grammar.parse(source, flags)
    return not tree.state.flags & re.MULTILINE and _begins(tree)


def _begins(pieces: Sequence[tuple[Any, Any]]) -> bool:
    if not pieces:
        return False
    kind, value = pieces[0]
    if kind is kinds.AT:
        return value in (kinds.AT_BEGINNING, kinds.AT_BEGINNING_STRING)
    if kind is kinds.SUBPATTERN:
        return not value[1] & re.MULTILINE and _begins(value[3])
    return kind is kinds.BRANCH and all(map(_begins, value[1]))


def needed(source: str, flags: int = 0) -> Words | None:
    """Folded words of which every match holds at least one; None where none can be told."""
    return _best(_sequence(grammar.parse(source, flags)))


def _best(part: Part) -> Words | None:
    """The surer of what a part can match and what it needs: the one whose shortest word is longest."""
    told = [words for words in part if words and _least(words) >= SHORTEST]
    return max(told, key=_worth, default=None)


def _worth(words: Words) -> tuple[int, int]:
    return _least(words), -len(words)


def _least(words: Words) -> int:
    """The length of the shortest; a sign of Chinese or Japanese and a letter with an accent count twice."""
    return min([len(word) if word.isascii() else len(word) + len(_RICH.findall(word)) for word in words])


_RICH = re.compile("[\u00c0-\u024f\u2e80-\uffff]")


def _sequence(pieces: Sequence[tuple[Any, Any]]) -> Part:
    """Pieces one after another: what can be written together, as far as it can be told, is one word."""
    together = _NOTHING
    whole = True
    best: Words | None = None
    for exact, needs in _parts(pieces):
        if exact is None or len(together) * len(exact) > MOST:
            best, whole = _best((best, together)), False
            together = exact or _NOTHING
        elif exact is not _NOTHING:
            together = frozenset([one + other for one in together for other in exact])
        if needs is not None:
            best = _best((best, needs))
    return together if whole else None, _best((best, together))


def _parts(pieces: Sequence[tuple[Any, Any]]) -> Iterator[Part]:
    """What each piece can match and needs; letters that follow each other are one piece."""
    letters: list[int] = []
    for kind, value in pieces:
        if kind is kinds.LITERAL:
            letters.append(value)
            continue
        if letters:
            yield _written(letters), None
            letters = []
        yield _piece(kind, value)
    if letters:
        yield _written(letters), None


def _written(letters: Iterable[int]) -> Words:
    return frozenset({folded("".join(map(chr, letters)))})


_NOTHING: Words = frozenset({""})


def _piece(kind: Any, value: Any) -> Part:
    """One piece: what it can match, what it needs. What is not known here can match anything."""
    if kind is kinds.IN:
        return _one_of(value), None
    if kind in (kinds.AT, kinds.ASSERT, kinds.ASSERT_NOT):
        return _NOTHING, None
    if kind is kinds.SUBPATTERN:
        return _sequence(value[3])
    if kind is kinds.BRANCH:
        return _either([_sequence(branch) for branch in value[1]])
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT):
        return _repeated(*value)
    return None, None


def _one_of(choices: Sequence[tuple[Any, Any]]) -> Words | None:
    """The letters of a class, where they are few."""
    letters: set[str] = set()
    for kind, value in choices:
        if kind is kinds.LITERAL:
            letters |= _written([value])
        elif kind is kinds.RANGE and value[1] - value[0] < MOST:
            letters.update(folded(chr(number)) for number in range(value[0], value[1] + 1))
        else:
            return None
    return frozenset(letters) if len(letters) <= MOST else None


def _either(branches: list[Part]) -> Part:
    """One of several: each must need something."""
    exact, needs = set[str](), set[str]()
    known, needing = True, True
    for branch in branches:
        known = known and branch[0] is not None
        exact |= branch[0] or frozenset()
        best = _best(branch)
        needing = needing and best is not None
        needs |= best or frozenset()
    whole = frozenset(exact) if known and len(exact) <= MOST else None
    return whole, frozenset(needs) if needing else None


def _repeated(least: int, most: int, pieces: Sequence[tuple[Any, Any]]) -> Part:
    """Something once or not at all, once, or more often."""
    part = _sequence(pieces)
    if least == 0:
        exact = part[0] | {""} if most == 1 and part[0] is not None and len(part[0]) < MOST else None
        return exact, None
    return (part[0] if most == 1 else None), _best(part)
