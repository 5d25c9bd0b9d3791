"""Normalize phone numbers, and build the links that call them or write to them."""

import re
import unicodedata
from urllib.parse import quote

HOME_COUNTRY_CODE = "212"
"""Country code of Morocco, assumed for numbers without a country code."""
PHONE_SEPARATOR_PATTERN = re.compile(r"[/;,|\n]|\s(?:ou|et|or|and|أو|و)\s", re.IGNORECASE)
"""Separator between two numbers in one cell. Only the first number is used."""
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
    digits = re.sub(r"\D", "", number)
    has_country_code = number.startswith("+")
    if not has_country_code and digits.startswith("00"):
        has_country_code, digits = True, digits[2:]
    is_home = digits.startswith(HOME_COUNTRY_CODE) and (has_country_code or len(digits) > 9)
    if has_country_code and not is_home:
        return digits if E164_NUMBER_PATTERN.fullmatch(digits) else None
    national = (digits.removeprefix(HOME_COUNTRY_CODE) if is_home else digits).removeprefix("0")
    is_valid = MOROCCAN_NUMBER_PATTERN.fullmatch(national)
    return f"{HOME_COUNTRY_CODE}{national}" if is_valid else None


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
