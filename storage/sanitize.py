"""Makes models storable: removes unsafe characters from text and converts times to UTC.

It is the one place that cleans foreign text before it is stored, so SQLite and PostgreSQL store the
same.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache, singledispatch
from itertools import chain
from operator import is_
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
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"a time without a time zone cannot be stored: {value!r}")
    return value.astimezone(UTC) if offset else value


@singledispatch
def _sanitize_value(value: Any) -> Any:
    """Return a model with storable fields. Numbers and values of other types are storable."""
    changes = {}
    for name in _list_field_names(type(value)):  # type: ignore[arg-type]
        old = getattr(value, name)
        # Nearly all fields are like this, and the dispatch takes ten times as long as the test.
        if old is None or (type(old) is str and old.isprintable()):
            continue
        new = _sanitize_value(old)
        if new is not old:
            changes[name] = new
    return replace(value, **changes) if changes else value


_sanitize_value.register(str, sanitize_text)
_sanitize_value.register(datetime, to_utc)


@_sanitize_value.register(tuple)
@_sanitize_value.register(list)
def _sanitize_sequence(value: Any) -> Any:
    cleaned = list(map(_sanitize_value, value))
    return value if all(map(is_, cleaned, value)) else type(value)(cleaned)


@_sanitize_value.register(Mapping)
def _sanitize_mapping(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    cleaned = {}
    for key, inner in value.items():
        if not isinstance(inner, float) or math.isfinite(inner):
            cleaned[_sanitize_value(key)] = _sanitize_value(inner)
    is_same = all(map(is_, chain(*cleaned.items()), chain(*value.items())))
    return value if is_same and len(cleaned) == len(value) else cleaned


@cache
def _list_field_names(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of a model, none of another type. They are read once."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
