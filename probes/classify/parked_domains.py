"""Hosts' and registrars' pages, told by what they speak of: too many hosts to know the words of each.

Such a page stands at the front of a name, leads nowhere on it, and speaks of the name or of its host, in
whatever language: registered, reserved, parked, kept on somebody's servers. It tells of nobody, so that it
gives neither an address to write to nor a telephone.
"""

from __future__ import annotations

import re

from probes.classify import self_statements
from probes.classify.soft_404 import TINY_PAGE_MAX_CHARS
from probes.models.http import Page
from probes.parsing.html import Document, get_host
from probes.text.lazy_regex import lazy_regex
from probes.urls import domains

MAX_UNRELATED_CHARS = 100  # characters that such a page says of something else
MIN_HOST_LABEL_CHARS = 4  # letters of a host's name that a page cannot hold by chance
HEAD_BYTES = 20 * 1024  # bytes of a body in which a parking service's shell betrays itself

_DOMAIN_WORD_REGEX = (
    r"(?:\bnom de domaine\b|\bce domaine\b|^domaine\b|\bdomaine (?=\S+\.\w)|^dom[íi]nio\b|\b(?:este|esse|"
    r"questo) dom[íi]nio\b|\bdom[íi]nio (?=\S+\.\w)|\bdomeinnaam\b|"
    r"\bdomein\b|\b(?:die|diese|dieser) domain\b|\bdom[eé]na\b|\bdomeny\b|\bdomen\b|\bdomeniul\b|"
    r"\bdom[äæe]n(?:en|et)?\b|\bverkkotunnus\w*|домен\w*|tên miền|alan ad\w+|ドメイン|域名|도메인|"
    r"النطاق|الدومين|דומיין|دامنه|\bτο domain\b|όνομα χώρου)"
)
_REGISTERED_WORD_REGEX = (
    r"(?:\bregistri?er\w*+|\bregistrad\w*+|\bregistrat\w*+|\bregistr[eo]\w*+|\benregistr\w*+|\bréserv\w*+|"
    r"\breserv\w*+|\bgereserv\w*+|\bgeregistr\w*+|\bregistr\w++|\bparke[dr]\w*+|\bgeparkt\b|\bgeparkeerd\b|"
    r"\bparqu\w++|\baparcad\w*+|\bestacionad\w*+|\balojad\w*+|\bhébergé|\bzarejestr\w*+|\bzaregistr\w*+|"
    r"\bzaparkov\w*+|\butrzymywan\w*+|\brekisteröi\w*+|\bînregistrat\w*+|зарегистр\w*+|зареєстр\w*+|"
    r"припаркован\w*+|"
    r"прилинкован\w*+|đăng ký|hết hạn|\bkay[ıi]t\w*+|\btescil\w*+|取得|注册|登録|过期|過期|등록|مسجل|محجوز|"
    r"נרשם|ثبت|"
    r"κατοχυρ\w++|à vendre|en vente|\bexpirée?\b|en venta|in vendita|te koop|zum verkauf|abgelaufen|caducado|"
    r"scaduto|verlopen|na sprzedaż|на продажу|прода[её]тся)"
)
_ENGLISH_NOTICE_REGEX = (
    r"\bdomain(?: ?name)?(?: \S+\.\w{2,})? (?:(?:is|was|has been|may be) (?:\w+ ){0,3}?)?"
    r"(?:registered|reserved|parked|hosted|purchased|expired|for sale)\b"
    r"|\bis (?:hosted|parked) (?:by|with|at|on) \S|\bparked domain\b"
    r"|\blease[ -]to[ -]own\b"
)
_NOT_AS_REGEX = (
    r"(?!\s*(?:as|comme|als|como|come|aux?)\b)"  # registered as a charity, and not as a name
)
_SENTENCE_GAP_REGEX = r"(?:[^.!?:]|\.(?=\S)){0,60}?"  # within a sentence, in which a name has dots
_DOMAIN_NOTICE_PATTERN = lazy_regex(
    rf"{_DOMAIN_WORD_REGEX}{_SENTENCE_GAP_REGEX}{_REGISTERED_WORD_REGEX}{_NOT_AS_REGEX}|(?:{_ENGLISH_NOTICE_REGEX}){_NOT_AS_REGEX}|تم تسجيل (?:اسم )?(?:النطاق|الدومين)"
    r"|\butrzymywan\w+ na serwerach\b|\b(?:domänen?|domænet|domenet) .{0,40}(?:parker|köpt)",
    re.IGNORECASE,
)
_CONTACT_DETAILS_PATTERN = lazy_regex(
    r"[\w.+-]{1,64}@[\w-]{1,63}\.\w|(?:\+|\b0)\d(?:[\s./-]?\d){7,}"
)
_MATCH_NOTHING_PATTERN = lazy_regex(r"(?!)")
_PARKING_MARKUP_PATTERN = re.compile(rb"data-adblockkey\s*=|window\.park\s*=\s*[\"']")


def find_parking_notice(document: Document) -> str | None:
    """The words by which a front page speaks of its own name and of nothing else; None where it does not."""
    if (
        document.internal_link_count
        or len(document.text) > TINY_PAGE_MAX_CHARS
        or _has_contact_details(document)
    ):
        return None
    found = _DOMAIN_NOTICE_PATTERN.search(f"{document.title} {document.text}")
    if found is None or not (_mentions_own_host(document) or _mentions_linked_host(document)):
        return None
    beside = [
        said
        for said in self_statements.find_other_sentences(_MATCH_NOTHING_PATTERN, document)
        if not _DOMAIN_NOTICE_PATTERN.search(said)
    ]
    return found[0] if len(" ".join(beside)) <= MAX_UNRELATED_CHARS else None


def is_parking_shell(page: Page) -> bool:
    """Whether a page holds the marks that parking services (Bodis, users of Google's feed) leave in it."""
    return bool(_PARKING_MARKUP_PATTERN.search(page.body[:HEAD_BYTES]))


def _has_contact_details(document: Document) -> bool:
    ways = (anchor.url for anchor in document.anchors)
    return bool(_CONTACT_DETAILS_PATTERN.search(document.text)) or any(
        way.startswith(("mailto:", "tel:")) for way in ways
    )


def _mentions_own_host(document: Document) -> bool:
    """Whether the page writes the name of its own host out."""
    name = domains.normalize_host(get_host(document.url))
    return bool(name) and name in f"{document.title} {document.text}".lower()


def _mentions_linked_host(document: Document) -> bool:
    """Whether the page names a site that it links to: its host, by whom it is made."""
    said = f"{document.title} {document.text}".lower()
    names = {
        domains.get_registrable_domain(get_host(anchor.url)).partition(".")[0]
        for anchor in document.anchors
    }
    own = domains.get_registrable_domain(get_host(document.url)).partition(".")[0]
    return any(len(name) >= MIN_HOST_LABEL_CHARS and name in said for name in names - {own})
