"""Words whose letters did not outlive being saved: a program wrote what its encoding does not have. Pure."""

from __future__ import annotations

import re

MARKS = re.compile(r"[^\w?]*\?{2,}[\W\d]*")
"""Question marks alone: what an encoding without Arabic makes of Arabic words."""
LATIN_OF_ARABIC = re.compile("[\xd8\xd9][^A-Za-z ]")
"""A letter of Arabic in UTF-8 that was read as two of Latin."""
MANY = 3
LOOKED_AT = 200
"""So many signs tell."""


def is_lost(words: str) -> bool:
    """Whether these were other words before a program saved them."""
    first = words[:LOOKED_AT]
    return bool(MARKS.fullmatch(first)) or len(LATIN_OF_ARABIC.findall(first)) >= MANY
