"""Normalize phone numbers, and build the links that call them or write to them."""

import re
import unicodedata
from urllib.parse import quote

HOME_COUNTRY_CODE = "212"
"""Country code of Morocco, assumed for numbers without a country code."""
PHONE_SEPARATOR_PATTERN = re.compile(r"[/;,|\n]|\s(?:ou|et|or|and|أو|و)\s", re.IGNORECASE)
"""Separator between two numbers in one cell. Only the first number is used."""
TRUNK_PREFIX_PATTERN = re.compile(r"\(0\)")
"""The trunk prefix in +212 (0)6 …, which is dialled within the country only."""
MOROCCAN_NUMBER_PATTERN = re.compile(r"[5-8]\d{8}")
E164_NUMBER_PATTERN = re.compile(r"[1-9]\d{7,14}")
"""A number with its country code has 8 to 15 digits (E.164)."""


def normalize_phone(phone: str | None) -> str | None:
    """Return the number with its country code and without a plus, as `212612345678`.

    Return None if it is not a valid number. Moroccan numbers are accepted as 06…, 07…, 05…, +212…,
    00212…, 212… and without the leading zero, which spreadsheets drop. Other numbers must begin
    with + or 00.
    """
    number = _get_first_number(phone or "")
    digits = "".join(re.findall(r"\d", number))
    if number.startswith("+"):
        return _normalize_country_number(digits)
    if digits.startswith("00"):
        return _normalize_country_number(digits[2:])
    if digits.startswith(HOME_COUNTRY_CODE) and len(digits) > 9:
        return _normalize_country_number(digits)
    return _normalize_national_number(digits)


def _normalize_country_number(digits: str) -> str | None:
    if digits.startswith(HOME_COUNTRY_CODE):
        return _normalize_national_number(digits.removeprefix(HOME_COUNTRY_CODE))
    return digits if E164_NUMBER_PATTERN.fullmatch(digits) else None


def _normalize_national_number(digits: str) -> str | None:
    number = digits.removeprefix("0")
    return f"{HOME_COUNTRY_CODE}{number}" if MOROCCAN_NUMBER_PATTERN.fullmatch(number) else None


def _get_first_number(phone: str) -> str:
    first_number = PHONE_SEPARATOR_PATTERN.split(_clean_phone_text(phone), maxsplit=1)[0]
    return TRUNK_PREFIX_PATTERN.sub("", first_number).strip()


def _clean_phone_text(phone: str) -> str:
    """Return the text with Western digits and without invisible direction marks."""
    normalized = unicodedata.normalize("NFKC", phone)
    western = (str(unicodedata.digit(char, char)) for char in normalized)
    return "".join(char for char in western if unicodedata.category(char) != "Cf").strip()


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
