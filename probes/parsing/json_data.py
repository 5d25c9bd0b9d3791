"""JSON-LD blocks of a page as plain objects; of a broken one what can be told without doubt.

Ways through JSON of no certain shape: what is not as hoped is empty, and nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from probes.text.lazy_regex import lazy_regex

MAX_JSON_LD_OBJECTS = 200
_decode_json = json.JSONDecoder(strict=False).decode
_NESTED_KEYS = ("@graph", "mainEntity", "publisher", "author")


def parse_json_ld(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a block, `@graph` and lists unfolded."""
    try:
        found = _decode_json(
            text.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";")
        )
    except (ValueError, RecursionError):
        yield from _salvage_broken_json_ld(text)
        return
    waiting = [found]
    for _ in range(MAX_JSON_LD_OBJECTS):
        if not waiting:
            return
        thing = waiting.pop(0)
        if isinstance(thing, list):
            waiting = thing[:100] + waiting
        elif isinstance(thing, dict):
            yield thing
            waiting = [thing[key] for key in _NESTED_KEYS if key in thing] + waiting


_TYPE_PROPERTY = lazy_regex(r"\"@type\"\s*:\s*\"(\w{3,40})\"")
_DATE_PUBLISHED_PROPERTY = lazy_regex(r"\"datePublished\"\s*:\s*\"([^\"<>]{8,40})\"")


def _salvage_broken_json_ld(text: str) -> Iterator[Mapping[str, Any]]:
    """The day of publication in a block that a quotation mark in a title or a lost comma broke.

    Only where the block has one such day and its first type: two would be a list.
    """
    kinds, days = (
        _TYPE_PROPERTY.findall(text[:20_000]),
        set(_DATE_PUBLISHED_PROPERTY.findall(text[:100_000])),
    )
    if kinds and len(days) == 1:
        yield {"@type": kinds[0], "datePublished": days.pop()}


def as_object(node: Any) -> dict[str, Any]:
    """The node, if it is an object."""
    return node if isinstance(node, dict) else {}


def as_list(node: Any) -> list[Any]:
    """The node, if it is a list."""
    return node if isinstance(node, list) else []


def list_child_objects(node: Any) -> list[dict[str, Any]]:
    """The objects that an object holds, whatever their names."""
    return [value for value in as_object(node).values() if isinstance(value, dict)]


def get_nested(node: Any, *keys: str) -> Any:
    """What is found by these names, one below the other; None where the way ends."""
    for name in keys:
        node = as_object(node).get(name)
    return node


def iter_objects(root: Any) -> Iterator[dict[str, Any]]:
    """Every object below, in the order of the page."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(node.values()))
        elif isinstance(node, list):
            waiting.extend(reversed(node))
