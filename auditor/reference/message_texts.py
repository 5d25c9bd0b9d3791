"""Texts that are sent: WhatsApp messages, mails to associations, subject lines of the digest."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import tomli

MessageTexts = Mapping[str, str | Mapping[str, str]]
"""A text by language; one with plural forms has a text for each category of Unicode CLDR."""


def get_message_texts(key: str) -> MessageTexts:
    """Return a text by language, such as `whatsapp.problem`. Raises KeyError if it is unknown."""
    return load_message_texts()[key]


@cache
def load_message_texts() -> dict[str, MessageTexts]:
    """Return all texts of `message_texts.toml` by key. Commands that send nothing need none."""
    file = files("auditor.reference").joinpath("message_texts.toml")
    return dict(_iter_texts(tomli.loads(file.read_text("utf-8")), ""))


def _iter_texts(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, MessageTexts]]:
    for name, value in table.items():
        if "en" in value:
            yield f"{prefix}{name}", value
        else:
            yield from _iter_texts(value, f"{prefix}{name}.")
