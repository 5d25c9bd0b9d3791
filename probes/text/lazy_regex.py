"""Regular expressions that are compiled on first use and searched only where they may match.

The probes have hundreds of patterns in several languages. Compiling them took 1.5 of the 3 seconds
of a command that parses no page, and trying the large ones took nine tenths of the parsing time of
a page (2026-11). A process that parses pages therefore searches each text once for the literals
without which no pattern can match (Aho-Corasick). On most texts no large pattern has to be tried.

The required literals are derived from the pattern. Every match of `page (?:not
found|missing)|erreur 404` contains "page not found", "page missing" or "erreur 404". Searching for
many literals takes one pass over the text; searching for the pattern takes a hundred times as long
(measured 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from re import _constants as kinds  # type: ignore[attr-defined]  # not in typeshed
from re import _parser as grammar  # type: ignore[attr-defined]
from typing import Any, cast

LAZY_PATTERNS: list[LazyPattern] = []
"""Every lazy pattern. Modules create them at import, never inside a function."""

MIN_PREFILTERED_CHARS = 60
"""Patterns of at least this length are prefiltered; trying a shorter one is cheaper."""


def lazy_regex(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern that is compiled on first use. An error in the source is raised then."""
    pattern = LazyPattern(source, flags)
    LAZY_PATTERNS.append(pattern)
    return cast("re.Pattern[str]", pattern)


def may_match(pattern: re.Pattern[str], text: str) -> bool:
    """Return False only if a pattern certainly matches nowhere in a text."""
    return cast("LazyPattern", pattern).may_match(text)


def prepare_patterns() -> None:
    """Prepare the patterns of all imported modules for parsing many texts.

    Small patterns are compiled. Large ones get a prefilter; they are compiled when a text first
    contains one of their literals.
    """
    literals_by_pattern: dict[LazyPattern, Literals] = {}
    for pattern in LAZY_PATTERNS:
        if pattern.match_only_at_start():
            continue
        literals = pattern.find_required_literals()
        if literals:
            literals_by_pattern[pattern] = literals
    matcher = LiteralMatcher(sorted(frozenset[str]().union(*literals_by_pattern.values())))
    for pattern in LAZY_PATTERNS:
        if pattern in literals_by_pattern:
            pattern.add_prefilter(matcher, literals_by_pattern[pattern])
        else:
            pattern.search("")


class LiteralMatcher:
    """Finds the literals of all prefiltered patterns in a text.

    Literals are identified by number.
    """

    def __init__(self, literals: list[str]) -> None:
        # only processes that parse pages need it
        from ahocorasick_rs import AhoCorasick  # noqa: PLC0415

        self.literal_numbers = {literal: number for number, literal in enumerate(literals)}
        self._automaton = AhoCorasick(literals)
        self.find_literals = lru_cache(maxsize=MATCHER_CACHE_SIZE)(self._find_literals)

    def _find_literals(self, text: str) -> frozenset[int]:
        try:
            matches = self._automaton.find_matches_as_indexes(fold_case(text), overlapping=True)
        except UnicodeEncodeError:  # a lone surrogate, as scripts can contain
            return self._find_literals(text.encode("utf-8", "replace").decode())
        return frozenset([number for number, _, _ in matches])


MATCHER_CACHE_SIZE = 64
"""Number of texts whose literals are cached.

A hundred patterns search the same text one after another.
"""


class LazyPattern:
    """A pattern that compiles itself on first use.

    Attributes of `re.Pattern` are then copied to it.
    """

    def __init__(self, source: str, flags: int) -> None:
        self.pattern = source
        self._flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """Return the compiled pattern."""
        return re.compile(self.pattern, self._flags)

    def may_match(self, text: str) -> bool:  # noqa: ARG002  # replaced by `add_prefilter`
        """Return True: without a prefilter, any text may match."""
        return True

    def find_required_literals(self) -> Literals | None:
        """Return the required literals, or None for a small pattern or one of bytes."""
        if len(self.pattern) < MIN_PREFILTERED_CHARS or not self._is_text_pattern():
            return None
        return required_literals(self.pattern, self._flags)

    def match_only_at_start(self) -> bool:
        """Return True if the pattern is anchored at the start. Then `search` becomes `match`."""
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

    def add_prefilter(self, matcher: LiteralMatcher, literals: Literals) -> None:
        """Try the pattern only on texts that contain one of these literals from now on."""
        find_literals = matcher.find_literals
        required = frozenset(matcher.literal_numbers[literal] for literal in literals)

        def build_filtered_method(
            name: str, return_nothing: Callable[[], Any]
        ) -> Callable[..., Any]:
            def filtered_method(string: str, *span: int) -> Any:
                if required.isdisjoint(find_literals(string)):
                    return return_nothing()
                return getattr(self.compiled, name)(string, *span)

            return filtered_method

        self.may_match = lambda text: not required.isdisjoint(find_literals(text))  # type: ignore[method-assign]
        for name in ("search", "match", "fullmatch"):
            setattr(self, name, build_filtered_method(name, _return_no_match))
        self.findall = build_filtered_method("findall", list)
        self.finditer = build_filtered_method("finditer", _return_no_matches)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        attribute = getattr(self.compiled, name)
        setattr(self, name, attribute)
        return attribute


def _return_no_match() -> None:
    """Return None, as `search` does without a match."""


def _return_no_matches() -> Iterator[re.Match[str]]:
    """Return an empty iterator, as `finditer` does without a match."""
    return iter(())


MAX_ALTERNATIVES = 24  # alternative literals that are tracked for one part of a pattern
MIN_LITERAL_CHARS = 3  # every page contains most shorter literals
CASE_EQUIVALENTS = dict(
    zip(
        "ıſµ\u0345\u1fbe\u1fd3\u1fe3ϐϵϑϰϖϱςϕ\u1c80\u1c81\u1c82\u1c83\u1c84\u1c85\u1c86\u1c87\u1c88ẛ"
        "ﬅ",
        "isμιιΐΰβεθκπρσφвдосттъѣꙋṡﬆ",
        strict=True,
    )
)
"""Letters that `re.IGNORECASE` treats as equal but `lower` does not.

From `re._casefix` of CPython 3.11.
"""
COMBINING_DOT_ABOVE = "\u0307"
"""The character that follows the `i` when `İ` is lowered."""

Literals = frozenset[str]
PartLiterals = tuple[Literals | None, Literals | None]
"""All strings that a part can match, if few, and literals of which each match contains one."""


def fold_case(text: str) -> str:
    """Return the text in lower case, with letters merged that `re.IGNORECASE` treats as equal."""
    text = text.lower()
    if not text.isascii() and _CASE_EXCEPTION.search(text):
        text = text.replace(COMBINING_DOT_ABOVE, "").translate(_CASE_EQUIVALENTS_MAP)
    return text


_CASE_EQUIVALENTS_MAP = str.maketrans(CASE_EQUIVALENTS)
_CASE_EXCEPTION = re.compile(f"[{COMBINING_DOT_ABOVE}{''.join(CASE_EQUIVALENTS)}]")


def is_anchored_at_start(source: str, flags: int = 0) -> bool:
    """Return True if a pattern can match only at the start of a text."""
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
    """Return folded literals, one of which is in every match, or None if there are none."""
    return _choose_best(_analyze_sequence(grammar.parse(source, flags)))


def _choose_best(part: PartLiterals) -> Literals | None:
    """Return the set whose shortest literal is longest, or None if both have too short literals."""
    candidates = [
        literals
        for literals in part
        if literals and _shortest_length(literals) >= MIN_LITERAL_CHARS
    ]
    return max(candidates, key=_rank_literals, default=None)


def _rank_literals(literals: Literals) -> tuple[int, int]:
    return _shortest_length(literals), -len(literals)


def _shortest_length(literals: Literals) -> int:
    """Return the length of the shortest literal.

    CJK characters and accented letters count twice.
    """
    return min(len(literal) + len(_DISTINCTIVE_LETTER.findall(literal)) for literal in literals)


_DISTINCTIVE_LETTER = re.compile("[\u00c0-\u024f\u2e80-\uffff]")


def _analyze_sequence(pieces: Sequence[tuple[Any, Any]]) -> PartLiterals:
    """Analyze a sequence of pieces.

    Adjacent pieces with few alternatives are joined to one literal.
    """
    together = _EMPTY_LITERAL
    whole = True
    best: Literals | None = None
    for exact, needs in _analyze_parts(pieces):
        if exact is None or len(together) * len(exact) > MAX_ALTERNATIVES:
            best, whole = _choose_best((best, together)), False
            together = exact or _EMPTY_LITERAL
        elif exact is not _EMPTY_LITERAL:
            together = frozenset([head + tail for head in together for tail in exact])
        if needs is not None:
            best = _choose_best((best, needs))
    return together if whole else None, _choose_best((best, together))


def _analyze_parts(pieces: Sequence[tuple[Any, Any]]) -> Iterator[PartLiterals]:
    """Yield the literals of each piece. Consecutive letters form one piece."""
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
    """Return the literals of one piece. An unknown kind of piece can match anything."""
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
    """Return the letters of a character class, or None if there are too many."""
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
    """Combine alternatives. Required literals exist only if every alternative has some."""
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
    """Return the literals of a repeated piece. An optional piece requires none."""
    part = _analyze_sequence(pieces)
    if min_count == 0:
        if max_count == 1 and part[0] is not None and len(part[0]) < MAX_ALTERNATIVES:
            return part[0] | {""}, None
        return None, None
    return (part[0] if max_count == 1 else None), _choose_best(part)
