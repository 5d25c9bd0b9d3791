"""Where a list goes on: the key of its last row as a short string that means nothing to anybody else."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from storage.sanitize import clean

MOST = 2**62


def written(key: Sequence[Any]) -> str:
    """A key as a cursor."""
    told = json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def read(cursor: str | None, beginning: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key of a cursor; the beginning where it is none, as of somebody who edits addresses."""
    try:
        padded = (cursor or "").encode() + b"==="
        key = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return beginning
    fits = isinstance(key, list) and [*map(type, key)] == [*map(type, beginning)]
    return tuple(map(_fit, key)) if fits else beginning


def _fit(part: Any) -> Any:
    """A part as every database takes it."""
    return clean(part) if isinstance(part, str) else max(-MOST, min(part, MOST))
