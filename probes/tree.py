"""Ways through JSON of no certain shape: what is not as hoped is empty, and nothing here raises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


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
