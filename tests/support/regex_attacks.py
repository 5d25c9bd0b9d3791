"""Finds regular expressions that take quadratic time or longer on hostile text.

A pattern is slow if a repeated part can match at many places or in many ways and the text after it
does not match. The texts are built from the pattern itself: what leads to each repeated part,
followed by many copies of that part; many copies of both; and many copies of the whole pattern
without its end.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from re import _constants as kinds
from re import _parser as grammar
from typing import Any

COMMON_UNITS = [*' a"1.-', '\\"', "<a ", *"\n'\\[{(</:,ém", "a ", "1 ", "a.", "م"]
"""Units that are repeated for every pattern, the most effective ones first."""
QUICK_COMMON_UNITS = 8
QUICK_ATTACKS = 20
"""Number of attacks per pattern, by common units and by its own parts, if not all are tried."""
CLASS_SAMPLES = "a1 -\n\"'\\<>[]{}().:/=_;,é*#&?@|A\tم"
"""Characters that are tried as members of a character class."""
MISMATCH = "\x00a b"
"""The end of every text. Almost no pattern matches it."""
METHOD_KINDS = {
    **{name: name for name in ("search", "match", "fullmatch")},
    **dict.fromkeys(("sub", "subn", "split", "findall", "finditer"), "finditer"),
}


@dataclass(frozen=True)
class Attack:
    """A hostile text of any length."""

    start: str
    unit: str

    def build_text(self, length: int) -> str:
        """Return a text of about this length."""
        return self.start + self.unit * (length // len(self.unit)) + MISMATCH


def build_attacks(source: str, flags: int, *, all_attacks: bool) -> list[Attack]:
    """Return the attacks on a pattern; `all_attacks` adds more samples and pairs of units."""
    found: dict[Attack, None] = {}
    walker = _PatternWalker(found, max_samples=4 if all_attacks else 1)
    whole = walker.walk(grammar.parse(source, flags), "")
    found |= {Attack("", part): None for part in (whole, whole[:-1]) if part}
    if not all_attacks:
        step = 1 + len(found) // QUICK_ATTACKS
        own = list(found)[::step]
        return [*own, *(Attack("", unit) for unit in COMMON_UNITS[:QUICK_COMMON_UNITS])]
    for unit in COMMON_UNITS:
        found[Attack("", unit)] = None
        found |= {Attack("", unit + other): None for other in COMMON_UNITS if other != unit}
    return list(found)


class _PatternWalker:
    """Walks through a parsed pattern and collects an attack for each repeated part."""

    def __init__(self, found: dict[Attack, None], max_samples: int) -> None:
        self._found = found
        self._max_samples = max_samples

    def walk(self, tree: Iterable[tuple[Any, Any]], prefix: str) -> str:
        """Collect the attacks of a sequence and return the prefix with a match of the sequence."""
        for kind, value in tree:
            if kind in REPEAT_KINDS:
                for unit in self._sample_sequence(value[2])[: self._max_samples]:
                    self._add_attacks(prefix, unit)
                self.walk(value[2], prefix)
                prefix += self._sample_sequence(value[2])[0] * value[0]
            elif kind is kinds.SUBPATTERN:
                prefix = self.walk(value[3], prefix)
            elif kind is kinds.ATOMIC_GROUP:
                prefix = self.walk(value, prefix)
            elif kind is kinds.BRANCH:
                ends = [self.walk(branch, prefix) for branch in value[1]]
                prefix = ends[0]
            elif kind in (kinds.ASSERT, kinds.ASSERT_NOT):
                self.walk(value[1], prefix)
            else:
                prefix += self._sample_node(kind, value)[0]
        return prefix

    def _add_attacks(self, prefix: str, unit: str) -> None:
        for start, repeated in ((prefix, unit), ("", prefix + unit), ("", prefix)):
            if repeated:
                self._found.setdefault(Attack(start, repeated))

    def _sample_sequence(self, tree: Iterable[tuple[Any, Any]]) -> list[str]:
        """Return some texts that a sequence matches, varying one node at a time."""
        nodes = [self._sample_node(kind, value) for kind, value in tree]
        texts = ["".join(samples[0] for samples in nodes)]
        for index, samples in enumerate(nodes):
            before = "".join(node[0] for node in nodes[:index])
            after = "".join(node[0] for node in nodes[index + 1 :])
            texts += [before + sample + after for sample in samples[1:]]
        return list(dict.fromkeys(texts))[: max(2, self._max_samples)]

    def _sample_node(self, kind: Any, value: Any) -> list[str]:
        """Return some texts that a node matches, or an empty one if it has no width."""
        if kind in (kinds.LITERAL, kinds.NOT_LITERAL, kinds.ANY, kinds.IN):
            return _sample_characters(kind, value)
        if kind in (kinds.SUBPATTERN, kinds.ATOMIC_GROUP):
            return self._sample_sequence(value[3] if kind is kinds.SUBPATTERN else value)
        if kind is kinds.BRANCH:
            return [self._sample_sequence(branch)[0] for branch in value[1][:4]]
        if kind in REPEAT_KINDS:
            return [text * max(value[0], 1) for text in self._sample_sequence(value[2])]
        return [""]


REPEAT_KINDS = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)
CATEGORY_PATTERNS = {
    kinds.CATEGORY_DIGIT: r"\d",
    kinds.CATEGORY_NOT_DIGIT: r"\D",
    kinds.CATEGORY_SPACE: r"\s",
    kinds.CATEGORY_NOT_SPACE: r"\S",
    kinds.CATEGORY_WORD: r"\w",
    kinds.CATEGORY_NOT_WORD: r"\W",
}


def _sample_characters(kind: Any, value: Any) -> list[str]:
    """Return some characters that a node of one character matches."""
    if kind is kinds.LITERAL:
        return [chr(value)]
    if kind is kinds.ANY:
        return ["a", " "]
    if kind is kinds.NOT_LITERAL:
        return [letter for letter in CLASS_SAMPLES if ord(letter) != value][:2]
    found = [letter for letter in CLASS_SAMPLES if _is_in_class(value, letter)]
    found += [chr(member) for kind, member in value if kind is kinds.LITERAL]
    found += [chr(member[0]) for kind, member in value if kind is kinds.RANGE]
    return found[:3] or [" "]


def _is_in_class(members: list[tuple[Any, Any]], letter: str) -> bool:
    is_negated = any(kind is kinds.NEGATE for kind, _ in members)
    return is_negated != any(
        (kind is kinds.LITERAL and ord(letter) == value)
        or (kind is kinds.RANGE and value[0] <= ord(letter) <= value[1])
        or (kind is kinds.CATEGORY and re.match(CATEGORY_PATTERNS[value], letter) is not None)
        for kind, value in members
    )


# --- Measuring ------------------------------------------------------------------------------------

SHORT_CHARS, LONG_CHARS = 1_000, 4_000
"""Lengths of the texts that are tried first."""
FAST_SECONDS = 0.1e-3
"""If a short text takes no longer, the pattern is not measured further."""
MAX_GROWTH = 3.0
"""Allowed growth of the time per doubling of the text: 2 is linear, 4 is quadratic."""
DOUBLINGS = 3
"""Number of doublings of a long text, over which the growth is measured."""
TIMEOUT_SECONDS = 0.5
"""CPU time of one search, after which it counts as superlinear."""


class _SearchTimeoutError(Exception):
    """A search took too long."""


def is_superlinear(pattern: re.Pattern[Any], method: str, attack: Attack) -> bool:
    """Return True if the time grows much faster than the text, in two measurements.

    Uses a signal, so only the main thread can call it.
    """
    short = _measure(pattern, method, attack, SHORT_CHARS)
    if short < FAST_SECONDS or short >= TIMEOUT_SECONDS:
        return short >= TIMEOUT_SECONDS
    limit = min(TIMEOUT_SECONDS, 0.8 * MAX_GROWTH**2 * short)
    if _measure(pattern, method, attack, LONG_CHARS) < limit:
        return False
    return all(_grows_too_fast(pattern, method, attack) for _ in range(2))


def _grows_too_fast(pattern: re.Pattern[Any], method: str, attack: Attack) -> bool:
    before = _measure_fastest(pattern, method, attack, LONG_CHARS)
    after = _measure_fastest(pattern, method, attack, LONG_CHARS << DOUBLINGS)
    return after >= min(TIMEOUT_SECONDS, MAX_GROWTH**DOUBLINGS * before)


def _measure_fastest(pattern: re.Pattern[Any], method: str, attack: Attack, length: int) -> float:
    first = _measure(pattern, method, attack, length)
    if first >= TIMEOUT_SECONDS:
        return first
    return min(first, _measure(pattern, method, attack, length))


def _measure(pattern: re.Pattern[Any], method: str, attack: Attack, length: int) -> float:
    """Return the CPU seconds of one search, `TIMEOUT_SECONDS` at most."""
    text: Any = attack.build_text(length)
    if isinstance(pattern.pattern, bytes):
        text = text.encode("latin-1", "replace")
    search = getattr(pattern, method)
    previous_handler = signal.signal(signal.SIGVTALRM, _raise_timeout)
    signal.setitimer(signal.ITIMER_VIRTUAL, TIMEOUT_SECONDS)
    try:
        started_at = time.thread_time()
        found = search(text)
        if method == "finditer":
            for _ in found:
                pass
        return min(TIMEOUT_SECONDS, time.thread_time() - started_at)
    except _SearchTimeoutError:
        return TIMEOUT_SECONDS
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous_handler)


def _raise_timeout(*_: object) -> None:
    raise _SearchTimeoutError


# --- Collecting patterns --------------------------------------------------------------------------


@dataclass
class PatternUse:
    """A pattern of the project, its name, and the methods that are called on it."""

    name: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def find_pattern_uses(package: Any) -> list[PatternUse]:
    """Return all patterns: those of modules, also in tables, and literals in calls of `re`."""
    prefix = f"{package.__name__}."
    names = [module.name for module in pkgutil.walk_packages(package.__path__, prefix)]
    modules = [importlib.import_module(name) for name in names]
    patterns: dict[int, re.Pattern[Any]] = {}
    pattern_names: dict[int, str] = {}
    for module in modules:
        for name, value in vars(module).items():
            for found in _iter_patterns(value):
                pattern_names.setdefault(id(found), f"{module.__name__}.{name}")
                patterns.setdefault(id(found), found)
    methods: dict[int, set[str]] = defaultdict(set)
    uses = []
    for module in modules:
        uses += _iter_inline_patterns(module)
        for owner, method in _iter_method_uses(module):
            methods[id(owner)].add(method)
    for key, pattern in patterns.items():
        name = pattern_names[key]
        uses.append(PatternUse(name, pattern, frozenset(methods.get(key) or {"search"})))
    unique = {(use.pattern.pattern, use.pattern.flags, use.methods): use for use in uses}
    return list(unique.values())


def _iter_patterns(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the patterns in the value of a module variable, also those in tables."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict) and depth < 4:
        for item in value.values():
            yield from _iter_patterns(item, depth + 1)
    elif isinstance(value, (tuple, list, set, frozenset)) and depth < 4:
        for item in value:
            yield from _iter_patterns(item, depth + 1)


def _iter_method_uses(module: Any) -> Iterator[tuple[Any, str]]:
    """Yield each variable of a module of which a pattern method is used, with the method."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(node, ast.Attribute) or node.attr not in METHOD_KINDS:
            continue
        owner: Any = None
        if isinstance(node.value, ast.Name):
            owner = vars(module).get(node.value.id)
        elif isinstance(node.value, ast.Attribute) and isinstance(node.value.value, ast.Name):
            owner = getattr(vars(module).get(node.value.value.id), node.value.attr, None)
        if isinstance(owner, re.Pattern):
            yield owner, METHOD_KINDS[node.attr]


def _iter_inline_patterns(module: Any) -> Iterator[PatternUse]:
    """Yield the patterns in calls such as `re.search("...", text)`."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        is_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
        source = _find_source(module, node.args[0]) if is_re and node.args else None
        if source is not None and node.func.attr in METHOD_KINDS:
            flags = re.IGNORECASE if "IGNORECASE" in ast.unparse(node) else 0
            name = f"{module.__name__}, line {node.lineno}"
            methods = frozenset({METHOD_KINDS[node.func.attr]})
            yield PatternUse(name, re.compile(source, flags), methods)


def _find_source(module: Any, argument: ast.expr) -> Any:
    """Return the pattern that is passed to `re`, if it is a literal or a module constant."""
    if isinstance(argument, ast.Name):
        found = vars(module).get(argument.id)
        return found if isinstance(found, str) else None
    return argument.value if isinstance(argument, ast.Constant) else None
