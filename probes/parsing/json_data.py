"""Reads JSON-LD blocks and navigates JSON of unknown shape.

Missing or unexpected data gives empty results.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_JSON_LD_OBJECTS = 200
"""Objects of JSON-LD that are read of a page."""
MAX_BROKEN_JSON_LD_CHARS = 100_000
"""Characters of a damaged JSON-LD block that are searched."""
_decode_json = json.JSONDecoder(strict=False).decode


def parse_json_ld(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a JSON-LD block, those in `@graph` and lists included."""
    try:
        bare_text = text.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";")
        data = _decode_json(bare_text)
    except (ValueError, RecursionError):
        # Only if the block has exactly one publication date. Several dates belong to a list of
        # pages.
        types = _TYPE_PROPERTY.findall(text[:MAX_BROKEN_JSON_LD_CHARS])
        dates = set(_DATE_PUBLISHED_PROPERTY.findall(text[:MAX_BROKEN_JSON_LD_CHARS]))
        if types and len(dates) == 1:
            yield {"@type": types[0], "datePublished": dates.pop()}
        return
    queue = [data]
    for _ in range(MAX_JSON_LD_OBJECTS):
        if not queue:
            return
        node = queue.pop(0)
        if isinstance(node, list):
            queue = node[:MAX_JSON_LD_OBJECTS] + queue
        elif isinstance(node, dict):
            yield node
            queue = [
                node[key] for key in ("@graph", "mainEntity", "publisher", "author") if key in node
            ] + queue


_TYPE_PROPERTY = re.compile(r"\"@type\"\s*:\s*\"(\w{3,40})\"")
_DATE_PUBLISHED_PROPERTY = re.compile(r"\"datePublished\"\s*:\s*\"([^\"<>]{8,40})\"")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, or None if it is damaged or nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_object(node: Any) -> dict[str, Any]:
    """Return the node if it is an object, else an empty one."""
    return node if isinstance(node, dict) else {}


def as_list(node: Any) -> list[Any]:
    """Return the node if it is a list, else an empty one."""
    return node if isinstance(node, list) else []


def list_schema_types(schema: Mapping[str, Any]) -> list[str]:
    """Return the types of a JSON-LD object, which may have one or several."""
    return list(map(str, list_property_values(schema, "@type")))


def list_property_values(schema: Mapping[str, Any], name: str) -> list[Any]:
    """Return the values of a property of a JSON-LD object, which may be one value or a list."""
    values = schema.get(name, "")
    return as_list(values) or [values]


def list_child_objects(node: Any) -> list[dict[str, Any]]:
    """Return the values of an object that are objects."""
    return [value for value in as_object(node).values() if isinstance(value, dict)]


def get_nested(node: Any, *keys: str) -> Any:
    """Return the value at a path of keys, or None if it does not exist."""
    for key in keys:
        node = as_object(node).get(key)
    return node


def get_text(node: Any, *keys: str) -> str:
    """Return the text at a path of keys, or "" if it does not exist or is no text."""
    value = get_nested(node, *keys)
    return value if isinstance(value, str) else ""


def iter_objects(root: Any) -> Iterator[dict[str, Any]]:
    """Yield the root and every nested object, in document order."""
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(reversed(node.values()))
        elif isinstance(node, list):
            stack.extend(reversed(node))
