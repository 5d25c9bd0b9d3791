"""Telephone numbers as registries hold them, made into what WhatsApp takes. Pure."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

HOME = "212"
"""Morocco, where a number without a country belongs."""
SEVERAL = re.compile(r"[/;,|\n]|\s(?:ou|et|or|and|أو|و)\s", re.IGNORECASE)
"""What stands between two numbers of one cell; the first is taken."""
TRUNK = re.compile(r"\(0\)")
"""As in +212 (0)6 …: dialled at home only."""
AT_HOME = re.compile(r"[5-8]\d{8}")
ABROAD = re.compile(r"[1-9]\d{7,14}")
"""A number with its country has 8 to 15 digits (E.164)."""


def international(phone: str | None) -> str | None:
    """The number with its country and without a sign, as `212612345678`; None where it cannot be told.

    Moroccan numbers are known as 06…, 07…, 05…, +212…, 00212…, 212… and without the leading zero, which
    spreadsheets drop; any other has to begin with + or 00.
    """
    first = SEVERAL.split(_plain(phone or ""), maxsplit=1)[0]
    bare = TRUNK.sub("", first).strip()
    digits = "".join(re.findall(r"\d", bare))
    if bare.startswith("+"):
        return _with_country(digits)
    if digits.startswith("00"):
        return _with_country(digits[2:])
    if digits.startswith(HOME) and len(digits) > 9:
        return _with_country(digits)
    national = digits.removeprefix("0")
    return f"{HOME}{national}" if AT_HOME.fullmatch(national) else None


def _with_country(digits: str) -> str | None:
    if digits.startswith(HOME):
        national = digits.removeprefix(HOME).removeprefix("0")
        return f"{HOME}{national}" if AT_HOME.fullmatch(national) else None
    return digits if ABROAD.fullmatch(digits) else None


def _plain(phone: str) -> str:
    """The text with Western digits, and without the marks of direction that were copied along."""
    spelt = (str(unicodedata.digit(sign, sign)) for sign in unicodedata.normalize("NFKC", phone))
    return "".join(sign for sign in spelt if unicodedata.category(sign) != "Cf").strip()


def whatsapp(phone: str | None, text: str) -> str | None:
    """The link that opens WhatsApp on a number with a text ready to send; None without such a number."""
    number = international(phone)
    return f"https://wa.me/{number}?text={quote(text, safe='')}" if number else None
