"""Lists of posts that publishing systems answer in JSON, read as feeds: WordPress, WordPress.com, Drupal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from probes.charset import decoded
from probes.feeds import ENTRIES, Entry, Feed, entry, fields
from probes.model import Page


def posts(page: Page) -> Feed | None:
    """WordPress's REST list (`date_gmt`, `title.rendered`), or that of WordPress.com's own interface."""
    told = _json(page)
    rows = told.get("posts") if isinstance(told, dict) else told
    return _feed(rows) if isinstance(rows, list) else None


def nodes(page: Page) -> Feed | None:
    """Drupal's JSON:API list of articles: `data`, each with `attributes`."""
    told = _json(page)
    rows = told.get("data") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        return None
    return _feed([row.get("attributes") for row in rows if isinstance(row, dict)])


def _json(page: Page) -> Any:
    try:
        return json.loads(decoded(page))
    except (ValueError, RecursionError):
        return None


def _feed(rows: Iterable[Any]) -> Feed:
    told = [_entry(row) for row in rows if isinstance(row, dict)]
    return Feed("", comments=False, entries=tuple(told[:ENTRIES]))


def _entry(row: Mapping[str, Any]) -> Entry:
    """A row as an entry; an empty `date_gmt` (0000-00-00) of a draft gives way to `date`."""
    named = fields(row)
    first = {"published": named.get("date_gmt", ""), "description": named.get("excerpt", "")}
    return entry({**named, **first, "updated": "", "modified": ""})
