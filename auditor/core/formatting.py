"""Forms of values: JSON documents, timestamps, single lines, phone numbers, digests of tokens."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

SCHEMA_VERSION = 1
CONTROL_CHARACTERS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]+"
)


def build_json_document(items: Iterable[Mapping[str, Any]], now: datetime) -> str:
    """Return the JSON document of a reading command, with one item per line.

    `{"schema": 1, "generated_at": …, "items": […]}`
    """
    return "".join(iter_json_document(items, now))


def iter_json_document(items: Iterable[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    """Yield the JSON document item by item."""
    yield f'{{"schema": {SCHEMA_VERSION}, "generated_at": "{format_timestamp(now)}", "items": ['
    before = "\n"
    for item in items:
        yield before + _JSON_ENCODER.encode(item)
        before = ",\n"
    yield "]}" if before == "\n" else "\n]}"


def _encode_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_JSON_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_encode_default)


def format_timestamp(timestamp: datetime) -> str:
    """Return a time in the form of JSON, exports and run reports: `2026-11-01T00:30:00Z`."""
    return timestamp.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def to_single_line(value: object) -> str:
    """Return text without line breaks, tabs, control characters or direction overrides."""
    text = "" if value is None else str(value)
    return (text if text.isprintable() else CONTROL_CHARACTERS.sub(" ", text)).strip()


def format_optional_timestamp(timestamp: datetime | None) -> str | None:
    """Return a time as `format_timestamp` does, or None."""
    return format_timestamp(timestamp) if timestamp else None


HOME_COUNTRY_CODE = "212"
"""Country code of Morocco, assumed for numbers without a country code."""
PHONE_SEPARATOR_PATTERN = re.compile(r"[/;,|\n]|\s(?:ou|et|or|and|أو|و)\s", re.IGNORECASE)
"""Separator between two numbers in one cell. Only the first number is used."""
MOROCCAN_PREFIX_PATTERN = re.compile(r"^(?:\+?212)?0?(?=[5-8]\d{8}$)")
"""What may precede the nine digits of a Moroccan number."""
E164_NUMBER_PATTERN = re.compile(r"\+(212[5-8]\d{8}|(?!212)[1-9]\d{7,14})")
"""A number with its country code has 8 to 15 digits (E.164)."""


@lru_cache(maxsize=1024)
def normalize_phone(phone: str | None) -> str | None:
    """Return the number with its country code and without a plus, as `212612345678`.

    Return None if it is not a valid number. Moroccan numbers are accepted as 06…, 07…, 05…, +212…,
    00212…, 212… and without the leading zero, which spreadsheets drop. Other numbers must begin
    with + or 00.
    """
    number = re.sub(r"(?!^\+)\D", "", _get_first_number(phone or ""))
    number = re.sub("^00", "+", number)
    number = MOROCCAN_PREFIX_PATTERN.sub(f"+{HOME_COUNTRY_CODE}", number)
    match = E164_NUMBER_PATTERN.fullmatch(number)
    return match[1] if match else None


def _get_first_number(phone: str) -> str:
    """Return the first number of a cell, with Western digits and without direction marks.

    The trunk prefix in +212 (0)6 … is left out: it is dialled within the country only.
    """
    letters = [
        str(unicodedata.digit(char, char))
        for char in unicodedata.normalize("NFKC", phone)
        if unicodedata.category(char) != "Cf"
    ]
    first_number = PHONE_SEPARATOR_PATTERN.split("".join(letters).strip(), maxsplit=1)[0]
    return first_number.replace("(0)", "").strip()


def build_whatsapp_url(phone: str | None, text: str = "") -> str | None:
    """Return a WhatsApp link, with a prepared message if given; None without a valid number."""
    number = normalize_phone(phone)
    if number is None:
        return None
    query = f"?text={quote(text, safe='')}" if text else ""
    return f"https://wa.me/{number}{query}"


def get_dialable_number(phone: str) -> str:
    """Return the number for a `tel:` link, with its country code if it is a valid number.

    Of an invalid one, such as a short number, return the digits.
    """
    number = normalize_phone(phone)
    if number is not None:
        return f"+{number}"
    return "".join(char for char in _get_first_number(phone) if char in "+0123456789")


TOKEN_BYTES = 32
"""Random bytes of a token (256 bits)."""


def hash_token(token: str) -> str:
    """Return the digest to store. A plain hash is enough, because a token has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
