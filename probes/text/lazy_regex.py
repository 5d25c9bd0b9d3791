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

LAZY_PATTERNS: list[LazyPattern] = []
"""All of them: they are made when modules are loaded, and in no function."""

MIN_PREFILTERED_CHARS = 60
"""Characters of a source from which on it is cheaper to know a text's words than to try the pattern."""


def lazy_regex(source: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives, later. A fault in the source is told when it is first asked."""
    made = LazyPattern(source, flags)
    LAZY_PATTERNS.append(made)
    return cast("re.Pattern[str]", made)


def may_match(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a pattern may match in a text or in a part of it; False only where it surely does not."""
    return cast("LazyPattern", pattern).may_match(text)


def prepare_patterns() -> None:
    """Ready those of every module that is loaded by now for reading many texts.

    The small ones are compiled, of the large ones the words are learnt; a large one is compiled where a text
    first holds one of its words.
    """
    wordy = {
        made: words
        for made in LAZY_PATTERNS
        if not made.match_only_at_start() and (words := made.find_required_literals())
    }
    known = _LiteralMatcher(sorted(frozenset[str]().union(*wordy.values())))
    for made in LAZY_PATTERNS:
        if made in wordy:
            made.add_prefilter(known, wordy[made])
        else:
            made.search("")


class _LiteralMatcher:
    """The words of all large patterns, and which of them a text holds, by their numbers."""

    def __init__(self, literals: list[str]) -> None:
        from ahocorasick_rs import AhoCorasick  # noqa: PLC0415  # only those who read pages need it

        self.literal_numbers = {word: number for number, word in enumerate(literals)}
        self._automaton = AhoCorasick(literals)
        self.find_literals = lru_cache(maxsize=MATCHER_CACHE_SIZE)(self._find_literals)

    def _find_literals(self, text: str) -> frozenset[int]:
        try:
            found = self._automaton.find_matches_as_indexes(fold_case(text), overlapping=True)
        except UnicodeEncodeError:  # half a pair of UTF-16, out of a script
            return self._find_literals(text.encode("utf-8", "replace").decode())
        return frozenset([number for number, _, _ in found])


MATCHER_CACHE_SIZE = 64
"""Texts whose words are remembered: a page's own are asked for by a hundred patterns, one after another."""


class LazyPattern:
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

    def find_required_literals(self) -> Literals | None:
        """Folded words of which every match holds one: of a large pattern of text, where any can be told."""
        if len(self.pattern) < MIN_PREFILTERED_CHARS or not self._is_text_pattern():
            return None
        return required_literals(self.pattern, self._flags)

    def match_only_at_start(self) -> bool:
        """Whether it matches at the beginning alone: then it is tried there and nowhere else."""
        if (
            not self._is_text_pattern()
            or "^" not in self.pattern
            or not is_anchored_at_start(self.pattern, self._flags)
        ):
            return False
        self.search = self.compiled.match
        return True

    def _is_text_pattern(self) -> bool:
        return isinstance(cast("str | bytes", self.pattern), str)

    def add_prefilter(self, matcher: _LiteralMatcher, literals: Literals) -> None:
        """From now on try the pattern only on texts that hold one of these words."""
        within, wanted = (
            matcher.find_literals,
            frozenset(matcher.literal_numbers[word] for word in literals),
        )

        def asked(name: str, nothing: Callable[[], Any]) -> Callable[..., Any]:
            def ask(string: str, *span: int) -> Any:
                if wanted.isdisjoint(within(string)):
                    return nothing()
                return getattr(self.compiled, name)(string, *span)

            return ask

        self.may_match = lambda text: not wanted.isdisjoint(within(text))  # type: ignore[method-assign]
        for name in ("search", "match", "fullmatch"):
            setattr(self, name, asked(name, _return_no_match))
        self.findall, self.finditer = asked("findall", list), asked("finditer", _return_no_matches)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.compiled, name)
        setattr(self, name, found)
        return found


def _return_no_match() -> None:
    """No match."""


def _return_no_matches() -> Iterator[re.Match[str]]:
    """No matches."""
    return iter(())


MAX_ALTERNATIVES = 24  # ways to write one piece that are told apart
MIN_LITERAL_CHARS = 3  # characters: of what is shorter, every page is full
CASE_EQUIVALENTS = dict(
    zip(
        "ıſµ\u0345\u1fbe\u1fd3\u1fe3ϐϵϑϰϖϱςϕ\u1c80\u1c81\u1c82\u1c83\u1c84\u1c85\u1c86\u1c87\u1c88ẛﬅ",
        "isμιιΐΰβεθκπρσφвдосттъѣꙋṡﬆ",
        strict=True,
    )
)
"""Letters that an expression without regard to case takes for each other, though neither is the other's case
(CPython's `re._casefix`, 3.11)."""
COMBINING_DOT_ABOVE = "\u0307"
"""What is left of `İ` in lower case, beside an `i`."""

Literals = frozenset[str]
PartLiterals = tuple[Literals | None, Literals | None]
"""All that a part of an expression can match, if that is little; and words of which each match holds one."""


def fold_case(text: str) -> str:
    """A text as an expression without regard to case sees it."""
    text = text.lower()
    if not text.isascii() and _CASE_EXCEPTION.search(text):
        text = text.replace(COMBINING_DOT_ABOVE, "").translate(_CASE_EQUIVALENTS_MAP)
    return text


_CASE_EQUIVALENTS_MAP = str.maketrans(CASE_EQUIVALENTS)
_CASE_EXCEPTION = re.compile(f"[{COMBINING_DOT_ABOVE}{''.join(CASE_EQUIVALENTS)}]")


def is_anchored_at_start(source: str, flags: int = 0) -> bool:
    """Whether an expression matches at the beginning of a text alone, however it is searched for."""
    tree = grammar.parse(source, flags)
    return not tree.state.flags & re.MULTILINE and _starts_with_anchor(tree)


def _starts_with_anchor(pieces: Sequence[tuple[Any, Any]]) -> bool:
    if not pieces:
        return False
    kind, value = pieces[0]
    if kind is kinds.AT:
        return value in (kinds.AT_BEGINNING, kinds.AT_BEGINNING_STRING)
    if kind is kinds.SUBPATTERN:
        return not value[1] & re.MULTILINE and _starts_with_anchor(value[3])
    return kind is kinds.BRANCH and all(map(_starts_with_anchor, value[1]))


def required_literals(source: str, flags: int = 0) -> Literals | None:
    """Folded words of which every match holds at least one; None where none can be told."""
    return _choose_best(_analyze_sequence(grammar.parse(source, flags)))


def _choose_best(part: PartLiterals) -> Literals | None:
    """The surer of what a part can match and what it needs: the one whose shortest word is longest."""
    told = [words for words in part if words and _shortest_length(words) >= MIN_LITERAL_CHARS]
    return max(told, key=_rank_literals, default=None)


def _rank_literals(literals: Literals) -> tuple[int, int]:
    return _shortest_length(literals), -len(literals)


def _shortest_length(literals: Literals) -> int:
    """The length of the shortest; a sign of Chinese or Japanese and a letter with an accent count twice."""
    return min(
        [
            len(word) if word.isascii() else len(word) + len(_DISTINCTIVE_LETTER.findall(word))
            for word in literals
        ]
    )


_DISTINCTIVE_LETTER = re.compile("[\u00c0-\u024f\u2e80-\uffff]")


def _analyze_sequence(pieces: Sequence[tuple[Any, Any]]) -> PartLiterals:
    """Pieces one after another: what can be written together, as far as it can be told, is one word."""
    together = _EMPTY_LITERAL
    whole = True
    best: Literals | None = None
    for exact, needs in _analyze_parts(pieces):
        if exact is None or len(together) * len(exact) > MAX_ALTERNATIVES:
            best, whole = _choose_best((best, together)), False
            together = exact or _EMPTY_LITERAL
        elif exact is not _EMPTY_LITERAL:
            together = frozenset([one + other for one in together for other in exact])
        if needs is not None:
            best = _choose_best((best, needs))
    return together if whole else None, _choose_best((best, together))


def _analyze_parts(pieces: Sequence[tuple[Any, Any]]) -> Iterator[PartLiterals]:
    """What each piece can match and needs; letters that follow each other are one piece."""
    letters: list[int] = []
    for kind, value in pieces:
        if kind is kinds.LITERAL:
            letters.append(value)
            continue
        if letters:
            yield _fold_letters(letters), None
            letters = []
        yield _analyze_piece(kind, value)
    if letters:
        yield _fold_letters(letters), None


def _fold_letters(codepoints: Iterable[int]) -> Literals:
    return frozenset({fold_case("".join(map(chr, codepoints)))})


_EMPTY_LITERAL: Literals = frozenset({""})


def _analyze_piece(kind: Any, value: Any) -> PartLiterals:
    """One piece: what it can match, what it needs. What is not known here can match anything."""
    if kind is kinds.IN:
        return _list_class_letters(value), None
    if kind in (kinds.AT, kinds.ASSERT, kinds.ASSERT_NOT):
        return _EMPTY_LITERAL, None
    if kind is kinds.SUBPATTERN:
        return _analyze_sequence(value[3])
    if kind is kinds.BRANCH:
        return _merge_branches([_analyze_sequence(branch) for branch in value[1]])
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT):
        return _analyze_repeat(*value)
    return None, None


def _list_class_letters(choices: Sequence[tuple[Any, Any]]) -> Literals | None:
    """The letters of a class, where they are few."""
    letters: set[str] = set()
    for kind, value in choices:
        if kind is kinds.LITERAL:
            letters |= _fold_letters([value])
        elif kind is kinds.RANGE and value[1] - value[0] < MAX_ALTERNATIVES:
            letters.update(fold_case(chr(number)) for number in range(value[0], value[1] + 1))
        else:
            return None
    return frozenset(letters) if len(letters) <= MAX_ALTERNATIVES else None


def _merge_branches(branches: list[PartLiterals]) -> PartLiterals:
    """One of several: each must need something."""
    exact, needs = set[str](), set[str]()
    known, needing = True, True
    for branch in branches:
        known = known and branch[0] is not None
        exact |= branch[0] or frozenset()
        best = _choose_best(branch)
        needing = needing and best is not None
        needs |= best or frozenset()
    whole = frozenset(exact) if known and len(exact) <= MAX_ALTERNATIVES else None
    return whole, frozenset(needs) if needing else None


def _analyze_repeat(
    min_count: int, max_count: int, pieces: Sequence[tuple[Any, Any]]
) -> PartLiterals:
    """Something once or not at all, once, or more often."""
    part = _analyze_sequence(pieces)
    if min_count == 0:
        exact = (
            part[0] | {""}
            if max_count == 1 and part[0] is not None and len(part[0]) < MAX_ALTERNATIVES
            else None
        )
        return exact, None
    return (part[0] if max_count == 1 else None), _choose_best(part)
