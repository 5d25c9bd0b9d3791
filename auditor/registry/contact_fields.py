"""Telephone numbers as registries hold them, made into what WhatsApp takes. Pure.

Who runs an association's channels (nobody, a volunteer, a dedicated person): as people write it.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from auditor.i18n.wording import Wording
from auditor.registry.columns import bare
from probes.links.cells import nothing

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


CODES = ("nobody", "volunteer", "dedicated")
"""The answers of the survey, from the weakest to the strongest."""

SAID = {
    "nobody": "nobody, no one, none, no, aucun, aucune, aucune personne, personne, non, pas de responsable, "
    "لا احد, لا يوجد, لا شخص, بدون مكلف, لا مكلف, لا",
    "volunteer": "volunteer, a volunteer, volunteers, benevole, un benevole, une benevole, benevoles, "
    "volontaire, متطوع, متطوعة, متطوعون, متطوعات, متطوع او متطوعة, شخص متطوع",
    "dedicated": "dedicated, dedicated person, a dedicated person, employee, staff, paid, salarie, salariee, "
    "un salarie, une salariee, personne dediee, une personne dediee, permanent, permanente, "
    "charge de communication, chargee de communication, charge e de communication, "
    "شخص متفرغ, متفرغ, متفرغة, موظف, موظفة, اجير, اجيرة, "
    "مكلف بالتواصل, مكلفة بالتواصل, المكلف بالتواصل, المكلفة بالتواصل",
}
SHORTEST_NAME, SHORTEST_NUMBER = 2, 6
UNSAID = frozenset(map(bare, ("oui", "yes", "ok", "vrai", "true", "نعم", "يوجد")))
"""Answers that say neither who nor of what kind."""
CODE = {bare(said): code for code, sayings in SAID.items() for said in sayings.split(",")}


def officer_of(text: str | None) -> str | None:
    """The code that a cell means. Any other text, as a name, is kept: it says that there is somebody."""
    return CODE.get(bare(text), text) if text else None


def officer(who: str | None, words: Wording | None) -> str | None:
    """Who runs the channels, in words; a name as it is."""
    return words.term("officer", who) if who and words else who


def is_somebody(text: str) -> bool:
    """Whether a cell that is no code can name a person: by a name, a number to call or an address."""
    is_long = sum(map(str.isalpha, text)) >= SHORTEST_NAME or sum(map(str.isdigit, text)) >= SHORTEST_NUMBER
    return is_long and bare(text) not in UNSAID and not nothing(text)
