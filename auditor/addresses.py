"""Addresses as people read them: without what every one begins with, broken between their parts. Pure."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

PARTS = re.compile(r"([/.?&=_-]+|:(?!//))")
"""Where an address may be broken: behind what parts it."""
HOST = re.compile(r"(?:http://)?[^/?]{1,24}(?=/|$)")
"""A host that fits a telephone's line stays whole."""


def breakable(address: str) -> Markup:
    """An address as a reader knows it, that a narrow screen breaks between its parts and never in a word."""
    shown = address.removeprefix("https://").rstrip("/")
    host = found[0] if (found := HOST.match(shown)) else ""
    told = PARTS.split(shown.removeprefix(host))
    return escape(host) + Markup("").join(
        escape(part) + (Markup("<wbr>") if at % 2 else "") for at, part in enumerate(told)
    )
