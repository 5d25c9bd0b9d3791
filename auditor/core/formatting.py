"""Output formats that commands, pages and exports share: JSON documents, time stamps, single lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

SCHEMA = 1
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]+")


def document(items: Iterable[Mapping[str, Any]], now: datetime) -> str:
    """The JSON of every reading command: `{"schema": 1, "generated_at": …, "items": […]}`, an item a line."""
    return "".join(document_parts(items, now))


def document_parts(items: Iterable[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    """The same, item by item, for items that need not be held."""
    return document_of(map(written, items), now)


def document_of(items: Iterable[str], now: datetime) -> Iterator[str]:
    """The same of items that are `written` already."""
    yield f'{{"schema": {SCHEMA}, "generated_at": "{stamp(now)}", "items": ['
    before = "\n"
    for item in items:
        yield before + item
        before = ",\n"
    yield "]}" if before == "\n" else "\n]}"


def written(item: Mapping[str, Any]) -> str:
    """One item as JSON."""
    return _JSON.encode(item)


def stamp(moment: datetime) -> str:
    """A moment in ISO 8601, UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return stamp(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_JSON = json.JSONEncoder(ensure_ascii=False, default=_plain)


def one_line(value: object) -> str:
    """A cell as text without line breaks, tabs, terminal controls or direction overrides."""
    text = "" if value is None else str(value)
    return (text if text.isprintable() else CONTROLS.sub(" ", text)).strip()


def instant(moment: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC, with a Z."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
