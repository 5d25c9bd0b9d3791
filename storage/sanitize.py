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

from probes.text.charset import UNSTORABLE_CHARACTERS

T = TypeVar("T")


def sanitize(value: T) -> T:
    """The same noun, fit to be stored; the very same object where nothing had to change.

    Facts that are no finite number are dropped: JSON has no word for them. Raises ValueError for an
    instant without a time zone.
    """
    return cast("T", _sanitize_value(value))


def sanitize_text(value: str) -> str:
    """The text without control characters, lone surrogates and bidirectional overrides."""
    if value.isprintable():  # nearly all are, and none of those is; it takes a tenth of the time
        return value
    return UNSTORABLE_CHARACTERS.sub("", value) if UNSTORABLE_CHARACTERS.search(value) else value


def to_utc(value: datetime) -> datetime:
    """The instant in UTC. Raises ValueError where it has no time zone."""
    if value.tzinfo is UTC:
        return value
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"an instant without a time zone cannot be stored: {value!r}")
    return value.astimezone(UTC) if offset else value


def _sanitize_value(value: Any) -> Any:
    kind = type(value)
    way = _SANITIZERS.get(kind) or _SANITIZERS.setdefault(kind, _choose_sanitizer(kind))
    return way(value)


def _choose_sanitizer(kind: type) -> Callable[[Any], Any]:
    """How values of a type are cleaned: found once, for a night asks of tens of millions."""
    if issubclass(kind, Enum):
        return _keep_unchanged
    if is_dataclass(kind) and (names := tuple(field.name for field in fields(kind))):
        return partial(_sanitize_fields, names=names, get_values=_build_field_getter(names))
    ways: dict[type, Callable[[Any], Any]] = {
        str: sanitize_text, datetime: to_utc, tuple: _sanitize_sequence, list: _sanitize_sequence, Mapping: _sanitize_mapping
    }  # fmt: skip
    return next((way for of, way in ways.items() if issubclass(kind, of)), _keep_unchanged)


_SANITIZERS: dict[type, Callable[[Any], Any]] = {}


def _keep_unchanged(value: Any) -> Any:
    return value


_PLAIN_TYPES = frozenset({str, int, bool, type(None)})


def _is_plain(values: Collection[Any]) -> bool:
    """Whether these are printable text and whole numbers, as most are: that is told in one step."""
    kinds = set(map(type, values))
    return (
        kinds <= _PLAIN_TYPES and "".join([one for one in values if type(one) is str]).isprintable()
    )


def _sanitize_sequence(value: tuple[Any, ...] | list[Any]) -> Any:
    if _is_plain(value):
        return value
    fit = [_sanitize_value(inner) for inner in value]
    same = all(map(is_, fit, value))
    return value if same else type(value)(fit)


def _sanitize_mapping(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    if _is_plain((*value, *value.values())):
        return value
    fit = {
        _sanitize_value(key): _sanitize_value(inner)
        for key, inner in value.items()
        if _is_storable(inner)
    }
    same = (
        len(fit) == len(value)
        and all(map(is_, fit.values(), value.values()))
        and all(map(is_, fit, value))
    )
    return value if same else fit


def _build_field_getter(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """What gives the values of so many fields at once."""
    one = attrgetter(*names)
    return one if len(names) > 1 else lambda noun: (one(noun),)


def _sanitize_fields(
    model: Any, names: Sequence[str], get_values: Callable[[Any], Sequence[Any]]
) -> Any:
    old = get_values(model)
    fit = [_sanitize_value(value) for value in old]
    if all(map(is_, fit, old)):
        return model
    pairs = zip(names, fit, old, strict=True)
    return replace(model, **{name: new for name, new, value in pairs if new is not value})


def _is_storable(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
