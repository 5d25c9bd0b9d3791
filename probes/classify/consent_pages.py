"""Gates: pages that ask for consent, or for money, before they show anything.

A banner about cookies stands on half of all pages. It is the page where its heading speaks of nothing else,
where most of what is said is about it, and where an answer is asked for.
"""

from __future__ import annotations

import re

from probes.classify import self_statements
from probes.models.finding import Reason
from probes.parsing.html import Document
from probes.text.lazy_regex import pattern

LITTLE = 900  # characters: a page with more to say is none
MOST = 0.6  # of what it says
HEADS = 3  # headings: where one speaks of something else, the others are a banner's
MENU = 3  # other pages of the site: a gate leads to the terms and to the till, at most

_CONSENT = pattern(
    r"cookie|consent|privacy|tracking|personal(?:i[sz]ed)? (?:data|ads|information)|our partners|before "
    r"you continue|"
    r"vie privée|consentement|données personnelles|informations personnelles|nos partenaires|avant de "
    r"continuer|"
    r"traceurs|votre accord|publicité personnalisée|"
    r"datenschutz|einwilligung|zustimm|mit werbung|werbung und tracking|\bpur[- ]abo|unsere partner|"
    r"privacidad|consentimiento|nuestros socios|privacidade|parceiros|riservatezza|nostri partner|"
    r"toestemming|onze partners|samtycke|samtykke|integritet|personvern|"
    r"ملفات تعريف الارتباط|الخصوصية|شركاؤنا|الكوكيز",
    re.IGNORECASE,
)
_ANSWER = pattern(
    r"accept|agree|subscribe|reject all|allow all|\baccord\b|s.abonner|abonnez|abonner|refuser|"
    r"akzeptier|zustimmen|einverstanden|abonnier|\babo\b|acept|aceit|suscr[ií]b|rechaz|accett|abbonati|"
    r"rifiut|"
    r"akkoord|accepteren|weigeren|godkänn|godkend|godta|أوافق|موافق|قبول|اشترك",
    re.IGNORECASE,
)
_PAID = pattern(
    r"subscribe (?:now )?to (?:continue|keep|read)|limit of free articles|reached your (?:free "
    r")?(?:article )?limit|"
    r"abonnez-vous pour (?:lire|continuer|accéder)|réservé aux abonnés|nur für abonnenten|"
    r"suscr[ií]bete para (?:seguir|leer|continuar)|assine para continuar|abbonati per (?:continuare|leggere)|"
    r"اشترك لمتابعة القراءة",
    re.IGNORECASE,
)


def before(document: Document) -> tuple[Reason, str] | None:
    """What such a page asks for first, with the words; None where it is none."""
    if document.inner >= MENU or len(document.text) > LITTLE:
        return None
    heads = document.headings[:HEADS] or (document.title,)
    head = heads[0]
    if all(map(_CONSENT.search, heads)) and _asks_consent(document):
        return Reason.CONSENT, head[:80]
    paid = _PAID.search(head)
    return (Reason.LOGIN_WALL, paid[0]) if paid else None


def _asks_consent(document: Document) -> bool:
    """Whether most of what a page says is about consent, and an answer to it is asked for."""
    about = sum(len(said) + 1 for said in self_statements.sentences(document) if _is_about(said))
    return about >= MOST * len(document.text) and _ANSWER.search(document.text) is not None


def _is_about(text: str) -> bool:
    return bool(_CONSENT.search(text) or _ANSWER.search(text))
