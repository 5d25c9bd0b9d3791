"""JSON-LD blocks of a page as plain objects; of a broken one what can be told without doubt.

Ways through JSON of no certain shape: what is not as hoped is empty, and nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from probes.text.lazy_regex import pattern

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


def object_of(node: Any) -> dict[str, Any]:
    """The node, if it is an object."""
    return node if isinstance(node, dict) else {}


def list_of(node: Any) -> list[Any]:
    """The node, if it is a list."""
    return node if isinstance(node, list) else []


def objects_in(node: Any) -> list[dict[str, Any]]:
    """The objects that an object holds, whatever their names."""
    return [value for value in object_of(node).values() if isinstance(value, dict)]


def at(node: Any, *path: str) -> Any:
    """What is found by these names, one below the other; None where the way ends."""
    for name in path:
        node = object_of(node).get(name)
    return node


def walk(root: Any) -> Iterator[dict[str, Any]]:
    """Every object below, in the order of the page."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(node.values()))
        elif isinstance(node, list):
            waiting.extend(reversed(node))
