"""Makes nouns fit to be stored: text without what no database or page should carry, instants in UTC.

It is the one place where foreign text is cleaned on its way in, so SQLite and PostgreSQL keep the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, cast

from probes.charset import UNFIT

T = TypeVar("T")


def clean(value: T) -> T:
    """The same noun, fit to be stored; the very same object where nothing had to change.

    Facts that are no finite number are dropped: JSON has no word for them. Raises ValueError for an
    instant without a time zone.
    """
    return cast("T", _clean(value))


def text(value: str) -> str:
    """The text without control characters, lone surrogates and bidirectional overrides."""
    return UNFIT.sub("", value) if UNFIT.search(value) else value


def instant(value: datetime) -> datetime:
    """The instant in UTC. Raises ValueError where it has no time zone."""
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"an instant without a time zone cannot be stored: {value!r}")
    return value.astimezone(UTC) if offset else value


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else text(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, tuple | list):
        return _clean_sequence(value)
    if isinstance(value, Mapping):
        return _clean_mapping(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _clean_fields(value)
    return value


def _clean_sequence(value: tuple[Any, ...] | list[Any]) -> Any:
    fit = [_clean(inner) for inner in value]
    same = all(new is old for new, old in zip(fit, value, strict=True))
    return value if same else type(value)(fit)


def _clean_mapping(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    fit = {_clean(key): _clean(inner) for key, inner in value.items() if _writable(inner)}
    same = len(fit) == len(value) and all(fit.get(key) is inner for key, inner in value.items())
    return value if same else fit


def _clean_fields(noun: Any) -> Any:
    changes = {}
    for field in fields(noun):
        old = getattr(noun, field.name)
        new = _clean(old)
        if new is not old:
            changes[field.name] = new
    return replace(noun, **changes) if changes else noun


def _writable(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
