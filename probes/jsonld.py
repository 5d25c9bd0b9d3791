"""JSON-LD blocks of a page as plain objects; of a broken one what can be told without doubt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from probes.pattern import pattern

THINGS = 200
_decoded = json.JSONDecoder(strict=False).decode
_INNER = ("@graph", "mainEntity", "publisher", "author")


def schemas(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a block, `@graph` and lists unfolded."""
    try:
        found = _decoded(text.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";"))
    except (ValueError, RecursionError):
        yield from _salvaged(text)
        return
    waiting = [found]
    for _ in range(THINGS):
        if not waiting:
            return
        thing = waiting.pop(0)
        if isinstance(thing, list):
            waiting = thing[:100] + waiting
        elif isinstance(thing, dict):
            yield thing
            waiting = [thing[key] for key in _INNER if key in thing] + waiting


_TYPE = pattern(r"\"@type\"\s*:\s*\"(\w{3,40})\"")
_PUBLISHED = pattern(r"\"datePublished\"\s*:\s*\"([^\"<>]{8,40})\"")


def _salvaged(text: str) -> Iterator[Mapping[str, Any]]:
    """The day of publication in a block that a quotation mark in a title or a lost comma broke.

    Only where the block has one such day and its first type: two would be a list.
    """
    kinds, days = _TYPE.findall(text[:20_000]), set(_PUBLISHED.findall(text[:100_000]))
    if kinds and len(days) == 1:
        yield {"@type": kinds[0], "datePublished": days.pop()}
