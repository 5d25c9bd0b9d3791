"""Patterns: regular expressions, compiled when they are first asked and asked only where they may match.

The probes have hundreds, of several languages each. Compiling them took half of the time of a command that
reads no page (1.5 of 3 seconds on a small machine, seen 2026-11), and trying the large ones at each place of
a page nine tenths of its reading. So in a process that reads pages one pass over a text (Aho and Corasick's)
finds the words in it without which they cannot match, and on most texts none is tried.

The words without which an expression cannot match, read off its own source. Pure.

Of `page (?:not found|missing)|erreur 404` no text holds a match that holds none of "page not found", "page
missing" and "erreur 404". To look for many such words in a text takes one pass; to try the expression at
each of its places takes a hundred times as long (measured 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from re import _constants as kinds  # type: ignore[attr-defined]  # typeshed has neither of the two
from re import _parser as grammar  # type: ignore[attr-defined]
from typing import Any, cast

MADE: list[Later] = []
"""All of them: they are made when modules are loaded, and in no function."""

LARGE = 60
"""Characters of a source from which on it is cheaper to know a text's words than to try the pattern."""


def pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives, later. A fault in the source is told when it is first asked."""
    made = Later(source, flags)
    MADE.append(made)
    return cast("re.Pattern[str]", made)


def may_match(words: re.Pattern[str], text: str) -> bool:
    """Whether a pattern may match in a text or in a part of it; False only where it surely does not."""
    return cast("Later", words).may_match(text)


def prepare() -> None:
    """Ready those of every module that is loaded by now for reading many texts.

    The small ones are compiled, of the large ones the words are learnt; a large one is compiled where a text
    first holds one of its words.
    """
    wordy = {made: words for made in MADE if not made.match_at_once() and (words := made.words())}
    known = _Known(sorted(frozenset[str]().union(*wordy.values())))
    for made in MADE:
        if made in wordy:
            made.guard(known, wordy[made])
        else:
            made.search("")


class _Known:
    """The words of all large patterns, and which of them a text holds, by their numbers."""

    def __init__(self, words: list[str]) -> None:
        from ahocorasick_rs import AhoCorasick  # noqa: PLC0415  # only those who read pages need it

        self.numbers = {word: number for number, word in enumerate(words)}
        self._automaton = AhoCorasick(words)
        self.within = lru_cache(maxsize=TEXTS)(self._within)

    def _within(self, text: str) -> frozenset[int]:
        try:
            found = self._automaton.find_matches_as_indexes(folded(text), overlapping=True)
        except UnicodeEncodeError:  # half a pair of UTF-16, out of a script
            return self._within(text.encode("utf-8", "replace").decode())
        return frozenset([number for number, _, _ in found])


TEXTS = 64
"""Texts whose words are remembered: a page's own are asked for by a hundred patterns, one after another."""


class Later:
    """Stands for a pattern; what it is asked once is from then on its own, and costs no more than there."""

    def __init__(self, source: str, flags: int) -> None:
        self.pattern = source
        self._flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern itself."""
        return re.compile(self.pattern, self._flags)

    def may_match(self, text: str) -> bool:  # noqa: ARG002  # `guard` knows more
        """See `may_match`."""
        return True

    def words(self) -> Words | None:
        """Folded words of which every match holds one: of a large pattern of text, where any can be told."""
        if len(self.pattern) < LARGE or not self._is_of_text():
            return None
        return needed(self.pattern, self._flags)

    def match_at_once(self) -> bool:
        """Whether it matches at the beginning alone: then it is tried there and nowhere else."""
        if not self._is_of_text() or "^" not in self.pattern or not is_anchored(self.pattern, self._flags):
            return False
        self.search = self.compiled.match
        return True

    def _is_of_text(self) -> bool:
        return isinstance(cast("str | bytes", self.pattern), str)

    def guard(self, known: _Known, words: Words) -> None:
        """From now on try the pattern only on texts that hold one of these words."""
        within, wanted = known.within, frozenset(known.numbers[word] for word in words)

        def asked(name: str, nothing: Callable[[], Any]) -> Callable[..., Any]:
            def ask(string: str, *span: int) -> Any:
                if wanted.isdisjoint(within(string)):
                    return nothing()
                return getattr(self.compiled, name)(string, *span)

            return ask

        self.may_match = lambda text: not wanted.isdisjoint(within(text))  # type: ignore[method-assign]
        for name in ("search", "match", "fullmatch"):
            setattr(self, name, asked(name, _none))
        self.findall, self.finditer = asked("findall", list), asked("finditer", _nobody)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.compiled, name)
        setattr(self, name, found)
        return found


def _none() -> None:
    """No match."""


def _nobody() -> Iterator[re.Match[str]]:
    """No matches."""
    return iter(())


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
