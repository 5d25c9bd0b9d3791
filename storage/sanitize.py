"""Makes models storable: removes unsafe characters from text and converts times to UTC.

It is the one place that cleans foreign text before it is stored, so SQLite and PostgreSQL store the
same.
"""

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
    """Return a storable copy of a value, or the value itself if nothing has to change.

    Numbers that are not finite are left out of mappings, because JSON cannot hold them. Raises
    ValueError for a time without a time zone.
    """
    return cast("T", _sanitize_value(value))


def sanitize_text(value: str) -> str:
    """Return the text without control characters, lone surrogates and bidirectional overrides."""
    # Nearly all texts are printable and so have none of them. This test takes a tenth of the time.
    if value.isprintable() or not UNSTORABLE_CHARACTERS.search(value):
        return value
    return UNSTORABLE_CHARACTERS.sub("", value)


def to_utc(value: datetime) -> datetime:
    """Return the time in UTC. Raises ValueError if it has no time zone."""
    if value.tzinfo is UTC:
        return value
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"a time without a time zone cannot be stored: {value!r}")
    return value.astimezone(UTC) if offset else value


def _sanitize_value(value: Any) -> Any:
    kind = type(value)
    sanitizer = _SANITIZERS.get(kind)
    if sanitizer is None:
        sanitizer = _SANITIZERS.setdefault(kind, _choose_sanitizer(kind))
    return sanitizer(value)


def _choose_sanitizer(kind: type) -> Callable[[Any], Any]:
    """Return the function that cleans values of a type.

    It is chosen once per type, because a run cleans tens of millions of values.
    """
    if issubclass(kind, Enum):
        return _keep_unchanged
    if is_dataclass(kind) and (kind_fields := fields(kind)):
        names = tuple(map(attrgetter("name"), kind_fields))
        return partial(_sanitize_fields, names=names, get_values=_build_field_getter(names))
    sanitizers: dict[type, Callable[[Any], Any]] = {
        str: sanitize_text,
        datetime: to_utc,
        tuple: _sanitize_sequence,
        list: _sanitize_sequence,
        Mapping: _sanitize_mapping,
    }
    for base, sanitizer in sanitizers.items():
        if issubclass(kind, base):
            return sanitizer
    return _keep_unchanged


_SANITIZERS: dict[type, Callable[[Any], Any]] = {}


def _keep_unchanged(value: Any) -> Any:
    return value


_PLAIN_TYPES = frozenset({str, int, bool, type(None)})


def _is_plain(values: Collection[Any]) -> bool:
    """Return whether all values are printable texts and whole numbers, as most are."""
    if not set(map(type, values)) <= _PLAIN_TYPES:
        return False
    return "".join([value for value in values if type(value) is str]).isprintable()


def _sanitize_sequence(value: tuple[Any, ...] | list[Any]) -> Any:
    if _is_plain(value):
        return value
    cleaned = list(map(_sanitize_value, value))
    if all(map(is_, cleaned, value)):
        return value
    return type(value)(cleaned)


def _sanitize_mapping(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    if _is_plain((*value, *value.values())):
        return value
    cleaned = {}
    is_changed = False
    for key, inner in value.items():
        if isinstance(inner, float) and not math.isfinite(inner):
            is_changed = True
            continue
        clean_key, clean_inner = _sanitize_value(key), _sanitize_value(inner)
        cleaned[clean_key] = clean_inner
        is_changed |= clean_key is not key or clean_inner is not inner
    return cleaned if is_changed else value


def _build_field_getter(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """Return a function that returns the values of these fields as a tuple."""
    getter = attrgetter(*names)
    return getter if len(names) > 1 else lambda model: (getter(model),)


def _sanitize_fields(
    model: Any, names: Sequence[str], get_values: Callable[[Any], Sequence[Any]]
) -> Any:
    values = get_values(model)
    cleaned = list(map(_sanitize_value, values))
    if all(map(is_, cleaned, values)):
        return model
    return replace(model, **dict(zip(names, cleaned, strict=True)))
