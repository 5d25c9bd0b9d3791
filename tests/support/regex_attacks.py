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
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from re import _compiler as compiler
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
    whole = _walk(grammar.parse(source, flags), "", found, 4 if all_attacks else 1)
    found |= {Attack("", part): None for part in (whole, whole[:-1]) if part}
    if not all_attacks:
        step = 1 + len(found) // QUICK_ATTACKS
        own = list(found)[::step]
        return [*own, *(Attack("", unit) for unit in COMMON_UNITS[:QUICK_COMMON_UNITS])]
    for unit in COMMON_UNITS:
        found[Attack("", unit)] = None
        found |= {Attack("", unit + other): None for other in COMMON_UNITS if other != unit}
    return list(found)


REPEAT_KINDS = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)


def _walk(tree: Any, prefix: str, found: dict[Attack, None], max_samples: int) -> str:
    """Collect an attack for each repeated part. Return the prefix with a match of the sequence."""
    for kind, value in tree:
        if kind in REPEAT_KINDS:
            units = _sample_sequence(value[2], max_samples)
            for unit in units[:max_samples]:
                for start, repeated in ((prefix, unit), ("", prefix + unit), ("", prefix)):
                    if repeated:
                        found[Attack(start, repeated)] = None
            _walk(value[2], prefix, found, max_samples)
            prefix += units[0] * value[0]
        elif kind in (kinds.SUBPATTERN, kinds.ATOMIC_GROUP):
            inner = value[3] if kind is kinds.SUBPATTERN else value
            prefix = _walk(inner, prefix, found, max_samples)
        elif kind is kinds.BRANCH:
            prefix, *_ = [_walk(branch, prefix, found, max_samples) for branch in value[1]]
        elif kind in (kinds.ASSERT, kinds.ASSERT_NOT):
            _walk(value[1], prefix, found, max_samples)
        else:
            prefix += _sample_node(kind, value, max_samples)[0]
    return prefix


def _sample_sequence(tree: Any, max_samples: int) -> list[str]:
    """Return some texts that a sequence matches, varying one node at a time."""
    nodes = [_sample_node(kind, value, max_samples) for kind, value in tree]
    texts = ["".join(samples[0] for samples in nodes)]
    for index, samples in enumerate(nodes):
        before = "".join(node[0] for node in nodes[:index])
        after = "".join(node[0] for node in nodes[index + 1 :])
        texts += [before + sample + after for sample in samples[1:]]
    return list(dict.fromkeys(texts))[: max(2, max_samples)]


def _sample_node(kind: Any, value: Any, max_samples: int) -> list[str]:
    """Return some texts that a node matches, or an empty one if it has no width."""
    if kind is kinds.LITERAL:
        return [chr(value)]
    if kind in (kinds.NOT_LITERAL, kinds.ANY, kinds.IN):
        parsed = grammar.SubPattern(grammar.State(), [(kind, value)])
        node = compiler.compile(parsed, re.UNICODE)
        members = value if kind is kinds.IN else ()
        letters = [chr(member) for kind, member in members if kind is kinds.LITERAL]
        letters += [chr(member[0]) for kind, member in members if kind is kinds.RANGE]
        return [one for one in [*CLASS_SAMPLES, *letters] if node.match(one)][:3] or [" "]
    if kind in (kinds.SUBPATTERN, kinds.ATOMIC_GROUP):
        return _sample_sequence(value[3] if kind is kinds.SUBPATTERN else value, max_samples)
    if kind is kinds.BRANCH:
        return [_sample_sequence(branch, max_samples)[0] for branch in value[1][:4]]
    if kind in REPEAT_KINDS:
        return [text * max(value[0], 1) for text in _sample_sequence(value[2], max_samples)]
    return [""]


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
    measure = partial(
        _measure, getattr(pattern, method), isinstance(pattern.pattern, bytes), attack
    )
    short = measure(SHORT_CHARS)
    if short < FAST_SECONDS or short >= TIMEOUT_SECONDS:
        return short >= TIMEOUT_SECONDS
    if measure(LONG_CHARS) < min(TIMEOUT_SECONDS, 0.8 * MAX_GROWTH**2 * short):
        return False
    for _ in range(2):
        before = min(measure(LONG_CHARS) for _ in range(2))
        after = min(measure(LONG_CHARS << DOUBLINGS) for _ in range(2))
        if after < min(TIMEOUT_SECONDS, MAX_GROWTH**DOUBLINGS * before):
            return False
    return True


def _measure(search: Any, is_bytes: bool, attack: Attack, length: int) -> float:
    """Return the CPU seconds of one search, `TIMEOUT_SECONDS` at most."""
    text: Any = attack.build_text(length)
    if is_bytes:
        text = text.encode("latin-1", "replace")
    previous_handler = signal.signal(signal.SIGVTALRM, _raise_timeout)
    signal.setitimer(signal.ITIMER_VIRTUAL, TIMEOUT_SECONDS)
    try:
        started_at = time.thread_time()
        found = search(text)
        if search.__name__ == "finditer":
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
    found: dict[int, PatternUse] = {}
    for module in modules:
        for name, value in vars(module).items():
            for pattern in _iter_patterns(value):
                use = PatternUse(f"{module.__name__}.{name}", pattern, frozenset())
                found.setdefault(id(pattern), use)
    uses = []
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Attribute) and node.attr in METHOD_KINDS:
                owner = _resolve(module, node.value)
                if isinstance(owner, re.Pattern):
                    found[id(owner)].methods |= {METHOD_KINDS[node.attr]}
            if isinstance(node, ast.Call):
                uses += _list_inline_patterns(module, node)
    for use in found.values():
        use.methods = use.methods or frozenset({"search"})
    unique = {
        (use.pattern.pattern, use.pattern.flags, use.methods): use
        for use in (*uses, *found.values())
    }
    return list(unique.values())


def _iter_patterns(value: Any) -> Iterator[Any]:
    """Yield the patterns in the value of a module variable, also those in tables."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (dict, tuple, list, set, frozenset)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _iter_patterns(item)


def _resolve(module: Any, node: ast.expr) -> Any:
    """Return the value of a literal, a variable or an attribute of a module, or None."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return vars(module).get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(module, node.value), node.attr, None)
    return None


def _list_inline_patterns(module: Any, call: ast.Call) -> list[PatternUse]:
    """Return the pattern of a call such as `re.search("...", text)`."""
    if not isinstance(call.func, ast.Attribute) or _resolve(module, call.func.value) is not re:
        return []
    source = _resolve(module, call.args[0])
    if call.func.attr not in METHOD_KINDS or not isinstance(source, str | bytes):
        return []
    flags = re.IGNORECASE if "IGNORECASE" in ast.unparse(call) else 0
    name, method = f"{module.__name__}, line {call.lineno}", METHOD_KINDS[call.func.attr]
    return [PatternUse(name, re.compile(source, flags), frozenset({method}))]
