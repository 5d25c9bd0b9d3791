"""Patterns: regular expressions, compiled when they are first asked and asked only where they may match.

The probes have hundreds, of several languages each. Compiling them took half of the time of a command that
reads no page (1.5 of 3 seconds on a small machine, seen 2026-11), and trying the large ones at each place of
a page nine tenths of its reading. So in a process that reads pages one pass over a text (Aho and Corasick's)
finds the words in it without which they cannot match, and on most texts none is tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any, cast

from probes.text.regex_literals import Words, folded, is_anchored, needed

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
