"""Who runs an association's channels (nobody, a volunteer, a dedicated person): as people write it."""

from __future__ import annotations

from auditor.columns import bare
from auditor.wording import Wording
from probes.cells import nothing

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
