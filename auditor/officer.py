"""Who runs an association's channels (nobody, a volunteer, a dedicated person): as people write it."""

from __future__ import annotations

from auditor.columns import bare
from auditor.wording import Wording

CODES = ("nobody", "volunteer", "dedicated")
"""The answers of the survey, from the weakest to the strongest."""

SAID = {
    "nobody": "nobody, no one, none, aucun, aucune, aucune personne, personne, pas de responsable, "
    "لا احد, لا يوجد, لا شخص, بدون مكلف, لا مكلف",
    "volunteer": "volunteer, a volunteer, volunteers, benevole, un benevole, une benevole, benevoles, "
    "volontaire, متطوع, متطوعة, متطوعون, متطوعات, متطوع او متطوعة, شخص متطوع",
    "dedicated": "dedicated, dedicated person, a dedicated person, employee, staff, paid, salarie, salariee, "
    "un salarie, une salariee, personne dediee, une personne dediee, permanent, permanente, "
    "charge de communication, chargee de communication, charge e de communication, "
    "شخص متفرغ, متفرغ, متفرغة, موظف, موظفة, اجير, اجيرة, "
    "مكلف بالتواصل, مكلفة بالتواصل, المكلف بالتواصل, المكلفة بالتواصل",
}
CODE = {bare(said): code for code, sayings in SAID.items() for said in sayings.split(",")}


def officer_of(text: str | None) -> str | None:
    """The code that a cell means. Any other text, as a name, is kept: it says that there is somebody."""
    return CODE.get(bare(text), text) if text else None


def officer(who: str | None, words: Wording | None) -> str | None:
    """Who runs the channels, in words; a name as it is."""
    return words.term("officer", who) if who and words else who
