"""Output formats of commands, pages and exports: JSON documents, timestamps, single lines."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

SCHEMA_VERSION = 1
CONTROL_CHARACTERS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]+"
)


def build_json_document(items: Iterable[Mapping[str, Any]], now: datetime) -> str:
    """Return the JSON document of a reading command, with one item per line.

    `{"schema": 1, "generated_at": …, "items": […]}`
    """
    return "".join(iter_json_document(items, now))


def iter_json_document(items: Iterable[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    """Yield the JSON document item by item."""
    return iter_encoded_document(map(encode_json_item, items), now)


def iter_encoded_document(items: Iterable[str], now: datetime) -> Iterator[str]:
    """Yield the JSON document of items that are already encoded."""
    yield f'{{"schema": {SCHEMA_VERSION}, "generated_at": "{format_timestamp(now)}", "items": ['
    before = "\n"
    for item in items:
        yield before + item
        before = ",\n"
    yield "]}" if before == "\n" else "\n]}"


def encode_json_item(item: Mapping[str, Any]) -> str:
    """Return one item as JSON."""
    return _JSON_ENCODER.encode(item)


def format_timestamp(timestamp: datetime) -> str:
    """Return a time in the form of JSON, exports and run reports: `2026-11-01T00:30:00Z`."""
    return timestamp.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _encode_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_JSON_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_encode_default)


def to_single_line(value: object) -> str:
    """Return text without line breaks, tabs, control characters or direction overrides."""
    text = "" if value is None else str(value)
    return (text if text.isprintable() else CONTROL_CHARACTERS.sub(" ", text)).strip()


def format_optional_timestamp(timestamp: datetime | None) -> str | None:
    """Return a time as `format_timestamp` does, or None."""
    return format_timestamp(timestamp) if timestamp else None
