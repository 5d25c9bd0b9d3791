"""Makes nouns fit to be stored: text without what no database or page should carry, instants in UTC.

It is the one place where foreign text is cleaned on its way in, so SQLite and PostgreSQL keep the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from operator import attrgetter, is_
from typing import Any, TypeVar, cast

from probes.text.charset import UNFIT

T = TypeVar("T")


def clean(value: T) -> T:
    """The same noun, fit to be stored; the very same object where nothing had to change.

    Facts that are no finite number are dropped: JSON has no word for them. Raises ValueError for an
    instant without a time zone.
    """
    return cast("T", _clean(value))


def text(value: str) -> str:
    """The text without control characters, lone surrogates and bidirectional overrides."""
    if value.isprintable():  # nearly all are, and none of those is; it takes a tenth of the time
        return value
    return UNFIT.sub("", value) if UNFIT.search(value) else value


def instant(value: datetime) -> datetime:
    """The instant in UTC. Raises ValueError where it has no time zone."""
    if value.tzinfo is UTC:
        return value
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"an instant without a time zone cannot be stored: {value!r}")
    return value.astimezone(UTC) if offset else value


def _clean(value: Any) -> Any:
    kind = type(value)
    way = _WAYS.get(kind) or _WAYS.setdefault(kind, _way(kind))
    return way(value)


def _way(kind: type) -> Callable[[Any], Any]:
    """How values of a type are cleaned: found once, for a night asks of tens of millions."""
    if issubclass(kind, Enum):
        return _as_it_is
    if is_dataclass(kind) and (names := tuple(field.name for field in fields(kind))):
        return partial(_clean_fields, names=names, told=_all_of(names))
    ways: dict[type, Callable[[Any], Any]] = {
        str: text, datetime: instant, tuple: _clean_sequence, list: _clean_sequence, Mapping: _clean_mapping
    }  # fmt: skip
    return next((way for of, way in ways.items() if issubclass(kind, of)), _as_it_is)


_WAYS: dict[type, Callable[[Any], Any]] = {}


def _as_it_is(value: Any) -> Any:
    return value


_PLAIN = frozenset({str, int, bool, type(None)})


def _is_plain(values: Collection[Any]) -> bool:
    """Whether these are printable text and whole numbers, as most are: that is told in one step."""
    kinds = set(map(type, values))
    return kinds <= _PLAIN and "".join([one for one in values if type(one) is str]).isprintable()


def _clean_sequence(value: tuple[Any, ...] | list[Any]) -> Any:
    if _is_plain(value):
        return value
    fit = [_clean(inner) for inner in value]
    same = all(map(is_, fit, value))
    return value if same else type(value)(fit)


def _clean_mapping(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    if _is_plain((*value, *value.values())):
        return value
    fit = {_clean(key): _clean(inner) for key, inner in value.items() if _writable(inner)}
    same = (
        len(fit) == len(value) and all(map(is_, fit.values(), value.values())) and all(map(is_, fit, value))
    )
    return value if same else fit


def _all_of(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """What gives the values of so many fields at once."""
    one = attrgetter(*names)
    return one if len(names) > 1 else lambda noun: (one(noun),)


def _clean_fields(noun: Any, names: Sequence[str], told: Callable[[Any], Sequence[Any]]) -> Any:
    old = told(noun)
    fit = [_clean(value) for value in old]
    if all(map(is_, fit, old)):
        return noun
    pairs = zip(names, fit, old, strict=True)
    return replace(noun, **{name: new for name, new, value in pairs if new is not value})


def _writable(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
