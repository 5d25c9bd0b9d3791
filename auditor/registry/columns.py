"""The columns of a registry sheet and what people call them in Arabic, French and English.

Telephone numbers as registries hold them, made into what WhatsApp takes. Pure.

Who runs an association's channels (nobody, a volunteer, a dedicated person): as people write it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from urllib.parse import quote

from auditor.i18n.wording import Wording
from probes.links.cells import nothing

LINKS = "links"
"""A column for links of any kind, for sheets that keep "other networks" in one."""

FACTS = (
    "id",
    "name",
    "name_ar",
    "name_fr",
    "region",
    "city",
    "language",
    "email",
    "phone",
    "tags",
)
AFTER = ("none_by_choice", "media_officer", "note")

CALLED = {
    "id": "id, code, ref, reference, no, num, number, numero, n, identifiant, identifier, رقم, الرقم, "
    "رقم التسجيل, المعرف, الرمز",
    "name": "name, association, association name, name of the association, organisation, organization, "
    "organisation name, title, nom, nom de l association, denomination, intitule, raison sociale, "
    "اسم الجمعية, الاسم, الجمعية, التسمية, اسم المنظمة",
    "name_ar": "name ar, arabic name, name in arabic, nom arabe, nom en arabe, nom ar, الاسم بالعربية, "
    "اسم الجمعية بالعربية, الاسم العربي",
    "name_fr": "name fr, french name, name in french, nom francais, nom en francais, nom fr, "
    "الاسم بالفرنسية, اسم الجمعية بالفرنسية",
    "region": "region, province, state, الجهة, جهة, الاقليم, المنطقة",
    "city": "city, town, ville, commune, localite, المدينة, مدينة, الجماعة",
    "language": "language, lang, langue, اللغة, لغة",
    "email": "email, e mail, mail, courriel, adresse electronique, adresse email, البريد الالكتروني, "
    "البريد, بريد الكتروني, الايميل",
    "phone": "phone, phone number, telephone, tel, gsm, mobile, الهاتف, رقم الهاتف, هاتف",
    "tags": "tags, tag, keywords, mots cles, الكلمات المفتاحية, "
    "category, categories, field, domaine, domaines, categorie, theme, themes, "
    "thematique, activite, المجال, مجال العمل, التصنيف, الوسوم, النشاط",
    "website": "website, web site, web, site, site web, site internet, url, homepage, adresse du site, "
    "الموقع, الموقع الالكتروني, موقع الويب, رابط الموقع, موقع الكتروني",
    "facebook": "facebook, fb, facebook page, page facebook, compte facebook, lien facebook, facebook url, "
    "فيسبوك, الفيسبوك, فايسبوك, الفايسبوك, صفحة فيسبوك, صفحة الفيسبوك",
    "twitter": "twitter, x, twitter x, x twitter, compte twitter, twitter url, twitter handle, "
    "تويتر, اكس, منصة اكس, حساب تويتر, تويتر اكس, اكس تويتر",
    "linkedin": "linkedin, linked in, page linkedin, compte linkedin, linkedin url, "
    "لينكد ان, لينكدان, لينكدين, لينكد",
    "youtube": "youtube, you tube, youtube channel, chaine youtube, youtube url, "
    "يوتيوب, اليوتيوب, قناة يوتيوب, القناة",
    "instagram": "instagram, insta, compte instagram, انستغرام, انستاغرام, انستجرام",
    "tiktok": "tiktok, tik tok, تيك توك, تيكتوك",
    "telegram": "telegram, تيليغرام, تلغرام, تيليجرام",
    "whatsapp": "whatsapp, whats app, واتساب, واتس اب",
    LINKS: "links, other links, other, other media, other social media, social media, social networks, "
    "liens, "
    "autres liens, autres, reseaux sociaux, autres reseaux, "
    "روابط, روابط اخرى, "
    "مواقع التواصل, وسائل التواصل الاجتماعي",
    "none_by_choice": "none by choice, by choice, not wanted, sans par choix, aucun par choix, pas souhaite, "
    "absent par choix, "
    "بدون اختيارا, لا نريد, غياب بالاختيار, قنوات لا تريدها",
    "media_officer": "who runs the channels, who runs our channels, qui tient les canaux, "
    "qui gere nos canaux, qui anime nos canaux, qui anime les canaux, "
    "من يدير القنوات, من يتكلف بالقنوات, من يدير قنواتنا, من يسير قنواتنا, "
    "media officer, communication officer, contact, contact person, "
    "responsable communication, "
    "responsable de la communication, responsable media, "
    "charge de communication, "
    "مسؤول التواصل, مسؤول الاعلام, "
    "المكلف بالتواصل, المكلف بالاعلام",
    "note": "note, notes, remark, remarks, comment, comments, remarque, remarques, commentaire, "
    "observations, "
    "ملاحظة, ملاحظات",
}

LETTERS = str.maketrans("أإآٱىة_", "اااايه ", "\u0640")


def bare(text: str) -> str:
    """A heading without case, accents, vowel marks, letter variants and punctuation."""
    spread = unicodedata.normalize("NFKD", text.casefold().translate(LETTERS))
    letters = "".join(c for c in spread if not unicodedata.combining(c)).translate(LETTERS)
    return " ".join(re.findall(r"\w+", letters))


NAMES = {bare(called): column for column, names in CALLED.items() for called in names.split(",")}
NAMES |= {bare(column): column for column in CALLED}


ABOUT = frozenset(
    bare(
        "url urls link links lien liens page pages compte account profile profil handle username address "
        "adresse official officiel officielle de du la le l of the our "
        "رابط صفحة حساب قناة عنوان على منصة الرسمية الرسمي"
    ).split()
)
"""Words that say nothing of which column a heading means: "url website", "lien de la page Facebook"."""


def column_of(heading: str, channels: Collection[str]) -> str | None:
    """The column a heading means, or None: what stands in brackets may be an explanation."""
    whole = bare(heading)
    outside = bare(re.sub(r"[(\[].*?[)\]]", " ", heading))
    pith = " ".join(word for word in outside.split() if word not in ABOUT)
    for said in (whole, outside, pith, pith.removeprefix("ال")):
        column = NAMES.get(said) or (said if said in channels else None)
        if column is not None:
            return column if column in {*FACTS, *AFTER, LINKS} or column in channels else None
    return None


def in_order(channels: Sequence[str]) -> list[str]:
    """The columns of a sheet we write, in the order of DESIGN §6."""
    return [*FACTS, *channels, *AFTER]


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
