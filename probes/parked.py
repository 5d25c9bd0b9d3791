"""Hosts' and registrars' pages, told by what they speak of: too many hosts to know the words of each.

Such a page stands at the front of a name, leads nowhere on it, and speaks of the name or of its host, in
whatever language: registered, reserved, parked, kept on somebody's servers. It tells of nobody, so that it
gives neither an address to write to nor a telephone.
"""

from __future__ import annotations

import re

from probes import domains, statements
from probes.missing import TINY
from probes.model import Page
from probes.read import Document, host

BESIDE = 100  # characters that such a page says of something else
LABEL = 4  # letters of a host's name that a page cannot hold by chance
START = 20 * 1024  # bytes of a body in which a parking service's shell betrays itself

_DOMAIN = (
    r"(?:\bdomain(?: ?name)?\b|\bdomaine?\b|\bdom[íi]nio\b|\bdomeinnaam\b|\bdomein\b|\bdom[eé]na\b|"
    r"\bdomeny\b|"
    r"\bdom[äæe]n(?:en|et)?\b|\bverkkotunnus\w*|\bdomén|домен\w*|tên miền|alan ad\w+|ドメイン|域名|"
    r"도메인|النطاق|"
    r"الدومين|דומיין|دامنه)"
)
_TAKEN = (
    r"(?:\bregist[re]\w*|\benregistr\w*|\bréserv\w*|\breserv\w*|\bgereserv\w*|\bgeregistr\w*|\breservier\w*|"
    r"\bparke[dr]\w*|\bgeparkt\b|\bgeparkeerd\b|\bparqu\w+|\baparcad\w*|\bestacionad\w*|\balojad\w*|"
    r"\bhosted\b|"
    r"\bhébergé|\bzarejestr\w*|\bzaregistr\w*|\bzaparkov\w*|\butrzymywan\w*|\brekisteröi\w*|зарегистр\w*|"
    r"зареєстр\w*|припаркован\w*|прилинкован\w*|đăng ký|\bkay[ıi]t\w*|\btescil\w*|取得|注册|登録|등록|"
    r"مسجل|محجوز|"
    r"تم تسجيل|נרשם|ثبت|for sale|à vendre|en vente|expired?\b|expirée?\b|en venta|in vendita|te koop|zum "
    r"verkauf|"
    r"abgelaufen|caducado|scaduto|verlopen|na sprzedaż|на продажу|прода[её]тся)"
)
_AS = r"(?!\s*(?:as|comme|als|como|come)\b)"  # registered as a charity, and not as a name
_SPEAKS = re.compile(
    rf"{_DOMAIN}.{{0,60}}?{_TAKEN}{_AS}|{_TAKEN}.{{0,40}}?{_DOMAIN}"
    r"|\butrzymywan\w+ na serwerach\b|\bis (?:hosted|parked) (?:by|with|at|on) \S|\blease[ -]to[ -]own\b",
    re.IGNORECASE,
)
_REACHED = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.\w|(?:\+|\b0)\d(?:[\s./-]?\d){7,}")
_NOTHING = re.compile(r"(?!)")
_SHELL = re.compile(rb"data-adblockkey\s*=|window\.park\s*=\s*[\"']")


def notice(document: Document) -> str | None:
    """The words by which a front page speaks of its own name and of nothing else; None where it does not."""
    if document.inner or len(document.text) > TINY or _reached(document):
        return None
    found = _SPEAKS.search(f"{document.title} {document.text}")
    if found is None or not (_names_itself(document) or _is_signed(document)):
        return None
    beside = [said for said in statements.others(_NOTHING, document) if not _SPEAKS.search(said)]
    return found[0] if len(" ".join(beside)) <= BESIDE else None


def is_shell(page: Page) -> bool:
    """Whether a page holds the marks that parking services (Bodis, users of Google's feed) leave in it."""
    return bool(_SHELL.search(page.body[:START]))


def _reached(document: Document) -> bool:
    ways = (anchor.url for anchor in document.anchors)
    return bool(_REACHED.search(document.text)) or any(way.startswith(("mailto:", "tel:")) for way in ways)


def _names_itself(document: Document) -> bool:
    """Whether the page writes the name of its own host out."""
    name = domains.plain(host(document.url))
    return bool(name) and name in f"{document.title} {document.text}".lower()


def _is_signed(document: Document) -> bool:
    """Whether the page names a site that it links to: its host, by whom it is made."""
    said = f"{document.title} {document.text}".lower()
    names = {domains.registrable(host(anchor.url)).partition(".")[0] for anchor in document.anchors}
    own = domains.registrable(host(document.url)).partition(".")[0]
    return any(len(name) >= LABEL and name in said for name in names - {own})
