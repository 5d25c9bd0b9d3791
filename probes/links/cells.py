"""A cell: the links that people put in it, the names of networks beside them, and whether it says "none".

Nothing here knows which channel owns a link: `links` asks, and tells whose account it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from probes.text.lazy_regex import pattern
from probes.urls import normalize

SITE = "website"

# What people write where there is nothing. Compared whole, without case, marks and punctuation.
_NONE = frozenset(
    """
    none no non nope nil null na nan nd ns nc sans aucun aucune rien neant néant vide nothing
    no_website no_page pas_encore not_yet tba tbd en_cours unknown inconnu inconnue n_existe_pas
    inexistant inexistante absent absente not_available not_applicable non_disponible non_applicable
    non_renseigné non_renseigne no_one pas_de_site pas_de_page pas_de_compte pas_de_site_web
    pas_de_chaine pas_de_chaîne pas_de_facebook sans_site sans_objet aucun_site aucune_page
    aucun_compte does_not_exist does_not_have ninguno no_tiene لا لايوجد لا_يوجد لا_توجد لاتوجد
    غير_موجود غير_موجودة غير_متوفر غير_متوفرة غير_متاح ليس_لدينا لا_شيء بدون ليس_بعد ليس_هناك
    لم_يتم_بعد معدوم منعدم غير_محدد لا_نتوفر لا_نتوفر_عليه ما_عندناش ماكاينش والو ulac ur_illi
    none_yet no_facebook no_twitter no_youtube no_linkedin we_dont_have_one n/a n/d s/o
    """.split()  # noqa: SIM905
)
_MARKS = pattern(r"[\W_]+|[\u064b-\u0652\u0640]")
_DASHES = pattern(r"[\s_./…·\u00ad\u2010-\u2015\u2212\\-]+")


def nothing(text: str) -> bool:
    """Whether the text says that there is none: `N/A`, `aucun`, `لا يوجد`, a dash.

    Other marks say nothing: `?????` is what a wrong charset left of words, a tick means "yes" if anything.
    """
    if len(text) > 40 or text.startswith("http"):
        return False
    words = _MARKS.sub(" ", text.lower()).split()
    if not words:
        return _DASHES.fullmatch(text) is not None
    return "_".join(words) in _NONE or "".join(words) == "na"


# --- Labels ----------------------------------------------------------------------------------------

NAMES: Mapping[str, str] = {
    **dict.fromkeys(("facebook", "fb", "face book", "facebook page", "page facebook", "فيسبوك"), "facebook"),
    **dict.fromkeys(("twitter", "x", "twitter x", "x twitter", "تويتر", "إكس"), "twitter"),
    **dict.fromkeys(("linkedin", "linked in", "لينكدإن", "لينكد إن"), "linkedin"),
    **dict.fromkeys(("youtube", "you tube", "yt", "chaine youtube", "chaîne youtube", "يوتيوب"), "youtube"),
    **dict.fromkeys(("website", "site", "site web", "web", "url", "site internet", "الموقع"), SITE),
    **dict.fromkeys(("tiktok", "tik tok", "تيك توك"), "tiktok"),
    **dict.fromkeys(("telegram", "تيليغرام", "تلغرام"), "telegram"),
    **dict.fromkeys(("instagram", "insta", "ig"), "instagram"),
    **dict.fromkeys(("pinterest", "snapchat", "whatsapp"), ""),
}
COMMON = frozenset(
    """
    com net org info ma fr be ca ch de es it uk us eu dz tn eg ly mr sn ml asso ngo ong edu gov biz
    africa me io co tv pt nl
    """.split()  # noqa: SIM905
)


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})"


_NETWORK = _one_of(NAMES)
_PLATFORM = _one_of(name for name, channel in NAMES.items() if channel != SITE)
# `Facebook: amal`; `facebook/amal` and `www.facebook/amal`; `@amal (Twitter)`, `amal_ma sur Twitter`.
_LABELLED = pattern(rf"(?i)^(?P<name>{_NETWORK})\s*(?:[:=>|]|[-–—]+>?\s|\s(?=@))+\s*(?P<value>.+)$")
_ENDLESS = pattern(
    r"(?i)^(?:https?://)?(?:www\.)?(?P<name>facebook|fb|twitter|linkedin|youtube|instagram|tiktok)"
    r"\s*/\s*(?!/)(?P<value>.+)$"
)
_SIGNED = pattern(
    r"(?i)^(?P<value>@[\w.]{1,100}|\w{3,40}[._]\w[\w.]{0,60})(?:\s*\(\s*|\s*[-–—]+\s*|\s+(?:(?:on|sur|على|في)\s+)?)"
    rf"(?P<name>{_PLATFORM})\s*\)?$"
)


def labelled(text: str) -> tuple[str | None, str]:
    """`Facebook: amal` without its label, and the channel it names; "" is a network that is none here."""
    schemed = text[:4].lower() == "http"
    found = _ENDLESS.match(text) or (None if schemed else _LABELLED.match(text) or _SIGNED.match(text))
    if found is None or found["value"].startswith("//"):
        return None, text
    return NAMES[found["name"].lower()], found["value"]


# --- Several links ----------------------------------------------------------------------------------

# Without a space, a comma is a part of an address unless a host follows.
_SEPARATED = pattern(
    r"[\r\n\v\f\u2028\u2029]+|\s*;\s*(?!/)|\s*،\s*|\s+[|/]\s+"
    r"|(?<!www)\s*,\s*(?=https?:|www\.|@|\s*$)|\s*,\s+(?=\S*\.\S)"
    rf"|(?<!www),(?=(?:[\w-]+\.)+{_one_of(COMMON)}(?:[/,;\s]|$))"
)
_BLANKS = pattern(r"[^\S\r\n\v\f\u2028\u2029]{2,}")
_AND = r"\s+(?:(?:and|et|ou|or|&|و|-|–)\s+)?"
_AGAIN = pattern(
    rf"(?i)(?<=[^\s/:=?&(#'\"])(?=https?:/{{1,2}})|(?<![\s:=>])(?<!//){_AND}(?=https?:/{{1,2}}|www\.|@\w)"
)
_HOST = rf"(?<![\w.@-])(?:[\w-]+\.)+{_one_of(COMMON)}(?=[/?#,;\s]|$)"
# `site: https://annour.ma facebook: amal`: after one, a label, a scheme or a host begins another.
_FURTHER = pattern(rf"(?i){_AND}(?=https?:/{{1,2}}|(?P<label>{_PLATFORM})\s*[:=]\s*\S|(?P<host>{_HOST}))")
_BEFORE = pattern(r"(?i)https?:|www\.|\w\.\w|@\w")
_BEFORE_LABEL = pattern(rf"(?i){_BEFORE.pattern}|\b{_PLATFORM}\s*[:=]")
_BEFORE_HOST = pattern(rf"(?i){_HOST}")
# `annour.ma/https://amal.ma`: a slash between two, unless the first is an address that carries the second.
_SLASHED = pattern(r"(?i)(?<=[^\s/:])/(?=https?:/{1,2})")
_CARRYING = pattern(r"(?i)[?=]|archive|cache|/web/\d")


def links_in(text: str) -> list[str]:
    """The links of a cell: one a line, or apart by `;`, a comma, a label or a space before another.

    Words between links are left out; where there is no link at all, the cell is what it is.
    """
    text = text[: normalize.LONGEST]
    if normalize.is_formula(text):
        return [text.strip()]
    lines = _SEPARATED.split(_BLANKS.sub(" ", normalize.unescaped(text)))
    found = (one for line in lines for again in _AGAIN.split(line) for one in _further(again))
    parts = list(_labels_joined(part for one in found for part in _slashed(one)))
    return [part for part in parts if _LINKED.search(part)] or parts


def _slashed(part: str) -> list[str]:
    """A part apart at the slashes between its links."""
    found = _SLASHED.search(part)
    return [part] if not found or _CARRYING.search(part, 0, found.start()) else _SLASHED.split(part)


def _further(part: str) -> Iterator[str]:
    """A part with several links, apart before each further one."""
    begin = 0
    for found in _FURTHER.finditer(part):
        before = _BEFORE_LABEL if found["label"] else _BEFORE_HOST if found["host"] else _BEFORE
        if before.search(part, begin, found.start()):
            yield part[begin : found.start()]
            begin = found.end()
    yield part[begin:]


def _labels_joined(parts: Iterable[str]) -> Iterator[str]:
    """`Instagram` and `@amal` belong together: the label says whose handle it is."""
    label = ""
    for part in (part.strip(" \t,;،|") for part in parts):
        if part.rstrip(" :=>-").lower() in NAMES:
            label = f"{part.rstrip(' :=>-')}: "
        elif part:
            yield label + part
            label = ""
    if label:
        yield label.rstrip(": ")


_LINKED = pattern(rf"(?i)\w\.\w+(?:/|$|\?)|https?:?/|www\.|^@\w|[:/]\s*@?\w+$|^{_PLATFORM}\s*[:=]\s*\S")
